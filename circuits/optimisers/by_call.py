"""scipy's optimisers, which call the objective, turned round into ask and tell.

Theirs is a thread of its own that waits in the objective for its value; only one of the two threads ever runs.
"""

import threading
from queue import SimpleQueue
from typing import Any

import numpy as np

from circuits.optimisers.protocol import Floats
from qurable.contracts.optimisations import OptimiserName

_FOR_EVER = 10**9


class _Abandoned(BaseException):
    """Nobody will tell the value any more; no optimiser catches this."""


class ByCall:
    """COBYLA or Nelder-Mead: one point an iteration.

    Args:
        name: Which of them.
        start: Shape (d,).
        step: Of the first simplex or trust region (radians).
        tolerance: It ends once that is as small as this (radians).
    """

    def __init__(self, name: OptimiserName, start: Floats, step: float, tolerance: float) -> None:
        self._name, self._start, self._step, self._tolerance = name, start.copy(), step, tolerance
        self._asked: SimpleQueue[Floats | None] = SimpleQueue()
        self._told: SimpleQueue[float | None] = SimpleQueue()
        self._point: Floats | None = None
        self._over = False
        self._failure: Exception | None = None
        self._best = (float("inf"), start.copy())
        self._thread = threading.Thread(target=self._run, name=str(name), daemon=True)
        self._thread.start()
        self._wait()

    @property
    def centre(self) -> Floats:
        """The best point that it was told about."""
        return self._best[1].copy()

    @property
    def reach(self) -> float:
        """It keeps its own size to itself, and ends at the tolerance by itself."""
        return 0.0 if self._over else self._step

    @property
    def over(self) -> bool:
        """Whether it has converged."""
        return self._over

    def ask(self) -> Floats:
        """Its point, shape (1, d)."""
        assert self._point is not None  # noqa: S101  nobody asks one that is over
        return self._point[np.newaxis]

    def tell(self, values: Floats) -> None:
        """The point's value."""
        assert self._point is not None  # noqa: S101  as above
        value = float(values[0])
        if value < self._best[0]:
            self._best = (value, self._point)
        self._told.put(value)
        self._wait()

    def close(self) -> None:
        """Let its thread end."""
        if not self._over:
            self._told.put(None)
            self._thread.join()

    def _wait(self) -> None:
        """Until it asks for another point, or ends.

        Raises:
            Exception: What it failed with.
        """
        self._point = self._asked.get()
        self._over = self._point is None
        if self._failure is not None:
            raise self._failure

    def _objective(self, x: Floats) -> float:
        self._asked.put(np.array(x, dtype=np.float64))
        value = self._told.get()
        if value is None:
            raise _Abandoned
        return value

    def _run(self) -> None:
        try:
            self._minimise()
        except _Abandoned:
            return
        except Exception as failure:  # noqa: BLE001  it is raised where the point is asked for
            self._failure = failure
        self._asked.put(None)

    def _minimise(self) -> None:
        from scipy.optimize import minimize

        options: dict[str, Any] = (
            {"rhobeg": self._step, "tol": self._tolerance, "maxiter": _FOR_EVER}
            if self._name is OptimiserName.COBYLA
            else {
                "initial_simplex": self._simplex(),
                "xatol": self._tolerance,
                "fatol": 0.0,
                "maxiter": _FOR_EVER,
                "maxfev": _FOR_EVER,
            }
        )
        method = "COBYLA" if self._name is OptimiserName.COBYLA else "Nelder-Mead"
        minimize(self._objective, self._start, method=method, options=options)

    def _simplex(self) -> Floats:
        """The start, and a step along each axis."""
        return np.vstack([self._start, self._start + self._step * np.eye(len(self._start))])
