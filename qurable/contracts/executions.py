"""One submission to one backend: what is sent, how it is found again, and where it stands."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field

from qurable.contracts.base import Contract, digest
from qurable.contracts.bindings import Bindings
from qurable.contracts.budgets import Payer
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.jobs import Method, SimulatorOptions
from qurable.contracts.observables import Observables
from qurable.contracts.problems import Problem


class SubmissionKey(Contract):
    """Identity of a submission, made of the logical job so that no retry, reset or restore changes it.

    Attributes:
        job_id: Of the job.
        backend: Where it is sent.
        digest: Of the logical pubs and shots, not of the ISA circuits, which a recalibration changes.
        ordinal: 0, and one more for each deliberate resubmission.
    """

    job_id: str
    backend: str
    digest: str
    ordinal: int = 0

    @property
    def tag(self) -> str:
        """The key as one short word: a provider's job tag, a row's primary key."""
        return "qurable-" + digest(
            "\0".join((self.job_id, self.backend, self.digest, str(self.ordinal))), length=40
        )


class EarlierAnswer(Contract):
    """What an earlier job of the same project was answered to the same question.

    Attributes:
        key: Of the submission that answered, with its job and its backend.
        provider_job: The provider's id of it, empty where none paid.
        answered: When that job had its answer (UTC).
        until: From when on it is too old for this job.
        age_seconds: Since `answered`, when the route was planned (s).
        calibrated: When the properties of its target were last updated.
        target: SHA-256 of the target document that it was compiled for.
        target_version: Of its backend.
        emulated: Whether it came from a rehearsal on this house's machines of a place that costs money.
        size: Bytes of its raw results.
    """

    key: SubmissionKey
    provider_job: str = ""
    answered: datetime
    until: datetime
    age_seconds: float
    calibrated: datetime | None = None
    target: str | None = None
    target_version: str = ""
    emulated: bool = False
    size: int = 0

    def __str__(self) -> str:
        """Where it came from, and when."""
        provider = f" (its job {self.provider_job})" if self.provider_job else ""
        calibration = "" if self.calibrated is None else f", calibrated {_minute(self.calibrated)}"
        return (
            f"as {self.key.backend!r}{provider} answered job {self.key.job_id!r} of this project at {_minute(self.answered)}"
            f"{calibration}, {timedelta(seconds=int(self.age_seconds))} before this route was planned"
        )


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


class IsaPub(Contract):
    """One pub, ready to run.

    Attributes:
        isa: Artifact hash of the ISA circuit's QPY. Its classical bits are the canonical circuit's.
        layout: Physical qubit of each virtual qubit, None where they are the same.
        bindings: Values of p0, p1, ... in that order.
        observables: In virtual qubits; None for sampling.
        shots: Per binding, or per measured group of observables; 0 asks for exact values.
        seed: Binding j of this pub runs with seed + 2113 j, unless each has one of its own.
        seeds: The seed of every binding, in the place of the rule; empty for the rule.
        num_clbits: Classical bits of the circuit.
        size: Operations of the ISA circuit.
        qubits: Qubits it keeps busy.
        dynamic: Every shot is run anew.
        method: Simulation method; automatic for hardware.
        memory_bytes: What one run takes, for simulators.
        max_bond: Largest bond dimension of a matrix product state, where the route sets one; else the caller's.
    """

    isa: str
    layout: tuple[int, ...] | None = None
    bindings: Bindings = Bindings()
    observables: Observables | None = None
    shots: int
    seed: int
    seeds: tuple[int, ...] = ()
    num_clbits: int
    size: int = 0
    qubits: int = 0
    dynamic: bool = False
    method: Method = Method.AUTOMATIC
    memory_bytes: int = 0
    max_bond: int | None = None


class ProblemTask(Contract):
    """A problem that a solver answers without a circuit.

    Attributes:
        problem: What is asked.
        seed: Of the solver: same seed, same answer, unless the clock stops it.
        within: The solver stops by itself before this, and answers with the best it has.
    """

    problem: Problem
    seed: int
    within: timedelta


class Submission(Contract):
    """All that a backend needs to run a job, and all that decides its answer.

    Attributes:
        key: Identity.
        kind: sample or estimate.
        target: SHA-256 of the target document it was compiled for.
        pubs: ISA circuits by reference, with values.
        options: The caller's simulator options.
        noise: SHA-256 of the target document whose noise is simulated, None for none.
        simulator_version: Of Aer, for simulators: same seed, same version, same counts.
        ibm: The caller's options for IBM's hardware.
        problem: What is answered without a circuit; there are no pubs then, and the kind means nothing.
        session: The provider's id of the session or batch it runs in, empty for none.
        payer: On whose account it is booked, for places that cost money.
        earlier: What is answered again; there are no pubs then.
        divided: Into how many times as many of the provider's jobs it is divided as it has to be.
    """

    key: SubmissionKey
    kind: Literal["sample", "estimate"]
    target: str | None = None
    pubs: tuple[IsaPub, ...]
    options: SimulatorOptions = SimulatorOptions()
    noise: str | None = None
    simulator_version: str = ""
    ibm: IbmOptions = IbmOptions()
    session: str = ""
    problem: ProblemTask | None = None
    payer: Payer = Payer()
    earlier: EarlierAnswer | None = None
    divided: int = Field(default=1, ge=1)


class JobRef(Contract):
    """How a submitted job is found again.

    Attributes:
        backend: Name of the backend that has it.
        key: Identity of the submission.
        handle: The provider's job id, several with commas between where the submission was too large for one; for a
            simulator, the artifact hash of the `Submission`.
    """

    backend: str
    key: SubmissionKey
    handle: str


class Piece(Contract):
    """The raw result of bindings start to stop of one pub.

    Attributes:
        pub: Position of the pub.
        start: First binding, flat.
        stop: One after the last.
        data: NumPy's npz without pickles: `bits`, uint8 of shape (stop - start, shots, bytes) with classical
            bit 0 in the lowest bit of the last byte; or `index`, `evs`, `stds` of flat positions in the result; or
            `solution`, uint8: a solver's answer to the job's problem as JSON.
        notes: What the run had to say.
        seconds: Wall time of the run.
    """

    pub: int
    start: int
    stop: int
    data: bytes = Field(repr=False)
    notes: dict[str, Any] = Field(default_factory=dict)
    seconds: float = 0.0


class Phase(StrEnum):
    """Where a submitted job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


class JobState(Contract):
    """Where a submitted job stands, with the reason where it went wrong.

    Attributes:
        phase: One of the phases.
        queue_position: Jobs ahead of it, where the provider tells.
        starts_at: When the provider expects to start it, where it tells.
        error: Why it failed.
    """

    phase: Phase
    queue_position: int | None = None
    starts_at: datetime | None = None
    error: ErrorDocument | None = None


class Cancelled(Contract):
    """What a cancellation found.

    Attributes:
        found: Whether the backend knew the job.
        final: The job's phase after it; done where it had ended before the cancellation came.
        billed_seconds: What it will cost all the same, as far as the provider says.
    """

    found: bool
    final: Phase
    billed_seconds: float = Field(default=0.0, ge=0)


class Slice(Contract):
    """Bindings start to stop of one pub."""

    pub: int
    start: int
    stop: int


class Seconds(Contract):
    """A range of QPU seconds."""

    low: float = Field(ge=0)
    high: float = Field(ge=0)


class PartIntent(Contract):
    """A part of a submission that is to become one job of the provider's.

    Attributes:
        slices: What it runs; the parts of a submission cover it once.
        estimate: QPU seconds it is expected to take.
        reserve: QPU seconds that are reserved for it, after which the provider ends it; None where nobody can say,
            which no budget lets pass.
        price_per_second: What the account pays for one, None where nobody said.
        currency: Of the price.
        open_ended: Whether more is billed than its own QPU time, as for a dedicated session, which costs for as long as
            it is active; no budget lets such a part pass.
    """

    slices: tuple[Slice, ...]
    estimate: Seconds | None = None
    reserve: int | None = Field(default=None, ge=1)
    price_per_second: float | None = Field(default=None, ge=0)
    currency: str = ""
    open_ended: bool = False


class ProviderFacts(Contract):
    """What the provider says of one of its jobs.

    Attributes:
        id: The provider's job id.
        phase: Where it stands.
        status: The provider's own word for it.
        created: When the provider took it (the provider's clock).
        started: When it began on the QPU; "running" alone does not mean that.
        finished: When it ended.
        qpu_seconds: What it is charged for, None while the provider does not say.
        usage_complete: Whether that figure is final.
        queue_position: Jobs ahead of it.
        starts_at: When the provider expects to start it.
        reason: Why it failed, in the provider's words.
        reason_code: The provider's number for that.
        tags: Its tags.
    """

    id: str
    phase: Phase
    status: str = ""
    created: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    qpu_seconds: float | None = None
    usage_complete: bool = False
    queue_position: int | None = None
    starts_at: datetime | None = None
    reason: str = ""
    reason_code: str = ""
    tags: tuple[str, ...] = ()


class ProviderJob(Contract):
    """The row of one part of a submission: meant, perhaps under way, or known to the provider.

    Attributes:
        tag: The part's own key, and its tag at the provider.
        part: Its position.
        backend: Name of the backend.
        account: Label of the account it was sent with.
        session: The provider's id of the session or batch.
        slices: What it runs.
        estimate: QPU seconds expected before it was sent.
        reserved: QPU seconds that were reserved for it, after which the provider ends it.
        id: The provider's id of the job that is kept, empty while none is.
        attempts: How often it was sent.
        posting_at: When the last attempt to send it began; None where none can be under way.
        facts: What the provider last said of it.
    """

    tag: str
    part: int
    backend: str
    account: str = ""
    session: str = ""
    slices: tuple[Slice, ...]
    estimate: Seconds | None = None
    reserved: int | None = None
    id: str = ""
    attempts: int = 0
    posting_at: datetime | None = None
    facts: ProviderFacts | None = None


class IncidentKind(StrEnum):
    """What can go wrong at a provider that has no idempotency keys."""

    DUPLICATE = "duplicate"
    ORPHAN = "orphan"


class Incident(Contract):
    """A job at the provider that nobody wanted: found, cancelled, and counted.

    Attributes:
        kind: `duplicate` of a kept job, or `orphan` without a living owner.
        tag: Its tag at the provider.
        backend: Where.
        id: The provider's id.
        found_at: When it was found.
        final: Its phase after it was cancelled.
        billed_seconds: QPU seconds it is charged for all the same, None while the provider does not say.
        usage_complete: Whether that figure is final.
    """

    kind: IncidentKind
    tag: str
    backend: str
    id: str
    found_at: datetime
    final: Phase
    billed_seconds: float | None = None
    usage_complete: bool = False

    @classmethod
    def of(cls, kind: IncidentKind, tag: str, backend: str, facts: ProviderFacts) -> Self:
        """What the provider says now of a job that nobody wanted."""
        return cls(
            kind=kind,
            tag=tag,
            backend=backend,
            id=facts.id,
            found_at=datetime.now(UTC),
            final=facts.phase,
            billed_seconds=facts.qpu_seconds,
            usage_complete=facts.usage_complete,
        )
