"""A variational loop whose iterations are jobs, as tasks for a child: which points are next, and which one is the last."""

from typing import Any

import numpy as np

from circuits.parse import dump_qpy, load_qpy
from circuits.seeds import STRIDE, iteration_base
from isolation.child import Emit
from isolation.loops import iterations_of, taken_up
from qurable.contracts.optimisations import PreparedLoop


def next_points(payload: Any, _emit: Emit) -> Any:
    """Task: the points of the iteration that follows a log.

    Args:
        payload: `{"name", "prepared": PreparedLoop as JSON, "log": [block, ...], "finishing"}`; a block as
            `{"sizes", "x", "values", "backend"}`, with float64 of all its points in turn.

    Returns:
        `{"points": float64 of all of them in turn, or None, "seed", "stopped_by", "finishing"}`: no points where a rule has
        ended the loop, or where it has just explored and whoever asks does not know of it.

    Raises:
        OptimisationFailed: The objective is no number, or the optimiser has diverged.
        InternalError: The log was made by another version of the optimiser.
    """
    prepared = PreparedLoop.read(payload["prepared"])
    trajectory = taken_up(payload["name"], prepared, iterations_of(payload["log"], len(prepared.parameters)))
    stopped, finishing = trajectory.stopped_by(), trajectory.finishing is not None
    due = stopped is None and (payload["finishing"] or not finishing)
    return {
        "points": trajectory.points().tobytes() if due else None,
        "seed": iteration_base(prepared.loop.seed, trajectory.iterations),
        "stopped_by": stopped,
        "finishing": finishing,
    }


def last_points(payload: Any, _emit: Emit) -> Any:
    """Task: the points that a loop may end with, and what reads assignments there.

    Args:
        payload: `{"name", "prepared", "log", "best": float64 of the best point}`.

    Returns:
        `{"points": float64 of two points: the one that the optimiser holds best, and the best, "seed": of their
        evaluation, "answer_seed": of what is read, "measured": the ansatz with all its qubits measured, as QPY}`.
    """
    prepared = PreparedLoop.read(payload["prepared"])
    trajectory = taken_up(payload["name"], prepared, iterations_of(payload["log"], len(prepared.parameters)))
    points = np.stack([trajectory.optimiser.centre, np.frombuffer(payload["best"])])
    seed = iteration_base(prepared.loop.seed, trajectory.iterations)
    measured = load_qpy(prepared.qpy)
    measured.measure_all()
    return {
        "points": points.tobytes(),
        "seed": seed,
        "answer_seed": seed + STRIDE * len(points),
        "measured": dump_qpy(measured),
    }
