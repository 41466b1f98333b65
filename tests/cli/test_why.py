"""`qurable why` shows on one page why an answer came from where it came, and `--checks` says what it has to stand up to."""

import json
from pathlib import Path
from typing import Any

import pytest

from qurable.cli import show_why
from qurable.cli.jobs import read_job
from qurable.cli.options import Wishes
from qurable.contracts.checks import ForbiddenOutcomes
from qurable.contracts.why import Why
from qurable.errors import RequestRejected
from qurable.requests import sample
from tests.circuits_at_hand import BELL
from tests.cli.shell import qurable
from tests.conftest import Service

_PAGE = 50
"""Lines of a terminal."""


async def test_why_is_one_page_and_one_document(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """A down-ranked answer of a noisy twin: its route, the check that decided, its error budget and what would halve it."""
    forbidden = {"kind": "forbidden", "outcomes": ["01", "10"], "then": "down_rank"}
    work = sample(BELL, shots=4000, seed=3, backend="fake_manila", checks=[forbidden])
    report = await service.run(work)
    page = await qurable(service, "why", report.id)
    show_why.page(await service.qurable.why(report.id), json=True)

    assert page.code == 0, page.err
    assert len(page.out.splitlines()) <= _PAGE
    for words in (
        "(degraded), asked for fake_manila",
        "down-ranked by its check forbidden outcomes",
        " as compiled for 'fake_manila' at level 2",
        "4,000 for each binding",
        "  fake_manila  answered",
        "failed, down rank",
        "shot noise",
        "largest  readout, which nothing on the route halves",
        "halved by 4 times the shots on 'fake_manila'",
    ):
        assert words in page.out, (words, page.out)
    assert Why.model_validate_json(capsys.readouterr().out) == Why.of(report)


def _read(folder: Path, checks: str) -> Any:
    circuit, file = folder / "bell.qasm", folder / "checks.json"
    circuit.write_text(BELL, encoding="ascii")
    file.write_text(checks, encoding="latin-1")
    return read_job(circuit, Wishes(shots=10, backend="aer", checks=file))


def test_checks_come_from_a_file(tmp_path: Path) -> None:
    """A bare list, or an object with the level."""
    check = {"kind": "forbidden", "outcomes": ["01"]}
    bare, full = (
        _read(tmp_path, json.dumps([check])),
        _read(tmp_path, json.dumps({"level": 0.01, "items": [check]})),
    )

    assert bare.checks.items == full.checks.items == (ForbiddenOutcomes(outcomes=("01",)),)
    assert full.checks.level == 0.01


@pytest.mark.parametrize(
    ("text", "words"),
    [("[{", "line 1, column 3"), ('[{"kind": "vibes"}]', "vibes"), ("[\xe9]", "UTF-8"), ("1", "checks")],
)
def test_checks_that_cannot_be_read_are_refused(tmp_path: Path, text: str, words: str) -> None:
    """Naming the file and the place, or what kinds there are."""
    with pytest.raises(RequestRejected, match=words):
        _read(tmp_path, text)
