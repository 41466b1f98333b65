"""A circuit that would answer with noise is not paid for where something else can answer."""

import numpy as np
from qiskit import QuantumCircuit
from sqlalchemy import Connection, select

from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.reports import State
from qurable.errors import JobFailed
from qurable.requests import sample
from store.schema import reservations, submissions
from tests.conftest import PaidStack
from tests.paid import DEVICE, Paid

_SESSION = IbmOptions(mode="session")


def _deep(gates: int) -> QuantumCircuit:
    """Gates between any two of five qubits: as written it passes, on a line of couplings it takes far more."""
    random = np.random.default_rng(5)
    circuit = QuantumCircuit(5)
    for _ in range(gates):
        first, second = random.choice(5, 2, replace=False)
        circuit.rx(float(random.uniform(0.3, 2.8)), int(first))
        circuit.cx(int(first), int(second))
    circuit.measure_all()
    return circuit


def _paid_for(connection: Connection) -> list[str]:
    """Backends with a submission, or with money put aside."""
    rows = connection.execute(select(submissions.c.backend).union_all(select(reservations.c.backend)))
    return [row.backend for row in rows]


async def test_a_circuit_that_does_not_survive_routing_is_left_to_the_next_rung(
    paid_stack: PaidStack,
) -> None:
    """The bound let it pass; once compiled, nothing is reserved, opened or sent, and the report says why."""
    async with paid_stack(strategy=None) as paid:
        report = await paid.service.run(_deep(300), shots=100, backend=DEVICE, ibm=_SESSION)
        written = await paid.service.database.read(_paid_for)
        sent, opened = await paid.taken(), await paid.sessions()

        insisted = await paid.service.run(_deep(300), shots=100, backend=DEVICE, fallback="none")

    assert (report.state, report.served_by) == (State.DEGRADED, "fake_manila")
    ((attempt,),) = [report.tried]
    assert (attempt.backend, attempt.error.code) == (DEVICE, "SurvivalTooLow")
    planned, least = report.route.rungs[0].estimate.survival, report.route.min_survival
    assert planned is not None
    assert attempt.error.details["survival"] < least == 0.01 < planned
    assert f"the strategy table asks for {least:g}" in report.because
    assert (sent, opened, written) == ([], [], [DEVICE.replace("ibm:", "fake_")])
    assert not [
        event for event in report.events if event.state is State.SUBMITTED and event.backend == DEVICE
    ]

    assert insisted.served_by == DEVICE
    (record,) = [entry for entry in insisted.confidence if entry.kind is ConfidenceKind.SURVIVAL_ESTIMATE]
    assert insisted.provenance is not None
    survival = insisted.provenance.circuits[0].survival
    assert survival is not None
    assert record.value == survival.value < least
    assert any("expect noise" in warning for warning in insisted.warnings)


async def test_what_the_job_itself_demands_is_demanded_before_it_is_paid_for(paid: Paid) -> None:
    """An answer below the caller's floor would be refused once it came: nothing is bought that nobody takes."""
    floor = {"kind": "survival_estimate", "value": 0.9999}
    work = sample(_deep(3), shots=100, backend=DEVICE, fallback={"policy": "none", "floor": floor})

    refused = await paid.refused(work)

    assert isinstance(refused, JobFailed)
    assert refused.error.code == "SurvivalTooLow"
    assert "fallback.floor asks for 0.9999" in refused.error.message
    assert await paid.taken() == []
