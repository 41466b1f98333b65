"""The real client against every endpoint, as its users call it."""

import warnings
from datetime import UTC, datetime
from typing import Any

import pytest

from emulator.api import OFFERED
from emulator.serving import short
from emulator.snapshots import shipped
from tests.chaos.harness import until
from tests.emulator.running import EmulatorProcess


async def test_every_endpoint_is_driven_by_the_client(emulator: EmulatorProcess, ibm: Any) -> None:
    """And the log shows that none was left out."""
    from qiskit import QuantumCircuit
    from qiskit.transpiler import generate_preset_pass_manager
    from qiskit_ibm_runtime import Batch, SamplerV2, Session

    await emulator.control.settings(speed=1000)
    backend = ibm.backend("ibm_brisbane")
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    isa_circuit = generate_preset_pass_manager(1, backend=backend, seed_transpiler=1).run(circuit)
    options = {"default_shots": 200, "environment": {"job_tags": ["endpoints"]}}

    job = SamplerV2(backend, options=options).run([isa_circuit])
    counts = job.result(timeout=60)[0].data.meas.get_counts()
    assert sum(counts.values()) == 200
    assert counts["00"] + counts["11"] > 150
    assert job.metrics()["timestamps"]["running"]
    assert job.usage() == pytest.approx(job.usage_estimation["quantum_seconds"], rel=0.04)
    assert "completed" in job.logs()
    assert [found.job_id() for found in ibm.jobs(limit=5, job_tags=["endpoints"])] == [job.job_id()]
    assert job.inputs["pubs"]
    job.update_tags(["other"])
    assert ibm.job(job.job_id()).tags == ["other"]
    assert ibm.usage()["usage_consumed_seconds"] > 0
    assert backend.status().operational
    assert backend.properties(datetime=datetime(2030, 1, 1, tzinfo=UTC)).last_update_date
    for mode in (Session, Batch):
        with mode(backend=backend) as opened:
            await emulator.control.settings(hold=True)
            waiting = SamplerV2(mode=opened, options=options).run([isa_circuit])
            assert opened.details()["id"] == opened.session_id
        opened.cancel()
        assert ibm.job(waiting.job_id()).status() == "CANCELLED"
        assert ibm.job(waiting.job_id()).session_id == opened.session_id
    held = SamplerV2(backend, options=options).run([isa_circuit])
    held.cancel()
    assert ibm.job(held.job_id()).status() == "CANCELLED"
    ibm.delete_job(held.job_id())
    ibm._api_clients[ibm.active_instance()]._api.workloads_get(limit=1)

    called = {_template(entry) for entry in await emulator.control.log()}
    assert called >= set(OFFERED)


async def test_both_generations_of_primitives_answer(emulator: EmulatorProcess, ibm: Any) -> None:
    """The new ones send the program `executor`, and compute the rest themselves."""
    from qiskit import ClassicalRegister, QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp
    from qiskit.transpiler import generate_preset_pass_manager
    from qiskit_ibm_runtime import EstimatorV2
    from qiskit_ibm_runtime.executor_sampler import Sampler

    await emulator.control.settings(speed=1000)
    backend = ibm.backend("ibm_manila")
    circuit = QuantumCircuit(1)
    circuit.x(0)
    isa_circuit = generate_preset_pass_manager(1, backend=backend, seed_transpiler=1).run(circuit)
    observable = SparsePauliOp("Z").apply_layout(isa_circuit.layout)
    estimate = EstimatorV2(backend, options={"default_shots": 1000}).run([(isa_circuit, observable)])
    measured = isa_circuit.copy()
    measured.add_register(ClassicalRegister(1, "read"))
    measured.measure(isa_circuit.layout.final_index_layout()[0], 0)
    sample = Sampler(mode=backend).run([measured], shots=100)

    assert float(estimate.result(timeout=60)[0].data.evs) < -0.8
    assert sample.result(timeout=60)[0].data.read.num_shots == 100


async def test_a_client_finds_instance_and_plan_by_the_cloud(
    emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a proxy, where only IBM Cloud's host names are known: search, catalogue, then the service itself."""
    from qiskit_ibm_runtime import QiskitRuntimeService

    monkeypatch.setenv("IAM_URL", emulator.url)
    monkeypatch.delenv("QISKIT_FUNCTIONS_EXPERIMENTAL", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        service = QiskitRuntimeService(
            channel="ibm_quantum_platform",
            token="emulator",
            url="http://localhost",
            instance="emulator",
            proxies={"urls": {"http": emulator.url}},
        )
        found = service.instances()

    assert [(one["name"], one["plan"], one["pricing_type"]) for one in found] == [
        ("emulator", "pay-as-you-go", "paygo")
    ]
    assert service.backend("ibm_manila").num_qubits == 5
    paths = {entry["path"] for entry in await emulator.control.log()}
    assert {"/v3/resources/search", "/api/v1/emulator-plan", "/api/v1/backends"} <= paths


@pytest.mark.long
async def test_every_device_is_one_that_the_client_reads(ibm: Any) -> None:
    """It lists none whose configuration it cannot read, and complains to nobody."""
    assert len(ibm.backends()) == len(shipped()) > 60


async def test_a_bad_day_in_the_clients_words(emulator: EmulatorProcess, ibm: Any) -> None:
    """Errors are where the client looks for them."""
    from qiskit_ibm_runtime import RuntimeJobNotFound
    from qiskit_ibm_runtime.exceptions import IBMNotAuthorizedError

    with pytest.raises(RuntimeJobNotFound):
        ibm.job("d0000000000000000000")
    await emulator.control.tokens(revoke=True)
    with pytest.raises(IBMNotAuthorizedError, match="revoked"):
        ibm.usage()
    await emulator.control.tokens(revoke=False)
    await until("the client works again", lambda: ibm.usage())


def _template(entry: dict[str, Any]) -> tuple[str, str]:
    """The offered route that a request came by."""
    parts = short(entry["path"]).split("/")
    for method, path in OFFERED:
        wanted = path.split("/")
        fits = method == entry["method"] and len(wanted) == len(parts)
        if fits and all(
            want.startswith("{") or want == part for want, part in zip(wanted, parts, strict=True)
        ):
            return method, path
    return entry["method"], entry["path"]
