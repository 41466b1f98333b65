"""What a caller gets back: where a job stands, and the report at its end."""

import operator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from qurable.contracts.approvals import Approval, Question
from qurable.contracts.base import SCHEMA_VERSION, Contract
from qurable.contracts.changes import Change
from qurable.contracts.checks import Verdict
from qurable.contracts.confidence import Confidence, Survival
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.executions import EarlierAnswer, Incident, Phase, Seconds
from qurable.contracts.explanations import Contender, ErrorBudget, Explanation
from qurable.contracts.extrapolation import ExtrapolationRecord
from qurable.contracts.mitigation import MitigationRecord
from qurable.contracts.problems import ProblemAnswer
from qurable.contracts.results import PubResult, readable, to_primitive_result
from qurable.contracts.routes import Route
from qurable.contracts.sharing import Share
from qurable.contracts.targets import AnswerKind
from qurable.contracts.twins import TwinRecord

if TYPE_CHECKING:
    from qiskit.primitives import PrimitiveResult


class State(StrEnum):
    """What a caller sees of a job."""

    ACCEPTED = "accepted"
    VALIDATED = "validated"
    AWAITING_APPROVAL = "awaiting_approval"
    COMPILED = "compiled"
    SUBMITTED = "submitted"
    QUEUED = "queued"
    RUNNING = "running"
    POST_PROCESSING = "post_processing"
    COMPLETED = "completed"
    DEGRADED = "degraded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing comes after it."""
        return self in FINAL


FINAL = frozenset({State.COMPLETED, State.DEGRADED, State.FAILED, State.CANCELLED})


class JobEvent(Contract):
    """One change of a job's state.

    Attributes:
        state: The state it entered.
        at: When (UTC).
        backend: Where it was then.
        detail: One line.
    """

    state: State
    at: datetime
    backend: str = ""
    detail: str = ""


class StageRecord(Contract):
    """One stage that ran to its end.

    Attributes:
        stage: Name of the activity.
        rung: Position on the route, 0 first.
        started: When its last attempt began (UTC).
        ended: When it ended.
        attempt: Which attempt that was, from 1.
        worker: Identity of the worker.
        parts: Seconds spent in each stage of a merged one.
    """

    stage: str
    rung: int = 0
    started: datetime
    ended: datetime
    attempt: int = 1
    worker: str = ""
    parts: dict[str, float] = Field(default_factory=dict)

    @property
    def took(self) -> timedelta:
        """Wall time of the last attempt."""
        return self.ended - self.started


class Durations(Contract):
    """Where the time went, in seconds; the parts are never mixed.

    Attributes:
        compile: Validation, planning and transpilation.
        queue: From submission to the start of the run.
        run: The run itself.
        post_processing: Fetching, post-processing and recording.
        total: From acceptance to the end.
    """

    compile: float = 0.0
    queue: float = 0.0
    run: float = 0.0
    post_processing: float = 0.0
    total: float = 0.0


class CircuitProvenance(Contract):
    """What became of one pub's circuit.

    Attributes:
        name: The author's name for it.
        source: SHA-256 of what was sent.
        canonical: SHA-256 of the canonical circuit.
        isa: SHA-256 of the ISA circuit that ran.
        layout: Physical qubit of each virtual qubit, None where they are the same.
        depth: Depth as written; `isa_depth` after transpilation.
        two_qubit_gates: As written; `isa_two_qubit_gates` after transpilation.
        transpile_level: Optimisation level.
        transpile_seed: Seed of the transpiler.
        cache: `hit`, `miss` or `off`.
        saved_seconds: What the cache saved: the first transpilation less the look-up.
        seed: Base seed of the pub's simulation: binding j ran with seed + 2113 j.
        survival: On the device it was compiled for; None for a place without errors.
        notes: What else is worth knowing, such as truncation of a matrix product state.
    """

    name: str
    source: str
    canonical: str
    isa: str
    layout: tuple[int, ...] | None = None
    depth: int
    isa_depth: int
    two_qubit_gates: int
    isa_two_qubit_gates: int
    transpile_level: int
    transpile_seed: int
    cache: str
    saved_seconds: float = 0.0
    seed: int | None = None
    survival: Survival | None = None
    notes: dict[str, Any] = Field(default_factory=dict)


class Provenance(Contract):
    """What is needed to run the job again and get the same.

    Attributes:
        request: SHA-256 of the request's body.
        seed: Base seed, given or minted.
        seed_minted: Whether it was minted.
        method: Simulation method and why it was chosen.
        precision: Of amplitudes.
        target: SHA-256 of the target document compiled for.
        target_version: Of the backend.
        calibrated: When the target's properties were last updated.
        noise: SHA-256 of the target document whose noise was simulated.
        submission: Tag of the submission that answered.
        provider_job: The provider's id of it.
        versions: Of Python and the libraries that decide the answer.
        circuits: One entry per pub; empty where no circuit was run for this job.
        earlier: The job whose answer this is, where it came from the cache; its own report has the rest.
    """

    request: str
    seed: int | None = None
    seed_minted: bool = False
    method: str = ""
    method_because: str = ""
    precision: str = ""
    target: str | None = None
    target_version: str = ""
    calibrated: datetime | None = None
    noise: str | None = None
    submission: str = ""
    provider_job: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    circuits: tuple[CircuitProvenance, ...] = ()
    earlier: EarlierAnswer | None = None


class ProviderRecord(Contract):
    """One job at a provider: what it was, when it really ran, and what it cost.

    Attributes:
        id: The provider's job id, empty where none was ever known.
        backend: Where it ran.
        account: Label of the account that pays.
        session: The provider's id of the session or batch it ran in.
        state: Where it stood when it was last looked at.
        attempts: How often it was sent; more than one where an answer was lost.
        created: When the provider took it (the provider's clock, UTC).
        started: When it began on the QPU.
        finished: When it ended.
        queue_seconds: From `created` to `started`.
        estimated: QPU seconds expected before it was sent.
        reserved: QPU seconds reserved for it, after which the provider ends it.
        qpu_seconds: What it is charged for, None while the provider does not say.
        usage_complete: Whether that is final.
        price: QPU seconds times the account's price, None where nobody said one.
        currency: Of the price.
    """

    id: str
    backend: str
    account: str = ""
    session: str = ""
    state: Phase
    attempts: int = 1
    created: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    queue_seconds: float | None = None
    estimated: Seconds | None = None
    reserved: int | None = None
    qpu_seconds: float | None = None
    usage_complete: bool = False
    price: float | None = None
    currency: str = ""


class Attempt(Contract):
    """A rung that was tried and did not answer."""

    backend: str
    error: ErrorDocument


class JobReport(Contract):
    """The end of a job.

    Attributes:
        schema_version: Of this document.
        id: Job id.
        project: Public slug.
        kind: sample, estimate or solve.
        state: completed, degraded, failed or cancelled.
        asked: Backend preference in one line.
        served_by: Who answered.
        answer_kind: What sort of place that is.
        degraded: Whether a lower rung than asked answered, or the answer was down-ranked.
        because: Why it came from there, in one sentence.
        results: One per pub. Empty where they are kept in the store for their size; the client fetches them.
        results_in_store: Bytes of the results where they are kept in the store.
        answer: In the problem's terms, where the job carried a problem.
        confidence: How far it can be trusted, per pub; empty where the place that answered does not say.
        mitigation: How the counts were mitigated, or why not; None, and not said in documents, where nobody asked for it.
        extrapolation: How values were extrapolated to zero noise, or why not; None, and not said, where nobody asked for it.
        twins: What rode along to measure how far it can be trusted, and at what cost; its records of confidence are with the others.
        verdict: What was made of the answer, and by which rule; None where an older worker answered, or nobody did.
        explanation: How it came about, in plain sentences.
        error_budget: How far it is off, by source, and what would halve that.
        against: The answer, and the best classical one that is known of, by cost, time and quality.
        derived: What the caller's own post-processing returned.
        route: The recorded plan.
        tried: Rungs that did not answer.
        changes: What was changed about it on each rung after something had failed there, in order; not all has to have
            helped.
        events: Every state change with its time.
        stages: Every stage with its times.
        durations: Queue, compile, run and post-processing time.
        provenance: What is needed to run it again.
        provider_jobs: Every job that was meant for, or sent to, a place that costs money, on every rung.
        approvals: What somebody was asked about it, and what was decided.
        incidents: Jobs at a provider that nobody wanted: found, cancelled, and what they cost.
        qpu_seconds: Sum over provider jobs and incidents, as far as it is known.
        price: Sum of the prices, None where one is not known.
        currency: Of the price.
        warnings: What the caller should know.
        labels: The caller's own marks.
        shadow_of: The job whose answer this one is compared with, by a rollout rule; empty for most.
        shared: Its part of a provider job that several jobs shared; `provider_jobs` is then without that job, and the bill
            counts this part of it.
        members: Jobs that this one ran a provider job for: whoever adds up bills counts theirs and leaves this one out.
        error: Why there is no answer.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    project: str
    kind: str
    state: State
    asked: str
    served_by: str = ""
    answer_kind: AnswerKind | None = None
    degraded: bool = False
    because: str = ""
    results: tuple[PubResult, ...] = ()
    results_in_store: int = 0
    answer: ProblemAnswer | None = None
    confidence: tuple[Confidence, ...] = ()
    mitigation: MitigationRecord | None = Field(default=None, exclude_if=lambda value: value is None)
    extrapolation: ExtrapolationRecord | None = Field(default=None, exclude_if=lambda value: value is None)
    twins: tuple[TwinRecord, ...] = Field(default=(), exclude_if=operator.not_)
    verdict: Verdict | None = None
    explanation: Explanation | None = None
    error_budget: ErrorBudget = ErrorBudget()
    against: tuple[Contender, ...] = ()
    derived: Any = None
    route: Route = Route(rungs=())
    tried: tuple[Attempt, ...] = ()
    changes: tuple[Change, ...] = ()
    events: tuple[JobEvent, ...] = ()
    stages: tuple[StageRecord, ...] = ()
    durations: Durations = Durations()
    provenance: Provenance | None = None
    provider_jobs: tuple[ProviderRecord, ...] = ()
    approvals: tuple[Approval, ...] = ()
    incidents: tuple[Incident, ...] = ()
    qpu_seconds: float = 0.0
    price: float | None = None
    currency: str = ""
    warnings: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    shadow_of: str = ""
    shared: Share | None = Field(default=None, exclude_if=lambda value: value is None)
    members: tuple[str, ...] = Field(default=(), exclude_if=operator.not_)
    error: ErrorDocument | None = None

    def counts(self, pub: int = 0, index: int = 0) -> dict[str, int]:
        """Counts of a sampled pub; the rightmost character of a bitstring is bit 0.

        Args:
            pub: Position of the pub.
            index: Flat index into its shape.
        """
        result = self.results[pub]
        if result.kind != "sample":
            raise TypeError(f"pub {pub} was estimated; it has values, not counts")
        return result.counts(index)

    def to_primitive_result(self) -> "PrimitiveResult[Any]":
        """The results as Qiskit's `PrimitiveResult` (needs the extra `qiskit`)."""
        return to_primitive_result(self.results)

    def document(self) -> dict[str, Any]:
        """The report for people and programs: JSON values, counts instead of packed shots."""
        document = self.model_dump(mode="json", exclude={"results"})
        document["results"] = [readable(result) for result in self.results]
        return document


class JobStatus(Contract):
    """Where a job stands.

    Attributes:
        id: Job id.
        state: What a caller sees.
        stage: The stage that runs now, empty at the end.
        backend: Where it runs, or will.
        since: When the stage began.
        waited: Seconds in this stage.
        then: The stage that comes next.
        attempt: Attempt of the pending stage, from 1.
        last_failure: Why its last attempt ended, such as a queue position.
        events: State changes so far.
        question: What it waits for somebody's word about, if it does.
    """

    id: str
    state: State
    stage: str = ""
    backend: str = ""
    since: datetime | None = None
    waited: float = 0.0
    then: str = ""
    attempt: int = 1
    last_failure: str = ""
    events: tuple[JobEvent, ...] = ()
    question: Question | None = None


class JobSummary(Contract):
    """A job in a list; `shadow_of` is the job that it is the shadow of, empty for most."""

    id: str
    project: str
    kind: str
    state: State
    asked: str
    served_by: str = ""
    accepted: datetime
    ended: datetime | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    shadow_of: str = ""
