"""Batches: any number of jobs in, one report each out, plus the sum."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from qurable.contracts.arrays import BitArrays, FloatArray, size_of
from qurable.contracts.base import SCHEMA_VERSION, Contract, digest
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.reports import Durations, State
from qurable.contracts.results import EstimateResult, PubResult, SampleResult, readable
from qurable.names import PROJECT_PATTERN

MAX_ITEMS = 100_000
MAX_BATCH_BYTES = 256 * 2**20

OnError = Literal["stop", "go-on"]
"""What becomes of a batch with a broken line: nothing of it runs, or all the other lines do."""


class BatchHead(Contract):
    """What the workflow itself reads of a batch; the lines pass through it unread.

    Attributes:
        schema_version: Of the lines.
        id: Batch id, which is the workflow id.
        project: Public slug.
        body_hash: Of the lines, compared when a key is reused; empty where they are not sent again.
        on_error: What becomes of it where a line is broken.
        rerun: Run again what failed or was cancelled, of a batch that has ended.
        qpy: Whether circuits may come as QPY, as the typed client sends them.
        begun: Whether its lines were taken in by an earlier run of the workflow.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    project: str = Field(pattern=PROJECT_PATTERN)
    body_hash: str = ""
    on_error: OnError = "stop"
    rerun: bool = False
    qpy: bool = True
    begun: bool = False


class BatchCall(Contract):
    """Which batch, and for which execution of its workflow.

    Attributes:
        id: Batch id.
        owner: First run id of the execution, which continuing as new keeps and a rerun does not.
    """

    id: str
    owner: str


class BrokenLine(Contract):
    """A line that is no job.

    Attributes:
        line: Its number, 1 for the first.
        problem: What is wrong with it.
    """

    line: int
    problem: str


class BatchState(StrEnum):
    """Where a batch stands; `partial` has items with an answer and items without."""

    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing comes after it, but for a rerun."""
        return self is not BatchState.RUNNING


class BatchStatus(Contract):
    """Where a batch stands.

    Attributes:
        id: Batch id.
        project: Public slug.
        state: What a caller sees.
        items: How many there are.
        counts: Items by their state; `accepted` are those that have no end yet.
        groups: How many circuits and sets of options are asked for; each is compiled once for a target.
        chunks: Jobs that ran, run and wait.
        in_flight: Jobs that run.
        broken: Lines that are no jobs, where the batch went on without them.
    """

    id: str
    project: str = ""
    state: BatchState = BatchState.RUNNING
    items: int = 0
    counts: dict[State, int] = Field(default_factory=dict)
    groups: int = 0
    chunks: int = 0
    in_flight: int = 0
    broken: tuple[BrokenLine, ...] = ()

    @property
    def open(self) -> int:
        """Items that have no end yet."""
        return self.counts.get(State.ACCEPTED, 0)

    def ended_as(self, *, cancelled: bool) -> BatchState:
        """How it stands once no item is open."""
        answered = self.counts.get(State.COMPLETED, 0) + self.counts.get(State.DEGRADED, 0)
        if cancelled and State.CANCELLED in self.counts:
            return BatchState.CANCELLED
        if answered == self.items:
            return BatchState.COMPLETED
        return BatchState.PARTIAL if answered else BatchState.FAILED


class ItemReport(Contract):
    """The end of one item.

    Attributes:
        item: Its number within the batch, 0 for the first.
        line: Its line in the file, 1 for the first.
        key: The item's own key, empty where it said none.
        state: completed, degraded, failed or cancelled.
        job_id: The job that it was a part of; its report has the rest: the route, the verdict, the provenance.
        index: Which binding of that job it was; None where the job was this item's alone.
        served_by: Who answered.
        seed: With which the item gives the same counts as a job of its own, on a simulator.
        seconds: Its share of the job's run.
        qpu_seconds: Its share of what the provider charges.
        price: Its share of the price, None where that is not known.
        currency: Of the price.
        labels: The caller's own marks.
        results: One per pub of the item.
        error: Why there is no answer.
    """

    item: int
    line: int
    key: str = ""
    state: State
    job_id: str = ""
    index: int | None = None
    served_by: str = ""
    seed: int | None = None
    seconds: float = 0.0
    qpu_seconds: float = 0.0
    price: float | None = None
    currency: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    results: tuple[PubResult, ...] = ()
    error: ErrorDocument | None = None

    def counts(self, pub: int = 0, index: int = 0) -> dict[str, int]:
        """Counts of a sampled pub; the rightmost character of a bitstring is bit 0."""
        result = self.results[pub]
        if result.kind != "sample":
            raise TypeError(f"pub {pub} was estimated; it has values, not counts")
        return result.counts(index)

    def document(self) -> dict[str, Any]:
        """For people and programs: JSON values, counts instead of packed shots."""
        document = self.model_dump(mode="json", exclude={"results"})
        document["results"] = [readable(result) for result in self.results]
        return document


class ItemPage(Contract):
    """Items in the order in which they ended.

    Attributes:
        items: The next ones.
        after: Where the page after this one begins.
        known: Whether the batch's lines have been taken in.
    """

    items: tuple[ItemReport, ...] = ()
    after: int = 0
    known: bool = True


class BatchReport(Contract):
    """The end of a batch.

    Attributes:
        schema_version: Of this document.
        id: Batch id.
        project: Public slug.
        state: completed, partial, failed or cancelled.
        items: How many there were.
        counts: Items by their state.
        groups: As in the status.
        chunks: Jobs that were run for it.
        accepted: When its lines were taken in (UTC).
        ended: When its last item ended.
        durations: Sums over its jobs, which run side by side: more than the time that passed.
        qpu_seconds: What providers charge, over all its jobs.
        price: Sum of the prices, None where one is not known.
        currency: Of the price.
        failed: The first items without an answer; all of them are among the results.
        broken: Lines that are no jobs.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    project: str
    state: BatchState
    items: int
    counts: dict[State, int]
    groups: int
    chunks: int
    accepted: datetime
    ended: datetime
    durations: Durations = Durations()
    qpu_seconds: float = 0.0
    price: float | None = None
    currency: str = ""
    failed: tuple[ItemReport, ...] = ()
    broken: tuple[BrokenLine, ...] = ()

    @property
    def all_answered(self) -> bool:
        """Whether every line was a job, and every job has an answer."""
        return not self.failed and not self.broken


BATCH_ID = r"[a-z0-9-]{1,40}-batch-[0-9a-f]{24}"
"""A project, and 24 hex characters of a digest; nothing else is the id of a batch."""


def batch_id(project: str, key: str) -> str:
    """The id of the batch that owns a key of a project; also its workflow id."""
    owner = "\0".join(("batch", project, key))
    return f"{project}-batch-{digest(owner, length=24)}"


def project_of(identity: str) -> str:
    """The project in a batch id, empty where it is none."""
    return identity.rpartition("-batch-")[0]


def element(result: SampleResult | EstimateResult, index: int) -> SampleResult | EstimateResult:
    """One element of a result along its first axis, as a pub of its own would have had it."""
    shape = result.shape[1:]
    if isinstance(result, EstimateResult):
        length = size_of(shape)
        part = slice(index * length, (index + 1) * length)
        return result.model_copy(
            update={
                "shape": shape,
                "evs": FloatArray(shape=shape, values=result.evs.values[part]),
                "stds": FloatArray(shape=shape, values=result.stds.values[part]),
            }
        )
    registers = tuple(
        register.model_copy(update={"bits": _bits(register.bits, index)}) for register in result.registers
    )
    return result.model_copy(update={"shape": shape, "registers": registers})


def _bits(bits: BitArrays, index: int) -> BitArrays:
    shape = bits.shape[1:]
    length = size_of(shape) * bits.num_shots * bits.num_bytes
    raw = bits.raw[index * length : (index + 1) * length]
    return BitArrays.pack(raw, shape=shape, num_shots=bits.num_shots, num_bits=bits.num_bits)
