"""What stages find out and later stages read from the store; it never crosses Temporal."""

from qurable.contracts.base import Contract
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.executions import JobRef
from qurable.contracts.problems import ProblemAnswer
from qurable.contracts.reports import Provenance
from qurable.contracts.routes import MethodChoice


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


class CompiledDocument(Contract):
    """ISA circuits of a rung, in the order of `ValidatedDocument.circuits`."""

    circuits: tuple[CompiledCircuit, ...]


class SubmittedDocument(Contract):
    """What was submitted, and how its circuits are simulated.

    Attributes:
        job: How to find it.
        small: Whether its result is small.
        methods: For simulators, the choice for each distinct circuit.
        seeds: For simulators, base seed of each pub.
        noise: SHA-256 of the target document whose noise is simulated.
        precision: Of amplitudes, for simulators.
    """

    job: JobRef
    small: bool
    methods: tuple[MethodChoice, ...] = ()
    seeds: tuple[int, ...] = ()
    noise: str | None = None
    precision: str = ""


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
    """

    answer: ProblemAnswer | None
    provenance: Provenance
    warnings: tuple[str, ...] = ()
    size: int = 0
