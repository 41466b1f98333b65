"""What a rehearsal makes of reports and bills, and how it shows them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from emulator.rehearsal_findings import Answer, Duplicate, Findings, Range, Run
from emulator.rehearsal_page import lines, progress, span
from emulator.rehearsal_verdict import answer_of, duplicates_of
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.executions import Incident, IncidentKind, Phase
from qurable.contracts.reports import Attempt, Durations, JobReport, ProviderRecord, StageRecord, State
from qurable.errors import JobCancelled

BEGAN = datetime(2026, 11, 23, tzinfo=UTC)
HOUR = 3600.0


def record(**changes: Any) -> ProviderRecord:
    """A job at the provider that ended an hour after the start."""
    known = {"id": "d1", "backend": "ibm:manila", "state": Phase.DONE, "finished": BEGAN + timedelta(hours=1)}
    return ProviderRecord.model_validate(known | changes)


def report(**changes: Any) -> JobReport:
    """A report of a job that the provider answered."""
    known = {
        "id": "default-1",
        "project": "default",
        "kind": "sample",
        "state": State.COMPLETED,
        "asked": "ibm:manila",
        "served_by": "ibm:manila",
        "provider_jobs": (record(),),
        "durations": Durations(post_processing=0.5),
    }
    return JobReport.model_validate(known | changes)


def stage(name: str, attempt: int) -> StageRecord:
    return StageRecord(stage=name, started=BEGAN, ended=BEGAN, attempt=attempt)


def sent(number: int, name: str, tag: str, billed: float = 0.0) -> dict[str, Any]:
    """A job as the emulator tells it."""
    return {"number": number, "id": name, "tags": [tag, "house"], "billed_seconds": billed}


def run(number: int, *answers: Answer, price: float = 2.0, duplicates: tuple[Duplicate, ...] = ()) -> Run:
    return Run(
        number=number,
        began="2026-11-23T00:00:00+00:00",
        queue_seconds={"ibm_manila": 90.0},
        answers=answers,
        provider_jobs=1,
        qpu_seconds=1.0,
        price=price,
        duplicates=duplicates,
    )


def answered(seconds: float, by: str = "ibm:manila", **changes: Any) -> Answer:
    return Answer(id="j", state="completed", served_by=by, seconds=seconds, **changes)


def failed(error: str) -> Answer:
    return Answer(id="j", state="failed", error=error, seconds=5.0)


def findings(*runs: Run) -> Findings:
    return Findings(
        backend="ibm:manila",
        devices=("ibm_manila",),
        seed=7,
        days=28,
        jobs=1,
        runs=runs,
        price_per_second=1.6,
        warnings=("it is a guess",),
    )


def test_an_answer_is_timed_by_the_provider() -> None:
    """The clock goes in steps: when the rehearsal noticed says little, the provider's own time of the end is exact."""
    found = answer_of(report(), BEGAN.timestamp(), BEGAN.timestamp() + 5000)

    assert (found.seconds, found.served_by, found.error) == (HOUR + 0.5, "ibm:manila", "")


def test_an_answer_from_elsewhere_is_timed_by_its_end() -> None:
    """A simulator that answered in the end did so after the provider's job, which was withdrawn."""
    found = answer_of(report(served_by="aer"), BEGAN.timestamp(), BEGAN.timestamp() + 5000)

    assert found.seconds == 5000


def test_looks_at_a_waiting_job_are_no_retries() -> None:
    """A poll that ends «still waiting» counts as an attempt of Temporal's, and is none of ours."""
    stages = (stage("plan_route", 3), stage("submit", 2), stage("await_start", 40), stage("await_done", 9))
    found = answer_of(report(stages=stages, provider_jobs=(record(attempts=3),)), 0.0, 1.0)

    assert (found.stage_attempts, found.provider_attempts) == (3, 2)


def test_an_exhausted_route_is_counted_by_what_ended_its_last_rung() -> None:
    """«Every rung failed» says nothing of why."""
    last = Attempt(backend="aer", error=ErrorDocument(code="OutOfMemory", message="too much"))
    error = ErrorDocument(code="RouteExhausted", message="every rung failed")

    found = answer_of(report(state=State.FAILED, error=error, tried=(last,)), 0.0, 1.0)

    assert (found.error, found.served_by, found.message) == ("OutOfMemory", "", "every rung failed")


def test_a_job_without_a_report_is_counted_by_its_error() -> None:
    """As where it was cancelled before anything was written."""
    found = answer_of(JobCancelled("cancelled", job_id="default-9"), 0.0, 1.0)

    assert (found.id, found.state, found.error) == ("default-9", "cancelled", "JobCancelled")


def test_duplicates_are_what_the_provider_has_beyond_what_reports_name() -> None:
    """The kept one may be the later; one that no report knows of is told as well."""
    incident = Incident(
        kind=IncidentKind.DUPLICATE,
        tag="key-1",
        backend="ibm:manila",
        id="d0",
        found_at=BEGAN,
        final=Phase.CANCELLED,
    )
    mine = [
        sent(1, "d0", "key-1", 2.5),
        sent(2, "d1", "key-1"),
        sent(3, "d2", "key-2"),
        sent(4, "d3", "key-2"),
    ]

    found = list(duplicates_of(mine, [report(incidents=(incident,))]))

    assert found == [
        Duplicate(id="d0", known=True, billed_seconds=2.5),
        Duplicate(id="d3", known=False, billed_seconds=0.0),
    ]


@pytest.mark.parametrize(
    ("values", "spread"),
    [
        ([3.0], (3, 3, 3, 3)),
        ([4.0, 1.0, 3.0, 2.0], (1, 2, 4, 4)),
        ([float(value) for value in range(1, 21)], (1, 10, 18, 20)),
    ],
)
def test_percentiles_are_values_that_were_found(values: list[float], spread: tuple[float, ...]) -> None:
    """Nearest rank: nobody pays an average of two prices."""
    found = Range.of(values)

    assert found is not None
    assert (found.min, found.median, found.p90, found.max) == spread


def test_nothing_found_has_no_spread() -> None:
    """As the finish times of a month in which nothing was answered."""
    assert Range.of([]) is None


def test_a_run_is_finished_with_its_last_answer_or_not_at_all() -> None:
    """A batch of which one job failed has no finish time, and its price counts."""
    whole, broken = run(1, answered(10), answered(50)), run(2, answered(10), failed("JobLost"), price=9.0)
    found = findings(whole, broken)

    assert found.finish == [50]
    assert found.price == Range(min=2, median=2, p90=9, max=9)
    assert (found.rungs, found.failures) == ({"ibm:manila": 3}, {"JobLost": 1})


def test_the_document_has_the_sums_and_the_runs() -> None:
    """What a program reads."""
    duplicate = Duplicate(id="d2", known=True, billed_seconds=2.5)
    found = findings(
        run(1, answered(30, provider_attempts=1, stage_attempts=4), duplicates=(duplicate,)),
        run(2, answered(90, by="aer")),
    ).document()

    assert found["retries"] == {"provider_attempts": 1, "stage_attempts": 4}
    assert found["duplicates"] == {"jobs": 1, "billed_seconds": 2.5, "price": 4.0}
    assert found["served_by"] == {"ibm:manila": 1, "aer": 1}
    assert [entry["finish_seconds"] for entry in found["runs"]] == [30, 90]  # type: ignore[attr-defined]


def test_the_page_draws_finish_times_and_names_everything_else() -> None:
    """For somebody who decides whether to pay."""
    found = findings(
        *(run(number, answered(100)) for number in range(1, 4)),
        run(4, answered(3 * HOUR), price=3.25),
        run(5, failed("TargetUnavailable"), price=0.0),
    )

    page = list(lines(found, 80))

    assert "price     min 0.00, median 2.00, p90 3.25, max 3.25 USD a run" in page
    assert (
        "finished  min 1 min 40 s, median 1 min 40 s, p90 3 h 00 min, max 3 h 00 min after the start" in page
    )
    drawn = [line for line in page if "%" in line]
    assert [line.split("  ")[1].strip() for line in (drawn[0], drawn[-1])] == ["up to 2 min", "up to 4 h"]
    assert [line.split()[-2:] for line in (drawn[0], drawn[-1])] == [["3", "75.0%"], ["1", "25.0%"]]
    assert drawn[0].count("█") == 3 * drawn[-1].count("█") + drawn[0].count("█") % 3
    assert all(len(line) <= 80 for line in drawn)
    assert "served by ibm:manila 4" in page
    assert "failures  TargetUnavailable 1" in page
    assert page[-1] == "warning   it is a guess"


def test_a_month_without_an_answer_is_drawn_too() -> None:
    """No histogram of nothing."""
    page = list(lines(findings(run(1, failed("JobLost"), price=0.0)), 80))

    assert "served by nobody" in page
    assert not any("%" in line for line in page)


def test_a_run_is_a_line() -> None:
    """With what it met and what came of it."""
    assert progress(run(3, answered(100)), 20) == (
        "run 3 of 20  2026-11-23T00:00  queue ibm_manila 1 min 30 s: answered after 1 min 40 s, 2.00 USD"
    )
    assert progress(run(4, failed("JobLost"), price=0.0), 20).endswith("ended with JobLost, 0.00 USD")


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (3599.7, "1 h 00 min"), (90_000, "1 d 01 h")],
)
def test_spans_are_written_in_two_units(seconds: float, written: str) -> None:
    """Rounded before they are taken apart, so that no minute has sixty seconds."""
    assert span(seconds) == written
