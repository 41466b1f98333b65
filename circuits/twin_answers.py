"""What a twin's shots say of the place that ran them: the share in which every parity that is certain held."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_MISSED = 0.05
"""An interval misses the truth so often, at most."""


@dataclass(frozen=True)
class Agreement:
    """How often a twin answered as it should.

    Attributes:
        right: Shots in which every check held.
        shots: Of all.
        chance: Share of shots that would be right by chance alone.
    """

    right: int
    shots: int
    chance: float

    @property
    def value(self) -> float:
        """The share of right shots beyond chance: 1 without errors, 0 for coins."""
        return self._beyond_chance(self.right / self.shots)

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's interval of 95 %, which is exact: Biometrika 26, 404 (1934)."""
        from scipy.special import betaincinv  # where a twin rode; a worker without one never needs it

        wrong = self.shots - self.right
        low = 0.0 if not self.right else float(betaincinv(self.right, wrong + 1, _MISSED / 2))
        high = 1.0 if not wrong else float(betaincinv(self.right + 1, wrong, 1 - _MISSED / 2))
        return self._beyond_chance(low), self._beyond_chance(high)

    def _beyond_chance(self, share: float) -> float:
        return max(0.0, (share - self.chance) / (1 - self.chance))


def agreement(outcomes: npt.NDArray[np.uint8], checks: Sequence[str], odd: Sequence[int]) -> Agreement:
    """Compare outcomes with a twin's parity checks.

    Args:
        outcomes: Packed shots, shape (..., bytes), classical bit 0 in the lowest bit of the last byte.
        checks: Sets of classical bits, as `circuits.twins.make_twin` gives them.
        odd: The parity of each.
    """
    width = outcomes.shape[-1]
    left = outcomes.reshape(-1, width)
    shots = len(left)
    for bits, parity in zip(checks, odd, strict=True):
        mask = np.frombuffer(int(bits, 16).to_bytes(width, "big"), dtype=np.uint8)
        folded = np.bitwise_xor.reduce(left & mask, axis=1)
        left = left[np.bitwise_count(folded) & 1 == parity]
    return Agreement(len(left), shots, 2.0 ** -len(checks))
