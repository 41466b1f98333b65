"""What is drawn for people: bars, values, and how much is left out."""

import json
import re

import pytest

from qurable.cli import printing, show
from qurable.contracts.arrays import BitArrays, FloatArray, size_of
from qurable.contracts.executions import Seconds
from qurable.contracts.reports import JobReport, JobStatus, State
from qurable.contracts.results import ErrorOrigin, EstimateResult, RegisterResult, Results, SampleResult
from qurable.contracts.twins import TwinRecord


def _sampled(outcomes: list[int], shape: tuple[int, ...] = ()) -> SampleResult:
    """A register of six bits that read these outcomes, the same number for each element."""
    shots = len(outcomes) // max(1, size_of(shape))
    bits = BitArrays.pack(bytes(outcomes), shape=shape, num_shots=shots, num_bits=6)
    return SampleResult(shape=shape, shots=shots, registers=(RegisterResult(name="c", bits=bits),))


def _estimated(values: list[float], errors: list[float]) -> EstimateResult:
    origin = ErrorOrigin.SHOTS if any(errors) else ErrorOrigin.EXACT
    return EstimateResult(
        shape=(len(values),),
        evs=FloatArray(shape=(len(values),), values=tuple(values)),
        stds=FloatArray(shape=(len(errors),), values=tuple(errors)),
        error_origin=origin,
        shots=100,
    )


RUNNING = JobStatus(id="default-1", state=State.RUNNING, stage="await_done", backend="aer", then="fetch")


def _drawn(capsys: pytest.CaptureFixture[str], *results: SampleResult | EstimateResult | None) -> str:
    show.unfinished(RUNNING, Results(pubs=results), json=False)
    return capsys.readouterr().out


def test_bars_are_in_proportion_and_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    """The longest fills the width; even one shot in many leaves a mark."""
    drawn = _drawn(capsys, _sampled([0] * 30 + [63] * 15 + [1]))

    bars = {word: len(bar) for word, bar in re.findall(r"^  ([01]{6})  (█+) ", drawn, re.MULTILINE)}
    assert bars == {"000000": 40, "111111": 20, "000001": 1}
    assert re.search(r"000000 .* 30 +65\.2%$", drawn, re.MULTILINE)


def test_what_is_left_out_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Outcomes beyond the sixteenth, elements beyond the fourth, values beyond the thirty-second."""
    many = _drawn(capsys, _sampled(list(range(64))))
    sweep = _drawn(capsys, _sampled([0] * 60, shape=(2, 3)))
    values = _drawn(capsys, _estimated([0.5] * 40, [0.1] * 40))

    assert "... 48 more outcomes with 48 shots" in many
    assert "pub 0, element 3: 10 shots" in sweep
    assert "... and 2 more elements, see --json" in sweep
    assert "... 8 more values, see --json" in values


def test_values_say_whether_they_are_exact(capsys: pytest.CaptureFixture[str]) -> None:
    """An error bar of zero is a claim."""
    exact = _drawn(capsys, _estimated([1.0, -0.25], [0.0, 0.0]))
    rough = _drawn(capsys, _estimated([0.5], [0.0625]))

    assert "exact" in exact
    assert "  [1]  -0.250000000" in exact
    assert "standard errors from 100 shots per group" in rough
    assert "  [0]  +0.500000 ± 0.062500" in rough


def test_an_unfinished_job_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """For people in words, for programs with null in the place of what is missing."""
    drawn = _drawn(capsys, None, _sampled([0] * 4), None)
    nothing = _drawn(capsys)
    show.unfinished(RUNNING, Results(pubs=(None, _sampled([0] * 4))), json=True)
    document = json.loads(capsys.readouterr().out)

    assert "finished 1 of 3 pubs" in drawn
    assert "pub 1: 4 shots" in drawn
    assert "no pub runs yet" in nothing
    assert [result is None for result in document["results"]] == [True, False]
    assert (document["id"], document["state"]) == ("default-1", "running")


def test_what_users_write_is_not_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """A backend may be called `[/red]`."""
    show.unfinished(RUNNING.model_copy(update={"backend": "[/red]"}), Results(pubs=()), json=False)

    assert "[/red]" in capsys.readouterr().out


def test_bars_leave_room_in_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(printing.out, "width", 50)
    drawn = _drawn(capsys, _sampled([0] * 30 + [63] * 15 + [1]))

    bars = [line for line in drawn.splitlines() if "█" in line]
    assert len(bars) == 3
    assert all(len(line) <= 50 and line.endswith("%") for line in bars)


def test_a_report_says_what_a_twin_showed_and_cost(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the answer that it speaks for; one that did not ride says why."""
    rode = TwinRecord(
        circuit="waves",
        pub=0,
        shots=2_000,
        right=1_500,
        seconds=Seconds(low=1.5, high=4.25),
        price=6.8,
        currency="USD",
    )
    refused = TwinRecord(circuit="other", pub=1, because="it measures nothing")
    report = JobReport(
        id="j", project="p", kind="sample", state=State.COMPLETED, asked="ibm", twins=(rode, refused)
    )

    show.report(report, json=False)

    drawn = " ".join(capsys.readouterr().out.split())
    assert (
        "of 'waves': 1,500 of 2,000 shots right, 1.5 to 4.2 s of the QPU expected, 6.80 USD at most" in drawn
    )
    assert "of 'other': none, it measures nothing" in drawn
