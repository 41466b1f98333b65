"""One submission to one backend: what is sent, how it is found again, and where it stands."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from qurable.contracts.base import Contract, digest
from qurable.contracts.bindings import Bindings
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import Method, SimulatorOptions
from qurable.contracts.observables import Observables


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


class IsaPub(Contract):
    """One pub, ready to run.

    Attributes:
        isa: Artifact hash of the ISA circuit's QPY. Its classical bits are the canonical circuit's.
        layout: Physical qubit of each virtual qubit, None where they are the same.
        bindings: Values of p0, p1, ... in that order.
        observables: In virtual qubits; None for sampling.
        shots: Per binding, or per measured group of observables; 0 asks for exact values.
        seed: Binding j of this pub runs with seed + 2113 j.
        num_clbits: Classical bits of the circuit.
        size: Operations of the ISA circuit.
        qubits: Qubits it keeps busy.
        dynamic: Every shot is run anew.
        method: Simulation method; automatic for hardware.
        memory_bytes: What one run takes, for simulators.
    """

    isa: str
    layout: tuple[int, ...] | None = None
    bindings: Bindings = Bindings()
    observables: Observables | None = None
    shots: int
    seed: int
    num_clbits: int
    size: int = 0
    qubits: int = 0
    dynamic: bool = False
    method: Method = Method.AUTOMATIC
    memory_bytes: int = 0


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
    """

    key: SubmissionKey
    kind: Literal["sample", "estimate"]
    target: str | None = None
    pubs: tuple[IsaPub, ...]
    options: SimulatorOptions = SimulatorOptions()
    noise: str | None = None
    simulator_version: str = ""


class JobRef(Contract):
    """How a submitted job is found again.

    Attributes:
        backend: Name of the backend that has it.
        key: Identity of the submission.
        handle: The provider's job id; for a simulator, the artifact hash of the `Submission`.
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
            bit 0 in the lowest bit of the last byte; or `index`, `evs`, `stds` of flat positions in the result.
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
        error: Why it failed.
    """

    phase: Phase
    queue_position: int | None = None
    error: ErrorDocument | None = None


class Cancelled(Contract):
    """What a cancellation found.

    Attributes:
        found: Whether the backend knew the job.
        final: The job's phase after it.
        billed_seconds: What it will cost all the same.
    """

    found: bool
    final: Phase
    billed_seconds: float = Field(default=0.0, ge=0)
