"""What workflows and stage activities say to each other: little, since the store holds the rest."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from qurable.contracts.base import Contract
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.executions import JobRef
from qurable.contracts.jobs import JobHead
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
    """

    job_id: str
    step: str
    rung: int = 0
    backend: str = ""


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


class Submitted(Contract):
    """A rung's job was started, or adopted.

    Attributes:
        job: How to find it.
        small: Whether its result is small enough for the last stages to be one.
    """

    job: JobRef
    small: bool


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
        what: report, results (of finished pubs), events, jobs, or backends.
        job_id: For the first three.
        project: For jobs: of this project alone.
        states: For jobs: in one of these states alone.
        limit: For jobs: at most so many.
    """

    what: Literal["report", "results", "events", "jobs", "backends"]
    job_id: str = ""
    project: str | None = None
    states: tuple[State, ...] = ()
    limit: int = Field(default=50, ge=1, le=1000)
