"""`docs/errors.md`: every class of the tree, what it means, and what the code really does with it."""

import re
from http import HTTPStatus

import pytest

from gateway.errors import status_of
from qurable.cli.service import complain
from qurable.contracts.errors import ErrorDocument
from qurable.endings import from_error
from qurable.errors import (
    BY_CODE,
    DecisionRefused,
    HybridError,
    JobCancelled,
    JobFailed,
    JobNotFound,
    KeyReused,
    NotAnApprover,
    NoWorker,
    RequestRejected,
    ScheduleNotFound,
    ScheduleRefused,
    ServiceUnreachable,
)
from tests.architecture.imports import ROOT

PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
ADVICE, BEHAVIOUR = PAGE.split("## What programs see")

_CLIENT_SIDE = (
    ServiceUnreachable,
    NoWorker,
    JobNotFound,
    JobCancelled,
    KeyReused,
    DecisionRefused,
    NotAnApprover,
    ScheduleNotFound,
    ScheduleRefused,
)
"""Reach the caller as they are; a job that ends with any other reaches it as `JobFailed`."""


def _rows(text: str, columns: int) -> dict[str, list[str]]:
    """Rows of the tables of so many columns, by their first cell."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return {row[0].strip("`"): row[1:] for row in cells if len(row) == columns and row[0].startswith("`")}


@pytest.mark.parametrize("code", BY_CODE)
def test_every_error_is_explained_once_with_what_to_do(code: str) -> None:
    """Somebody meets it at night, looks it up, and needs the next step."""
    meaning, remedy = _rows(ADVICE, 3)[code]

    assert ADVICE.count(f"\n| `{code}` |") == 1
    assert meaning.endswith(".")
    assert remedy.endswith(".")


@pytest.mark.parametrize("cls", BY_CODE.values(), ids=BY_CODE)
def test_what_the_page_says_of_an_error_is_what_the_code_does(cls: type[HybridError]) -> None:
    """Retries, rungs and exit codes are read off the classes and the command line."""
    again = "no" if not cls.retry_here else "until the limits" if cls.attempts is None else str(cls.attempts)
    changed, rung = ("yes" if flag else "no" for flag in (cls.retry_changed, cls.next_rung))

    assert _rows(BEHAVIOUR, 5)[cls.__name__] == [again, changed, rung, str(_exit_code(cls))]


def _exit_code(cls: type[HybridError]) -> int:
    """What the command line ends with where a job ends so, or where the client meets it."""
    document = ErrorDocument(code=cls.__name__, message="it went wrong")
    seen = cls("it went wrong") if cls in _CLIENT_SIDE else from_error("a-job", document)
    return complain(seen, json=False)


def test_the_page_explains_no_error_that_is_gone() -> None:
    """A class that was removed must not be looked for."""
    assert set(_rows(ADVICE, 3)) == set(_rows(BEHAVIOUR, 5)) == set(BY_CODE)


@pytest.mark.parametrize("cls", BY_CODE.values(), ids=BY_CODE)
def test_the_http_status_is_the_one_the_gateway_answers(cls: type[HybridError]) -> None:
    """Programs decide by it whether to try again."""
    listed = {
        int(status): re.findall(r"`(\w+)`", codes)
        for status, codes in re.findall(r"^\| (\d{3}) \| (.+) \|$", BEHAVIOUR, re.MULTILINE)
    }
    status = status_of(cls)

    named = {BY_CODE[code] for code in listed[status]}
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        assert not any(issubclass(cls, BY_CODE[code]) for codes in listed.values() for code in codes)
    else:
        assert any(issubclass(cls, known) for known in named)


def test_a_failed_job_is_refused_or_failed_by_its_cause() -> None:
    """A script tells «change your request» from «try again» by the exit code."""
    refused = JobFailed("failed", ErrorDocument(code=RequestRejected.__name__, message="no shots"))
    failed = JobFailed("failed", ErrorDocument(code="ChildCrashed", message="it died"))

    assert (complain(refused, json=False), complain(failed, json=False)) == (2, 4)
