"""How old an answer may be is said in units that people use, and nothing else passes for one."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from qurable.contracts.fallback import Fallback


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("7d", timedelta(days=7)),
        ("1.5h", timedelta(minutes=90)),
        ("30min", timedelta(minutes=30)),
        ("90s", timedelta(seconds=90)),
        ("P1DT12H", timedelta(hours=36)),
        (60, timedelta(minutes=1)),
        (0, timedelta(0)),
        (None, None),
    ],
)
def test_an_age_in_units_of_people(said: object, meant: timedelta | None) -> None:
    """And back from JSON it is the same."""
    wish = Fallback.model_validate({"cache_age": said})

    assert wish.cache_age == meant
    assert Fallback.model_validate_json(wish.model_dump_json()) == wish


@pytest.mark.parametrize(
    "said", ["-1h", -1, "a week", "7 weeks", "7dd", "h", float("nan"), float("inf"), "1e9d"]
)
def test_what_is_no_age_is_refused(said: object) -> None:
    """By the field's name."""
    with pytest.raises(ValidationError, match="cache_age"):
        Fallback.model_validate({"cache_age": said})
