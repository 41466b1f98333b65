"""Comparisons in the store: each is one request's for ever, and its first report stands."""

import pytest

from qurable.comparing import as_comparison
from qurable.contracts.comparisons import ComparisonHead, ComparisonReport, ComparisonState
from qurable.errors import KeyReused
from store import comparisons
from store.database import Database, now
from tests.circuits_at_hand import BELL


def _head(places: list[str], key: str = "k") -> ComparisonHead:
    return ComparisonHead.of(as_comparison(BELL, places, key=key))


def _report(head: ComparisonHead, state: ComparisonState) -> ComparisonReport:
    moment = now()
    return ComparisonReport(
        id=head.id,
        project=head.project,
        kind="sample",
        state=state,
        rule="majority",
        began=moment,
        ended=moment,
    )


async def test_the_first_request_and_the_first_report_stand(database: Database) -> None:
    """Another execution takes a comparison over with the jobs that it was given first."""
    head = _head(["aer", "classical"])
    await database.write(comparisons.begin, head, "first", "one")
    await database.write(comparisons.begin, head, "second", "two")
    found = await database.read(comparisons.find, head.id)
    unfinished = await database.read(comparisons.find_report, head.id)
    kept = await database.write(comparisons.end, _report(head, ComparisonState.COMPLETED))
    late = await database.write(comparisons.end, _report(head, ComparisonState.CANCELLED))

    assert found is not None
    assert found[0] == "first"
    assert unfinished is None
    assert kept == late == await database.read(comparisons.find_report, head.id)


async def test_a_key_stands_for_its_places_too(database: Database) -> None:
    """The same request elsewhere is another comparison."""
    await database.write(comparisons.begin, _head(["aer", "classical"]), "request", "one")

    with pytest.raises(KeyReused):
        await database.write(comparisons.begin, _head(["aer", "fake_manila"]), "request", "two")
    assert await database.read(comparisons.find, _head(["aer", "classical"], key="other").id) is None
