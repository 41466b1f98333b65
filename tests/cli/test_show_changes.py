"""What was changed about a job is told in a line each, beside its answer and on the page that says why."""

import pytest

from qurable.cli import show, show_why
from qurable.contracts.changes import Altered, Change
from qurable.contracts.reports import JobReport, State
from qurable.contracts.why import Why

REPORT = JobReport(
    id="default-1",
    project="default",
    kind="sample",
    state=State.COMPLETED,
    asked="ibm:manila",
    served_by="ibm:manila",
    because="asked for",
    changes=(
        Change(
            rung=0,
            number=1,
            backend="ibm:manila",
            what=Altered.PRECISION,
            before=0.015625,
            after=0.022097086912079608,
            because="BudgetExceeded",
            message="there is no room",
        ),
        Change(
            rung=0,
            number=2,
            backend="ibm:manila",
            what=Altered.SESSION,
            before="s-1",
            after="a new one",
            because="SessionClosed",
            message="it is closed " + 200 * "x",
        ),
    ),
)


def test_the_report_says_what_was_changed_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers as short as people read them."""
    show.report(REPORT, json=False)

    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("changed")]
    assert told[0] == (
        "changed  precision 0.01562 -> 0.0221 on 'ibm:manila', after BudgetExceeded: there is no room"
    )
    assert told[1].startswith("changed  session s-1 -> a new one on 'ibm:manila', after SessionClosed: ")


def test_the_page_of_why_lists_it_in_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """A long message is cut there; the document has all of it."""
    show_why.page(Why.of(REPORT), json=False)
    page = capsys.readouterr().out
    show_why.page(Why.of(REPORT), json=True)

    assert "changed and tried again" in page
    assert "  precision 0.01562 -> 0.0221 on 'ibm:manila', after BudgetExceeded: there is no room" in page
    assert "xxx..." in page
    assert Why.model_validate_json(capsys.readouterr().out).changes == REPORT.changes
