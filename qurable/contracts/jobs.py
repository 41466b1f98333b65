"""What a caller asks for: a job, its preferences and its limits."""

import secrets
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, field_validator, model_validator

from qurable.contracts.base import SCHEMA_VERSION, Contract, digest
from qurable.contracts.budgets import JobBudget
from qurable.contracts.checks import Checks
from qurable.contracts.fallback import Fallback
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.mitigation import Mitigation
from qurable.contracts.problems import Problem
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.contracts.windows import Window
from qurable.names import DATA_CLASS_PATTERN, PROJECT_PATTERN, USER_PATTERN

MAX_PUBS = 10_000
MAX_SEED = 2**31 - 1
AUTO = "auto"

Positive = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=365))]
"""A span of time in seconds or ISO 8601; above zero, at most a year."""

BackendName = Annotated[str, Field(max_length=200)]
"""Longer ones are no names; they would not fit into Temporal's search attributes either."""


class Requirements(Contract):
    """What the backend must offer, where its name does not matter.

    Attributes:
        min_qubits: At least this many qubits.
        noisy: True asks for hardware or a noisy simulator, False for a noiseless one.
        simulator: True asks for a simulator, False for hardware.
        gpu: True asks for a GPU simulator.
    """

    min_qubits: int = Field(default=1, ge=1)
    noisy: bool | None = None
    simulator: bool | None = None
    gpu: bool | None = None

    def __str__(self) -> str:
        """The requirements in one line, for lists."""
        return "any with " + ", ".join(f"{name}={value}" for name, value in self if value is not None)


class TranspileOptions(Contract):
    """How the circuit becomes an ISA circuit.

    Attributes:
        level: Qiskit's optimisation level; without it 0 for noiseless simulators, 2 elsewhere.
        layout: Physical qubit for each virtual qubit, instead of the transpiler's choice.
        layout_method: As Qiskit's, such as `sabre` or `trivial`.
        routing_method: As Qiskit's.
        seed: Of the transpiler; without it, derived from the circuit alone.
        dynamical_decoupling: Fill idle windows with this sequence, where the backend knows durations.
    """

    level: Literal[0, 1, 2, 3] | None = None
    layout: tuple[int, ...] | None = None
    layout_method: Literal["default", "trivial", "dense", "sabre"] | None = None
    routing_method: Literal["default", "basic", "lookahead", "sabre", "none"] | None = None
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    dynamical_decoupling: Literal["XX", "XpXm", "XY4"] | None = None

    @model_validator(mode="after")
    def _distinct_qubits(self) -> Self:
        if self.layout is not None and len(set(self.layout)) != len(self.layout):
            raise ValueError(f"layout {self.layout} names a physical qubit twice")
        return self


class Method(StrEnum):
    """Aer's simulation methods."""

    AUTOMATIC = "automatic"
    STABILIZER = "stabilizer"
    MATRIX_PRODUCT_STATE = "matrix_product_state"
    STATEVECTOR = "statevector"
    DENSITY_MATRIX = "density_matrix"


class SimulatorOptions(Contract):
    """How a simulator runs; hardware ignores it.

    Attributes:
        method: `automatic` chooses by the circuit and says why.
        precision: Of amplitudes; single halves the memory.
        max_bond: Truncate a matrix product state to this bond dimension; None keeps it exact.
    """

    method: Method = Method.AUTOMATIC
    precision: Literal["single", "double"] = "double"
    max_bond: int | None = Field(default=None, ge=1, le=65536)


class Limits(Contract):
    """How long each part may take; each its own.

    Attributes:
        queue: From submission until the run starts.
        run: From the start of the run until its end.
        total: From acceptance to the answer; None sets no deadline.
    """

    queue: Positive = timedelta(hours=24)
    run: Positive = timedelta(hours=1)
    total: Positive | None = None


class Hook(Contract):
    """A registered activity of the caller's that runs as a checkpointed stage of the job.

    Attributes:
        activity: Its type name.
        task_queue: Where its worker polls.
        timeout: Start-to-close timeout.
    """

    activity: str = Field(min_length=1, max_length=200)
    task_queue: str = Field(min_length=1, max_length=200)
    timeout: Positive = timedelta(minutes=5)


class Hooks(Contract):
    """The caller's own stages.

    Attributes:
        before: Takes the request document and returns the one to run.
        after: Takes the report and returns any JSON value, which becomes `report.derived`.
    """

    before: Hook | None = None
    after: Hook | None = None


_LATER = ("ibm", "user", "budget", "fallback", "checks", "data_class", "mitigation", "seeds", "batch_window")
"""Fields that older clients do not say: a job that leaves them out has the digest it always had."""


def mint_key() -> str:
    """A fresh idempotency key."""
    return secrets.token_hex(16)


class _Job(Contract):
    schema_version: int = SCHEMA_VERSION
    backend: BackendName | Requirements = AUTO
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    seeds: tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...] = ()
    transpile: TranspileOptions = TranspileOptions()
    simulator: SimulatorOptions = SimulatorOptions()
    ibm: IbmOptions = IbmOptions()
    limits: Limits = Limits()
    key: str = Field(default_factory=mint_key, min_length=1, max_length=200)
    project: str = Field(default="default", pattern=PROJECT_PATTERN)
    user: str = Field(default="", pattern=USER_PATTERN)
    data_class: str = Field(default="", pattern=DATA_CLASS_PATTERN)
    budget: JobBudget = JobBudget()
    fallback: Fallback = Fallback()
    checks: Checks = Checks()
    mitigation: Mitigation = Mitigation()
    labels: dict[str, str] = Field(default_factory=dict)
    priority: int = Field(default=3, ge=1, le=5)
    hooks: Hooks = Hooks()
    batch_window: Window | None = None

    @field_validator("labels")
    @classmethod
    def _few_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        if len(labels) > 32 or any(len(name) > 64 or len(text) > 256 for name, text in labels.items()):
            raise ValueError("at most 32 labels, names of 64 and values of 256 characters")
        return labels

    @model_validator(mode="after")
    def _seeds_fit(self) -> Self:
        if not self.seeds:
            return self
        if self.seed is not None:
            raise ValueError("give `seed` or `seeds`, not both")
        due = sum(pub.bindings.size for pub in getattr(self, "pubs", ()))
        if len(self.seeds) != due:
            raise ValueError(
                f"`seeds` has {len(self.seeds)} seeds for {due} bindings: give one for each, or `seed` alone"
            )
        return self

    @model_validator(mode="after")
    def _counts_to_mitigate(self) -> Self:
        kind = getattr(self, "kind", "sample")
        if self.mitigation.readout != "none" and kind != "sample":
            way_out = (
                "ask IBM's hardware for ibm.resilience_level 1 or ibm.resilience.measure_mitigation"
                if kind == "estimate"
                else "its answer is one of the assignments that were read; sample the circuit to have its counts mitigated"
            )
            raise ValueError(f"mitigation.readout corrects counts, and this is a job to {kind}: {way_out}")
        return self

    @model_validator(mode="after")
    def _values_to_extrapolate(self) -> Self:
        if self.mitigation.zne is None:
            return self
        kind = getattr(self, "kind", "sample")
        if kind != "estimate":
            raise ValueError(
                f"mitigation.zne extrapolates expectation values, and this is a job to {kind}: estimate observables instead"
            )
        exact = [number for number, pub in enumerate(getattr(self, "pubs", ())) if pub.precision == 0]
        if exact:
            raise ValueError(
                f"mitigation.zne extrapolates what noisy places measure, and pubs {exact[:10]} ask for exact values: give shots or a "
                "precision"
            )
        if self.ibm.extrapolates:
            raise ValueError(
                "mitigation.zne and IBM's own zero-noise extrapolation or error cancellation would both take the same noise away: leave "
                "one out (ibm.resilience_level at most 1, and neither resilience.zne_mitigation nor resilience.pec_mitigation)"
            )
        return self

    @property
    def job_id(self) -> str:
        """The job's id: unique for ever per project and idempotency key, and free of user text."""
        return job_id(self.project, self.key)

    @property
    def body_hash(self) -> str:
        """What must be equal for a reused key to mean the same job: everything but key and labels."""
        unsaid = {name for name in _LATER if getattr(self, name) == type(self).model_fields[name].default}
        return digest(self.model_dump_json(exclude={"key", "labels", "schema_version", *unsaid}))

    @property
    def asked(self) -> str:
        """The backend preference in one line."""
        return str(self.backend)


class SampleJob(_Job):
    """Run circuits and keep what their classical registers read.

    Attributes:
        pubs: Each a circuit with bindings and shots.
        problem: What the samples mean, so that the report can answer in the problem's terms.
        backend: `auto`, a backend's name, or requirements.
        seed: Base of the simulator's seeds: binding i of the job runs with seed + 2113 i. Minted and
            reported if absent.
        seeds: The seed of every binding, over all pubs, in the place of `seed`; as batches run them.
        ibm: How IBM's hardware runs it.
        key: Idempotency key; the same key means the same job.
        project: Public slug, lower case letters, digits and dashes.
        user: On whose account it is booked, a slug like the project's; empty for nobody's in particular.
        data_class: How confidential it is, a slug such as public or internal; rules of approval may look at it.
        budget: What all its submissions to places that cost money may cost together.
        fallback: What may answer where the place that was asked does not.
        checks: What the answer has to stand up to, beyond what is always looked at.
        mitigation: How the counts are mitigated after the run; results keep them as they were read, too.
        labels: The caller's own marks, kept out of Temporal and providers.
        priority: 1 is first, 5 last.
        batch_window: How long it waits, where a place costs money, for other jobs of its project to share a provider job
            with; without it the job goes alone, and a place that costs nothing never waits.
    """

    kind: Literal["sample"] = "sample"
    pubs: tuple[SamplePub, ...] = Field(min_length=1, max_length=MAX_PUBS)
    problem: Problem | None = None


class EstimateJob(_Job):
    """Estimate expectation values; the fields are those of `SampleJob`."""

    kind: Literal["estimate"] = "estimate"
    pubs: tuple[EstimatePub, ...] = Field(min_length=1, max_length=MAX_PUBS)


class SolveJob(_Job):
    """Answer a problem, with a circuit or without; the other fields are those of `SampleJob`.

    Attributes:
        problem: What is asked.
        pub: A circuit that prepares or samples an answer.
    """

    kind: Literal["solve"] = "solve"
    problem: Problem
    pub: SamplePub | None = None


JobRequest = Annotated[SampleJob | EstimateJob | SolveJob, Field(discriminator="kind")]

_ADAPTER: TypeAdapter[SampleJob | EstimateJob | SolveJob] = TypeAdapter(JobRequest)


def parse_request(document: Any) -> SampleJob | EstimateJob | SolveJob:
    """A request from a Python value, at an edge: unknown fields are refused."""
    return _ADAPTER.validate_python(document)


def parse_request_text(document: bytes | str) -> SampleJob | EstimateJob | SolveJob:
    """A request from JSON, at an edge: unknown fields are refused."""
    return _ADAPTER.validate_json(document)


def read_request(document: bytes | str) -> SampleJob | EstimateJob | SolveJob:
    """A request from the bytes another process wrote: unknown fields are ignored."""
    return _ADAPTER.validate_json(document, extra="ignore")


def job_id(project: str, key: str) -> str:
    """The id of the job that owns an idempotency key of a project; also its workflow id."""
    owner = "\0".join((project, key))
    return f"{project}-{digest(owner, length=24)}"


class JobHead(Contract):
    """The part of a request that the workflow itself reads; the rest passes through it unread.

    Attributes:
        schema_version: Of the whole request.
        id: Job id, which is the workflow id.
        project: Public slug.
        kind: sample, estimate or solve.
        asked: Backend preference in one line.
        body_hash: Digest of the request, compared when a key is reused.
        limits: As in the request.
        hooks: As in the request.
        priority: As in the request.
        mode: Of IBM's hardware, as in the request.
        batch_window: As in the request.
    """

    schema_version: int
    id: str
    project: str
    kind: str
    asked: str
    body_hash: str
    limits: Limits = Limits()
    hooks: Hooks = Hooks()
    priority: int = 3
    mode: Literal["job", "batch", "session"] = "job"
    batch_window: timedelta | None = None

    @classmethod
    def of(cls, request: SampleJob | EstimateJob | SolveJob) -> Self:
        """The head of a request."""
        return cls(
            schema_version=request.schema_version,
            id=request.job_id,
            project=request.project,
            kind=request.kind,
            asked=request.asked,
            body_hash=request.body_hash,
            limits=request.limits,
            hooks=request.hooks,
            priority=request.priority,
            mode=request.ibm.mode,
            batch_window=request.batch_window,
        )
