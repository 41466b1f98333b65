"""What a loop asks of an optimiser: points to evaluate, nothing about where or how."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class AskTell(Protocol):
    """Asks for values of points, and is told them. Smaller is better.

    What it asks for next depends on its arguments and on the values it was told, and on nothing else.

    Attributes:
        centre: The point that it holds best, shape (d,).
        reach: How far it looks around that point now (radians).
        over: Whether it asks for nothing more.
    """

    @property
    def centre(self) -> Floats: ...  # noqa: D102

    @property
    def reach(self) -> float: ...  # noqa: D102

    @property
    def over(self) -> bool: ...  # noqa: D102

    def ask(self) -> Floats:
        """The points of an iteration, shape (k, d); the same until it is told their values."""
        ...

    def tell(self, values: Floats) -> None:
        """The values of the points that it asked for, shape (k,)."""
        ...

    def close(self) -> None:
        """Have done with it."""
        ...
