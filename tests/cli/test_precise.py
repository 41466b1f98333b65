"""An estimate to a precision on a command line: started from a file, and found again by its id."""

from pathlib import Path

from tests.circuits_at_hand import BELL
from tests.cli.shell import qurable
from tests.conftest import Service

_WISHES = ("--precision", "0.02", "--backend", "aer", "--seed", "3")


async def test_the_value_is_told_with_its_rounds_and_found_again(service: Service, tmp_path: Path) -> None:
    """People see bars, programs a document; the id is all that another machine needs."""
    file = tmp_path / "bell.qasm"
    file.write_text(BELL, encoding="ascii")
    told = await qurable(service, "precise", str(file), "-o", '{"ZZ": 1, "XI": 0.5}', *_WISHES)
    started = await qurable(service, "precise", str(file), "-o", "XI", *_WISHES, "--json")
    found = await qurable(service, "precise", started.document["id"], "--json")

    assert (told.code, started.code, found.code) == (0, 0, 0)
    assert "precision reached after" in told.out
    assert "█" in told.out
    assert started.document["reached"] is True
    assert abs(started.document["value"]) < 4 * started.document["standard_error"]
    assert found.document == started.document


async def test_what_cannot_be_estimated_is_refused(service: Service, tmp_path: Path) -> None:
    """By name, with 2; one that nobody knows with 4 or its own."""
    file = tmp_path / "bell.qasm"
    file.write_text(BELL, encoding="ascii")
    missing = await qurable(service, "precise", str(file), *_WISHES)
    nothing = await qurable(service, "precise", str(file), "-o", "ZZ", "--precision", "0")
    broken = await qurable(service, "precise", str(file), "-o", '{"ZZ": ', *_WISHES)
    unknown = await qurable(service, "precise", "precise-default-0", "--json")
    stopped = await qurable(service, "precise", str(file), "-o", "ZZ", *_WISHES, "--cancel")
    again = await qurable(service, "precise", "precise-default-0", "--max-price", "3")

    assert [ended.code for ended in (missing, nothing, broken)] == [2, 2, 2]
    assert "--observable" in missing.err
    assert "precision" in nothing.err
    assert "is no JSON" in broken.err
    assert (stopped.code, "--cancel gives up the estimate with an id" in stopped.err) == (2, True)
    assert (again.code, "--max-price: for an estimate that is started" in again.err) == (2, True)
    assert unknown.document["error"]["code"] == "JobNotFound"
