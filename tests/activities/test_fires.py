"""The jobs of a fire: made from whatever a hook returns, and put together also where one has no report."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.fires import Fires
from qurable.contracts.fires import Due, DueCall, Fire, FireReport, TallyCall
from qurable.contracts.jobs import JobHead, parse_request_text
from qurable.contracts.schedules import MAX_JOBS_OF_A_FIRE, ScheduleSpec, documents_of
from qurable.errors import BudgetExceeded, JobCancelled
from qurable.requests import sample
from store import jobs
from store.database import Database, now
from store.shelf import StoreShelf
from tests.circuits_at_hand import BELL

FIRE = Fire(schedule="nightly", project="p", at=datetime(2026, 11, 1, 1, tzinfo=UTC))
(BELL_DOCUMENT,) = documents_of([sample(BELL, shots=10, project="p")])


@pytest.fixture
async def fires(tmp_path: Path) -> Any:
    async with Database(f"sqlite:///{tmp_path / 'store.db'}") as database:
        yield Fires(database, StoreShelf(database), tmp_path / "exports", search_attributes=True)


async def _due(fires: Fires, value: Any, **fields: Any) -> Due:
    spec = ScheduleSpec(**{"name": "nightly", "project": "p", "cron": ("0 2 * * *",), **fields})
    documents = RawValue(Payload(data=b"" if value is None else json.dumps(value).encode()))
    due: Due = await ActivityEnvironment().run(fires.due, DueCall(spec=spec, fire=FIRE), documents)
    return due


async def _refused(fires: Fires, value: Any, **fields: Any) -> str:
    with pytest.raises(ApplicationError) as failure:
        await _due(fires, value, **fields)
    assert (failure.value.type, failure.value.non_retryable) == ("RequestRejected", True)
    return failure.value.message


async def test_a_hook_may_return_one_job_or_several_or_nothing(fires: Fires) -> None:
    """Each gets its key from the moment and its position."""
    one, several = await _due(fires, BELL_DOCUMENT), await _due(fires, [BELL_DOCUMENT] * 3)

    assert (await _due(fires, None)).jobs == (await _due(fires, [])).jobs == ()
    assert [job.head.id for job in one.jobs] == [jobs_id(1)]
    assert [job.head.id for job in several.jobs] == [jobs_id(position) for position in (1, 2, 3)]
    assert several.search_attributes


def jobs_id(position: int) -> str:
    """Id of the job at a position."""
    whole = json.dumps({**BELL_DOCUMENT, "key": FIRE.key(position)})
    return JobHead.of(parse_request_text(whole)).id


async def test_what_is_no_job_is_refused_with_its_position(fires: Fires) -> None:
    """And tried no second time: the hook would return it again."""
    assert "job 2 of schedule 'nightly' is 7: a job is a JSON object" in await _refused(
        fires, [BELL_DOCUMENT, 7]
    )
    assert "job 1 of schedule 'nightly' is not acceptable: sample.shotz" in await _refused(
        fires, {**BELL_DOCUMENT, "shotz": 3}
    )
    many = [BELL_DOCUMENT] * (MAX_JOBS_OF_A_FIRE + 1)
    assert "starts at most 200 jobs, and these are 201" in await _refused(fires, many)


async def test_an_export_that_leads_out_is_refused_before_anything_is_run(
    fires: Fires, tmp_path: Path
) -> None:
    """Not when all is paid for."""
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "out").symlink_to(tmp_path)

    assert "leads out" in await _refused(fires, BELL_DOCUMENT, export="out/nightly.csv")


async def test_a_moment_that_was_stopped_halfway_gets_what_it_lacks(fires: Fires) -> None:
    """What its job at the second position was stays, whatever is returned now."""
    first = await _due(fires, [BELL_DOCUMENT, {**BELL_DOCUMENT, "seed": 5}])
    await _accept(fires, first, 1)
    again = await _due(fires, [BELL_DOCUMENT, {**BELL_DOCUMENT, "seed": 6}, BELL_DOCUMENT])

    assert again.jobs == first.jobs


async def _accept(fires: Fires, due: Due, at: int) -> None:
    job = due.jobs[at]
    request = parse_request_text(await fires._shelf.artifact(job.request))
    await fires._database.write(
        jobs.accept, job.head, owner="o", request=job.request, labels=request.labels, at=now()
    )


async def test_a_job_without_a_report_of_its_own_is_told_by_its_error(fires: Fires, tmp_path: Path) -> None:
    """Its workflow ended before the store heard of it, or was cancelled then."""
    errors = {"one": BudgetExceeded("no").document(), "two": JobCancelled("stopped").document()}
    call = TallyCall(fire=FIRE, jobs=("one", "two", "three"), errors=errors, export="nightly.csv")
    report: FireReport = await ActivityEnvironment().run(fires.tally_fire, call)

    assert [(job.state, job.error) for job in report.jobs] == [
        ("failed", "BudgetExceeded"),
        ("cancelled", "JobCancelled"),
        ("failed", "InternalError"),
    ]
    assert report.states == {"failed": 2, "cancelled": 1}
    assert report.rows == 3
    assert (tmp_path / "exports" / "nightly.csv").read_text().count("\n") == 4
