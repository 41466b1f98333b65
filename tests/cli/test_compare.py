"""`qurable compare` and `qurable hedge`, as a shell runs them."""

from pathlib import Path

import pytest

from qurable.cli.options import Wishes
from qurable.cli.show_comparisons import read_comparison
from qurable.errors import RequestRejected
from tests.circuits_at_hand import BELL
from tests.cli.shell import qurable
from tests.conftest import Service


def _file(folder: Path) -> str:
    file = folder / "bell.qasm"
    file.write_text(BELL, encoding="utf-8")
    return str(file)


async def test_places_stand_side_by_side_and_are_found_again_by_id(service: Service, tmp_path: Path) -> None:
    """A table for people; one document for programs, also from another shell."""
    asked = ("--on", "aer,classical:clifford", "--shots", "2000", "--seed", "7", "--key", "shell")
    drawn = await qurable(service, "compare", _file(tmp_path), *asked)
    (comparison,) = (line.split()[1] for line in drawn.err.splitlines() if line.startswith("comparison "))
    attached = await qurable(service, "compare", "--attach", comparison, "--json")

    assert drawn.code == attached.code == 0
    assert "agree within chance" in drawn.out
    assert "decided     by fidelity_weighted" in drawn.out
    document = attached.document
    assert (document["id"], document["state"]) == (comparison, "completed")
    assert [leg["place"] for leg in document["legs"]] == ["aer", "classical:clifford"]


async def test_a_hedged_run_prints_the_answer_that_it_took(service: Service, tmp_path: Path) -> None:
    """With its counts, whoever answered; and of the place that was not asked, that it was not."""
    asked = ("--on", "aer", "--on", "fake_manila", "--after", "1h", "--shots", "100", "--json")
    hedged = await qurable(service, "hedge", _file(tmp_path), *asked)

    document = hedged.document
    assert (hedged.code, document["decided"]["place"]) == (0, "aer")
    assert sum(document["answer"]["results"][0]["registers"][0]["counts"].values()) == 100
    assert document["legs"][1]["state"] is None


@pytest.mark.parametrize(
    ("on", "backend", "attach", "said"),
    [
        (None, "auto", None, "name the places with --on"),
        (["aer,"], "auto", None, "name the places with --on"),
        (["aer,classical"], "aer", None, "name them all with --on"),
        (["aer,classical"], "auto", "compare-default-1", "give one of FILE and --attach"),
        (["aer,aer"], "auto", None, "named twice"),
    ],
)
def test_what_a_command_line_cannot_mean_is_refused(
    tmp_path: Path, on: list[str] | None, backend: str, attach: str | None, said: str
) -> None:
    """Before the service is looked for."""
    with pytest.raises(RequestRejected, match=said):
        read_comparison(Path(_file(tmp_path)), on, Wishes(backend=backend), {}, attach)


async def test_an_unknown_place_is_refused_by_the_service(service: Service, tmp_path: Path) -> None:
    """By name, with 2."""
    refused = await qurable(service, "compare", _file(tmp_path), "--on", "aer,nowhere")

    assert (refused.code, "no backend 'nowhere'" in refused.err) == (2, True), refused.err
