"""Optimisers by ask and tell: they find what there is to find, and are rebuilt by being told again."""

import threading

import numpy as np
import pytest

from circuits.optimisers.choice import optimiser_of
from circuits.optimisers.protocol import AskTell, Floats
from circuits.stopping import Stopping
from qurable.contracts.optimisations import Optimiser, OptimiserName, StopReason, StopRules
from qurable.errors import RequestRejected

START = np.array([0.8, -0.5, 0.3])
LOWEST = np.array([0.1, 0.4, -0.2])


def _valley(points: Floats) -> Floats:
    values: Floats = 1.0 - np.cos(points - LOWEST).mean(axis=1)
    return values


def _new(name: OptimiserName, seed: int = 5) -> AskTell:
    return optimiser_of(Optimiser(name=name), START, seed, 1e-6)


def _walk(optimiser: AskTell, iterations: int) -> list[tuple[Floats, Floats]]:
    log: list[tuple[Floats, Floats]] = []
    while len(log) < iterations and not optimiser.over:
        points = optimiser.ask()
        values = _valley(points)
        optimiser.tell(values)
        log.append((points, values))
    return log


@pytest.mark.parametrize(
    ("name", "iterations", "within"),
    [
        (OptimiserName.CMA_ES, 150, 1e-3),
        (OptimiserName.SPSA, 400, 0.05),
        (OptimiserName.COBYLA, 300, 1e-3),
        (OptimiserName.NELDER_MEAD, 400, 1e-3),
    ],
)
def test_an_optimiser_comes_to_the_bottom_of_a_valley(
    name: OptimiserName, iterations: int, within: float
) -> None:
    """What it holds best in the end is what a loop reports."""
    optimiser = _new(name)
    _walk(optimiser, iterations)

    assert optimiser.centre == pytest.approx(LOWEST, abs=within)
    optimiser.close()


@pytest.mark.parametrize("name", OptimiserName)
def test_an_optimiser_that_is_told_its_log_again_asks_for_the_same_points_to_the_last_bit(
    name: OptimiserName,
) -> None:
    """So a worker may die at any line, and nothing but the log is kept."""
    straight = _new(name)
    log = _walk(straight, 40)
    again = _new(name)
    for points, values in log[:17]:
        assert again.ask().tobytes() == points.tobytes()
        again.tell(values)

    rest = _walk(again, 23)

    assert [points.tobytes() for points, _ in rest] == [points.tobytes() for points, _ in log[17:]]
    straight.close()
    again.close()


@pytest.mark.parametrize("name", [OptimiserName.CMA_ES, OptimiserName.SPSA])
def test_another_seed_is_another_walk(name: OptimiserName) -> None:
    """Otherwise repeated loops would prove nothing."""
    assert _new(name, seed=1).ask().tobytes() != _new(name, seed=2).ask().tobytes()


def test_what_is_asked_for_stays_the_same_until_it_is_told() -> None:
    """A rule that looks how many points come next must not move them."""
    for name in OptimiserName:
        optimiser = _new(name)
        assert optimiser.ask().tobytes() == optimiser.ask().tobytes()
        optimiser.close()


def test_an_optimiser_that_is_closed_leaves_no_thread_behind() -> None:
    """Children serve many loops, one after another."""
    before = set(threading.enumerate())
    optimiser = _new(OptimiserName.COBYLA)
    own = set(threading.enumerate()) - before
    assert [thread.name for thread in own] == ["cobyla"]

    optimiser.close()

    assert not own & set(threading.enumerate())


def test_cma_es_refuses_a_single_parameter() -> None:
    """Its library fails with an assertion; the caller is told which optimiser to take."""
    with pytest.raises(RequestRejected, match="cobyla"):
        optimiser_of(Optimiser(), np.array([0.1]), 1, 1e-6)


@pytest.mark.parametrize(
    ("rules", "values", "reason"),
    [
        ({"target": -2.0}, [[-1.0], [-2.5]], StopReason.TARGET),
        ({"plateau": 2}, [[-1.0], [-1.0], [-0.5]], StopReason.PLATEAU),
        ({"plateau": 2, "improvement": 0.1}, [[-1.0], [-1.04], [-1.08]], StopReason.PLATEAU),
        ({"plateau": 2, "improvement": 0.1}, [[-1.0], [-1.04], [-1.12]], None),
        ({"evaluations": 3}, [[-1.0], [-2.0], [-3.0]], StopReason.EVALUATIONS),
        ({"evaluations": 4}, [[-1.0], [-2.0], [-3.0]], None),
        ({"tolerance": 1.0}, [[-1.0]], StopReason.CONVERGED),
    ],
)
def test_a_rule_ends_a_loop_when_it_says(
    rules: dict[str, float], values: list[list[float]], reason: StopReason | None
) -> None:
    """Each rule by itself; a slow creep does not reset the plateau, and its sum does."""
    optimiser = _new(OptimiserName.COBYLA)
    stopping = Stopping(StopRules.model_validate(rules), sign=1.0)
    for told in values:
        stopping.told(np.array(told))

    assert stopping.reason(optimiser) is reason
    optimiser.close()


def test_a_target_of_a_problem_that_is_maximised_is_reached_from_below() -> None:
    """Inside everything is minimised."""
    optimiser = _new(OptimiserName.COBYLA)
    stopping = Stopping(StopRules(target=5.0), sign=-1.0)
    stopping.told(np.array([-4.9]))
    before = stopping.reason(optimiser)
    stopping.told(np.array([-5.0]))

    assert (before, stopping.reason(optimiser)) == (None, StopReason.TARGET)
    optimiser.close()
