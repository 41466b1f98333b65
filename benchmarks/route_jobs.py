"""Thirty jobs of different kinds, of which `qurable route` is to choose the place and the method."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate, efficient_su2, grover_operator

from qurable.requests import AnyJob, estimate, sample

_EXPANSIONS = 8
"""Definitions within definitions; none here goes deeper."""


@dataclass(frozen=True)
class RouteJob:
    """One job.

    Attributes:
        name: In the table.
        circuit: Makes it, the same every time.
        shots: Of a sampling job; None where expectation values are asked.
        observables: Pauli observables, each a sum of terms by label.
        precision: Of the expectation values; 0 for values without shots.
    """

    name: str
    circuit: Callable[[], QuantumCircuit]
    shots: int | None = None
    observables: Sequence[Mapping[str, float]] = ()
    precision: float = 0.0

    def job(self, **options: Any) -> AnyJob:
        """What a client would send."""
        if self.shots is not None:
            return sample(self.circuit(), shots=self.shots, **options)
        pub = (self.circuit(), list(self.observables))
        return estimate(pub, precision=self.precision, **options)


def ghz(qubits: int) -> QuantumCircuit:
    """A chain of CNOTs."""
    circuit = QuantumCircuit(qubits)
    circuit.h(0)
    for qubit in range(qubits - 1):
        circuit.cx(qubit, qubit + 1)
    return _measured(circuit)


def clifford_bricks(qubits: int, layers: int, seed: int) -> QuantumCircuit:
    """Random Clifford gates on neighbours: half of the two-qubit gates of a layer in each."""
    random = np.random.default_rng(seed)
    circuit = QuantumCircuit(qubits)
    for layer in range(layers):
        for qubit in range(qubits):
            getattr(circuit, random.choice(["h", "s", "sx"]))(qubit)
        for qubit in range(layer % 2, qubits - 1, 2):
            circuit.cx(qubit, qubit + 1)
    return _measured(circuit)


def graph_state(qubits: int) -> QuantumCircuit:
    """On a ring with its diameters."""
    circuit = QuantumCircuit(qubits)
    circuit.h(range(qubits))
    for left, right in _ring_with_diameters(qubits):
        circuit.cz(left, right)
    return _measured(circuit)


def bernstein_vazirani(qubits: int) -> QuantumCircuit:
    """Every second bit of the secret is set."""
    circuit = QuantumCircuit(qubits, qubits - 1)
    circuit.x(qubits - 1)
    circuit.h(range(qubits))
    for qubit in range(0, qubits - 1, 2):
        circuit.cx(qubit, qubits - 1)
    circuit.h(range(qubits - 1))
    circuit.measure(range(qubits - 1), range(qubits - 1))
    return circuit


def repetition_code(distance: int, rounds: int) -> QuantumCircuit:
    """Rounds of parity checks, whose ancillas are measured and reset."""
    checks = distance - 1
    circuit = QuantumCircuit(distance + checks, distance + checks * rounds)
    circuit.h(0)
    for data in range(1, distance):
        circuit.cx(0, data)
    for turn in range(rounds):
        for check in range(checks):
            circuit.cx(check, distance + check)
            circuit.cx(check + 1, distance + check)
            circuit.measure(distance + check, distance + turn * checks + check)
            circuit.reset(distance + check)
    circuit.measure(range(distance), range(distance))
    return circuit


def qft(qubits: int) -> QuantumCircuit:
    """A Fourier transform of a few ones, gate by gate."""
    circuit = QuantumCircuit(qubits)
    circuit.x(range(0, qubits, 3))
    circuit.append(QFTGate(qubits), range(qubits))
    return _measured(circuit.decompose(reps=_EXPANSIONS))


def phase_estimation(qubits: int) -> QuantumCircuit:
    """Of the phase 1/3, by all qubits but the last."""
    counting = qubits - 1
    circuit = QuantumCircuit(qubits, counting)
    circuit.h(range(counting))
    circuit.x(counting)
    for qubit in range(counting):
        circuit.cp(2 * math.pi / 3 * 2**qubit, qubit, counting)
    circuit.append(QFTGate(counting).inverse(), range(counting))
    circuit = circuit.decompose(reps=_EXPANSIONS)
    circuit.measure(range(counting), range(counting))
    return circuit


def qaoa(qubits: int, edges: Sequence[tuple[int, int]], layers: int, seed: int) -> QuantumCircuit:
    """MaxCut on a graph."""
    angles = np.random.default_rng(seed).uniform(0.1, 1.0, (layers, 2))
    circuit = QuantumCircuit(qubits)
    circuit.h(range(qubits))
    for gamma, beta in angles:
        for left, right in edges:
            circuit.rzz(gamma, left, right)
        circuit.rx(beta, range(qubits))
    return _measured(circuit)


def ansatz(qubits: int, reps: int, seed: int, *, measured: bool = True) -> QuantumCircuit:
    """Hardware-efficient: rotations, and a chain of CNOTs in each repetition."""
    bare = efficient_su2(qubits, reps=reps, entanglement="linear")
    values = np.random.default_rng(seed).uniform(-math.pi, math.pi, bare.num_parameters)
    bound = bare.assign_parameters(values)
    return _measured(bound) if measured else bound


def scrambled(qubits: int, layers: int, seed: int) -> QuantumCircuit:
    """Random rotations, and CNOTs between random pairs."""
    random = np.random.default_rng(seed)
    circuit = QuantumCircuit(qubits)
    for _ in range(layers):
        for qubit in range(qubits):
            circuit.u(*random.uniform(0, math.pi, 3), qubit)
        order = random.permutation(qubits)
        for left, right in zip(order[::2], order[1::2], strict=False):
            circuit.cx(int(left), int(right))
    return _measured(circuit)


def trotter(qubits: int, steps: int, angle: float, *, measured: bool = True) -> QuantumCircuit:
    """Short steps of a transverse-field Ising chain, from a product state."""
    circuit = QuantumCircuit(qubits)
    for _ in range(steps):
        for parity in (0, 1):
            for qubit in range(parity, qubits - 1, 2):
                circuit.rzz(angle, qubit, qubit + 1)
        circuit.rx(angle, range(qubits))
    return _measured(circuit) if measured else circuit


def kicked_square(rows: int, columns: int, steps: int, angle: float) -> QuantumCircuit:
    """A kicked Ising model on a square lattice: Clifford couplings, kicks that are not."""
    circuit = QuantumCircuit(rows * columns)
    for _ in range(steps):
        circuit.rx(angle, range(rows * columns))
        for row, column in itertools.product(range(rows), range(columns)):
            here = row * columns + column
            if column + 1 < columns:
                circuit.rzz(-math.pi / 2, here, here + 1)
            if row + 1 < rows:
                circuit.rzz(-math.pi / 2, here, here + columns)
    return circuit


def w_state(qubits: int) -> QuantumCircuit:
    """One excitation, handed on along a chain."""
    circuit = QuantumCircuit(qubits)
    circuit.x(0)
    for qubit in range(qubits - 1):
        circuit.cry(2 * math.acos(1 / math.sqrt(qubits - qubit)), qubit, qubit + 1)
        circuit.cx(qubit + 1, qubit)
    return _measured(circuit)


def ripple_adder(bits: int) -> QuantumCircuit:
    """Cuccaro's adder of a sum over all numbers and a fixed one; each Toffoli gate in one- and two-qubit gates."""
    a, b = range(1, 2 * bits, 2), range(2, 2 * bits + 1, 2)
    carry, out = 0, 2 * bits + 1
    circuit = QuantumCircuit(2 * bits + 2, bits + 1)
    circuit.h(a)
    circuit.x(b[::2])
    chain = [carry, *a]
    for at in range(bits):
        circuit.cx(a[at], b[at])
        circuit.cx(a[at], chain[at])
        circuit.ccx(chain[at], b[at], a[at])
    circuit.cx(a[-1], out)
    for at in reversed(range(bits)):
        circuit.ccx(chain[at], b[at], a[at])
        circuit.cx(a[at], chain[at])
        circuit.cx(chain[at], b[at])
    circuit.measure([*b, out], range(bits + 1))
    return circuit


def draper_adder(bits: int) -> QuantumCircuit:
    """Addition in Fourier space, of two superpositions."""
    circuit = QuantumCircuit(2 * bits, bits)
    circuit.ry(0.7, range(bits))
    circuit.x(range(bits, 2 * bits, 2))
    target = range(bits, 2 * bits)
    circuit.append(QFTGate(bits), target)
    for at, to in itertools.product(range(bits), range(bits)):
        if at <= to:
            circuit.cp(math.pi / 2 ** (to - at), at, target[to])
    circuit.append(QFTGate(bits).inverse(), target)
    circuit = circuit.decompose(reps=_EXPANSIONS)
    circuit.measure(target, range(bits))
    return circuit


def grover(qubits: int) -> QuantumCircuit:
    """All ones are looked for."""
    oracle = QuantumCircuit(qubits)
    oracle.h(qubits - 1)
    oracle.mcx(list(range(qubits - 1)), qubits - 1)
    oracle.h(qubits - 1)
    step = grover_operator(oracle)
    circuit = QuantumCircuit(qubits)
    circuit.h(range(qubits))
    for _ in range(round(math.pi / 4 * math.sqrt(2**qubits))):
        circuit.compose(step, inplace=True)
    return _measured(circuit.decompose(reps=_EXPANSIONS))


def iterative_phase(bits: int) -> QuantumCircuit:
    """A phase of 0.3, bit by bit on one ancilla, each turned by those before it."""
    circuit = QuantumCircuit(2, bits)
    circuit.x(1)
    for bit in range(bits):
        circuit.h(0)
        circuit.cp(2 * math.pi * 0.3 * 2 ** (bits - 1 - bit), 0, 1)
        for before in range(bit):
            with circuit.if_test((circuit.clbits[before], 1)):
                circuit.p(-math.pi / 2 ** (bit - before), 0)
        circuit.h(0)
        circuit.measure(0, bit)
        if bit < bits - 1:
            circuit.reset(0)
    return circuit


def monitored(qubits: int, layers: int, seed: int) -> QuantumCircuit:
    """Bricks of rotations; every fourth qubit is measured after each layer."""
    angles = np.random.default_rng(seed).uniform(0, math.pi, (layers, qubits))
    watched = range(0, qubits, 4)
    circuit = QuantumCircuit(qubits, qubits + layers * len(watched))
    for layer in range(layers):
        for qubit in range(qubits):
            circuit.ry(angles[layer, qubit], qubit)
        for qubit in range(layer % 2, qubits - 1, 2):
            circuit.cx(qubit, qubit + 1)
        for at, qubit in enumerate(watched):
            circuit.measure(qubit, qubits + layer * len(watched) + at)
    circuit.measure(range(qubits), range(qubits))
    return circuit


def _measured(circuit: QuantumCircuit) -> QuantumCircuit:
    if not circuit.num_clbits:
        circuit.measure_all()
    return circuit


def _ring(qubits: int) -> list[tuple[int, int]]:
    return [(node, (node + 1) % qubits) for node in range(qubits)]


def _ring_with_diameters(qubits: int) -> list[tuple[int, int]]:
    return _ring(qubits) + [(node, node + qubits // 2) for node in range(qubits // 2)]


def _complete(qubits: int) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(qubits), 2))


def _paulis(qubits: int, letters: Mapping[int, str]) -> str:
    """A label, qubit 0 last."""
    return "".join(letters.get(qubit, "I") for qubit in reversed(range(qubits)))


def _ising(qubits: int) -> dict[str, float]:
    """Energy of the transverse-field Ising chain."""
    bonds = {_paulis(qubits, {at: "Z", at + 1: "Z"}): -1.0 for at in range(qubits - 1)}
    return bonds | {_paulis(qubits, {at: "X"}): -0.7 for at in range(qubits)}


def _single(qubits: int, letters: Mapping[int, str]) -> Sequence[Mapping[str, float]]:
    return ({_paulis(qubits, letters): 1.0},)


ROUTE_JOBS: Sequence[RouteJob] = (
    RouteJob("GHZ, 5 qubits", lambda: ghz(5), 1000),
    RouteJob("GHZ, 28 qubits, 100,000 shots", lambda: ghz(28), 100_000),
    RouteJob("Bernstein-Vazirani, 24 qubits", lambda: bernstein_vazirani(24), 1000),
    RouteJob("graph state, 20 qubits, 10,000 shots", lambda: graph_state(20), 10_000),
    RouteJob("Clifford bricks, 100 qubits, 20 layers", lambda: clifford_bricks(100, 20, 1), 1000),
    RouteJob("Clifford bricks, 300 qubits, 20,000 shots", lambda: clifford_bricks(300, 10, 2), 20_000),
    RouteJob("repetition code, distance 9, 8 rounds", lambda: repetition_code(9, 8), 10_000),
    RouteJob("QFT, 10 qubits", lambda: qft(10), 1000),
    RouteJob("QFT, 20 qubits, 4,096 shots", lambda: qft(20), 4096),
    RouteJob("phase estimation, 14 qubits", lambda: phase_estimation(14), 1000),
    RouteJob("QAOA, ring of 18, 1 layer", lambda: qaoa(18, _ring(18), 1, 3), 1000),
    RouteJob("QAOA, ring of 40, 2 layers", lambda: qaoa(40, _ring(40), 2, 4), 1000),
    RouteJob("QAOA, complete graph of 16, 3 layers", lambda: qaoa(16, _complete(16), 3, 5), 1000),
    RouteJob("ansatz, 22 qubits, 2 repetitions", lambda: ansatz(22, 2, 6), 1000),
    RouteJob("ansatz, 12 qubits, 20 repetitions", lambda: ansatz(12, 20, 7), 100_000),
    RouteJob("scrambled, 18 qubits, 12 layers", lambda: scrambled(18, 12, 8), 1000),
    RouteJob("scrambled, 23 qubits, 8 layers", lambda: scrambled(23, 8, 9), 1000),
    RouteJob("Trotter chain, 26 qubits, 4 steps", lambda: trotter(26, 4, 0.2), 1000),
    RouteJob("Trotter chain, 60 qubits, 12 steps", lambda: trotter(60, 12, 0.1), 200),
    RouteJob("W state, 12 qubits", lambda: w_state(12), 1000),
    RouteJob("W state, 40 qubits, 2,000 shots", lambda: w_state(40), 2000),
    RouteJob("ripple-carry adder, 20 qubits", lambda: ripple_adder(9), 1000),
    RouteJob("Draper's adder, 14 qubits", lambda: draper_adder(7), 1000),
    RouteJob("Grover, 6 qubits", lambda: grover(6), 1000),
    RouteJob("iterative phase estimation, 6 bits", lambda: iterative_phase(6), 1000),
    RouteJob("monitored bricks, 12 qubits", lambda: monitored(12, 6, 10), 1000),
    RouteJob(
        "Ising energy, ansatz of 16, exact", lambda: ansatz(16, 3, 11, measured=False), None, (_ising(16),)
    ),
    RouteJob(
        "Ising energy, ansatz of 12, precision 0.02",
        lambda: ansatz(12, 3, 12, measured=False),
        None,
        (_ising(12),),
        0.02,
    ),
    RouteJob(
        "one Z of a Trotter chain of 64, exact",
        lambda: trotter(64, 3, 0.4, measured=False),
        None,
        _single(64, {31: "Z"}),
    ),
    RouteJob(
        "ZZ of a kicked lattice of 8 x 8, exact",
        lambda: kicked_square(8, 8, 4, 0.3),
        None,
        _single(64, {27: "Z", 28: "Z"}),
    ),
)
"""In the order of the table."""
