"""Where to cut a circuit, and the experiments that each fragment is run in; the addon does both.

Cut gates and wires are replaced by sums of local operations with signs (a quasi-probability decomposition): one choice for
each cut, and a joint choice gives one circuit per fragment. Sources: Mitarai, Fujii, New J. Phys. 23, 023021 (2021);
Peng, Harrow, Ozols, Wu, Phys. Rev. Lett. 125, 150504 (2020).
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rustworkx as rx
from qiskit.circuit import ClassicalRegister, QuantumCircuit
from qiskit.quantum_info import Pauli, PauliList
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import Unroll3qOrMore

from circuits.estimation import Product, label, placed
from qurable.contracts.cutting import CutOptions, CutPlace
from qurable.errors import CutTooDear, InternalError, UnsupportedCircuit

DISTRIBUTION = "qiskit-addon-cutting"

_IDLE = frozenset({"barrier", "delay", "id"})


@dataclass(frozen=True)
class Pieces:
    """A circuit that falls into fragments.

    Attributes:
        circuits: By label, with their cuts as placeholders.
        qubits: By label, virtual qubits of the circuit that it holds.
        bases: Of each cut: the operations that stand in its place, with their coefficients.
        products: By label, what each Pauli product comes to on the fragment.
        cuts: Where they are.
        least: Whether the search proved that no other cuts have less overhead.
    """

    circuits: dict[Hashable, QuantumCircuit]
    qubits: dict[Hashable, tuple[int, ...]]
    bases: list[Any]
    products: dict[Hashable, PauliList]
    cuts: tuple[CutPlace, ...]
    least: bool

    @property
    def overhead(self) -> float:
        """Of sampling: the product of the cuts' own."""
        return math.prod(float(basis.kappa) ** 2 for basis in self.bases)

    @property
    def choices(self) -> int:
        """Joint choices of what stands in the place of the cuts."""
        return math.prod(int(np.count_nonzero(basis.coeffs)) for basis in self.bases)


@dataclass(frozen=True)
class Experiments:
    """What is run of one fragment.

    Attributes:
        circuits: Each once, however many joint choices share it.
        index: By joint choice and group of observables, which of them.
        lookup: By Pauli product, the (group, mask) pairs it is read from.
    """

    circuits: list[QuantumCircuit]
    index: list[tuple[int, ...]]
    lookup: list[tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class Weights:
    """How joint choices are weighed.

    Attributes:
        coefficients: Of each that is run.
        drawn: Whether it was drawn.
        draws: How many draws there were.
    """

    coefficients: list[float]
    drawn: list[bool]
    draws: int


def busy_qubits(circuit: QuantumCircuit) -> list[int]:
    """Qubits that some operation touches, ascending."""
    return sorted(
        {
            circuit.find_bit(qubit).index
            for item in circuit.data
            if item.name not in _IDLE
            for qubit in item.qubits
        }
    )


def bare(circuit: QuantumCircuit, busy: Sequence[int]) -> QuantumCircuit:
    """Gates on one and two qubits alone, on the busy qubits in their order, without classical bits.

    Args:
        circuit: Flat, bound, without measurements.
        busy: As of `busy_qubits`.
    """
    position = {qubit: at for at, qubit in enumerate(busy)}
    bare = QuantumCircuit(len(busy))
    for item in PassManager([Unroll3qOrMore()]).run(circuit).data:
        if item.name not in _IDLE:
            bare.append(item.operation, [position[circuit.find_bit(qubit).index] for qubit in item.qubits])
    return bare


def find_pieces(
    circuit: QuantumCircuit,
    busy: Sequence[int],
    products: Sequence[Product],
    options: CutOptions,
    qubits: int,
    seed: int,
    name: str,
) -> Pieces:
    """Cut a circuit so that no fragment has more qubits than allowed, at the least overhead that is found.

    Args:
        circuit: As of `bare`.
        busy: Virtual qubit of each of its qubits.
        products: Pauli products on its qubits.
        options: What may be cut.
        qubits: Widest fragment.
        seed: Of the search.
        name: Of the circuit, for messages.

    Raises:
        UnsupportedCircuit: No such cuts bring it to that width.
        CutTooDear: Those that were found have more overhead than is allowed.
    """
    from qiskit_addon_cutting import (
        DeviceConstraints,
        OptimizationParameters,
        find_cuts,
        partition_problem,
    )

    wishes = OptimizationParameters(
        seed=seed,
        max_gamma=math.sqrt(options.max_overhead),
        gate_lo=options.gates,
        wire_lo=options.wires,
    )
    try:
        marked, found = find_cuts(circuit, wishes, DeviceConstraints(qubits_per_subcircuit=qubits))
    except ValueError as failure:
        raise UnsupportedCircuit(
            f"no cuts bring circuit {name!r} to fragments of {qubits} qubits: {_said(failure)}; allow wider fragments (cut.qubits) or "
            "cuts of gates and of wires both",
            qubits=qubits,
        ) from None
    overhead = float(found["sampling_overhead"])
    if overhead > options.max_overhead * (1 + 1e-9):
        raise CutTooDear(
            f"cutting circuit {name!r} into fragments of at most {qubits} qubits has a sampling overhead of "
            f"{overhead:,.0f}, in {len(found['cuts'])} cuts; the limit is {options.max_overhead:,.0f}: let fragments be wider "
            "(cut.qubits), allow more (cut.max_overhead), or use fewer gates between the two sides",
            overhead=overhead,
            limit=options.max_overhead,
            cuts=len(found["cuts"]),
        )
    expanded, origin = _with_wires_apart(marked)
    last = {wire: at for at, wire in enumerate(origin)}
    paulis = [Pauli(label(placed(product, last), expanded.num_qubits)) for product in products]
    parts = _parts(expanded)
    problem = partition_problem(expanded, parts, PauliList(paulis))
    widest = max(piece.num_qubits for piece in problem.subcircuits.values())
    if widest > qubits:
        raise InternalError(f"a fragment of circuit {name!r} has {widest} qubits, {qubits} are allowed")
    held = {
        part: tuple(sorted({busy[origin[at]] for at, label in enumerate(parts) if label == part}))
        for part in problem.subcircuits
    }
    return Pieces(
        circuits=problem.subcircuits,
        qubits=held,
        bases=list(problem.bases),
        products=problem.subobservables,
        cuts=_places(marked, busy),
        least=bool(found["minimum_reached"]),
    )


def _said(failure: ValueError) -> str:
    message = str(failure)
    return "none were found" if "None state" in message else message


def _with_wires_apart(marked: QuantumCircuit) -> tuple[QuantumCircuit, list[int]]:
    """The circuit with a qubit for each stretch of a cut wire, and the wire that each of its qubits is a stretch of.

    The stretches of a wire stand side by side, in order. The addon's own function for this counts the cuts of a wire wrongly
    where those of another lie between them.
    """
    from qiskit_addon_cutting.instructions import Move
    from qiskit_addon_cutting.qpd import TwoQubitQPDGate

    wires = [[marked.find_bit(qubit).index for qubit in item.qubits] for item in marked.data]
    cuts = Counter(at[0] for at, item in zip(wires, marked.data, strict=True) if item.name == "cut_wire")
    origin = [wire for wire in range(marked.num_qubits) for _ in range(1 + cuts[wire])]
    now = {wire: origin.index(wire) for wire in range(marked.num_qubits)}
    apart = QuantumCircuit(len(origin))
    for at, item in zip(wires, marked.data, strict=True):
        if item.name == "cut_wire":
            apart.append(TwoQubitQPDGate.from_instruction(Move()), [now[at[0]], now[at[0]] + 1])
            now[at[0]] += 1
        else:
            apart.append(item.operation, [now[wire] for wire in at])
    return apart, origin


def _parts(expanded: QuantumCircuit) -> list[int]:
    """For each qubit the fragment it belongs to: 0, 1, ... by their first qubits. Cuts connect nothing."""
    graph = rx.PyGraph()
    graph.add_nodes_from(range(expanded.num_qubits))
    for item in expanded.data:
        if item.name != "qpd_2q":
            at = [expanded.find_bit(qubit).index for qubit in item.qubits]
            graph.add_edges_from_no_data([(at[0], other) for other in at[1:]])
    parts = sorted(rx.connected_components(graph), key=min)
    part_of = {qubit: number for number, part in enumerate(parts) for qubit in part}
    return [part_of[qubit] for qubit in range(expanded.num_qubits)]


def _places(marked: QuantumCircuit, busy: Sequence[int]) -> tuple[CutPlace, ...]:
    """Each cut, from the circuit that the search has marked."""
    places, position = [], 0
    pending: list[int] = []
    for item in marked.data:
        qubits = tuple(busy[marked.find_bit(qubit).index] for qubit in item.qubits)
        if item.name == "cut_wire":
            pending.extend(qubits)
            continue
        places += [
            CutPlace(
                kind="wire", gate=_gate(item.operation), qubits=(qubit,), position=position, overhead=16.0
            )
            for qubit in pending
        ]
        pending = []
        if item.name == "qpd_2q":
            kappa = float(item.operation.basis.kappa)
            places.append(
                CutPlace(
                    kind="gate",
                    gate=_gate(item.operation),
                    qubits=qubits,
                    position=position,
                    overhead=kappa**2,
                )
            )
        position += 1
    return tuple(places)


def _gate(operation: Any) -> str:
    return str(operation.label or operation.name).removeprefix("cut_")


def make_experiments(pieces: Pieces, samples: int, seed: int) -> tuple[dict[Hashable, Experiments], Weights]:
    """Circuits to run of each fragment, each once, and the weights of the joint choices.

    Args:
        pieces: The fragments.
        samples: As in the options.
        seed: Of drawing choices, where there are more than so many.
    """
    from qiskit_addon_cutting import generate_cutting_experiments
    from qiskit_addon_cutting.qpd import WeightType
    from qiskit_addon_cutting.utils.observable_grouping import ObservableCollection

    exact = pieces.choices <= samples
    number = np.inf if exact else samples
    np.random.seed(seed)
    made, weighed = generate_cutting_experiments(pieces.circuits, pieces.products, number)
    coefficients = [float(value) for value, _ in weighed]
    drawn = [kind is WeightType.SAMPLED for _, kind in weighed]
    # The addon draws as many as the weight that is not taken exactly comes to, of `samples` in all.
    one_norm = math.prod(float(basis.kappa) for basis in pieces.bases)
    left = sum(abs(value) for value, by_lot in zip(coefficients, drawn, strict=True) if by_lot)
    draws = math.ceil(left / one_norm * samples - 1e-6) if any(drawn) else 0
    experiments = {}
    for key, circuits in made.items():
        grouped = ObservableCollection(pieces.products[key])
        lookup = [
            tuple((group, grouped.groups[group].pauli_bitmasks[at]) for group, at in grouped.lookup[product])
            for product in pieces.products[key]
        ]
        groups = len(grouped.groups)
        distinct, numbers = _distinct(circuits, groups)
        index = [tuple(numbers[at : at + groups]) for at in range(0, len(numbers), groups)]
        experiments[key] = Experiments(distinct, index, lookup)
    return experiments, Weights(coefficients, drawn, draws)


def _distinct(circuits: Sequence[QuantumCircuit], groups: int) -> tuple[list[QuantumCircuit], list[int]]:
    """Each circuit of each group once, without empty registers, and for each of the given ones its number."""
    known: dict[Any, int] = {}
    kept: list[QuantumCircuit] = []
    numbers: list[int] = []
    for at, circuit in enumerate(circuits):
        operations = tuple(
            (
                item.name,
                tuple(_plain(value) for value in item.params),
                tuple(circuit.find_bit(qubit).index for qubit in item.qubits),
                tuple(circuit.find_bit(bit).index for bit in item.clbits),
            )
            for item in circuit.data
        )
        identity = (at % groups, operations)
        if identity not in known:
            known[identity] = len(kept)
            kept.append(_without_empty_registers(circuit))
        numbers.append(known[identity])
    return kept, numbers


def _plain(value: Any) -> Any:
    return value.tobytes() if isinstance(value, np.ndarray) else str(value)


def _without_empty_registers(circuit: QuantumCircuit) -> QuantumCircuit:
    """The same on one register of qubits, and the registers that hold bits."""
    registers = [
        ClassicalRegister(register.size, register.name) for register in circuit.cregs if register.size
    ]
    plain = QuantumCircuit(circuit.num_qubits)
    bits: list[Any] = []
    for register in registers:
        plain.add_register(register)
        bits.extend(register)
    plain.compose(circuit, plain.qubits, bits, inplace=True)
    return plain
