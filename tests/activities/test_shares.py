"""Parts of a bill: whatever it is and however it is divided, they add up to it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.documents import SubmittedDocument
from activities.shares import part_of, share_of
from qurable.contracts.executions import JobRef, SubmissionKey
from qurable.contracts.reports import JobReport, State
from store.groups import Seat
from tests.sharing import exact

REPORT = JobReport(id="g", project="p", kind="sample", state=State.COMPLETED, asked="ibm:torino")


@given(
    st.floats(min_value=0.0, max_value=100_000.0),
    st.lists(st.integers(min_value=1, max_value=5_000_000), min_size=1, max_size=100),
)
def test_parts_add_up_to_the_nanosecond(total: float, weights: list[int]) -> None:
    """Nobody pays for a rounding, and nothing of the bill is lost in one."""
    parts = [part_of(total, sum(weights[:at]), weight, sum(weights)) for at, weight in enumerate(weights)]

    assert exact(parts) == Decimal(round(total * 1e9)) / 10**9
    assert all(
        part == pytest.approx(total * weight / sum(weights), abs=2e-9)
        for part, weight in zip(parts, weights, strict=True)
    )


def _seat(tag: str, executions: int, *, left: bool = False) -> Seat:
    return Seat(tag, f"job-{tag}", "g", 0, 1, executions, left, datetime.now(UTC))


def test_a_part_goes_by_executions_and_who_left_has_one_too() -> None:
    """Otherwise those who stay would pay for whoever was called off."""
    key = SubmissionKey(job_id="g", backend="ibm:torino", digest="d")
    submitted = SubmittedDocument(job=JobRef(backend="ibm:torino", key=key, handle="c1,c2"), small=False)
    seats = [_seat("a", 100), _seat("b", 300, left=True), _seat("c", 600)]
    report = REPORT.model_copy(update={"qpu_seconds": 10.0, "price": 16.0, "currency": "USD"})
    shares = [share_of(seats, seat.tag, report, submitted) for seat in seats]

    assert [share.part for share in shares] == [0.1, 0.3, 0.6]
    assert [share.qpu_seconds for share in shares] == [1.0, 3.0, 6.0]
    assert [(share.price, share.currency) for share in shares] == [(1.6, "USD"), (4.8, "USD"), (9.6, "USD")]
    assert shares[0].provider_jobs == ("c1", "c2")
    assert share_of(seats, "a", REPORT, submitted).price is None
