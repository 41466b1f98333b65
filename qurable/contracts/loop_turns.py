"""What a loop whose iterations are jobs says to its activities: what came of a job, and which one is next."""

from typing import Literal

from pydantic import Field

from qurable.contracts.base import Contract
from qurable.contracts.jobs import JobRequest
from qurable.contracts.optimisations import Chunk


class TurnCall(Contract):
    """Tell a loop's optimiser what a job found, and make the job of the next iteration.

    Attributes:
        loop_id: Of the loop.
        number: Of the turn, among turns and chunks.
        backend: Where the next iteration is evaluated; empty to make no job, and keep what the last one found.
        shots: In force.
        finishing: Whether the loop has explored.
        ordinal: How often the next iteration has failed.
        ended: The job that has evaluated an iteration; empty where none has.
    """

    loop_id: str
    number: int
    backend: str
    shots: int | None = None
    finishing: bool = False
    ordinal: int = 0
    ended: str = ""


class Turn(Contract):
    """How far the loop is, and what is next.

    Attributes:
        chunk: How far.
        iteration: Number of the next iteration.
        job: That evaluates it; None where there is none: a rule has ended the loop, or it goes on where it finishes.
    """

    chunk: Chunk
    iteration: int
    job: JobRequest | None = None


class LastCall(Contract):
    """Make the job that evaluates the point that a loop ends with, or the one that reads assignments there.

    Attributes:
        loop_id: Of the loop.
        purpose: Which of the two.
        backend: Where.
        shots: In force.
    """

    loop_id: str
    purpose: Literal["value", "answer"]
    backend: str
    shots: int | None = None


class LastJob(Contract):
    """That job.

    Attributes:
        job: None where there is nothing to be run.
    """

    job: JobRequest | None = None


class LeaveCall(Contract):
    """Close the sessions and batches that a loop holds.

    Attributes:
        loop_id: Of the loop.
        number: How often it has left before; names the call.
    """

    loop_id: str
    number: int = Field(default=0)
