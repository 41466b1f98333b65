"""The RBF kernel: the classical yardstick of a quantum kernel on the same points."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fallback.solvers.protocol import Fit, ProblemPayload, Solution, unfit, versions_of
from isolation.limits import MIB
from qurable.contracts.arrays import FloatArray
from qurable.contracts.problems import KernelData, Problem, ProblemAnswer

_MAX_ENTRIES = 250_000
_MAX_NUMBERS = 5_000_000
_MEDIAN_POINTS = 500
"""The first so many training points decide the bandwidth."""

Reals = npt.NDArray[np.float64]


class Kernel:
    """The solver."""

    name = "kernel"
    needs: Sequence[str] = ("numpy",)
    distributions: Sequence[str] = ("numpy",)
    description = "RBF kernel matrices, the bandwidth from the median distance"

    def fits(self, problem: Problem) -> Fit:
        """Kernels of up to 250,000 entries."""
        if not isinstance(problem, KernelData):
            return unfit(f"the RBF kernel takes points, and this is a {problem.kind}")
        points, features = problem.train.shape
        rows = points if problem.test is None else problem.test.shape[0]
        if not points or not rows or not features:
            return unfit("the kernel has no points, or points without features")
        if rows * points > _MAX_ENTRIES:
            return unfit(
                f"the kernel matrix has {rows:,} x {points:,} entries, at most {_MAX_ENTRIES:,} go into a report: "
                "ask for fewer points at a time, as `test`"
            )
        numbers = (rows + points) * features
        if numbers > _MAX_NUMBERS:
            return unfit(
                f"the points have {numbers:,} numbers, the RBF kernel takes {_MAX_NUMBERS:,} at most: use fewer features"
            )
        return Fit(
            suits=True,
            because=f"an RBF kernel of {rows} x {points} entries",
            memory_bytes=256 * MIB + 64 * numbers + 128 * rows * points,
            seconds=0.2 + 1e-9 * rows * points * features,
            certain=True,
        )

    def solve(self, task: ProblemPayload) -> Solution:
        """exp(-|x - y|^2 / (2 bandwidth^2)) of every pair."""
        assert isinstance(task.problem, KernelData)  # noqa: S101  `fits` has seen to it
        train = task.problem.train.to_numpy()
        sigma = bandwidth(train)
        if task.problem.test is None:
            matrix = rbf(train, train, sigma)
            matrix = (matrix + matrix.T) / 2
            np.fill_diagonal(matrix, 1.0)
        else:
            matrix = rbf(task.problem.test.to_numpy(), train, sigma)
        rows, columns = matrix.shape
        values = FloatArray(shape=(rows, columns), values=tuple(matrix.ravel().tolist()))
        return Solution(
            answer=ProblemAnswer(kind=task.problem.kind, matrix=values),
            method="RBF kernel",
            because=f"exp(-|x - y|^2 / (2 s^2)) with bandwidth s = {sigma!r}, the median distance of the training points",
            versions=versions_of(self.distributions),
        )


def bandwidth(train: Reals) -> float:
    """The median distance of different training points, in the unit of the features; 1 where all points are the same."""
    some = train[:_MEDIAN_POINTS]
    first, second = np.triu_indices(len(some), k=1)
    distances = np.sqrt(_squares(some, some))[first, second]
    distances = distances[distances > 0]
    return float(np.median(distances)) if len(distances) else 1.0


def rbf(left: Reals, right: Reals, sigma: float) -> Reals:
    """The kernel of every row of `left` with every row of `right`."""
    kernel: Reals = np.exp(-_squares(left, right) / (2 * sigma**2))
    return kernel


def _squares(left: Reals, right: Reals) -> Reals:
    """Squared distances; by differences, since the product formula loses digits for points far from the origin."""
    squares = np.zeros((len(left), len(right)))
    for feature in range(left.shape[1]):
        squares += np.subtract.outer(left[:, feature], right[:, feature]) ** 2
    return squares
