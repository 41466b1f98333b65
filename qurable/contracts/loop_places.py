"""Where a variational loop evaluates: the place it explores, the one it finishes on, and what each of them made and cost."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from qurable.contracts.base import Contract
from qurable.names import CACHE, CLASSICAL, CLASSICAL_PREFIX

IN_CHUNKS = "aer"
"""The place whose iterations run beside the optimiser, some of them in one activity; anywhere else each is a job."""

_NO_PLACES = frozenset({"auto", "ibm", CACHE, CLASSICAL})


def check_place(backend: str, shots: int | None, *, has_objective: bool = False) -> None:
    """See whether a loop's iterations can run at a place.

    Args:
        backend: Its name.
        shots: Of each measured group; None for exact values.
        has_objective: Whether a registered objective makes the value.

    Raises:
        ValueError: They cannot, with the reason.
    """
    if backend in _NO_PLACES or backend.startswith(CLASSICAL_PREFIX):
        raise ValueError(
            f"a loop cannot run on {backend!r}: name one place that runs circuits, since values of several are not compared"
        )
    if backend == IN_CHUNKS:
        return
    if shots is None:
        raise ValueError(
            f"a loop on {backend!r} needs `shots`: exact values, without shots, are those of {IN_CHUNKS!r} alone"
        )
    if has_objective:
        raise ValueError(
            f"a registered objective is evaluated beside the simulator: its loop runs on {IN_CHUNKS!r}, not on {backend!r}"
        )


class FinishWhen(StrEnum):
    """What exploring has to come to before the loop goes on at the place where it finishes."""

    TOLERANCE = "tolerance"
    PLATEAU = "plateau"
    ITERATIONS = "iterations"


class Finish(Contract):
    """Explore at one place, finish at another: with more shots, on hardware, by a rule.

    The optimiser begins anew there, at the point that it held best and with a smaller step: values of two places are not
    compared. An exploration that has reached `stop.target`, or can go no further, finishes too; one that ends by any
    other rule does not.

    Attributes:
        backend: Where it finishes.
        shots: Of each measured group there; None for exact values on `aer`.
        when: `tolerance` (the optimiser looks no further than `stop.tolerance`), `plateau` (as `stop.plateau` says), or
            `iterations` (after `explore` of them).
        explore: Iterations of exploring, for `iterations`.
        iterations: At most so many there (count).
        step: How far the optimiser first looks around its point there (radians).
    """

    backend: str = Field(max_length=80)
    shots: int | None = Field(default=None, ge=1, le=1_000_000)
    when: FinishWhen = FinishWhen.TOLERANCE
    explore: int | None = Field(default=None, ge=1)
    iterations: int = Field(default=10, ge=1, le=1_000_000)
    step: Annotated[float, Field(gt=0, le=10)] = 0.1

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        check_place(self.backend, self.shots)
        if (self.when is FinishWhen.ITERATIONS) != (self.explore is not None):
            raise ValueError("`explore` goes with when 'iterations': how many of them explore")
        return self


class Stretch(Contract):
    """Iterations that follow each other at one place.

    Attributes:
        backend: The place.
        first: Number of the first of them.
        iterations: Count.
        evaluations: Count.
        shots: Over all of them and all measured groups; 0 where values are exact.
        best: The best value.
    """

    backend: str
    first: int
    iterations: int
    evaluations: int
    shots: int = 0
    best: float


class LoopJob(Contract):
    """A job that evaluated for a loop, or tried to.

    Attributes:
        id: Of the job.
        backend: Where it was sent.
        purpose: `iteration`, or `value` and `answer` of the point that the loop ended with.
        iteration: Which one; for the last point, the number that would have come next.
        ordinal: 0, and one more each time that the iteration was run again.
        qpu_seconds: Reserved for it and not settled, and billed.
    """

    id: str
    backend: str
    purpose: Literal["iteration", "value", "answer"] = "iteration"
    iteration: int
    ordinal: int = 0
    qpu_seconds: float = 0.0
