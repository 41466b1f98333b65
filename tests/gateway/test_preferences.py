"""What a client would like."""

import pytest

from gateway.preferences import MAX_WAIT_SECONDS, wait_seconds


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait=10", 10),
        ('Wait = "10"', 10),
        ("respond-async, wait=10", 10),
        ("wait=10; whatever, handling=lenient", 10),
        ("wait=0", 0),
        ("wait=86400", MAX_WAIT_SECONDS),
        ("wait=" + "9" * 9, MAX_WAIT_SECONDS),
        ("wait=" + "9" * 5000, None),
        ("wait", None),
        ("wait=soon", None),
        ("wait=-1", None),
        ("wait=²", None),
        ("handling=lenient", None),
    ],
)
def test_a_preference_that_cannot_be_read_is_ignored(prefer: str | None, seconds: int | None) -> None:
    """A preference is a wish, never a reason to refuse."""
    assert wait_seconds(prefer) == seconds
