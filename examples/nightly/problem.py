"""What is run tonight: a MaxCut whose weights are the night's own, as a plan of demand would have them."""

import random

from temporalio import activity

from qurable.contracts.fires import Fire
from qurable.contracts.jobs import SolveJob
from qurable.contracts.problems import MaxCut
from qurable.requests import solve

TASK_QUEUE = "nightly"

_NODES = 8


def problem_of(night: str) -> MaxCut:
    """The graph of a night; in earnest it would be read from somewhere."""
    draw = random.Random(night)
    edges = [
        (u, v, float(draw.randint(1, 9))) for u in range(_NODES) for v in range(u) if draw.random() < 0.6
    ]
    return MaxCut(num_nodes=_NODES, edges=tuple(edges))


@activity.defn
async def tonight(fire: Fire) -> SolveJob:
    """The job of a night; the schedule gives it the key, so that a night that is fired twice is solved once."""
    return solve(
        problem_of(fire.moment),
        backend="classical",
        project=fire.project,
        labels={"night": fire.moment[:10]},
    )
