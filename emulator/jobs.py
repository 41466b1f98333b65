"""A job: what was asked, what was drawn when it was accepted, and how far it has come. Times are the emulator's."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED = "Queued", "Running", "Completed", "Failed", "Cancelled"
FINAL = frozenset({COMPLETED, FAILED, CANCELLED})

RAN_TOO_LONG = 1305
"""Reason code of a job that was cut off at its maximum execution time; the client compares it as a number."""

MAX_EXECUTION_SECONDS = 10_800.0
"""The service's own limit of one job's QPU time."""


@dataclass
class Job:
    """One job.

    Attributes:
        id: As IBM makes them: `d` and 19 letters and digits.
        number: Its place in the order of acceptance, from 1.
        user: Who sent it, a digest of the API key.
        instance: CRN of the instance it is billed to.
        backend: Device.
        program: sampler, estimator or executor.
        params_bytes: Length of its parameters' JSON text.
        tags: As given, in order.
        private: Its results may be read once.
        session_id: Its session or batch.
        cost: Maximum execution time that was asked for, in QPU seconds.
        calibration_id: Calibration that was asked for.
        accepted: When it was accepted.
        tagged: When its tags were last written; the index follows later.
        earliest: When other people's jobs before it are done.
        calibrated: The calibration of this time is the one it runs with.
        seed: Of its simulation, drawn when it was accepted.
        noise: Whether it runs with the device's noise.
        estimate_seconds: QPU time by IBM's published formula.
        qpu_seconds: QPU time it will take: the estimate, varied a little and times the run factor.
        status: Queued, Running, Completed, Failed or Cancelled; the control API may set any text.
        reason: Why it ended so.
        reason_code: IBM's code for that.
        started: When its status became Running.
        prepare_seconds: From then until it is on the QPU.
        finished: When it ended.
        computed: When its result was there.
        failure: Why it cannot be computed.
        result_read: A private result was handed out.
    """

    id: str
    number: int
    user: str
    instance: str
    backend: str
    program: str
    params_bytes: int
    tags: list[str]
    private: bool
    session_id: str | None
    cost: float | None
    calibration_id: str | None
    accepted: float
    tagged: float
    earliest: float
    calibrated: float
    seed: int
    noise: bool
    estimate_seconds: float
    qpu_seconds: float
    status: str = QUEUED
    reason: str | None = None
    reason_code: int | None = None
    started: float | None = None
    prepare_seconds: float = 0.0
    finished: float | None = None
    computed: float | None = None
    failure: str | None = None
    result_read: bool = False

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.finished is not None

    @property
    def limit_seconds(self) -> float:
        """QPU time at which it is cut off."""
        return min(self.cost or MAX_EXECUTION_SECONDS, MAX_EXECUTION_SECONDS)

    @property
    def too_long(self) -> bool:
        """Whether it will be cut off."""
        return self.qpu_seconds > self.limit_seconds

    @property
    def on_qpu(self) -> float | None:
        """When it comes, or came, on the QPU; None while it waits."""
        return None if self.started is None else self.started + self.prepare_seconds

    @property
    def ends(self) -> float | None:
        """When it ends by itself; None while it waits, or while its result is not there."""
        if self.on_qpu is None:
            return None
        nominal = self.on_qpu + min(self.qpu_seconds, self.limit_seconds)
        if self.too_long:
            return nominal
        return None if self.computed is None else max(nominal, self.computed)

    def start(self, at: float, prepare_seconds: float) -> None:
        """Its turn has come."""
        self.status, self.started, self.prepare_seconds = RUNNING, at, prepare_seconds

    def end(self, at: float) -> None:
        """It ends by itself: with a result, cut off, or because it could not be computed."""
        self.finished = at
        if self.too_long:
            self.status, self.reason_code = CANCELLED, RAN_TOO_LONG
            self.reason = f"Job ran longer than its maximum execution time of {self.limit_seconds:g} s"
        elif self.failure is not None:
            self.status, self.reason, self.reason_code = FAILED, self.failure, 9999
        else:
            self.status = COMPLETED

    def cancel(self, at: float, reason: str | None = None) -> None:
        """Somebody cancels it."""
        self.status, self.finished, self.reason = CANCELLED, at, reason

    def fail(self, at: float, reason: str) -> None:
        """It will never run."""
        self.status, self.finished, self.reason = FAILED, at, reason

    def qpu_time(self, now: float) -> float:
        """Seconds it was on the QPU so far, which is what it costs outside a session."""
        if self.on_qpu is None:
            return 0.0
        until = now if self.finished is None else self.finished
        return max(0.0, min(until - self.on_qpu, self.qpu_seconds, self.limit_seconds))

    def document(self) -> dict[str, Any]:
        """As it is kept."""
        return asdict(self)

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """As it was kept."""
        return cls(**document)


@dataclass
class Session:
    """A dedicated session or a batch.

    Attributes:
        id: Text of its own.
        number: Order of creation, from 1.
        user: Who opened it.
        instance: CRN.
        backend: Device.
        mode: dedicated or batch.
        max_ttl: Seconds from its first job until it closes by itself.
        interactive_ttl: Seconds without a job after which it goes inactive.
        created: When it was opened.
        accepting: Whether it takes jobs.
        state: open, active, inactive or closed.
        activated: When its first job started.
        active_since: When it last became active.
        active_seconds: Of the spans of activity that have ended.
        closing: When it stopped taking jobs.
        closed: When it was closed.
        last_started: When its latest job started.
        last_finished: When its latest job ended.
        transitions: (state, time), in order.
    """

    id: str
    number: int
    user: str
    instance: str
    backend: str
    mode: str
    max_ttl: float
    interactive_ttl: float
    created: float
    accepting: bool = True
    state: str = "open"
    activated: float | None = None
    active_since: float | None = None
    active_seconds: float = 0.0
    closing: float | None = None
    closed: float | None = None
    last_started: float | None = None
    last_finished: float | None = None
    transitions: list[list[Any]] = field(default_factory=list)

    @property
    def dedicated(self) -> bool:
        """Whether it has the device to itself while it is active."""
        return self.mode == "dedicated"

    @property
    def expires(self) -> float | None:
        """When it closes by itself; None before its first job."""
        return None if self.activated is None else self.activated + self.max_ttl

    def become(self, state: str, at: float) -> None:
        """Change its state; a span of activity begins or ends."""
        if self.active_since is not None:
            self.active_seconds += at - self.active_since
            self.active_since = None
        if state == "active":
            self.active_since = at
            self.activated = at if self.activated is None else self.activated
        if state == "closed":
            self.closed, self.accepting = at, False
        self.state = state
        self.transitions.append([state, at])

    def stop_accepting(self, at: float) -> None:
        """Take no more jobs."""
        if self.accepting:
            self.accepting, self.closing = False, at

    def active_time(self, now: float) -> float:
        """Seconds it was active so far."""
        return self.active_seconds + (0.0 if self.active_since is None else now - self.active_since)

    def document(self) -> dict[str, Any]:
        """As it is kept."""
        return asdict(self)

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """As it was kept."""
        return cls(**document)
