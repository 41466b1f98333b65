"""What a backend offers: the snapshot a route is planned on, and the target a circuit is compiled for."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from qurable.contracts.base import Contract
from qurable.contracts.health import BackendHealth
from qurable.names import Queue


class AnswerKind(StrEnum):
    """What sort of place an answer comes from."""

    HARDWARE = "hardware"
    NOISY_SIMULATOR = "noisy_simulator"
    SIMULATOR = "simulator"
    CACHE = "cache"
    CLASSICAL = "classical"


class TargetOperation(Contract):
    """One native operation.

    Attributes:
        name: Qiskit's name of the gate or instruction.
        qargs: Qubit tuples it acts on; None means any.
        durations: Seconds, one per entry of `qargs`, None where unknown.
        errors: Average gate (or assignment) error, one per entry of `qargs`, None where unknown.
        prob_meas1_prep0: For measure: probability to read 1 after preparing 0, one per entry of `qargs`.
        prob_meas0_prep1: For measure: probability to read 0 after preparing 1, one per entry of `qargs`.
    """

    name: str
    qargs: tuple[tuple[int, ...], ...] | None = None
    durations: tuple[float | None, ...] = ()
    errors: tuple[float | None, ...] = ()
    prob_meas1_prep0: tuple[float | None, ...] = ()
    prob_meas0_prep1: tuple[float | None, ...] = ()


class QubitProperties(Contract):
    """T1 and T2 in seconds, frequency in hertz; None where unknown."""

    t1: float | None = None
    t2: float | None = None
    frequency: float | None = None


class TargetDocument(Contract):
    """A compilation target in full, content-addressed, from which Qiskit's `Target` is rebuilt.

    Attributes:
        num_qubits: None where any number goes.
        dt: Sample time in seconds.
        operations: Native operations.
        qubits: One entry per qubit, empty where nothing is known.
        control_flow: Names of the control-flow operations it can run.
    """

    num_qubits: int | None = None
    dt: float | None = None
    operations: tuple[TargetOperation, ...]
    qubits: tuple[QubitProperties, ...] = ()
    control_flow: tuple[str, ...] = ()
    granularity: int = 1
    min_length: int = 1
    pulse_alignment: int = 1
    acquire_alignment: int = 1


class TargetSnapshot(Contract):
    """What a backend says of itself at one moment.

    Attributes:
        name: The name it is asked by.
        answer_kind: What sort of answer it gives.
        num_qubits: Widest circuit, None where memory decides.
        paid: Whether a run costs money.
        simulator: Whether a run happens in `Simulator.run`, on this house's machines.
        dynamic_circuits: Whether it runs classical control flow and mid-circuit measurement.
        exact_values: Whether it can give expectation values without shots.
        max_shots: Most shots in one run.
        rep_delay: Seconds between two shots where a job names none; None where it does not say.
        solves_problems: Whether it answers the job's problem itself, and reads no circuit.
        emulated: Whether it is a rehearsal on this house's machines of a place that costs money.
        pending_jobs: Jobs in its queue when it was asked, None where it has none or does not say.
        fractional_target: SHA-256 of the `TargetDocument` with fractional gates, None where it has none.
        account: Label of the account that pays, empty where nobody does.
        price_per_second: What a second on it costs, None where nobody said.
        currency: Of the price.
        available: Whether it takes jobs now; the reason otherwise.
        version: Of the backend or its simulator.
        calibrated: When its properties were last updated.
        target: SHA-256 of the `TargetDocument`, None where there is none.
        submit_queue: Task queue that submits to it.
        run_queue: Task queue that waits for it, or runs it.
        description: One line for people.
        health: How it has done of late, where backends are listed; a route's own look at it is in its verdicts.
    """

    name: str
    answer_kind: AnswerKind
    num_qubits: int | None = None
    paid: bool = False
    simulator: bool = False
    dynamic_circuits: bool = False
    exact_values: bool = False
    max_shots: int = 1_000_000
    rep_delay: float | None = None
    solves_problems: bool = False
    emulated: bool = False
    pending_jobs: int | None = None
    fractional_target: str | None = None
    account: str = ""
    price_per_second: float | None = None
    currency: str = ""
    available: bool = True
    reason: str = ""
    version: str = ""
    calibrated: datetime | None = None
    target: str | None = None
    submit_queue: Queue = Queue.SUBMIT
    run_queue: Queue = Queue.HARDWARE
    description: str = Field(default="", max_length=500)
    health: BackendHealth | None = None

    @property
    def reads_circuits(self) -> bool:
        """Whether circuits are compiled for it."""
        return not self.solves_problems and self.answer_kind is not AnswerKind.CACHE
