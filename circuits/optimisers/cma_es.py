"""CMA-ES, from the library `cmaes`: a population per iteration, robust against noise and many valleys."""

import numpy as np
from cmaes import CMA

from circuits.optimisers.protocol import Floats
from qurable.errors import RequestRejected


class CmaEs:
    """The optimiser.

    Args:
        start: Shape (d,), d at least 2.
        step: Standard deviation of the first population (radians).
        seed: Of what is drawn.
        population: Points of an iteration; None for 4 + floor(3 ln d).

    Raises:
        RequestRejected: There is one parameter, of which it can learn no shape.

    Source: Hansen, arXiv:1604.00772.
    """

    def __init__(self, start: Floats, step: float, seed: int, population: int | None = None) -> None:
        if len(start) < 2:
            raise RequestRejected(
                "the optimiser 'cma_es' needs two parameters or more, the ansatz has one: take cobyla or nelder_mead"
            )
        self._cma = CMA(mean=start.copy(), sigma=step, seed=seed, population_size=population)
        self._points: Floats | None = None
        self._reach = step

    @property
    def centre(self) -> Floats:
        """Mean of the distribution that it draws from."""
        return np.array(self._cma.mean, dtype=np.float64)

    @property
    def reach(self) -> float:
        """Largest standard deviation of a parameter in the last population (radians)."""
        return self._reach

    @property
    def over(self) -> bool:
        """Whether one of the library's own criteria is met, such as a distribution without width."""
        return bool(self._cma.should_stop())

    def ask(self) -> Floats:
        """A population."""
        if self._points is None:
            self._points = np.array([self._cma.ask() for _ in range(self._cma.population_size)])
        return self._points

    def tell(self, values: Floats) -> None:
        """Its values."""
        points = self.ask()
        self._cma.tell([(point, float(value)) for point, value in zip(points, values, strict=True)])
        self._reach = float(points.std(axis=0).max())
        self._points = None

    def close(self) -> None:
        """Nothing is held."""
