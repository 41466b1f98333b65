"""Chunks of a variational loop, as tasks for a child: iterations run beside the simulator, and none waits in a queue.

What a loop does next follows from its log alone: an iteration's points from the values of those before it, and its
seeds from the loop's seed and its number. A child keeps the optimisers of the loops that it served last; where it has
none that the log agrees with, it asks a new one for every point again and tells it what the log says.
"""

import functools
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from circuits.optimisers.choice import optimiser_of
from circuits.optimisers.protocol import Floats
from circuits.problems import best_answer, size
from circuits.registered_objectives import ObjectiveBroke
from circuits.seeds import STRIDE, iteration_base
from circuits.stopping import Stopping
from circuits.translations import best_translated
from isolation.child import Emit
from isolation.composed_objective import ComposedObjective
from isolation.loop_objective import Objective
from qurable.contracts.loop_places import IN_CHUNKS, Finish, FinishWhen
from qurable.contracts.optimisations import PreparedLoop, StopReason
from qurable.contracts.problems import Ising, MaxCut, Qubo, Sense
from qurable.errors import InternalError, OptimisationFailed

_FLUSH_SECONDS = 0.2
"""An iteration that takes longer is kept by itself; of shorter ones a kill repeats about so much."""

_KEPT_LOOPS = 4
_FARTHEST = 1e6
"""No angle means anything so far out: an optimiser that asks for one has lost its way."""

_ANSWER_SHOTS = 1024


@functools.lru_cache(maxsize=_KEPT_LOOPS)
def _prepared(document: str) -> tuple[PreparedLoop, Objective]:
    prepared = PreparedLoop.read(document)
    return prepared, Objective(prepared) if prepared.objective is None else ComposedObjective(prepared)


class Trajectory:
    """A loop's optimiser, as far as it was told.

    Args:
        prepared: The loop.

    Attributes:
        optimiser: That is asked.
        sign: -1 where the loop's own objective is maximised.
        iterations: That it was told.
        finishing: The first iteration after it had explored; None before.
    """

    def __init__(self, prepared: PreparedLoop) -> None:
        loop = prepared.loop
        self.sign = -1.0 if prepared.sense is Sense.MAXIMIZE else 1.0
        self.optimiser = optimiser_of(
            loop.optimiser, np.array(prepared.start), loop.seed, loop.stop.tolerance
        )
        self._loop = loop
        self._stopping = Stopping(loop.stop, self.sign)
        self._place = loop.backend
        self.iterations = 0
        self.finishing: int | None = None
        self._last: tuple[bytes, bytes] | None = None

    def stopped_by(self) -> StopReason | None:
        """Why there is no next iteration; None where there is one. A loop that has explored begins to finish."""
        reason, finish = self._stopping.reason(self.optimiser), self._loop.finish
        if finish is None:
            return reason
        if self.finishing is None:
            if not has_explored(finish, reason, self.iterations):
                return reason
            self._begin_to_finish(finish.step)
            return self.stopped_by()
        return StopReason.FINISHED if self.iterations - self.finishing >= finish.iterations else reason

    def _begin_to_finish(self, step: float) -> None:
        """Another optimiser, at the point that this one holds best; what is evaluated there is judged by itself."""
        loop, centre = self._loop, self.optimiser.centre
        self.optimiser.close()
        self.optimiser = optimiser_of(
            loop.optimiser.model_copy(update={"step": step}),
            centre,
            iteration_base(loop.seed, self.iterations),
            loop.stop.tolerance,
        )
        self._stopping = Stopping(loop.stop, self.sign, self._stopping.evaluations)
        self.finishing = self.iterations

    def points(self) -> Floats:
        """Of the next iteration.

        Raises:
            OptimisationFailed: The optimiser has diverged.
        """
        points = self.optimiser.ask()
        if not np.isfinite(points).all() or np.abs(points).max() > _FARTHEST:
            raise OptimisationFailed(
                f"the optimiser diverged: in iteration {self.iterations} it asks for parameters beyond {_FARTHEST:g} radians; give it a "
                "smaller step, or more shots where values are noisy",
                iteration=self.iterations,
            )
        return points

    def tell(self, points: Floats, values: Floats, place: str = IN_CHUNKS) -> None:
        """The values of the next iteration, in the problem's own sense, and where they are from.

        Raises:
            OptimisationFailed: One is no number.
        """
        if not np.isfinite(values).all():
            at = int(np.flatnonzero(~np.isfinite(values))[0])
            raise OptimisationFailed(
                f"the objective is {values[at]} in iteration {self.iterations}, at {points[at].tolist()[:8]}: check the size of the "
                "observable's coefficients",
                iteration=self.iterations,
            )
        if place != self._place:  # a plateau or a target is one of values that can be compared
            self._stopping = Stopping(self._loop.stop, self.sign, self._stopping.evaluations)
            self._place = place
        self._stopping.told(self.sign * values)
        self.optimiser.tell(self.sign * values)
        self.iterations += 1
        self._last = (points.tobytes(), values.tobytes())

    def replay(self, log: Sequence["Iteration"]) -> None:
        """Tell it what it has not been told of a log.

        Raises:
            InternalError: It asks for other points than the log has.
        """
        for entry in log[self.iterations :]:
            self.stopped_by()  # where it has explored, this is where it begins to finish
            points = self.points()
            if points.tobytes() != entry.x:
                raise InternalError(
                    f"iteration {self.iterations} of the loop was made by another version of its optimiser: start the loop anew, from "
                    "its best point"
                )
            self.tell(points, np.frombuffer(entry.values), entry.place)

    def agrees(self, log: Sequence["Iteration"]) -> bool:
        """Whether it was told the beginning of a log."""
        if not self.iterations:
            return True
        return self.iterations <= len(log) and self._last == log[self.iterations - 1].told


@dataclass(frozen=True)
class Iteration:
    """One iteration of a log: float64 rows."""

    x: bytes
    values: bytes
    place: str = IN_CHUNKS

    @property
    def told(self) -> tuple[bytes, bytes]:
        """What an optimiser was told of it."""
        return self.x, self.values


def has_explored(finish: Finish, reason: StopReason | None, iterations: int) -> bool:
    """Whether exploring has come to where a loop finishes: by its rule, by the target, or since it can go no further."""
    if finish.when is FinishWhen.ITERATIONS and iterations >= (finish.explore or 0):
        return True
    enough = {StopReason.CONVERGED, StopReason.TARGET}
    if finish.when is FinishWhen.PLATEAU:
        enough.add(StopReason.PLATEAU)
    return reason in enough


def iterations_of(blocks: Sequence[Any], width: int) -> list[Iteration]:
    """The iterations of a log, one by one; of so many parameters each."""
    found = []
    for block in blocks:
        at = 0
        for count in block["sizes"]:
            points, end = slice(8 * width * at, 8 * width * (at + count)), at + count
            values = block["values"][8 * at : 8 * end]
            found.append(Iteration(block["x"][points], values, block.get("backend", IN_CHUNKS)))
            at = end
    return found


_kept: "OrderedDict[str, Trajectory]" = OrderedDict()


def taken_up(name: str, prepared: PreparedLoop, log: Sequence[Iteration]) -> Trajectory:
    """The trajectory of a loop at the end of its log."""
    trajectory = _kept.pop(name, None)
    if trajectory is not None and not trajectory.agrees(log):
        trajectory.optimiser.close()
        trajectory = None
    if trajectory is None:
        trajectory = Trajectory(prepared)
    trajectory.replay(log)
    _kept[name] = trajectory  # one that fails is not kept
    while len(_kept) > _KEPT_LOOPS:
        _kept.popitem(last=False)[1].optimiser.close()
    return trajectory


@dataclass
class _Block:
    """Iterations that are done and not handed over yet."""

    first: int
    began: float
    sizes: list[int] = field(default_factory=list)
    x: list[bytes] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)

    def add(self, points: Floats, values: Floats, errors: Floats) -> None:
        self.sizes.append(len(points))
        self.x.append(points.tobytes())
        self.values.append(values.tobytes())
        self.errors.append(errors.tobytes())

    def document(self, shots: int | None) -> dict[str, Any]:
        return {
            "first": self.first,
            "sizes": self.sizes,
            "x": b"".join(self.x),
            "values": b"".join(self.values),
            "errors": b"".join(self.errors),
            "shots": shots,
            "seconds": time.perf_counter() - self.began,
        }


def run_chunk(payload: Any, emit: Emit) -> Any:
    """Task: go on with a loop for some time, or for one iteration where that takes longer.

    Args:
        payload: `{"name", "prepared": PreparedLoop as JSON, "log": [block, ...], "shots", "seconds", "finishing"}`; what
            finishes the loop is evaluated only where whoever asks knows that it has explored.
        emit: Is given a block `{"first", "sizes", "x", "values", "errors", "shots", "seconds"}` of iterations that are done,
            at least five a second; `x`, `values` and `errors` are float64 of all their points in turn.

    Returns:
        `{"stopped_by", "finishing"}`: the rule that ended the loop, or None, and whether it has explored.

    Raises:
        OptimisationFailed: The objective is no number, or the optimiser has diverged.
        InternalError: The log was made by another version of the optimiser.
    """
    prepared, objective = _prepared(payload["prepared"])
    began = time.perf_counter()
    trajectory = taken_up(payload["name"], prepared, iterations_of(payload["log"], len(prepared.parameters)))
    shots, end = payload["shots"], began + payload["seconds"]
    block = _Block(trajectory.iterations, began)
    stopped, knows = trajectory.stopped_by(), payload.get("finishing", False)
    while stopped is None and (knows or trajectory.finishing is None):
        points = trajectory.points()
        seed = iteration_base(prepared.loop.seed, trajectory.iterations)
        try:
            values, errors = _values(objective, points, shots, seed, trajectory.iterations)
            trajectory.tell(points, values)
        except OptimisationFailed:
            emit(block.document(shots))
            raise
        block.add(points, values, errors)
        stopped = trajectory.stopped_by()
        now = time.perf_counter()
        over = stopped is not None or (trajectory.finishing is not None and not knows)
        if now - block.began >= _FLUSH_SECONDS or now >= end or over:
            emit(block.document(shots))
            block = _Block(trajectory.iterations, now)
        if now >= end:
            break
    return {"stopped_by": stopped, "finishing": trajectory.finishing is not None}


def _values(
    objective: Objective, points: Floats, shots: int | None, seed: int, iteration: int
) -> tuple[Floats, Floats]:
    try:
        return objective.values(points, shots, seed)
    except ObjectiveBroke as failure:
        raise OptimisationFailed(f"in iteration {iteration}, {failure}", iteration=iteration) from None


def end_loop(payload: Any, _emit: Emit) -> Any:
    """Task: the point that a loop ends with, evaluated anew.

    Of the point that the optimiser holds best and the best that was evaluated, the better one.

    Args:
        payload: `{"name", "prepared", "log", "best": float64 of the best point so far, "shots"}`.

    Returns:
        `{"x": float64, "value", "error", "evaluations", "seed", "answer": ProblemAnswer as JSON or None}`.
    """
    prepared, objective = _prepared(payload["prepared"])
    trajectory = taken_up(payload["name"], prepared, iterations_of(payload["log"], len(prepared.parameters)))
    points = np.stack([trajectory.optimiser.centre, np.frombuffer(payload["best"])])
    seed = iteration_base(prepared.loop.seed, trajectory.iterations)
    values, errors = _values(objective, points, payload["shots"], seed, trajectory.iterations)
    chosen = int(np.argmin(trajectory.sign * values))
    return {
        "x": points[chosen].tobytes(),
        "value": float(values[chosen]),
        "error": float(errors[chosen]),
        "evaluations": len(points),
        "seed": seed,
        "answer": _answer(prepared, objective, points[chosen], seed + STRIDE * len(points)),
    }


def _answer(prepared: PreparedLoop, objective: Objective, point: Floats, seed: int) -> str | None:
    """The best of the assignments that the circuit gives there; None for problems without assignments."""
    problem = prepared.problem
    if not isinstance(problem, Qubo | Ising | MaxCut):
        return None
    counts = objective.counts(point, _ANSWER_SHOTS, seed)
    if prepared.terms is not None and isinstance(problem, Qubo):
        return best_translated(prepared.terms, problem, counts).model_dump_json()
    return best_answer(problem, counts, range(size(problem))).model_dump_json()
