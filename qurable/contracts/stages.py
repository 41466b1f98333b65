"""What workflows and stage activities say to each other: little, since the store holds the rest."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from qurable.contracts.approvals import Decision, Question
from qurable.contracts.base import Contract
from qurable.contracts.changes import Change
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.executions import Cancelled, Incident, JobRef, Phase
from qurable.contracts.jobs import JobHead, JobRequest
from qurable.contracts.reports import Attempt, JobReport, State
from qurable.contracts.routes import Route


class Pace(Contract):
    """Timeouts and powers of the workers that accepted a job, recorded so that replay sees the same.

    Attributes:
        heartbeat: A stage whose worker is silent for this long is given to another.
        stage: Start-to-close timeout of a stage that computes nothing long.
        compile: Start-to-close timeout of parsing and transpiling.
        search_attributes: Whether the server knows this project's search attributes.
    """

    heartbeat: timedelta = timedelta(seconds=5)
    stage: timedelta = timedelta(minutes=2)
    compile: timedelta = timedelta(minutes=10)
    search_attributes: bool = False


class AcceptCall(Contract):
    """Accept a job for an execution.

    Attributes:
        head: Of the job.
        owner: First run id of the execution, which resets keep and a new execution does not.
    """

    head: JobHead
    owner: str


class Accepted(Contract):
    """The job is ours to run, unless it has ended before.

    Attributes:
        pace: For the rest of the job.
        request: Artifact hash of the request.
        report: Of an earlier execution that ended.
    """

    pace: Pace
    request: str = ""
    report: JobReport | None = None


class StageCall(Contract):
    """Which stage of which job; the store holds the rest.

    Attributes:
        job_id: Of the job.
        step: Names the call within the job; a step that has finished never runs again.
        rung: Position on the route.
        backend: Of the rung, for stages that belong to one.
        ordinal: Which submission to the rung this is: 0, and one more for each deliberate resubmission.
        session: The provider's id of the session or batch that it belongs to, empty for none.
        changes: How many of the rung's recorded changes it is made with.
    """

    job_id: str
    step: str
    rung: int = 0
    backend: str = ""
    ordinal: int = 0
    session: str = ""
    changes: int = 0


class ChangeCall(Contract):
    """Change something about a rung's job after a stage has failed, if something may be changed.

    Attributes:
        call: The stage of the change itself, with the ordinal, session and changes of the try that failed.
        stage: That failed.
        error: How.
    """

    call: StageCall
    stage: str
    error: ErrorDocument


class Changed(Contract):
    """What comes of it.

    Attributes:
        change: As it is written down; None where nothing may be changed any more.
    """

    change: Change | None = None


class PrepareCall(Contract):
    """Validate a job's request, and go on where it is small.

    Attributes:
        call: The stage.
        request: Artifact hash of the request.
    """

    call: StageCall
    request: str


class Validated(Contract):
    """What the workflow needs to know of a job that was found valid.

    Attributes:
        qubits: Widest circuit.
        circuit: Short hash of the first circuit.
        route: The plan, where it was made in the same activity.
        compiled: Whether the first rung was compiled in the same activity.
    """

    qubits: int
    circuit: str
    route: Route | None = None
    compiled: bool = False


class Compiled(Contract):
    """The circuits of a rung are compiled.

    Attributes:
        depth: Of the deepest ISA circuit.
        two_qubit_gates: Of the largest.
        hits: Circuits that the cache had.
        circuits: Distinct circuits.
    """

    depth: int
    two_qubit_gates: int
    hits: int
    circuits: int


class Waited(Contract):
    """A wait is over; when the stage row says."""


class Session(Contract):
    """A session or batch at the provider.

    Attributes:
        id: The provider's id of it.
    """

    id: str


class Withdrawn(Contract):
    """What a withdrawal found; all else that the job had sent to the backend has ended, too.

    Attributes:
        found: The submission that was waited for; none where there was none.
        left: How many the provider could not be asked about, since it refuses the account; the reconciler goes on with them.
    """

    found: tuple[Cancelled, ...] = ()
    left: int = 0

    @property
    def all_done(self) -> bool:
        """Whether that had ended well before the withdrawal came, and nothing else can be alive."""
        return not self.left and bool(self.found) and all(entry.final is Phase.DONE for entry in self.found)


class ApprovalCall(Contract):
    """Ask for somebody's word, or write down what was decided.

    Attributes:
        call: The stage.
        question: What is asked.
        decision: What was decided; None while nobody has.
    """

    call: StageCall
    question: Question
    decision: Decision | None = None


class Submitted(Contract):
    """A rung's job was started, or adopted.

    Attributes:
        job: How to find it.
        small: Whether its result is small enough for the last stages to be one.
        awaits: Key of a calibration that another job is measuring for it; empty for none.
    """

    job: JobRef
    small: bool
    awaits: str = ""


class CalibrationCall(Contract):
    """Wait for a calibration that another job measures.

    Attributes:
        call: The stage.
        key: Of the calibration.
        within: After so long the job goes on without it.
    """

    call: StageCall
    key: str
    within: timedelta


class WaitCall(Contract):
    """Wait for, or run, a submitted job.

    Attributes:
        call: The stage.
        job: How to find it.
        wait: How long it may wait before it runs.
        run: How long it may run.
    """

    call: StageCall
    job: JobRef
    wait: timedelta
    run: timedelta


class Billed(Contract):
    """The part of a report that the workflow itself reads.

    Attributes:
        qpu_seconds: What the provider charges, as far as it is known.
        state: How the job ended.
    """

    qpu_seconds: float = 0.0
    state: State = State.COMPLETED


class FinishCall(Contract):
    """Put a job's end together.

    Attributes:
        call: The stage.
        job: What answered; None where nothing did.
        tried: Rungs that did not answer.
        head: Of the job, where nothing answered: it may end before it was accepted.
        owner: As in `AcceptCall`.
        state: How it ended, where nothing answered.
        error: Why nothing answered.
    """

    call: StageCall
    job: JobRef | None = None
    head: JobHead | None = None
    owner: str = ""
    tried: tuple[Attempt, ...] = ()
    state: State | None = None
    error: ErrorDocument | None = None


class ReadRequest(Contract):
    """A question to the store, answered by a short workflow.

    Attributes:
        what: comparison (its report), cut (its report), matrix, matrix_report, matrix_file, loop (its report), evaluations (of a
            loop), batch, batch_items (those that have ended), batch_report, report, why, results (of finished pubs), events,
            jobs, backends, budgets, approvals, rollout, or route.
        job_id: Of the job, batch, comparison, cut, loop or matrix.
        project: For jobs: of this project alone.
        states: For jobs: in one of these states alone.
        limit: For jobs and items: at most so many.
        after: For items: those that ended after this one of the batch; for evaluations: of this iteration and later.
        request: For route: the job that is planned and not run.
    """

    what: Literal[
        "why",
        "report",
        "results",
        "events",
        "jobs",
        "backends",
        "budgets",
        "rollout",
        "route",
        "approvals",
        "batch",
        "batch_items",
        "batch_report",
        "loop",
        "evaluations",
        "comparison",
        "matrix",
        "matrix_report",
        "matrix_file",
        "cut",
    ]
    job_id: str = ""
    project: str | None = None
    states: tuple[State, ...] = ()
    limit: int = Field(default=50, ge=1, le=1000)
    after: int = 0
    request: JobRequest | None = None


class ReconcileCall(Contract):
    """Look after what paid places have of this house, once.

    Attributes:
        heartbeat: The pass is given to another worker where one is silent for this long.
    """

    heartbeat: timedelta = Pace().heartbeat


class Reconciled(Contract):
    """What a pass of the reconciler found and did.

    Attributes:
        looked: Submissions whose story was not over.
        young: Of these, left alone because they have only begun.
        alive: Whose job runs; it looks after them itself.
        unknown: Left alone because Temporal did not say whether their job runs.
        unreached: Left for the next pass because the provider did not answer, or has not confirmed yet.
        cancelled: Jobs at the provider that were cancelled because no job of ours wants them.
        adopted: Jobs at the provider that were given back to their row.
        settled: Jobs whose bill became final.
        closed: Submissions and sessions whose story is over now.
        orphans: Jobs at the provider of which this store knew nothing, cancelled.
        incidents: Every job that nobody wanted, as far as this pass learnt something of it; 100 at most.
    """

    looked: int = 0
    young: int = 0
    alive: int = 0
    unknown: int = 0
    unreached: int = 0
    cancelled: int = 0
    adopted: int = 0
    settled: int = 0
    closed: int = 0
    orphans: int = 0
    incidents: tuple[Incident, ...] = ()
