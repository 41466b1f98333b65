"""Where hardware does not answer, an earlier answer may: the project's own, recent, to the same question, and labelled."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete

from qurable.contracts.fallback import Fallback
from qurable.contracts.jobs import Limits
from qurable.contracts.reports import State
from qurable.contracts.targets import AnswerKind
from qurable.errors import JobFailed
from qurable.requests import sample
from store.schema import results
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack
from tests.paid import DEVICE

_NO_OTHER = (AnswerKind.HARDWARE, AnswerKind.CACHE)
_NAMED_OTHERWISE = BELL.replace("creg c[2]", "creg m[2]").replace("-> c", "-> m")


def bell(text: str = BELL, *, shots: int = 100, **fallback: Any) -> Any:
    """A Bell pair on the device; where that does not answer, from the cache alone unless said otherwise."""
    wish = Fallback.model_validate({"kinds": _NO_OTHER, **fallback})
    return sample(text, shots=shots, backend=DEVICE, fallback=wish)


def _forget(connection: Connection, /) -> None:
    connection.execute(delete(results))


async def test_an_outage_is_answered_from_before(paid_stack: PaidStack) -> None:
    """With the label, the calibration, the age and the job it came from; to nobody else, and for as long as the job allows."""
    async with paid_stack(strategy=None) as paid:
        first = await paid.service.run(bell())
        await paid.control.device("ibm_manila", status="paused", reason="maintenance")
        report = await paid.service.run(bell(_NAMED_OTHERWISE))
        refused = {
            "another project": await paid.refused(bell(), project="other"),
            "another question": await paid.refused(bell(shots=101)),
            "too old": await paid.refused(bell(cache_age=timedelta(milliseconds=1))),
            "never": await paid.refused(bell(cache_age=0)),
            "mitigated": await paid.refused(bell(), ibm={"dynamical_decoupling": {"enable": True}}),
        }
        nearer = await paid.service.run(bell(kinds=[*_NO_OTHER, "simulator"]))
        taken = await paid.taken()
        recorded = await paid.service.qurable.read_report(report.id)

    assert (report.state, report.degraded, report.served_by) == (State.DEGRADED, True, "cache")
    assert report.answer_kind is AnswerKind.CACHE
    assert report.counts() == first.counts() == recorded.counts()
    assert report.qpu_seconds == 0
    assert report.provenance is not None
    assert first.provenance is not None
    earlier = report.provenance.earlier
    assert earlier is not None
    assert (earlier.key.job_id, earlier.key.backend) == (first.id, first.served_by)
    assert report.provenance.calibrated == earlier.calibrated == first.provenance.calibrated is not None
    assert report.provenance.provider_job == earlier.provider_job == taken[0]["id"]
    assert 0 < earlier.age_seconds < 600
    assert len(taken) == 1
    for word in (f"asked was {DEVICE!r}", "is not available", first.id, taken[0]["id"], "calibrated"):
        assert word in report.because
    assert any("no quantum hardware ran" in warning for warning in report.warnings)
    for what, error in refused.items():
        assert isinstance(error, JobFailed), what
        assert error.error.code == "TargetClosed", what
    assert nearer.served_by == "aer"


@pytest.mark.long
async def test_an_earlier_answer_that_is_gone_by_then_is_passed_over(paid_stack: PaidStack) -> None:
    """It was there when the route was planned, and deleted while the device was waited for."""
    work = bell(kinds=[*_NO_OTHER, "classical"])
    limits = Limits(queue=timedelta(seconds=3))
    async with paid_stack(strategy=None) as paid:
        await paid.service.run(bell())
        await paid.control.settings(hold=True)
        job = await paid.service.qurable.submit(work, limits=limits)
        await paid.until_ended(job, "await_start-0", "waiting")
        await paid.service.database.write(_forget)
        report = await job.result()

    assert [rung.name for rung in report.route.rungs] == [
        DEVICE,
        "cache",
        "classical:clifford",
        "classical:mps",
    ]
    assert [attempt.error.code for attempt in report.tried] == ["QueueLimitReached", "EarlierAnswerGone"]
    assert report.served_by == "classical:clifford"


async def test_the_cache_is_no_place_to_ask(paid_stack: PaidStack) -> None:
    """It stands in for a place; by itself it has no question to go by."""
    async with paid_stack(strategy=None) as paid:
        with pytest.raises(JobFailed, match="only stands in for a place that does not answer"):
            await paid.service.run(sample(BELL, shots=100, backend="cache"))
