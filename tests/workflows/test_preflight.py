"""What says nothing is told, or refused, before it is paid for: once for each circuit, and never in the way."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from isolation.pool import ChildPool
from qurable.contracts.ibm import IbmOptions
from qurable.errors import ChildCrashed, JobFailed
from qurable.requests import sample
from tests.paid import DEVICE, Paid

_LOOK = "circuits.preflight:look_ahead"
_CRASHES = 0.125


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each circuit that is simulated before it is paid for; that of one value crashes."""
    seen, call = [], ChildPool.call

    async def counting(pool: ChildPool, task: str, *args: Any, **options: Any) -> Any:
        if task == _LOOK:
            seen.append(task)
            if args[0]["values"] == [[_CRASHES]]:
                raise ChildCrashed("looking ahead crashed its process (signal SIGSEGV)")
        calling: Callable[..., Awaitable[Any]] = call
        return await calling(pool, task, *args, **options)

    monkeypatch.setattr(ChildPool, "call", counting)
    return seen


def _certain(turns: int) -> QuantumCircuit:
    """Always the same outcome; every number of turns is another circuit."""
    circuit = QuantumCircuit(2)
    for _ in range(turns):
        circuit.ry(0.7, 0)
        circuit.ry(-0.7, 0)
    circuit.x(1)
    circuit.measure_all()
    return circuit


def _fair() -> QuantumCircuit:
    """Two outcomes; no other test pays for it."""
    circuit = QuantumCircuit(3)
    circuit.h(1)
    circuit.cx(1, 2)
    circuit.cx(1, 0)
    circuit.measure_all()
    return circuit


def _job(turns: int, preflight: Any, **options: Any) -> Any:
    options = {"project": "preflight", **options}
    return sample(_certain(turns), shots=50, backend=DEVICE, ibm=IbmOptions(preflight=preflight), **options)


async def test_a_circuit_that_says_nothing_is_refused_or_told(paid: Paid, looks: list[str]) -> None:
    """Refused as often as it is asked, simulated once; and told in the report of whoever pays all the same."""
    for _ in range(2):
        refused = await paid.refused(_job(1, "refuse"))
        assert isinstance(refused, JobFailed)
        assert refused.error.code == "PreflightRefused"
        assert "always 10" in refused.error.message
    assert await paid.taken() == []
    assert len(looks) == 1

    told = await paid.service.run(_job(1, "warn"))
    assert [warning for warning in told.warnings if "was simulated" in warning and "always 10" in warning]
    assert any("preflight: without noise" in event.detail for event in told.events)
    assert len(looks) == 1

    known = await paid.service.run(_job(1, "refuse"))
    silent = await paid.service.run(_job(2, "off"))
    fine = await paid.service.run(sample(_fair(), shots=50, backend=DEVICE, project="preflight"))
    for report in (known, silent, fine):
        assert not [warning for warning in report.warnings if "was simulated" in warning]
    assert len(looks) == 2, "only the last was new, and to be looked at"


async def test_a_look_ahead_that_fails_is_no_reason_to_send_nothing(paid: Paid, looks: list[str]) -> None:
    """It is there to save money, and must not cost an answer."""
    circuit = QuantumCircuit(1)
    circuit.ry(Parameter("p"), 0)
    circuit.measure_all()
    report = await paid.service.run(
        sample(
            (circuit, [_CRASHES]), shots=50, backend=DEVICE, project="preflight", ibm={"preflight": "refuse"}
        )
    )

    assert report.served_by == DEVICE
    assert len(looks) == 1
