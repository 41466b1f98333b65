"""How a pub is simulated to be compared with: the same ISA circuit on Aer, as large as takes seconds."""

from array import array

from activities.questions import canonical_bindings
from activities.reporting import Kept
from circuits.methods import choose_noisy
from circuits.simulation_time import Load, simulation_seconds
from isolation.limits import MIB
from qurable.contracts.base import digest
from qurable.contracts.jobs import Method, SimulatorOptions
from qurable.contracts.pubs import EstimatePub, SamplePub, shots_for

MEMORY_BYTES = 1024 * MIB
_MORE_SHOTS = 4
_LEAST_SHOTS = 1_000
_MOST_SHOTS = 100_000
_WIDEST = 20
_LARGEST_SEED = 2**31


class NotBrought(Exception):
    """There is nothing to compare with; the message says why."""


class Plan:
    """How one pub is simulated.

    Attributes:
        number: Of the pub.
        pub: With the shots of the simulation.
        isa: Its ISA circuit.
        options: Aer's.
        piece: All its bindings, as one.
        seconds: Expected.
    """

    def __init__(self, number: int, pub: SamplePub | EstimatePub, held: Kept, *, noisy: bool) -> None:
        at = held.validated.circuit_of[number]
        parsed, compiled = held.validated.circuits[at], held.compiled.circuits[at]
        shots = min(max(_MORE_SHOTS * shots_for(pub), _LEAST_SHOTS), _MOST_SHOTS)
        method = _method(compiled.active, shots, clifford=parsed.traits.is_clifford, noisy=noisy)
        exact = isinstance(pub, EstimatePub) and not parsed.traits.is_dynamic
        if exact and not (noisy and method is Method.STATEVECTOR):
            shots = 0
        self.number = number
        self.pub = _with_shots(pub, shots)
        self.isa = compiled.isa
        self.options = {
            "method": str(method),
            "precision": "double",
            "max_parallel_threads": 1,
            "max_memory_mb": MEMORY_BYTES // MIB,
        }
        bindings = canonical_bindings(pub.bindings, parsed.dress.parameters)
        self.piece = {
            "pub": number,
            "isa": compiled.isa,
            "layout": None if compiled.layout is None else list(compiled.layout),
            "shape": list(bindings.shape),
            "parameters": list(bindings.parameters),
            "values": array("d", bindings.values).tobytes(),
            "observables": pub.observables.model_dump_json() if isinstance(pub, EstimatePub) else None,
            "shots": shots,
            "dynamic": parsed.traits.is_dynamic,
            "seed": seed_beside(f"{held.submitted.job.key.job_id}\0{number}"),
            "start": 0,
            "stop": bindings.size,
        }
        again = parsed.traits.is_dynamic or (noisy and method is Method.STATEVECTOR)
        load = Load(
            qubits=compiled.active,
            operations=compiled.size,
            shots=shots,
            clbits=parsed.traits.num_clbits,
            every_shot_anew=again,
        )
        self.seconds = bindings.size * simulation_seconds(method, load)


def _method(qubits: int, shots: int, *, clifford: bool, noisy: bool) -> Method:
    if noisy:
        return choose_noisy(qubits, shots, SimulatorOptions(), MEMORY_BYTES, "the baseline").method
    if clifford:
        return Method.STABILIZER
    if qubits > _WIDEST:
        raise NotBrought(
            f"its ISA circuit keeps {qubits} qubits busy, and up to {_WIDEST} are simulated to compare with"
        )
    return Method.STATEVECTOR


def _with_shots(pub: SamplePub | EstimatePub, shots: int) -> SamplePub | EstimatePub:
    if isinstance(pub, SamplePub):
        return pub.model_copy(update={"shots": shots})
    return pub.model_copy(update={"shots": shots or None, "precision": None if shots else 0.0})


def seed_beside(words: str) -> int:
    """A seed that no run of the job itself has."""
    return int(digest(f"compared with\0{words}")[:8], 16) % _LARGEST_SEED
