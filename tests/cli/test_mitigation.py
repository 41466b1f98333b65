"""Mitigation on a command line: asked for by its name, and drawn beside the counts."""

import re
from pathlib import Path

import pytest

from qurable.cli import show
from qurable.cli.jobs import read_job
from qurable.cli.options import Wishes
from qurable.contracts.arrays import BitArrays
from qurable.contracts.mitigation import MitigationRecord, QuasiDistributions
from qurable.contracts.reports import JobReport, State
from qurable.contracts.results import RegisterResult, SampleResult
from qurable.errors import RequestRejected
from tests.circuits_at_hand import BELL


def test_readout_is_asked_for_by_its_name(tmp_path: Path) -> None:
    """With an age, written as elsewhere; nothing else is mitigated."""
    file = tmp_path / "bell.qasm"
    file.write_text(BELL, encoding="ascii")
    job = read_job(file, Wishes(mitigation=["readout", "max_age=12h"]))

    assert job.mitigation.readout == "reported"
    assert job.mitigation.max_age is not None
    assert job.mitigation.max_age.total_seconds() == 12 * 3600
    assert read_job(file, Wishes()).mitigation.readout == "none"
    with pytest.raises(RequestRejected, match="'pec' is not name=value"):
        read_job(file, Wishes(mitigation=["pec"]))


def test_weights_stand_beside_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """With their error; the report says by what, and what it costs."""
    bits = BitArrays.pack(bytes([0] * 60 + [3] * 40), shape=(), num_shots=100, num_bits=2)
    quasi = QuasiDistributions(weights=({"00": 1.04, "11": -0.04},), overheads=(2.25,))
    result = SampleResult(shots=100, registers=(RegisterResult(name="c", bits=bits),), mitigated=quasi)
    record = MitigationRecord(
        readout="reported", method="mthree 3.0.0", age_seconds=7200, overhead=2.25, standard_error=0.15
    )
    report = JobReport(
        id="i",
        project="p",
        kind="sample",
        state=State.COMPLETED,
        asked="x",
        results=(result,),
        mitigation=record,
    )

    show.report(report, json=False)
    drawn = capsys.readouterr().out

    assert "standard errors at most 15.0%" in " ".join(drawn.split())
    assert re.search(r"00 .* 60 +60\.0% +\+104\.0%$", drawn, re.MULTILINE)
    assert re.search(r"11 .* 40 +40\.0% +-4\.0%$", drawn, re.MULTILINE)
    assert (
        "mitigated by mthree 3.0.0 with the reported calibration of 2.0 h before, overhead 2.25"
        in " ".join(drawn.split())
    )
