"""What shadows found is written down once, and told by rule: how many differ at the false alarm of all of them."""

from datetime import UTC, datetime, timedelta

import pytest

from qurable.contracts.errors import ErrorDocument
from qurable.contracts.shadows import FALSE_ALARM, PubDifference, ShadowCall, Shadowing, ShadowRun, ShadowSide
from store import shadows
from store.database import Database

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def _call(number: int, rule: str = "look", backend: str = "fake_fez") -> ShadowCall:
    return ShadowCall(job_id=f"lab-{number}", project="lab", shadowing=Shadowing(rule=rule, backend=backend))


def _run(number: int, p_value: float | None, rule: str = "look", **fields: object) -> ShadowRun:
    run = {
        "rule": rule,
        "backend": "fake_fez",
        "answer": ShadowSide(job_id=f"lab-{number}", served_by="aer", seconds=number),
        "shadow": ShadowSide(
            job_id=_call(number).shadow_id,
            seconds=2.0 * number,
            qpu_seconds=1.0,
            price=number,
            currency="EUR",
        ),
        "p_value": p_value,
        "ended": BEGAN + timedelta(seconds=number),
    }
    if p_value is not None:
        run["pubs"] = (PubDifference(pub=0, kind="sample", p_value=p_value),)
    return ShadowRun.model_validate(run | fields)


def test_a_shadow_has_one_id_for_ever() -> None:
    """Of its job and its rule, and nobody else's; what its rule says of money changes nothing."""
    paid = ShadowCall(
        job_id="lab-1", project="lab", shadowing=Shadowing(rule="look", backend="ibm:fez", paid=True)
    )
    ids = {_call(1).shadow_id, _call(2).shadow_id, _call(1, "other").shadow_id}

    assert len(ids) == 3
    assert paid.shadow_id == _call(1).shadow_id
    assert all(shadow_id.startswith("lab-") for shadow_id in ids)


async def test_the_first_record_of_a_shadow_stands(database: Database) -> None:
    """An activity may run twice, and find something else the second time."""
    call = _call(1)
    await database.write(shadows.begin, call)
    begun = await database.read(shadows.look)
    known = await database.read(shadows.answered_for, call.shadow_id)
    for p_value in (0.5, 1e-9):
        await database.write(shadows.begin, call)
        await database.write(shadows.keep, call, _run(1, p_value))
    kept = await database.read(shadows.find, call)
    unknown = await database.read(shadows.find, _call(2)), await database.read(shadows.answered_for, "lab-1")

    assert [(found.running, found.ended, found.latest) for found in begun] == [(1, 0, ())]
    assert known == "lab-1"
    assert kept == _run(1, 0.5)
    assert unknown == (None, "")


async def test_rules_are_told_apart_and_differences_held_to_all_comparisons(database: Database) -> None:
    """A p-value that alarms alone is one of many here; a shadow without an answer is no agreement."""
    error = ErrorDocument(code="TargetUnavailable", message="in maintenance")
    runs = [_run(number, 0.5) for number in range(1, 11)]
    runs += [_run(11, FALSE_ALARM / 2), _run(12, FALSE_ALARM / 100), _run(13, None, error=error)]
    for number, run in enumerate(runs, 1):
        await database.write(shadows.keep, _call(number), run)
    await database.write(shadows.keep, _call(1, "alone"), _run(1, FALSE_ALARM / 2, "alone"))
    await database.write(shadows.begin, _call(14))
    alone, look = await database.read(shadows.look)

    assert (look.rule, look.backend, look.running) == ("look", "fake_fez", 1)
    assert (look.ended, look.unanswered, look.compared, look.differing) == (13, 1, 12, 1)
    assert look.bound == pytest.approx(FALSE_ALARM / 12)
    assert (alone.compared, alone.differing) == (1, 1)
    assert (look.answers.seconds, look.shadows.seconds) == (6.5, 13.0)
    assert (look.shadows.qpu_seconds, look.shadows.price, look.shadows.currency) == (1.0, 6.5, "EUR")
    assert look.answers.price is None
    assert [run.answer.job_id for run in look.latest] == [f"lab-{number}" for number in range(13, 3, -1)]
    assert look.latest[0].error == error
    assert look.latest[1].pubs == _run(12, FALSE_ALARM / 100).pubs
