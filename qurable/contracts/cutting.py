"""Circuit cutting: what is asked, the plan with its price, where a cut stands, and what came of it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from qurable.contracts.arrays import FloatArray
from qurable.contracts.base import SCHEMA_VERSION, Contract, digest
from qurable.contracts.checks import Checks
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import EstimateJob, Hooks, job_id
from qurable.contracts.reports import State
from qurable.contracts.results import ErrorOrigin
from qurable.contracts.routes import Estimate
from qurable.names import PROJECT_PATTERN

DEFAULT_MAX_OVERHEAD = 1000.0
"""Three CX gates (9 each), or two wires (16 each), fit below it."""

MAX_MARGINAL_QUBITS = 8
"""A marginal of k qubits is 2^k probabilities, each a sum of 2^k expectation values."""

MAX_SAMPLES = 5000


class CutOptions(Contract):
    """How a circuit may be cut.

    Attributes:
        qubits: Widest fragment; without it the width of the backend, and a circuit that is no wider than that runs whole.
        max_overhead: Most sampling overhead: the product over the cuts of the square of each one's one-norm, which is 9 for a CX,
            16 for a wire.
        gates: Whether gates may be cut.
        wires: Whether wires may be cut.
        samples: Where the cuts have at most so many joint choices, each of them is run and weighed exactly; where they have
            more, so many are drawn, and the error bar counts that too.
        seconds: How long finding cuts and making the experiments may take (s).
        reruns: How often a fragment that failed is run again by itself, after its job's own retries.
    """

    qubits: int | None = Field(default=None, ge=1)
    max_overhead: float = Field(default=DEFAULT_MAX_OVERHEAD, ge=1, le=1e9)
    gates: bool = True
    wires: bool = True
    samples: int = Field(default=1000, ge=1, le=MAX_SAMPLES)
    seconds: float = Field(default=300.0, gt=0, le=900)
    reruns: int = Field(default=1, ge=0, le=10)

    @model_validator(mode="after")
    def _may_cut_something(self) -> Self:
        if not (self.gates or self.wires):
            raise ValueError("allow cuts of gates, of wires, or of both")
        return self


class CutJob(Contract):
    """Estimate expectation values of a circuit in fragments.

    Attributes:
        estimate: What is asked, as an estimation job of one pub with one set of values; its other fields hold for the job
            of each fragment, but for the budget, which all of them share.
        marginals: Sets of virtual qubits whose joint outcomes are asked for, too; the first of a set is bit 0, the rightmost
            character of an outcome.
        cut: How the circuit may be cut.
    """

    kind: Literal["cut"] = "cut"
    schema_version: int = SCHEMA_VERSION
    estimate: EstimateJob
    marginals: tuple[tuple[Annotated[int, Field(ge=0)], ...], ...] = Field(default=(), max_length=100)
    cut: CutOptions = CutOptions()

    @field_validator("marginals")
    @classmethod
    def _are_sets(cls, marginals: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        for qubits in marginals:
            if not 1 <= len(qubits) <= MAX_MARGINAL_QUBITS or len(set(qubits)) != len(qubits):
                raise ValueError(
                    f"marginal {qubits}: 1 to {MAX_MARGINAL_QUBITS} different qubits; each outcome is an expectation value of its "
                    "own, and the whole distribution of a cut circuit is out of reach"
                )
        return marginals

    @model_validator(mode="after")
    def _can_be_put_together(self) -> Self:
        if len(self.estimate.pubs) != 1:
            raise ValueError(f"a cut takes one pub, not {len(self.estimate.pubs)}: start a cut for each")
        pub = self.estimate.pubs[0]
        if pub.bindings.shape:
            raise ValueError(
                f"a cut takes one set of values, not an array of shape {pub.bindings.shape}: start a cut for each binding"
            )
        if pub.precision == 0:
            raise ValueError(
                "precision 0 asks for the exact value; a cut circuit is put together from shots: ask for a precision above 0, or shots"
            )
        if not pub.observables.items and not self.marginals:
            raise ValueError("nothing is asked: give observables or marginals")
        if self.estimate.checks != Checks():
            raise ValueError(
                "checks look at a whole job's answer, which fragments do not have: leave them out"
            )
        if self.estimate.hooks != Hooks():
            raise ValueError("hooks run in a whole job, which fragments are not: leave them out")
        if self.estimate.seeds:
            raise ValueError("give `seed`: each fragment's seeds are made from it")
        return self

    @property
    def cut_id(self) -> str:
        """The cut's id: unique for ever per project and idempotency key, and free of user text."""
        return "cut-" + job_id(self.estimate.project, self.estimate.key)

    @property
    def body_hash(self) -> str:
        """What must be equal for a reused key to mean the same cut."""
        rest = self.model_dump_json(exclude={"estimate", "schema_version"})
        return digest(f"{self.estimate.body_hash}\0{rest}")


class CutHead(Contract):
    """What the workflow itself reads of a cut; the rest passes through it unread.

    Attributes:
        schema_version: Of the whole request.
        id: Cut id.
        project: Public slug.
        body_hash: Compared when a key is reused; empty where the request is not sent again.
        reruns: How often a fragment that failed is run again.
        price: Whether the plan alone is asked for; nothing is run or kept then.
        again: Whether what has no answer is to run again, of a cut that has ended.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    project: str = Field(pattern=PROJECT_PATTERN)
    body_hash: str = ""
    reruns: int = 1
    price: bool = False
    again: bool = False


class CutCall(Contract):
    """Which cut, and for which execution of its workflow.

    Attributes:
        id: Cut id.
        owner: First run id of the execution.
    """

    id: str
    owner: str


class CutPlace(Contract):
    """One cut.

    Attributes:
        kind: Whether a gate or a wire is cut.
        gate: Name of the gate that is cut, or that the wire is cut in front of.
        qubits: Virtual qubits it is on.
        position: Of that gate among the circuit's operations, with definitions and gates on three and more qubits
            written out, barriers and final measurements left out, from 0.
        overhead: Its factor of the sampling overhead.
    """

    kind: Literal["gate", "wire"]
    gate: str
    qubits: tuple[int, ...]
    position: int
    overhead: float


class CutFragment(Contract):
    """One fragment.

    Attributes:
        name: A, B, C, ...
        qubits: Virtual qubits of the circuit that it holds; one whose wire is cut stands in each fragment that it runs
            through.
        width: Qubits it needs.
        experiments: Circuits that are run of it.
        shots: Over all its experiments.
        dynamic: Whether some of them measure and go on, as cut gates have it.
    """

    name: str
    qubits: tuple[int, ...]
    width: int
    experiments: int
    shots: int
    dynamic: bool = False


class CutPrice(Contract):
    """What a cut takes and is expected to cost, before anything is run.

    Attributes:
        circuit: The author's name for it.
        width: Qubits of the circuit that some operation touches.
        qubits: Widest fragment that is allowed.
        whole: Whether the circuit is no wider than that, and is run as it is.
        cuts: Each cut; none where the circuit falls into pieces by itself.
        overhead: Sampling overhead: so many times more shots for the same error than the whole circuit would take.
        least: Whether the search proved that no other cuts have less; otherwise it is the best that was found.
        choices: Joint choices of what stands in the place of the cuts.
        run_choices: How many of them are run.
        weighed: `exact` where all of them are run, `drawn` where a sample is.
        fragments: What the circuit falls into.
        experiments: Circuits that are run, over all fragments.
        shots: Over all experiments.
        jobs: Jobs that run them.
        estimate: What all of them are expected to take; parts are None where nobody can say.
        warnings: What the caller should know.
    """

    circuit: str
    width: int
    qubits: int
    whole: bool = False
    cuts: tuple[CutPlace, ...] = ()
    overhead: float = 1.0
    least: bool = True
    choices: int = 1
    run_choices: int = 1
    weighed: Literal["exact", "drawn"] = "exact"
    fragments: tuple[CutFragment, ...] = ()
    experiments: int = 0
    shots: int = 0
    jobs: int = 0
    estimate: Estimate = Estimate()
    warnings: tuple[str, ...] = ()


class FragmentRun(Contract):
    """A job that runs a fragment, or a part of one.

    Attributes:
        name: A, or A1, A2, ... where a fragment has several.
        fragment: Index of the fragment.
        first: Its first experiment.
        request: Artifact hash of the job's request.
        shots: Over all its experiments.
        ordinal: 0, and one more for each time that it is run again.
    """

    name: str
    fragment: int = 0
    first: int = 0
    request: str
    shots: int = 0
    ordinal: int = 0


class FragmentsCall(Contract):
    """Run these and give back those that have ended.

    Attributes:
        cut: Which cut.
        runs: Those without an end.
    """

    cut: CutCall
    runs: tuple[FragmentRun, ...]


class FragmentEnd(Contract):
    """How a fragment's job ended.

    Attributes:
        name: Of the run.
        ordinal: Of the run.
        job_id: Its job, whose report has the rest.
        state: completed, degraded, failed or cancelled.
        served_by: Where it ran.
        qpu_seconds: What the provider charges.
        price: In money; None where nobody said.
        currency: Of the price.
        error: Why there is no answer.
        again: Whether running it again may help.
    """

    name: str
    ordinal: int = 0
    job_id: str
    state: State
    served_by: str = ""
    qpu_seconds: float = 0.0
    price: float | None = None
    currency: str = ""
    error: ErrorDocument | None = None
    again: bool = False

    @property
    def answered(self) -> bool:
        """Whether there is an answer."""
        return self.state in {State.COMPLETED, State.DEGRADED}


class FragmentEnds(Contract):
    """Ends of fragments' jobs."""

    ends: tuple[FragmentEnd, ...]


class Marginal(Contract):
    """Joint probabilities of a few qubits, diagonal in the computational basis.

    Attributes:
        qubits: Virtual qubits; the first is bit 0, the rightmost character of an outcome.
        probabilities: By outcome. Each has an error, so that one may be below 0 or above 1; together they make 1.
        errors: Standard error of each.
    """

    qubits: tuple[int, ...]
    probabilities: dict[str, float]
    errors: dict[str, float]


class CutState(StrEnum):
    """Where a cut stands."""

    PLANNING = "planning"
    RUNNING = "running"
    RECONSTRUCTING = "reconstructing"
    COMPLETED = "completed"
    DEGRADED = "degraded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing follows, but for a rerun."""
        return self in {CutState.COMPLETED, CutState.DEGRADED, CutState.FAILED, CutState.CANCELLED}


class CutPlanned(Contract):
    """What planning comes to.

    Attributes:
        price: The plan for people.
        runs: Jobs to run; those that were run again before carry on from there.
        report: Of an earlier execution that ended.
    """

    price: CutPrice
    runs: tuple[FragmentRun, ...] = ()
    report: "CutReport | None" = None


class CutStatus(Contract):
    """Where a cut stands.

    Attributes:
        id: Cut id.
        state: Where it stands.
        price: The plan, once there is one.
        ended: How fragments' jobs have ended so far, those that were run again too.
        open: Names of those that run.
    """

    id: str
    state: CutState
    price: CutPrice | None = None
    ended: tuple[FragmentEnd, ...] = ()
    open: tuple[str, ...] = ()


class EndCut(Contract):
    """End a cut.

    Attributes:
        cut: Which.
        runs: Those whose answers it is put together from; empty where there is none.
        ended: How every job of a fragment has ended.
        error: Why there is no answer.
    """

    cut: CutCall
    runs: tuple[FragmentRun, ...] = ()
    ended: tuple[FragmentEnd, ...] = ()
    error: ErrorDocument | None = None


class CutReport(Contract):
    """What came of a cut.

    Attributes:
        schema_version: Of this document.
        id: Cut id.
        project: Public slug.
        state: completed, degraded, failed or cancelled; degraded where a fragment's answer is.
        asked: Backend preference in one line.
        shape: Of the observables.
        evs: Expectation values; None without an answer.
        stds: Their standard errors.
        error_origin: How these arose: `bootstrap` where the circuit was cut, of the place's noise they know nothing.
        marginals: In the order they were asked.
        price: The plan, with the cuts and what was expected.
        fragments: How every fragment's job ended, those that failed and were run again too.
        qpu_seconds: What providers charge, over all of these.
        cost: Sum of the prices, None where one is not known.
        currency: Of the cost.
        seed: That every other one was made from.
        accepted: When it began (UTC).
        ended: When it ended.
        versions: Of the libraries that decide the answer.
        warnings: What the caller should know.
        labels: The caller's own marks.
        error: Why there is no answer.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    project: str
    state: CutState
    asked: str = ""
    shape: tuple[int, ...] = ()
    evs: FloatArray | None = None
    stds: FloatArray | None = None
    error_origin: ErrorOrigin = ErrorOrigin.BOOTSTRAP
    marginals: tuple[Marginal, ...] = ()
    price: CutPrice
    fragments: tuple[FragmentEnd, ...] = ()
    qpu_seconds: float = 0.0
    cost: float | None = None
    currency: str = ""
    seed: int = 0
    accepted: datetime
    ended: datetime
    versions: dict[str, str] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    error: ErrorDocument | None = None


CutPlanned.model_rebuild()


class FragmentPlan(Contract):
    """How a fragment's outcomes enter the values.

    Attributes:
        shots: Of each experiment.
        index: By joint choice, and for each group of observables within the fragment, the experiment that was run for it.
        lookup: By Pauli product, the (group, mask) pairs that it is read from; bit i of the mask is bit i of the register
            `observable_measurements`.
    """

    shots: tuple[int, ...]
    index: tuple[tuple[int, ...], ...]
    lookup: tuple[tuple[tuple[int, int], ...], ...]


class CutPlan(Contract):
    """Everything that putting the values together takes beside the fragments' outcomes.

    Attributes:
        job: What was asked; its circuit and values mean nothing any more.
        price: The plan for people.
        seed: That every other one was made from.
        coefficients: Of each joint choice.
        draws: How many choices were drawn; 0 where all are weighed exactly.
        drawn: Whether each joint choice was drawn; empty where none was.
        constants: What each value asked for has without any measurement.
        values: Each value asked for as (Pauli product, factor) pairs: the observables in C order, then the outcomes of each
            marginal in ascending order.
        fragments: How each one's outcomes enter.
        runs: Jobs to run.
        versions: Of the library that made it.
        warnings: What the caller should know.
    """

    job: CutJob
    price: CutPrice
    seed: int
    coefficients: tuple[float, ...] = ()
    draws: int = 0
    drawn: tuple[bool, ...] = ()
    constants: tuple[float, ...] = ()
    values: tuple[tuple[tuple[int, float], ...], ...] = ()
    fragments: tuple[FragmentPlan, ...] = ()
    runs: tuple[FragmentRun, ...] = ()
    versions: dict[str, str] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
