"""What stages find out and later stages read from the store; it never crosses Temporal."""

from pydantic import Field

from qurable.contracts.base import Contract
from qurable.contracts.checks import Verdict
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.confidence import Confidence, Survival
from qurable.contracts.executions import JobRef
from qurable.contracts.explanations import Contender, ErrorBudget, Explanation
from qurable.contracts.extrapolation import ExtrapolationRecord
from qurable.contracts.mitigation import MitigationRecord
from qurable.contracts.problems import ProblemAnswer
from qurable.contracts.reports import Provenance
from qurable.contracts.routes import MethodChoice
from qurable.contracts.twins import TwinRecord


class ValidatedDocument(Contract):
    """What validation found.

    Attributes:
        request: Artifact hash of the request that runs, after the caller's own stage.
        circuits: Distinct circuits.
        circuit_of: For each pub, which of them.
        seed: Base seed of simulations.
        seed_minted: Whether it was minted.
        bit_of_variable: For a diagonal problem, the classical bit of each variable.
        warnings: For the report.
    """

    request: str
    circuits: tuple[ParsedCircuit, ...]
    circuit_of: tuple[int, ...]
    seed: int
    seed_minted: bool
    bit_of_variable: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()


class CompiledCircuit(Contract):
    """One ISA circuit.

    Attributes:
        isa: Artifact hash of its QPY.
        layout: Physical qubit of each virtual one, None where they are the same.
        depth: Of the ISA circuit.
        two_qubit_gates: Of the ISA circuit.
        size: Operations.
        active: How many qubits are busy.
        busy: Which; empty where an older worker did not say.
        unusable: Couplings it uses that the device reports as dead.
        level: Optimisation level.
        seed: Of the transpiler.
        cache: hit, miss or off.
        saved_seconds: First transpilation less the look-up.
        target: SHA-256 of the target document.
        survival: On the device it was compiled for; None for a place without errors, and where an older worker
            compiled it.
    """

    isa: str
    layout: tuple[int, ...] | None
    depth: int
    two_qubit_gates: int
    size: int
    active: int
    busy: tuple[int, ...] = ()
    unusable: tuple[tuple[int, int], ...] = ()
    level: int
    seed: int
    cache: str = "miss"
    saved_seconds: float = 0.0
    target: str
    survival: Survival | None = None


class Preflight(Contract):
    """What a simulation without noise says of a circuit before somebody pays for it.

    Attributes:
        circuit: The author's name for it.
        how: What was simulated, in a few words.
        findings: What speaks against paying for it, a sentence each.
    """

    circuit: str = ""
    how: str
    findings: tuple[str, ...] = ()


class Twin(Contract):
    """A twin of an ISA circuit, or why there is none.

    Attributes:
        circuit: Position of the distinct circuit.
        pub: Position of the pub whose first binding it has the shape of.
        copies: How often it runs, each time with that pub's shots.
        because: Why there is none; all that follows is empty then.
        isa: Artifact hash of its QPY.
        bits: How many it reads.
        checks: Sets of classical bits whose parity is certain, as hexadecimal numbers, bit 0 the lowest.
        odd: The parity of each.
        noticed: Share of single errors behind two-qubit gates that break one of them.
    """

    circuit: int
    pub: int
    copies: int
    because: str = ""
    isa: str = ""
    bits: int = 0
    checks: tuple[str, ...] = ()
    odd: tuple[int, ...] = ()
    noticed: float = 0.0


class FoldedCircuit(Contract):
    """An ISA circuit that does the same with more noise.

    Attributes:
        circuit: Position of the distinct circuit.
        asked: Noise factor that was asked for.
        factor: As it came out.
        isa: Artifact hash of its QPY.
        depth: Of it.
        two_qubit_gates: Of it.
        size: Operations.
    """

    circuit: int
    asked: float
    factor: float
    isa: str
    depth: int
    two_qubit_gates: int
    size: int


class Calibrating(Contract):
    """Where a job's readout calibration comes from.

    Attributes:
        key: Of its row; empty where there can be none.
        because: Why there can be none.
        qubits: Physical qubits that it is measured of, where this job measures it: number i is read into classical bit i.
        circuits: Artifact hashes of the circuits that ride; empty where another job has measured it, or is at it.
        copies: How often each runs.
        shots: Each time.
        awaited: Whether another job was at it when this one was compiled.
    """

    key: str = ""
    because: str = ""
    qubits: tuple[int, ...] = ()
    circuits: tuple[str, ...] = ()
    copies: int = 0
    shots: int = 0
    awaited: bool = False


class CompiledDocument(Contract):
    """ISA circuits of a rung, in the order of `ValidatedDocument.circuits`.

    Attributes:
        circuits: Compiled.
        preflight: What was found before they are paid for; empty where nobody pays, or the project paid for them before.
        twins: That ride with the job; empty where it asks for none, or the place has no noise.
        folded: That ride with it for zero-noise extrapolation, by circuit and ascending factor; empty as with twins.
        unfolded: By circuit, why there are none of it.
        calibrating: Where its readout calibration comes from; None where it asks for none that is measured, or the place has
            no noise.
    """

    circuits: tuple[CompiledCircuit, ...]
    preflight: tuple[Preflight, ...] = ()
    twins: tuple[Twin, ...] = ()
    folded: tuple[FoldedCircuit, ...] = ()
    unfolded: dict[int, str] = Field(default_factory=dict)
    calibrating: Calibrating | None = None


class SubmittedDocument(Contract):
    """What was submitted, and how its circuits are simulated.

    Attributes:
        job: How to find it.
        small: Whether its result is small.
        methods: For simulators, the choice for each distinct circuit.
        seeds: For simulators, base seed of each pub.
        noise: SHA-256 of the target document whose noise is simulated.
        precision: Of amplitudes, for simulators.
        changes: How many of the rung's changes it was made with.
        awaits: Key of the calibration that another job was measuring for it; empty for none.
        compiled: As it ran, where that is not what the job itself compiled: the group that ran it did so later.
    """

    job: JobRef
    awaits: str = ""
    small: bool
    methods: tuple[MethodChoice, ...] = ()
    seeds: tuple[int, ...] = ()
    noise: str | None = None
    precision: str = ""
    changes: int = 0
    compiled: tuple[CompiledCircuit, ...] = ()


class FetchedDocument(Contract):
    """The raw result is in the store.

    Attributes:
        size: Its bytes.
        seconds: Seconds the runs themselves took.
    """

    size: int
    seconds: float


class ProcessedDocument(Contract):
    """What post-processing made of the result.

    Attributes:
        answer: In the problem's terms.
        provenance: For the report.
        warnings: For the report.
        size: Bytes of the results as documents.
        confidence: For the report.
        twins: For the report, but for what they cost.
        mitigation: For the report.
        mitigated: Artifact hash of what it made of the counts; empty where nothing was mitigated.
        extrapolation: For the report, but for what it cost.
        extrapolated: Artifact hash of the values at zero noise; empty where there are none.
        verdict: For the report, as all that follows.
        explanation: In plain sentences.
        error_budget: How far it is off.
        against: It, without what it took, and the best of the other kind.
    """

    answer: ProblemAnswer | None
    provenance: Provenance
    warnings: tuple[str, ...] = ()
    size: int = 0
    confidence: tuple[Confidence, ...] = ()
    twins: tuple[TwinRecord, ...] = ()
    mitigation: MitigationRecord | None = None
    mitigated: str = ""
    extrapolation: ExtrapolationRecord | None = None
    extrapolated: str = ""
    verdict: Verdict | None = None
    explanation: Explanation | None = None
    error_budget: ErrorBudget = ErrorBudget()
    against: tuple[Contender, ...] = ()
