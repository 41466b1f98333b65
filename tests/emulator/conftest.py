"""One emulator for the tests that leave it as it was, the real client for it, and a small job."""

import json
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.emulator.running import Api, EmulatorProcess

QUICK = {
    "hold": False,
    "prepare_seconds": 0.0,
    "seconds_per_queued_job": 30.0,
    "tag_lag_seconds": 0.0,
    "usage_lag_seconds": 0.0,
    "submissions_per_minute": None,
    "usage_limit_seconds": None,
    "run_factor": 1.0,
    "max_body_bytes": 64 * 2**20,
    "max_executions": 5_000_000,
    "speed": 1.0,
}
"""What every test finds: no limits, no lags."""


@pytest.fixture(scope="session")
async def _process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmulatorProcess]:
    process = EmulatorProcess(tmp_path_factory.mktemp("emulator"))
    process.start()
    await process.ready()
    yield process
    assert process.stop() == 0, process.printed()
    assert "Traceback" not in process.printed(), process.printed()


@pytest.fixture
async def emulator(_process: EmulatorProcess) -> EmulatorProcess:
    """An emulator in fair weather, with jobs of other tests."""
    await _process.control.clear()
    await _process.control.settings(**QUICK)
    await _process.control.tokens(revoke=False, accept=None)
    await _process.control.forget_log()
    return _process


@pytest.fixture
def api(emulator: EmulatorProcess, small_job: dict[str, Any]) -> Api:
    """Requests of a user and an instance that no other test uses."""
    return Api(emulator, small_job)


@pytest.fixture(scope="session")
def small_job() -> dict[str, Any]:
    """Body of a job: one qubit of ibm_brisbane, 100 shots of an even coin."""
    from qiskit import QuantumCircuit
    from qiskit_ibm_runtime import RuntimeEncoder

    circuit = QuantumCircuit(1)
    circuit.sx(0)
    circuit.measure_all()
    params = {"pubs": [(circuit, None, 100)], "version": 2, "options": {}}
    body: dict[str, Any] = json.loads(
        json.dumps({"program_id": "sampler", "backend": "ibm_brisbane", "params": params}, cls=RuntimeEncoder)
    )
    return body


@pytest.fixture
def ibm(emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The real client, as another shell has it after the exports that `qurable emulate` prints."""
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the client's own, of its deprecations and its usage
        from qiskit_ibm_runtime import QiskitRuntimeService

        yield QiskitRuntimeService()
