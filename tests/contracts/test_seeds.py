"""A job may say the seed of every binding, in the place of a base."""

import pytest
from pydantic import ValidationError

from qurable.contracts.jobs import SampleJob, parse_request
from qurable.requests import sample

ROTATION = 'OPENQASM 3.0; include "stdgates.inc"; input float a; qubit q; bit c; rx(a) q; c = measure q;'
PUBS = ((ROTATION, {"a": [0.1, 0.2]}), (ROTATION, {"a": 0.3}))


def test_each_binding_of_every_pub_has_one() -> None:
    """They are a part of what is asked."""
    plain = sample(*PUBS, key="k")
    seeded = SampleJob.model_validate({**plain.model_dump(), "seeds": (5, 1, 9)})

    assert parse_request(seeded.model_dump()) == seeded
    assert seeded.body_hash != plain.body_hash


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"seeds": (1, 2)}, "2 seeds for 3 bindings"),
        ({"seeds": (1, 2, 3), "seed": 4}, "not both"),
        ({"seeds": (1, 2, -1)}, "greater than or equal to 0"),
    ],
)
def test_seeds_that_do_not_fit_are_refused(said: dict[str, object], why: str) -> None:
    """By what is wrong with them."""
    with pytest.raises(ValidationError, match=why):
        SampleJob.model_validate({**sample(*PUBS).model_dump(), **said})
