"""Checks as people write them: lenient in form, strict in meaning; a job without any is what it always was."""

from typing import Any

import pytest
from pydantic import ValidationError

from qurable.contracts.checks import Action, Checks
from qurable.contracts.reports import State
from qurable.contracts.stages import Billed
from qurable.requests import sample
from tests.circuits_at_hand import BELL


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ({"kind": "forbidden", "outcomes": ["2"]}, "pattern"),
        ({"kind": "forbidden", "outcomes": []}, "at least 1"),
        ({"kind": "forbidden", "outcomes": ["1"], "at_most": 1.0}, "less than 1"),
        ({"kind": "range"}, "neither `low` nor `high`"),
        ({"kind": "range", "low": 1.0, "high": 0.0}, "no value lies between"),
        ({"kind": "distribution", "probabilities": {"0": 0.4, "1": 0.5}}, "add up to 0.9, not 1"),
        ({"kind": "distribution", "probabilities": {"2": 1.0}}, "words of 0 and 1"),
        ({"kind": "baseline", "against": "simulator", "job": "default-1"}, "ask for 'earlier'"),
        ({"kind": "baseline", "against": "luck"}, "noisy_simulator"),
        ({"kind": "vibes"}, "forbidden"),
        ({"kind": "classical", "gap": -1.0}, "greater than or equal to 0"),
        ({"kind": "forbidden", "outcomes": ["1"], "register": "c"}, "register"),
    ],
)
def test_what_means_nothing_is_refused(check: dict[str, Any], words: str) -> None:
    """Each names the field, the limit and what would do."""
    with pytest.raises(ValidationError) as refused:
        Checks.model_validate([check])

    assert words in str(refused.value)


def test_what_takes_long_is_asked_for_a_few_times_alone() -> None:
    """Nine baselines are one too many, and the message says how many there may be."""
    baselines = [{"kind": "baseline", "against": "simulator"}] * 9
    with pytest.raises(ValidationError, match="at most 8 are computed"):
        Checks.model_validate(baselines)

    assert len(Checks.model_validate(baselines[:8]).items) == 8


def test_checks_are_part_of_what_a_key_means_and_none_are_nothing() -> None:
    """A job that says nothing of checks has the digest that it always had; with them it is another job."""
    plain, empty = sample(BELL, key="one"), sample(BELL, key="one", checks=[])
    asked = sample(BELL, key="one", checks=[{"kind": "forbidden", "outcomes": ["01"]}])
    stricter = sample(BELL, key="one", checks={"level": 0.01, "items": asked.checks.items})

    assert plain.body_hash == empty.body_hash
    assert len({plain.body_hash, asked.body_hash, stricter.body_hash}) == 3
    assert asked.checks.items[0].then is Action.REFUSE


def test_what_the_workflow_reads_of_a_report_is_its_state() -> None:
    """Other fields are ignored, also those of a newer worker."""
    assert Billed.read('{"state": "degraded", "unheard": 1}').state is State.DEGRADED
