"""A strategy table that could send a job nowhere, or does not say what its author thinks, is refused with its line."""

import hashlib
from pathlib import Path

import pytest

from fallback.table import Asked, AsksFor
from fallback.table_file import DEFAULT, load_table, parse_table
from qurable.errors import RequestRejected

_GOOD = """\
rules:
  - when: {asks_for: hardware}
    first: device
  - first: simulator
rungs:
  device:
    kind: hardware
    places: [asked]
    then: simulator
  simulator: {kind: simulator, places: [aer]}
prices:
  - {places: "ibm:*", per_second: 1.6, currency: USD}
"""


def _refusal(text: str) -> str:
    with pytest.raises(RequestRejected) as caught:
        parse_table(text.encode(), "table.yaml")
    assert "'table.yaml'" in caught.value.message
    return caught.value.message


def test_a_good_table_is_read_with_its_digest() -> None:
    """The digest is that of the file, so that anybody can compare."""
    table = parse_table(_GOOD.encode(), "table.yaml")

    assert table.sha256 == hashlib.sha256(_GOOD.encode()).hexdigest()
    assert [name for name, _ in table.ladder(Asked("sample", AsksFor.HARDWARE))] == ["device", "simulator"]
    assert [name for name, _ in table.ladder(Asked("sample", AsksFor.AUTO))] == ["simulator"]
    price = table.price("ibm:torino")
    assert price is not None
    assert (price.per_second, price.currency) == (1.6, "USD")
    assert table.price("aer") is None


def test_the_table_that_is_shipped_is_good() -> None:
    """And gives hardware a ladder that ends without a quantum computer, other jobs what they ask for."""
    table = load_table()

    assert table.sha256 == hashlib.sha256(DEFAULT.read_bytes()).hexdigest()
    ladders = {
        asks_for: [name for name, _ in table.ladder(Asked("sample", asks_for))] for asks_for in AsksFor
    }
    assert ladders == {
        AsksFor.HARDWARE: ["hardware", "other_devices", "twin", "ideal", "cache", "classical"],
        AsksFor.AUTO: ["simulator"],
        AsksFor.SIMULATOR: ["as_asked"],
        AsksFor.CLASSICAL: ["as_asked"],
        AsksFor.REQUIREMENTS: ["fitting"],
    }


@pytest.mark.parametrize(
    ("change", "line", "why"),
    [
        (("then: simulator", "then: simulater"), 9, "no rung 'simulater'"),
        (("first: device", "first: devise"), 3, "no rung 'devise'"),
        (("places: [aer]}", "places: [aer], then: device}"), 10, "cycle"),
        (("places: [aer]}", "places: [aer], then: simulator}"), 10, "simulator -> simulator"),
        (("per_second: 1.6", "per_second: -1.6"), 12, "greater than or equal to 0"),
        (("per_second: 1.6", "per_second: .nan"), 12, "finite"),
        (("{asks_for: hardware}", "{asks_for: hardwere}"), 2, "'hardware'"),
        (("{asks_for: hardware}", "{kind: simple}"), 2, "'sample'"),
        (("{asks_for: hardware}", "{ask_for: hardware}"), 2, "not permitted"),
        (("{asks_for: hardware}", "{}"), 4, "taken by the rules before it"),
        (("{asks_for: hardware}", "{qubits_from: 9, qubits_to: 3}"), 2, "exclude each other"),
        (
            ("  - first: simulator", "  - when: {clifford: true}\n    first: simulator"),
            1,
            "no rule for a job",
        ),
        (("kind: hardware", "kind: hardwear"), 7, "'hardware'"),
        (("kind: hardware", "kind: cache"), 6, "answers of kind 'cache' come from the place 'cache'"),
        (("places: [asked]", "places: [cache]"), 6, "answers of kind 'cache' come from the place 'cache'"),
        (("places: [aer]", "places: [aer, cache]"), 10, "give both, in a rung alone"),
        (
            ("kind: hardware", "kind: hardware\n    max_age: 7d"),
            6,
            "a rung of kind 'cache' needs it, no other has it",
        ),
        (
            ("kind: hardware\n    places: [asked]", "kind: cache\n    places: [cache]"),
            6,
            "a rung of kind 'cache' needs it",
        ),
        (("kind: hardware", "kind: hardware\n    max_age: a week"), 8, "is no age"),
        (("kind: hardware", "kind: hardware\n    max_age: -7d"), 8, "is no age"),
        (("kind: hardware", "kind: hardware\n    kind: simulator"), 8, "'kind' is given twice"),
        (("kind: hardware", "sort: hardware"), 7, "not permitted"),
        (("places: [asked]", 'places: ["ibm:*"]'), 6, "not about classical solvers"),
        (("then: simulator", "most: 0"), 9, "greater than or equal to 1"),
        (("currency: USD", "currency: dollars"), 12, "pattern"),
        (("rungs:", "  - first: simulator\nrungs:"), 5, "taken by the rules before it"),
        (("rungs:", "rungs:\n  spare: {places: [aer]}"), 6, "no rule begins with rung 'spare'"),
        (("prices:", "sha256: abc\nprices:"), 11, "computed and not given"),
        (("prices:", "thresholds: {min_survival: 2}\nprices:"), 11, "less than or equal to 1"),
        (("rules:", "rules: ["), 2, ""),
    ],
)
def test_a_bad_table_is_refused_with_its_line(change: tuple[str, str], line: int, why: str) -> None:
    """Found when the worker starts, and not by the job that comes to it first."""
    old, new = change
    assert _GOOD.count(old) >= 1

    message = _refusal(_GOOD.replace(old, new, 1))

    assert f"line {line}:" in message
    assert why in message


@pytest.mark.parametrize("text", ["", "[]", "rules", "7"])
def test_a_file_that_is_no_table_is_refused(text: str) -> None:
    """Also an empty one."""
    assert "line 1" in _refusal(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 10_000, "nests too deeply"),
        ("rules: &r [*r]", "nests too deeply, or holds itself"),
        ("since: 2026-13-01", "month must be in 1..12"),
    ],
    ids=["deep", "of itself", "a month that is none"],
)
def test_yaml_that_its_reader_cannot_bear_is_refused(text: str, why: str) -> None:
    """A service that does not start says why."""
    assert why in _refusal(text)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Naming it: the setting may be misspelt."""
    with pytest.raises(RequestRejected, match="cannot be read"):
        load_table(tmp_path / "none.yaml")


def test_a_rule_that_several_before_it_take_together_is_refused() -> None:
    """No single one of them does, and still no job comes to it."""
    rules = "".join(
        f"  - when: {{kind: {kind}}}\n    first: simulator\n" for kind in ("sample", "estimate", "solve")
    )

    message = _refusal(_GOOD.replace("  - first: simulator", rules + "  - first: simulator"))

    assert "line 10:" in message
