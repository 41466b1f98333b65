"""Variational loops: what is asked, every evaluation, where a loop stands, and what came of it."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from qurable.contracts.base import SCHEMA_VERSION, Contract, digest
from qurable.contracts.budgets import JobBudget
from qurable.contracts.circuits import Circuit
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.jobs import MAX_SEED, Limits, job_id, mint_key
from qurable.contracts.loop_places import IN_CHUNKS, Finish, FinishWhen, LoopJob, Stretch, check_place
from qurable.contracts.objectives import KnownObjective, ObjectiveCall
from qurable.contracts.observables import Observable
from qurable.contracts.problems import MAX_PROBLEM_TEXT, Finite, Problem, ProblemAnswer, Sense
from qurable.contracts.translations import Reading, Terms
from qurable.names import DATA_CLASS_PATTERN, PROJECT_PATTERN, USER_PATTERN

MAX_EVALUATIONS = 1_000_000
MAX_OBSERVABLES = 64
MAX_CURVE = 200
"""Points of a loop's curve that its status holds."""

_LATER = ("ibm", "budget", "limits", "user", "data_class", "finish")
"""Fields that older clients do not say: a loop that leaves them out has the digest it always had."""


class ProblemFormat(StrEnum):
    """Files that a problem may come in."""

    EDGE_LIST = "edge_list"
    G_SET = "g_set"
    QUBO = "qubo"
    COO = "coo"
    DIMOD = "dimod"
    SPARSE_PAULI_OP = "sparse_pauli_op"
    FCIDUMP = "fcidump"
    TSPLIB = "tsplib"
    LP = "lp"
    MPS = "mps"
    CSV = "csv"
    PARQUET = "parquet"


class ProblemFile(Contract):
    """A problem as a file, which is read on a worker in a process of its own.

    Attributes:
        format: Of the file.
        text: The file; one of Parquet in base64.
        index_base: What its first node, variable or city is called: 0 or 1; None for what the format says.
        table: What the numbers of a CSV or Parquet table are; None for what its columns say, and a QUBO for a matrix.
        mapping: How the modes of a FCIDUMP become qubits.
    """

    format: ProblemFormat
    text: str = Field(max_length=MAX_PROBLEM_TEXT, repr=False)
    index_base: Literal[0, 1] | None = None
    table: Literal["maxcut", "qubo"] | None = None
    mapping: Literal["jordan_wigner", "parity"] = "jordan_wigner"


class AnsatzFamily(StrEnum):
    """Circuits with parameters that are built for a problem."""

    QAOA = "qaoa"
    HAMILTONIAN = "hamiltonian"
    REAL_AMPLITUDES = "real_amplitudes"


class Ansatz(Contract):
    """A named family of circuits.

    Attributes:
        family: `qaoa` for problems whose operator is diagonal, `hamiltonian` (layers of rotations about groups of the
            Hamiltonian's terms), or `real_amplitudes` (rotations about Y and chains of CX).
        depth: Layers (count).
    """

    family: AnsatzFamily
    depth: int = Field(default=1, ge=1, le=64)


class OptimiserName(StrEnum):
    """Optimisers, each by ask and tell."""

    CMA_ES = "cma_es"
    SPSA = "spsa"
    COBYLA = "cobyla"
    NELDER_MEAD = "nelder_mead"


class Optimiser(Contract):
    """Which optimiser, and how it begins.

    Attributes:
        name: Of the optimiser.
        step: How far it first looks around the initial point (radians).
        population: Points of an iteration of CMA-ES; None for 4 + floor(3 ln d) of d parameters.
    """

    name: OptimiserName = OptimiserName.CMA_ES
    step: Annotated[float, Field(gt=0, le=10)] = 0.3
    population: int | None = Field(default=None, ge=4, le=1000)


class StopRules(Contract):
    """When a loop ends by itself; whichever comes first.

    Attributes:
        tolerance: Its optimiser looks no further than this around its point (radians).
        plateau: So many iterations have not made the best value better by more than `improvement`; None for no such rule.
        improvement: See `plateau`, in the objective's unit.
        target: The best value is as good as this; None for no such rule.
        evaluations: So many evaluations are made, or one more iteration would be more (count).
        deadline: This much time has passed since it began; None for as long as it takes.
    """

    tolerance: Annotated[float, Field(gt=0)] = 1e-6
    plateau: int | None = Field(default=None, ge=2)
    improvement: Annotated[float, Field(ge=0)] = 0.0
    target: Finite | None = None
    evaluations: int = Field(default=5000, ge=1, le=MAX_EVALUATIONS)
    deadline: Annotated[timedelta, Field(gt=timedelta(0))] | None = None


class Optimisation(Contract):
    """A loop that looks for the parameters of a circuit at which an observable is least, or most.

    Attributes:
        problem: What is asked: a QUBO, an Ising or MaxCut instance, or a Hamiltonian.
        file: The same, as a file.
        observable: The same, for a circuit of the caller's own.
        observables: Those whose expectation values a registered objective is told, in this order.
        objective: A registered objective, in the place of the expectation value itself.
        sense: Whether `observable`, or what `objective` makes of `observables`, is minimised or maximised; a problem has its own.
        ansatz: A named family of circuits.
        circuit: The caller's own circuit with parameters, in the place of `ansatz`.
        optimiser: Which one, and how it begins.
        stop: When it ends.
        shots: Of each measured group of the objective; None for exact values.
        final_shots: Of the last evaluation, at the point that the optimiser holds best; None for those of the loop.
        initial: Where it begins, one number per parameter; None for a point near zero that the seed decides.
        seed: Of everything that is drawn.
        backend: Where circuits run: on `aer` beside the optimiser, at any other place as a job for each iteration.
        finish: Where it goes on once it has explored; None for nowhere.
        ibm: How IBM's hardware runs its jobs. A `session` or `batch` is held over all iterations.
        budget: What all its jobs at places that cost money may cost together; the loop ends before it costs more.
        limits: Of each job.
        user: On whose account its jobs are booked, as a job's.
        data_class: How confidential it is, as a job's.
        key: Idempotency key; the same key means the same loop.
        project: Public slug, as a job's.
        reference: How long the classical solver may take that the loop is compared with; None for no comparison.
    """

    kind: Literal["optimisation"] = "optimisation"
    schema_version: int = SCHEMA_VERSION
    problem: Problem | None = None
    file: ProblemFile | None = None
    observable: Observable | None = None
    observables: tuple[Observable, ...] = Field(default=(), max_length=MAX_OBSERVABLES)
    objective: ObjectiveCall | None = None
    sense: Sense = Sense.MINIMIZE
    ansatz: Ansatz | None = None
    circuit: Circuit | None = None
    optimiser: Optimiser = Optimiser()
    stop: StopRules = StopRules()
    shots: int | None = Field(default=None, ge=1, le=1_000_000)
    final_shots: int | None = Field(default=None, ge=1, le=1_000_000)
    initial: tuple[Finite, ...] | None = None
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    backend: str = Field(default=IN_CHUNKS, max_length=80)
    finish: Finish | None = None
    ibm: IbmOptions = IbmOptions()
    budget: JobBudget = JobBudget()
    limits: Limits = Limits()
    user: str = Field(default="", pattern=USER_PATTERN)
    data_class: str = Field(default="", pattern=DATA_CLASS_PATTERN)
    key: str = Field(default_factory=mint_key, min_length=1, max_length=200)
    project: str = Field(default="default", pattern=PROJECT_PATTERN)
    reference: Annotated[timedelta, Field(gt=timedelta(0))] | None = timedelta(seconds=10)

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        asked = (self.problem, self.file, self.observable, self.observables or None)
        if sum(given is not None for given in asked) != 1:
            raise ValueError("a loop has one of problem, file, observable and observables")
        if self.observables and self.objective is None:
            raise ValueError("several observables need an objective that makes one number of their values")
        if (self.ansatz is None) == (self.circuit is None):
            raise ValueError("a loop has either an ansatz or a circuit")
        if self.sense is not Sense.MINIMIZE and self.observable is None and not self.observables:
            raise ValueError("sense belongs to observables: a problem has its own")
        if self.final_shots is not None and self.shots is None and self.finish is None:
            raise ValueError("final_shots belong to a loop with shots: without, every value is exact")
        return self

    @model_validator(mode="after")
    def _can_run_there(self) -> Self:
        has_objective = self.objective is not None
        check_place(self.backend, self.shots, has_objective=has_objective)
        if self.finish is not None:
            check_place(self.finish.backend, self.finish.shots, has_objective=has_objective)
        if self.finish is not None and self.finish.when is FinishWhen.PLATEAU and self.stop.plateau is None:
            raise ValueError(
                "a loop that finishes after a plateau needs `stop.plateau`: after how many iterations it is one"
            )
        if self.ibm.mode == "session" and self.budget != JobBudget():
            raise ValueError(
                "a dedicated session costs for as long as it is active, which no budget bounds: use ibm.mode batch or job, or "
                "leave the budget out and set ibm.max_time"
            )
        return self

    @property
    def loop_id(self) -> str:
        """The loop's id: unique for ever per project and idempotency key, and free of user text."""
        return "loop-" + job_id(self.project, self.key)

    @property
    def body_hash(self) -> str:
        """What must be equal for a reused key to mean the same loop."""
        unsaid = {name for name in _LATER if getattr(self, name) == type(self).model_fields[name].default}
        return digest(self.model_dump_json(exclude={"key", "schema_version", *unsaid}))


class Evaluation(Contract):
    """One value of the objective.

    Attributes:
        iteration: Counted from 0; the points of one iteration are evaluated together.
        member: Position within it.
        x: Parameters, in the ansatz's order (radians).
        value: Of the objective, in the problem's own terms.
        error: Standard error of the value; 0 where it is exact.
        seed: Of the simulator: the iteration's base plus 2113 times the member.
        shots: Of each measured group; None where the value is exact.
        backend: Where.
        job_id: Of the job; empty where it was none.
    """

    iteration: int
    member: int = 0
    x: tuple[float, ...]
    value: float
    error: float = 0.0
    seed: int
    shots: int | None = None
    backend: str = IN_CHUNKS
    job_id: str = ""


class StopReason(StrEnum):
    """Why a loop ended; `finished` after all the iterations that it was to finish with."""

    CONVERGED = "converged"
    PLATEAU = "plateau"
    TARGET = "target"
    EVALUATIONS = "evaluations"
    DEADLINE = "deadline"
    STOPPED = "stopped"
    FINISHED = "finished"
    BUDGET = "budget"


class LoopState(StrEnum):
    """Where a loop stands."""

    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHING = "finishing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self in {LoopState.COMPLETED, LoopState.FAILED, LoopState.CANCELLED}


class CurvePoint(Contract):
    """One point of the curve of a loop.

    Attributes:
        iteration: Counted from 0.
        value: The best of that iteration.
        best: The best so far at the place of that iteration.
    """

    iteration: int
    value: float
    best: float


class Best(Contract):
    """The best point so far.

    Attributes:
        iteration: In which it was evaluated.
        value: Of the objective.
        error: Its standard error.
        x: Parameters (radians).
    """

    iteration: int
    value: float
    error: float = 0.0
    x: tuple[float, ...]


class Spent(Contract):
    """What a loop has used.

    Attributes:
        iterations: Count.
        evaluations: Count.
        shots: Over all evaluations and measured groups; 0 where values are exact.
        seconds: Of evaluating and of the optimiser, in the process that computes; of jobs, the time that they ran (s).
        jobs: That evaluated, or tried to (count).
        qpu_seconds: Of these jobs: reserved and not settled, and billed.
        prices: The same in money, by currency.
    """

    iterations: int = 0
    evaluations: int = 0
    shots: int = 0
    seconds: float = 0.0
    jobs: int = 0
    qpu_seconds: float = 0.0
    prices: dict[str, float] = Field(default_factory=dict)


class Reference(Contract):
    """What a classical solver made of the same problem.

    Attributes:
        solver: Its name, as of a backend.
        method: What it did, in a few words.
        value: Its objective.
        bound: Best known bound on the optimum, None where none is known.
        certain: Whether it came with a proof, or to the precision of the arithmetic.
        seconds: What it took (s).
        answer: Its answer, for tours and programs.
    """

    solver: str
    method: str
    value: float
    bound: float | None = None
    certain: bool = False
    seconds: float
    answer: ProblemAnswer | None = None


class OptimisationStatus(Contract):
    """Where a loop stands.

    Attributes:
        id: Of the loop.
        state: Where it stands.
        backend: Where circuits run now.
        finishing: Whether it has explored, and finishes there.
        job_id: The job that evaluates now; empty where none does.
        parameters: How many the ansatz has.
        qubits: Of the ansatz.
        sense: Which way is better.
        shots: As in force now; None for exact values.
        best: The best point so far at the place that evaluated last, None before the first iteration.
        spent: So far.
        curve: At most 200 points of the whole, in order.
        reference: What it is compared with, once that is known.
        message: What it waits for, why it is paused, or why it ended.
    """

    id: str
    state: LoopState
    backend: str = ""
    finishing: bool = False
    job_id: str = ""
    parameters: int = 0
    qubits: int = 0
    sense: Sense = Sense.MINIMIZE
    shots: int | None = None
    best: Best | None = None
    spent: Spent = Spent()
    curve: tuple[CurvePoint, ...] = ()
    reference: Reference | None = None
    message: str = ""


class OptimisationReport(Contract):
    """What came of a loop.

    Attributes:
        id: Of the loop.
        state: completed, failed or cancelled.
        stopped_by: Which rule ended it; None where it failed or was cancelled.
        value: Of the objective at the point it ended with, evaluated anew where values have shots: the best of many noisy
            values is too good by its luck.
        error: Standard error of `value`.
        x: Parameters of that point (radians).
        parameters: Their names, in the same order.
        sense: Which way is better.
        answer: The best measured assignment, for problems whose variables are bits; None for others.
        reference: What a classical solver made of the same problem.
        gap: How much worse `value` is than the reference, in the objective's unit; negative where it is better.
        ratio: `value` over the reference's, for problems that are maximised; None where that says nothing.
        best: The best of all evaluations at the place that evaluated last.
        spent: By all iterations and the last evaluation.
        curve: As in the status.
        places: Which iterations were where, in order.
        jobs: That evaluated, or tried to; none where all was in chunks.
        reading: How the problem's file was understood.
        provenance: Versions, digests and seeds that reproduce it, and the registered objective's own.
        warnings: What the caller should know.
        error_document: Why it failed.
        began: When it was prepared.
        ended: When its report was made.
    """

    id: str
    state: LoopState
    stopped_by: StopReason | None = None
    value: float | None = None
    error: float = 0.0
    x: tuple[float, ...] = ()
    parameters: tuple[str, ...] = ()
    sense: Sense = Sense.MINIMIZE
    answer: ProblemAnswer | None = None
    reference: Reference | None = None
    gap: float | None = None
    ratio: float | None = None
    best: Best | None = None
    spent: Spent = Spent()
    curve: tuple[CurvePoint, ...] = ()
    places: tuple[Stretch, ...] = ()
    jobs: tuple[LoopJob, ...] = ()
    reading: Reading | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error_document: ErrorDocument | None = None
    began: datetime
    ended: datetime


class Steering(Contract):
    """A change of a loop that runs; it takes effect at its next chunk, about a second later, or at its next iteration.

    Attributes:
        stop: End now, with the best so far; a job that is under way is withdrawn.
        pause: Pause, or go on; None to leave it.
        shots: Of all iterations from now on; None to leave them.
        backend: Where all iterations from now on are evaluated; None to leave it. A loop that is paused because a job
            failed goes on there.
    """

    stop: bool = False
    pause: bool | None = None
    shots: int | None = Field(default=None, ge=1, le=1_000_000)
    backend: str | None = Field(default=None, max_length=80)


class StartedLoop(Contract):
    """The part of a loop that its iterations follow; the other fields are those of `Optimisation`.

    Attributes:
        id: Of the loop.
        project: Public slug.
        ansatz: A named family of circuits, None for the caller's own circuit.
    """

    id: str
    project: str
    ansatz: Ansatz | None
    optimiser: Optimiser
    stop: StopRules
    shots: int | None
    final_shots: int | None
    seed: int
    backend: str
    finish: Finish | None = None
    ibm: IbmOptions = IbmOptions()
    budget: JobBudget = JobBudget()
    limits: Limits = Limits()
    user: str = ""
    data_class: str = ""

    @classmethod
    def of(cls, loop: Optimisation) -> Self:
        """That part of a loop."""
        return cls(
            id=loop.loop_id,
            project=loop.project,
            ansatz=loop.ansatz,
            optimiser=loop.optimiser,
            stop=loop.stop,
            shots=loop.shots,
            final_shots=loop.final_shots,
            seed=loop.seed,
            backend=loop.backend,
            finish=loop.finish,
            ibm=loop.ibm,
            budget=loop.budget,
            limits=loop.limits,
            user=loop.user,
            data_class=loop.data_class,
        )


class PreparedLoop(Contract):
    """What a loop evaluates.

    Attributes:
        loop: What its iterations follow.
        problem: What is asked, as it was read.
        qpy: The ansatz.
        identity: Hash of its canonical form, the same whoever prepares it.
        parameters: Their names, in the ansatz's order.
        observable: Whose expectation value is the objective, the problem's constant included.
        qubits: Of the ansatz.
        groups: Of the observable that are measured together (count).
        start: The first point (radians).
        reference: What the loop is compared with.
        warnings: What the caller should know.
        reading: How the problem's file was understood.
        terms: What the problem's bits mean, where it was asked in other terms.
        observables: Those whose expectation values the registered objective is told.
        objective: What is called with them.
        known_objective: What that was when the loop was prepared.
    """

    loop: StartedLoop
    problem: Problem
    qpy: bytes = Field(repr=False)
    identity: str
    parameters: tuple[str, ...]
    observable: Observable
    qubits: int
    groups: int
    start: tuple[float, ...]
    reference: Reference | None = None
    warnings: tuple[str, ...] = ()
    reading: Reading | None = None
    terms: Terms | None = None
    observables: tuple[Observable, ...] = ()
    objective: ObjectiveCall | None = None
    known_objective: KnownObjective | None = None

    @property
    def sense(self) -> Sense:
        """Which way is better."""
        return getattr(self.problem, "sense", Sense.MINIMIZE)


class BeginLoop(Contract):
    """Prepare a loop.

    Attributes:
        loop: As asked.
        owner: First run id of the execution.
    """

    loop: Optimisation
    owner: str


class LoopPlan(Contract):
    """What the workflow needs to know of a loop that was prepared.

    Attributes:
        parameters: How many the ansatz has.
        qubits: Of the ansatz.
        sense: Which way is better.
        reference: What it is compared with.
        heartbeat: A chunk whose worker is silent for this long is given to another.
        reading: How the problem's file was understood.
        report: Of an earlier execution that ended.
    """

    parameters: int
    qubits: int
    sense: Sense
    reference: Reference | None = None
    heartbeat: timedelta = timedelta(seconds=5)
    reading: Reading | None = None
    report: OptimisationReport | None = None


class ChunkCall(Contract):
    """Go on with a loop for about a second, or for one iteration where that takes longer.

    Attributes:
        loop_id: Of the loop.
        number: Of the chunk.
        shots: In force.
        finishing: Whether the loop has explored: iterations that finish it may follow.
    """

    loop_id: str
    number: int
    shots: int | None = None
    finishing: bool = False


class Chunk(Contract):
    """How far a loop has come.

    Attributes:
        spent: By the whole loop.
        best: Of the whole loop.
        curve: Points of the iterations that are new since the last chunk ended, thinned.
        stopped_by: The rule that ended it, None while none has.
        finishing: Whether it has explored; what follows is evaluated where it finishes.
    """

    spent: Spent
    best: Best | None = None
    curve: tuple[CurvePoint, ...] = ()
    stopped_by: StopReason | None = None
    finishing: bool = False


class EndLoop(Contract):
    """Make and keep a loop's report.

    Attributes:
        loop_id: Of the loop.
        state: How it ended.
        stopped_by: The rule that ended it.
        error: Why it failed.
        backend: Where it evaluated last.
        shots: In force.
        because: Why the point that it ended with was not evaluated anew, where its place would have been sent a job.
    """

    loop_id: str
    state: LoopState
    stopped_by: StopReason | None = None
    error: ErrorDocument | None = None
    backend: str = IN_CHUNKS
    shots: int | None = None
    because: str = ""


class LoopCarry(Contract):
    """What an execution hands to the next one, when it continues as new.

    Attributes:
        plan: Of the loop.
        began: When the first execution began.
        chunks: Made so far.
        shots: In force.
        paused: Whether it is.
        last: What the last chunk said.
        curve: So far.
        backend: In force.
        finishing: Whether it has explored.
        ordinal: How often the next iteration has failed.
        because: Why it is paused, where nobody asked for it.
        ended: The job whose values are not kept yet.
        held_on: Where it may hold a session; empty for nowhere.
    """

    plan: LoopPlan
    began: datetime
    chunks: int
    shots: int | None
    paused: bool
    last: Chunk
    curve: tuple[CurvePoint, ...]
    backend: str = ""
    finishing: bool = False
    ordinal: int = 0
    because: str = ""
    ended: str = ""
    held_on: str = ""
