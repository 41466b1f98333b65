"""The share of a twin's shots that are right, beyond chance, with an interval that is exact."""

import numpy as np
import pytest
from scipy import stats

from circuits.twin_answers import Agreement, agreement


def _packed(*outcomes: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Outcomes as a run packs them, the rightmost character bit 0, shape (1, shots, bytes)."""
    width = (len(outcomes[0]) + 7) // 8
    words = [list(int(outcome, 2).to_bytes(width, "big")) for outcome in outcomes]
    return np.array([words], dtype=np.uint8)


def test_a_shot_is_right_where_every_parity_holds() -> None:
    """Bits 0 and 9 together even, bit 3 odd: one broken parity of two is enough to be wrong."""
    shots = _packed("0000001000", "1000001001", "1000001000", "0000000000", "0110101000")

    found = agreement(shots, [f"{1 << 9 | 1:x}", f"{1 << 3:x}"], [0, 1])

    assert (found.right, found.shots, found.chance) == (3, 5, 0.25)


def test_what_chance_alone_would_make_right_is_taken_off() -> None:
    """Coins are worth nothing, and a place that is always right is worth 1."""
    assert Agreement(1000, 1000, 0.5).value == 1.0
    assert Agreement(500, 1000, 0.5).value == 0.0
    assert Agreement(480, 1000, 0.5).value == 0.0
    assert Agreement(750, 1000, 0.5).value == pytest.approx(0.5)


@pytest.mark.parametrize("right", [0, 1, 37, 99, 100])
def test_the_interval_is_the_exact_one(right: int) -> None:
    """As scipy computes it for a share, without chance and with it."""
    exact = stats.binomtest(right, 100).proportion_ci(0.95, method="exact")

    assert Agreement(right, 100, 0.0).interval == pytest.approx((exact.low, exact.high))
    assert Agreement(right, 100, 0.25).interval == pytest.approx(
        tuple(max(0.0, (edge - 0.25) / 0.75) for edge in (exact.low, exact.high))
    )
