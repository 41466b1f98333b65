"""SPSA: a gradient along one random direction from two values, however many parameters there are."""

from collections import deque

import numpy as np

from circuits.optimisers.protocol import Floats

_PAIRS = 5
"""By which the first iteration learns how steep the objective is."""

_STABILITY = 20.0
_GAIN_DECAY, _WIDTH_DECAY = 0.602, 0.101
"""Spall's exponents."""

_MOVES = 10
"""A move is small by chance where its direction is level; so many in a row are not."""


class Spsa:
    """The optimiser.

    Args:
        start: Shape (d,).
        step: Half the distance of a pair of points, in each parameter, and about the first move (radians).
        seed: Of the directions.

    Source: Spall, IEEE Trans. Aerospace Electron. Syst. 34, 817 (1998).
    """

    def __init__(self, start: Floats, step: float, seed: int) -> None:
        self._x = start.copy()
        self._step = step
        self._seed = seed
        self._iteration = 0
        self._gain = 0.0
        self._moves: deque[float] = deque(maxlen=_MOVES)

    @property
    def centre(self) -> Floats:
        """Where it stands."""
        return self._x.copy()

    @property
    def reach(self) -> float:
        """The longest of its last moves, in one parameter (radians)."""
        return max(self._moves) if len(self._moves) == _MOVES else self._step

    @property
    def over(self) -> bool:
        """Never of its own accord."""
        return False

    def ask(self) -> Floats:
        """Pairs of points on either side of where it stands: one of them, and in the first iteration a few."""
        offsets = self._width * self._directions()
        pairs: Floats = np.stack([self._x + offsets, self._x - offsets], axis=1).reshape(-1, len(self._x))
        return pairs

    def tell(self, values: Floats) -> None:
        """Their values."""
        slopes = (values[::2] - values[1::2]) / (2 * self._width)
        if not self._iteration:
            steepness = float(np.abs(slopes).mean())
            # On level ground there is nothing to learn a gain from, and no move that it could spoil.
            self._gain = self._step * (_STABILITY + 1) ** _GAIN_DECAY / (steepness or 1.0)
        gain = self._gain / (_STABILITY + self._iteration + 1) ** _GAIN_DECAY
        move = gain * (slopes[:, np.newaxis] * self._directions()).mean(axis=0)
        self._x = self._x - move
        self._moves.append(float(np.abs(move).max()))
        self._iteration += 1

    @property
    def _width(self) -> float:
        return float(self._step / (self._iteration + 1) ** _WIDTH_DECAY)

    def _directions(self) -> Floats:
        """Signs, shape (pairs, d): of this iteration, whatever was drawn before."""
        rng = np.random.default_rng([self._seed, self._iteration])
        pairs = _PAIRS if not self._iteration else 1
        signs: Floats = rng.choice([-1.0, 1.0], size=(pairs, len(self._x)))
        return signs

    def close(self) -> None:
        """Nothing is held."""
