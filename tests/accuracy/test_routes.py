"""Thirty jobs by the route that `auto` chooses and by every other that could answer, all really run."""

from collections.abc import Callable

import pytest

from benchmarks.route_jobs import ROUTE_JOBS, RouteJob
from benchmarks.routes import judged
from tests.conftest import Service

pytestmark = pytest.mark.long

_CUT_SECONDS = 3.0
"""For all but the chosen one: who takes longer on the way to an answer is slow, and nothing else is to be known here."""

_PATIENCE_SECONDS = 600.0


@pytest.mark.parametrize("entry", ROUTE_JOBS, ids=lambda entry: entry.name)
async def test_what_is_chosen_answers_and_all_answers_agree(
    entry: RouteJob, service: Service, record_property: Callable[[str, object], None]
) -> None:
    """Never an impossible choice; the times are for the table at the end, and for `python -m benchmarks f`."""
    verdict = await judged(
        service.qurable, entry, most_seconds=_CUT_SECONDS, patience=_PATIENCE_SECONDS, rounds=1
    )
    record_property("routes", verdict.row())

    assert verdict.possible, verdict.failures
    assert verdict.wrong == {}
