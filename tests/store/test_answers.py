"""Earlier answers to a question: the project's own, of whoever answered, young enough, the newest first."""

from datetime import timedelta

from qurable.contracts.executions import SubmissionKey
from qurable.contracts.reports import State
from store import answers, submissions
from store.answers import Answered
from store.database import Database, now
from tests.store.answered import DEVICE, answer

AT = now()
DAY = timedelta(days=1)


async def _found(database: Database, since: timedelta = DAY) -> list[str]:
    found = await database.read(answers.to_question, "q", "lab", AT - since)
    return [answered.key.job_id for answered in found]


async def test_answers_cross_neither_projects_nor_questions_nor_the_age_limit(database: Database) -> None:
    """Nor is one given that was degraded, or that came from elsewhere than from this submission."""
    await answer(database, 1, at=AT - timedelta(hours=2))
    await answer(database, 2, at=AT - timedelta(hours=1))
    await answer(database, 3, at=AT, project="other")
    await answer(database, 4, at=AT, question="another")
    await answer(database, 5, at=AT, state=State.DEGRADED)
    await answer(database, 6, at=AT, state=State.FAILED)
    await answer(database, 7, at=AT, served_by="aer")
    await database.write(submissions.withdraw, await answer(database, 8, at=AT))

    assert await _found(database) == ["job-2", "job-1"]
    assert await _found(database, timedelta(minutes=90)) == ["job-2"]


async def test_only_what_the_report_names_is_its_answer(database: Database) -> None:
    """A submission that was repeated, or whose result is deleted, is none."""
    good = await answer(database, 1, at=AT)
    bad = await answer(database, 2, at=AT, said="another submission")
    gone = SubmissionKey(job_id="job-1", backend=DEVICE, digest="q", ordinal=1)
    read = [await database.read(answers.report_of, Answered(key, None, AT)) for key in (good, bad, gone)]

    assert read[0] is not None
    assert (read[0][0].id, read[0][1]) == ("job-1", 5)
    assert read[1:] == [None, None]
