"""Estimates are extrapolated to zero noise beside what was measured; where that says less, the raw values stand."""

import math
from typing import Any

import pytest
from qiskit import QuantumCircuit

from qurable.contracts.extrapolation import ExtrapolatedValues
from qurable.contracts.jobs import mint_key
from qurable.contracts.reports import JobReport, State
from qurable.contracts.results import EstimateResult
from qurable.errors import JobFailed
from qurable.requests import estimate
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack, Service
from tests.paid import DEVICE, Paid

_SHOTS = 20_000
_PLACE = "fake_manila"
_OBSERVABLES = ["YXX", {"XXX": 0.5, "III": 0.25}, "IZZ"]


def _echoes(pairs: int = 12) -> QuantumCircuit:
    """A rotated GHZ state behind many gates that undo each other: what is off is their noise."""
    circuit = QuantumCircuit(3, name="echoes")
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    for _ in range(pairs):
        circuit.barrier()
        circuit.cx(0, 1)
        circuit.barrier()
        circuit.cx(0, 1)
    return circuit


_TRUTH = (0.0, 0.75, 1.0)


def _estimates(mitigation: Any = "zne", **options: Any) -> Any:
    wishes = {"backend": _PLACE, "seed": 11, "transpile": {"level": 1, "layout": (0, 1, 2)}} | options
    return estimate((_echoes(), _OBSERVABLES), precision=_SHOTS**-0.5, mitigation=mitigation, **wishes)


def _values(report: JobReport) -> tuple[EstimateResult, ExtrapolatedValues]:
    (result,) = report.results
    assert isinstance(result, EstimateResult)
    assert result.extrapolated is not None
    return result, result.extrapolated


async def test_values_at_zero_noise_stand_beside_the_measured_ones(service: Service) -> None:
    """Nearer to the truth by far, with a larger error bar; what was measured is what it would have been without."""
    report = await service.run(_estimates({"zne": {"factors": [1, 2, 3], "extrapolator": "exponential"}}))
    plain = await service.run(_estimates({}))
    stored = await service.qurable.results(report.id)

    result, found = _values(report)
    (raw,) = plain.results
    assert isinstance(raw, EstimateResult)
    assert (result.evs, result.stds) == (raw.evs, raw.stds)
    assert stored.pubs == report.results
    assert raw.extrapolated is None
    assert "extrapolat" not in str(plain.document()["results"])
    assert plain.extrapolation is None

    assert found.factors[0] == 1
    assert found.factors[1:] == pytest.approx((2, 3), abs=0.1)
    assert [values[0] for values in found.measured] == list(result.evs.values)
    assert len({error for errors in found.errors for error in errors}) > 3
    for at in (1, 2):
        off, off_raw = (abs(values[at] - _TRUTH[at]) for values in (found.evs.values, result.evs.values))
        # What is left of it was misread, which no factor scales.
        assert off_raw - off > 5 * found.stds.values[at]
        assert found.stds.values[at] == pytest.approx(result.stds.values[at] * math.sqrt(found.inflation[at]))
        assert found.inflation[at] > 1

    # Nothing to extrapolate: the value is zero at every factor.
    assert 0 in found.worthless
    assert found.evs.values[0] == result.evs.values[0]
    record = report.extrapolation
    assert record is not None
    assert (record.skipped, record.executions, record.values, record.worthless) == (
        "",
        3.0,
        3,
        len(found.worthless),
    )
    assert record.factors == {"echoes": found.factors}
    assert any("left as they were measured" in warning for warning in report.warnings)


async def test_where_there_is_no_noise_or_nothing_to_fold_the_raw_answer_stands(service: Service) -> None:
    """With the reason; circuits that go no way back are not run at all."""
    report = await service.run(_estimates(backend="aer", transpile={}))
    tiny = QuantumCircuit(1, name="tiny")
    tiny.h(0)
    unfolded = await service.run(
        estimate((tiny, "X"), backend=_PLACE, mitigation={"zne": {"folding": "gates"}})
    )
    short = await service.run(
        estimate((tiny, "X"), backend=_PLACE, mitigation={"zne": {"factors": [1, 1.4]}})
    )
    dynamic = BELL + "x q[0];\nmeasure q[0] -> c[0];\n"
    with pytest.raises(JobFailed, match="runs circuits backwards") as failed:
        await service.run(estimate((dynamic, "ZZ"), backend="aer", mitigation="zne"))

    assert failed.value.error.code == "RequestRejected"
    for answered, because in (
        (report, "without noise"),
        (unfolded, "no two-qubit gate to fold"),
        (short, "so few gates"),
    ):
        assert answered.state is State.COMPLETED
        assert answered.extrapolation is not None
        assert because in answered.extrapolation.skipped
        assert any(because in warning for warning in answered.warnings)
        assert isinstance(answered.results[0], EstimateResult)
        assert answered.results[0].extrapolated is None


async def test_folded_circuits_ride_in_the_same_paid_job_at_a_stated_cost(paid: Paid) -> None:
    """One job at the provider, whose estimate, reservation and guardrails count them."""
    options: dict[str, Any] = {"backend": DEVICE, "ibm": {"resilience_level": 0}}
    alone = await paid.service.run(_estimates({}, **options))
    await paid.control.settings(noise=True)
    folded = await paid.service.run(_estimates(**options))

    taken = await paid.taken()
    _, (part,) = await paid.rows(folded)
    _, (part_alone,) = await paid.rows(alone)
    assert len(taken) == 2
    assert [piece.pub for piece in part.slices] == [0, 1, 2]
    assert part.estimate is not None
    assert part_alone.estimate is not None
    assert part.estimate.high > 2 * part_alone.estimate.high
    (planned,) = [rung.estimate.qpu_seconds for rung in folded.route.rungs]
    (planned_alone,) = [rung.estimate.qpu_seconds for rung in alone.route.rungs]
    assert planned is not None
    assert planned_alone is not None
    assert planned.high > 2 * planned_alone.high
    record = folded.extrapolation
    assert record is not None
    assert record.seconds is not None
    assert record.seconds.high == pytest.approx(part.estimate.high * 2 / 3)
    result, found = _values(folded)
    assert found.evs.values[2] - result.evs.values[2] > 3 * found.stds.values[2]


@pytest.mark.long
async def test_an_earlier_answer_is_given_again_as_it_was_measured(paid_stack: PaidStack) -> None:
    """From the cache there is nothing to fold; the job says so."""
    work = _estimates(backend=DEVICE, fallback={"kinds": ["hardware", "cache"]})
    async with paid_stack(strategy=None) as paid:
        await paid.control.settings(noise=True)
        first = await paid.service.run(work)
        await paid.control.device("ibm_manila", status="paused", reason="maintenance")
        again = await paid.service.run(work.model_copy(update={"key": mint_key()}))

    assert first.extrapolation is not None
    assert first.extrapolation.skipped == ""
    assert again.served_by == "cache"
    assert again.extrapolation is not None
    assert "given again as it was measured" in again.extrapolation.skipped
