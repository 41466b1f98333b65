"""RBF kernels: the formula, the shape, and a matrix that any support vector machine accepts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallback.solvers.kernel import bandwidth
from fallback.solvers.problems import SOLVERS
from qurable.contracts.problems import KernelData
from tests.fallback.solvers.problems_to_solve import solved

points = st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=12)


@given(points)
@settings(max_examples=60, deadline=None)
def test_the_kernel_of_the_training_points_is_positive(train: list[list[float]]) -> None:
    """Symmetric, ones on the diagonal, no eigenvalue below 0."""
    found = solved("kernel", KernelData(train=train)).answer.matrix

    assert found is not None
    matrix = found.to_numpy()
    assert (matrix == matrix.T).all()
    assert (np.diag(matrix) == 1).all()
    assert np.linalg.eigvalsh(matrix).min() > -1e-10


def test_test_points_are_rows_and_the_bandwidth_is_said() -> None:
    """The median of the distances 1, 2 and sqrt(5) is 2."""
    problem = KernelData(train=[[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], test=[[0.0, 1.0]])

    solution = solved("kernel", problem)

    assert solution.answer.matrix is not None
    assert solution.answer.matrix.shape == (1, 3)
    assert solution.answer.matrix.values == pytest.approx(
        [math.exp(-1 / 8), math.exp(-2 / 8), math.exp(-1 / 8)]
    )
    assert "bandwidth s = 2.0" in solution.because


def test_points_that_are_all_the_same_have_a_kernel_of_ones() -> None:
    """No division by a distance of 0."""
    found = solved("kernel", KernelData(train=[[1.0], [1.0]])).answer.matrix

    assert found is not None
    assert set(found.values) == {1.0}
    assert bandwidth(np.array([[1.0], [1.0]])) == 1.0


@pytest.mark.parametrize(
    ("train", "because"),
    [
        ([[float(at)] for at in range(501)], "has 501 x 501 entries, at most 250,000"),
        ({"shape": (0, 2), "values": ()}, "has no points"),
        ({"shape": (2, 0), "values": ()}, "points without features"),
    ],
)
def test_kernels_that_go_into_no_report_are_refused(train: object, because: str) -> None:
    """Before they are computed."""
    fit = SOLVERS["classical:kernel"].fits(KernelData(train=train))

    assert not fit.suits
    assert because in fit.because
