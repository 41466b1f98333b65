"""Objectives of your own for variational loops: a function that makes one number of expectation values.

Register it in the entry-point group `qurable.objectives` of a package that is installed beside the application on every
worker; the entry's name is the objective's name.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class RegisteredObjective(Protocol):
    """What an entry of the group leads to."""

    def __call__(
        self, expectations: Sequence[float], parameters: Sequence[float], data: Mapping[str, Any]
    ) -> float:
        """The objective's value.

        It is called in the process that simulates, once for each point, and with shots a few times more for its standard
        error. The same arguments have to give the same value: a loop that goes on after a kill calls nothing again, and
        relies on it that it might have.

        Args:
            expectations: Of the loop's observables, in their order.
            parameters: Of the ansatz, in its order (radians).
            data: As the loop was given it.
        """
