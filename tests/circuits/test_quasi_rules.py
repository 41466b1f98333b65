"""Quasi-distributions behind the trust boundary: negative weights are allowed, impossible ones are refused."""

import math
from typing import Any

import pytest

from circuits.asked_checks import asked
from circuits.verdict_rules import Answered, always
from circuits.verdicts import verdict_of
from qurable.contracts.arrays import BitArrays
from qurable.contracts.checks import Checks, Passed, Ruling, Verdict
from qurable.contracts.mitigation import QuasiDistributions
from qurable.contracts.pubs import SamplePub
from qurable.contracts.results import RegisterResult, SampleResult
from tests.circuits_at_hand import BELL

_SHOTS = 400
_PUB = SamplePub.model_validate({"circuit": BELL, "shots": _SHOTS})
_RIGHT = {"00": 0.7, "01": -0.1, "11": 0.4}


def _answered(weights: dict[str, float], overhead: float = 1.5, elements: int = 1) -> Answered:
    """Shots of which one in twenty read 01."""
    bits = BitArrays.pack(bytes([*[0] * 200, *[3] * 180, *[1] * 20]), shape=(), num_shots=_SHOTS, num_bits=2)
    quasi = QuasiDistributions(weights=(weights,) * elements, overheads=(overhead,) * elements)
    return Answered(
        [_PUB],
        [SampleResult(shots=_SHOTS, registers=(RegisterResult(name="c", bits=bits),), mitigated=quasi)],
    )


def _verdict(answered: Answered, *checks: dict[str, Any]) -> Verdict:
    asks = Checks.model_validate(list(checks))
    return verdict_of([*always(answered), *asked(answered, asks, {}, seed=1)], asks.level)


def test_negative_weights_are_told_and_accepted() -> None:
    """They are how mitigation takes away what was misread."""
    verdict = _verdict(_answered(_RIGHT))

    assert verdict.ruling is Ruling.ACCEPT
    assert [check.rule for check in verdict.checks] == ["shot count", "normalisation"]
    assert "at most 0.1 is negative" in verdict.checks[1].because


@pytest.mark.parametrize(
    ("answered", "words"),
    [
        (_answered({"00": 0.7, "11": 0.4}), "add up to 1.1, not 1"),
        (_answered({"00": 1.0, "1": 0.0}), "outcome '1' is not of 2 bits"),
        (_answered({"00": math.nan, "11": 0.5}), "not finite"),
        (_answered({"00": math.inf, "11": -math.inf}), "not finite"),
        (_answered(_RIGHT, overhead=math.inf), "not finite"),
        (_answered(_RIGHT, overhead=0.5), "takes no noise away"),
        (_answered(_RIGHT, elements=2), "2 mitigated distributions"),
    ],
)
def test_weights_that_cannot_be_are_refused(answered: Answered, words: str) -> None:
    """By the rule that looks at every answer, whoever mitigated it."""
    verdict = _verdict(answered)

    assert (verdict.ruling, verdict.rule) == (Ruling.REFUSE, "normalisation")
    assert words in verdict.because


@pytest.mark.parametrize(
    ("weight", "outcome"),
    [(0.04, Passed.PASSED), (-0.3, Passed.PASSED), (0.4, Passed.FAILED)],
)
@pytest.mark.parametrize(
    ("check", "rule"),
    [
        ({"kind": "forbidden", "outcomes": ["01", "10"]}, "forbidden outcomes"),
        ({"kind": "hamming_weights", "weights": [0, 2]}, "Hamming weights"),
    ],
)
def test_what_must_not_come_is_weighed_within_its_error(
    check: dict[str, Any], rule: str, weight: float, outcome: Passed
) -> None:
    """The counts are judged beside it, as they were read: one in twenty is what is allowed here."""
    found = _verdict(_answered({"00": 0.6, "01": weight, "11": 0.4 - weight}), {**check, "at_most": 0.05})
    checks = {one.rule: one.outcome for one in found.checks}

    assert checks[rule] is Passed.PASSED
    assert checks[f"{rule} (mitigated)"] is outcome
