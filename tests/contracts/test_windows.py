"""How long a job may wait for others."""

from datetime import timedelta
from typing import Any

import pytest

from qurable.contracts.jobs import JobHead, parse_request
from qurable.errors import RequestRejected
from qurable.requests import sample
from tests.circuits_at_hand import BELL


@pytest.mark.parametrize("window", ["2s", 2, "PT2S", timedelta(seconds=2)], ids=str)
def test_a_window_is_written_as_other_durations(window: Any) -> None:
    """And the workflow knows it without reading the request."""
    job = sample(BELL, shots=100, batch_window=window)

    assert job.batch_window == timedelta(seconds=2)
    assert JobHead.of(job).batch_window == timedelta(seconds=2)


@pytest.mark.parametrize("window", ["0s", -1, "11min", "soon", "1e9d", float("nan")], ids=str)
def test_a_window_that_is_none_is_refused_by_name(window: Any) -> None:
    """With the field, and what it may be."""
    with pytest.raises(RequestRejected, match="batch_window") as refused:
        sample(BELL, shots=100, batch_window=window)

    assert "600" in refused.value.message or "such as" in refused.value.message


def test_a_job_without_a_window_is_what_it_was() -> None:
    """Its digest says nothing of windows; with one it is another job."""
    document = {"kind": "sample", "pubs": [{"circuit": BELL, "shots": 100}], "seed": 7, "key": "k"}

    plain, windowed = parse_request(document), parse_request({**document, "batch_window": "2s"})

    assert plain.body_hash == parse_request({**document, "batch_window": None}).body_hash
    assert plain.body_hash != windowed.body_hash
