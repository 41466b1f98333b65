"""Twins ride in the provider's own job: they change nothing that was asked, say what they cost, and are believed.

Bit order: the rightmost character of an outcome is bit 0.
"""

from typing import Any

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from qurable.contracts.checks import Checks, TwinRide
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.reports import JobReport, State
from qurable.errors import JobFailed
from qurable.requests import estimate, sample
from tests.conftest import PaidStack, Service
from tests.paid import DEVICE, Paid

_TWIN = "fake_manila"
_WITH_TWIN = Checks(twin=TwinRide(shots=1_500))


def _waves() -> QuantumCircuit:
    theta = Parameter("theta")
    circuit = QuantumCircuit(3, name="waves")
    circuit.ry(theta, range(3))
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.ry(0.4, range(3))
    circuit.measure_all()
    return circuit


def _job(**options: Any) -> Any:
    return sample((_waves(), [[0.3], [1.1]], 600), seed=11, **options)


def _floor(policy: str) -> Any:
    return {"policy": policy, "floor": {"kind": "twin_check", "value": 0.9999}}


def _measured(report: JobReport) -> Any:
    (record,) = [entry for entry in report.confidence if entry.kind is ConfidenceKind.TWIN_CHECK]
    return record


async def test_a_twin_measures_how_far_a_noisy_answer_can_be_trusted(service: Service) -> None:
    """The job's own counts are those it has without it; the record stands beside the estimate of its survival."""
    alone = await service.run(_job(backend=_TWIN))
    ridden = await service.run(_job(backend=_TWIN, checks=_WITH_TWIN))
    noiseless = await service.run(_job(backend="aer", checks=_WITH_TWIN))

    assert [ridden.counts(0, at) for at in (0, 1)] == [alone.counts(0, at) for at in (0, 1)]
    assert len(ridden.results) == 1
    (twin,) = ridden.twins
    assert (twin.circuit, twin.pub, twin.bits, twin.shots) == ("waves", 0, 3, 1_800)
    assert (twin.seconds, twin.price, twin.because) == (None, None, "")
    assert twin.checks >= 1
    record = _measured(ridden)
    (survival,) = [entry for entry in ridden.confidence if entry.kind is ConfidenceKind.SURVIVAL_ESTIMATE]
    assert record.interval[0] <= record.value <= record.interval[1] < 1.0
    assert record.interval[1] > 0.9 * survival.value
    assert "not on the circuit itself" in record.basis
    assert ridden.explanation is not None
    assert "'waves'" in ridden.explanation.twins

    assert not alone.twins
    assert not [entry for entry in alone.confidence if entry.kind is ConfidenceKind.TWIN_CHECK]
    assert not noiseless.twins
    assert any("always right" in warning for warning in noiseless.warnings)


async def test_a_twin_rides_in_the_same_paid_job_at_a_stated_cost(paid: Paid) -> None:
    """One job at the provider, whose estimate and reservation count it; no result of the job is one of the twin's."""
    alone = await paid.service.run(_job(backend=DEVICE))
    await paid.control.settings(noise=True)
    ridden = await paid.service.run(_job(backend=DEVICE, checks=_WITH_TWIN))

    taken = await paid.taken()
    _, (part,) = await paid.rows(ridden)
    _, (part_alone,) = await paid.rows(alone)
    assert len(taken) == 2
    assert [(piece.pub, piece.start, piece.stop) for piece in part.slices] == [(0, 0, 2), (1, 0, 3)]
    assert part.estimate is not None
    assert part_alone.estimate is not None
    assert part.estimate.high > part_alone.estimate.high
    (planned,) = [rung.estimate.qpu_seconds for rung in ridden.route.rungs]
    (planned_alone,) = [rung.estimate.qpu_seconds for rung in alone.route.rungs]
    assert planned is not None
    assert planned_alone is not None
    assert planned.high > planned_alone.high
    assert len(ridden.results) == 1
    assert [sum(ridden.counts(0, at).values()) for at in (0, 1)] == [600, 600]
    (twin,) = ridden.twins
    assert twin.shots == 1_800
    assert twin.seconds is not None
    assert twin.seconds.high == pytest.approx(part.estimate.high * 3 / 5)
    assert _measured(ridden).value < 1.0


async def test_what_has_no_twin_is_answered_all_the_same(service: Service) -> None:
    """The reason is found before anything is sent, and told; only what cannot be asked at all is refused."""
    dynamic = QuantumCircuit(2, 2, name="dynamic")
    dynamic.h(0)
    dynamic.measure(0, 0)
    dynamic.x(0)
    dynamic.measure(0, 1)

    report = await service.run(sample(dynamic, shots=50, backend=_TWIN, checks=_WITH_TWIN))

    assert report.state is State.COMPLETED
    assert [twin.because for twin in report.twins] == ["it branches, resets, or measures and goes on"]
    assert any("no twin of circuit 'dynamic'" in warning for warning in report.warnings)
    with pytest.raises(JobFailed, match=r"leave `checks\.twin` out"):
        await service.run(estimate((_waves(), "ZZZ", [0.3]), backend="aer", checks=_WITH_TWIN))


async def test_a_floor_of_what_a_twin_measures_refuses_an_answer(service: Service) -> None:
    """An answer below it is not believed, as with every other kind of record."""
    with pytest.raises(JobFailed, match="twin_check of pub 0") as refused:
        await service.run(_job(backend=_TWIN, checks=_WITH_TWIN, fallback=_floor("none")))

    assert refused.value.error.code == "ConfidenceTooLow"
    assert refused.value.error.details["kind"] == "twin_check"


@pytest.mark.long
async def test_an_answer_below_the_floor_is_left_to_the_next_rung(paid_stack: PaidStack) -> None:
    """The device and its noisy simulator answer too badly; a place without noise needs no twin."""
    async with paid_stack(strategy=None) as paid:
        await paid.control.settings(noise=True)
        report = await paid.service.run(_job(backend=DEVICE, checks=_WITH_TWIN, fallback=_floor("table")))

    assert [attempt.error.code for attempt in report.tried] == ["ConfidenceTooLow"] * 2
    assert [attempt.backend for attempt in report.tried] == [DEVICE, _TWIN]
    assert report.state is State.DEGRADED
    assert not report.twins


@pytest.mark.long
async def test_a_twin_of_fractional_gates_is_one_of_the_device_s(paid: Paid) -> None:
    """Its rzz stay in IBM's range and its rx are pulses: the provider takes it as it takes the circuit."""
    theta = Parameter("theta")
    circuit = QuantumCircuit(3, name="fractional")
    circuit.rx(theta, range(3))
    circuit.rzz(0.3, 0, 1)
    circuit.rzz(theta, 1, 2)
    circuit.rx(0.2, range(3))
    circuit.measure_all()
    ibm = IbmOptions(use_fractional_gates=True)
    job = sample((circuit, [[0.9]], 1_000), backend="ibm:fractional", ibm=ibm, checks=_WITH_TWIN)

    report = await paid.service.run(job)

    (twin,) = report.twins
    assert twin.because == ""
    assert (twin.right, twin.shots) == (2_000, 2_000)
    assert _measured(report).value == 1.0
