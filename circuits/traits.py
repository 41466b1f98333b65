"""What a planner needs to know of a circuit, measured without simulating it."""

import math
from typing import Any

import numpy as np
from qiskit.circuit import CircuitInstruction, Measure, ParameterExpression, QuantumCircuit, Qubit, Reset
from qiskit.quantum_info.operators.predicates import is_unitary_matrix

from qurable.contracts.circuits import CircuitTraits
from qurable.errors import CircuitRejected

_CLIFFORD = frozenset("id x y z h s sdg sx sxdg cx cy cz swap iswap ecr dcx pauli measure reset".split())
_QUARTER_TURNS = frozenset("rx ry rz p u1 rxx ryy rzz rzx".split())
_RANK_TWO = frozenset("cx cy cz ch cs csdg csx crx cry crz cp cu cu1 cu3 rxx ryy rzz rzx ecr".split())
"""Two-qubit gates of operator Schmidt rank 2; all others are taken for 4."""

_IDLE = frozenset({"barrier", "delay"})
_CUTS_MAX_QUBITS = 2_000


def measure_traits(circuit: QuantumCircuit, name: str) -> CircuitTraits:
    """Measure a flat circuit.

    Raises:
        CircuitRejected: An angle is not finite, or a matrix not unitary.
    """
    tally = _Tally(name)
    tally.visit(circuit)
    touched = {qubit for item in circuit.data if item.name not in _IDLE for qubit in item.qubits}
    return CircuitTraits(
        num_qubits=circuit.num_qubits,
        active_qubits=len(touched),
        num_clbits=circuit.num_clbits,
        size=tally.size,
        depth=circuit.depth(),
        two_qubit_gates=tally.two_qubit_gates,
        measurements=tally.measurements,
        is_clifford=tally.is_clifford,
        is_clifford_when_bound=tally.is_clifford_when_bound,
        is_dynamic=_is_dynamic(circuit),
        has_control_flow=any(item.is_control_flow() for item in circuit.data),
        parameters=circuit.num_parameters,
        schmidt_ranks_log2=_schmidt_ranks_log2(circuit),
        widest_gate=max((len(item.qubits) for item in circuit.data if item.name not in _IDLE), default=0),
    )


class _Tally:
    """Sums over a circuit and its blocks."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.size = 0
        self.two_qubit_gates = 0
        self.measurements = 0
        self.is_clifford = True
        self.is_clifford_when_bound = True

    def visit(self, circuit: QuantumCircuit) -> None:
        self._check_angles("its global phase", [circuit.global_phase])
        for item in circuit.data:
            self.size += 1
            if item.is_control_flow():
                for block in item.operation.blocks:
                    self.visit(block)
            elif item.name not in _IDLE:
                self._count(item)

    def _count(self, item: CircuitInstruction) -> None:
        params = item.params
        if params:
            self._check_angles(f"gate {item.name!r}", params)
        if item.name == "unitary":
            self._check_matrix(item.operation.params[0])
        self.two_qubit_gates += len(item.qubits) == 2
        self.measurements += bool(item.clbits)
        if item.name in _QUARTER_TURNS and item.is_standard_gate():
            turn = is_quarter_turn(params[0])
            self.is_clifford = self.is_clifford and turn
            free = isinstance(params[0], ParameterExpression) and bool(params[0].parameters)
            self.is_clifford_when_bound = self.is_clifford_when_bound and (turn or free)
        elif item.name not in _CLIFFORD:
            self.is_clifford = self.is_clifford_when_bound = False

    def _check_angles(self, what: str, params: list[Any]) -> None:
        for value in params:
            if isinstance(value, float | complex) and not (
                math.isfinite(value.real) and math.isfinite(value.imag)
            ):
                raise CircuitRejected(
                    f"circuit {self._name!r}: {what} has the angle {value}; angles must be finite"
                )

    def _check_matrix(self, matrix: Any) -> None:
        """Aer takes any matrix and makes wrong counts of one that keeps no norm; QPY carries it unchecked."""
        if not (np.isfinite(matrix).all() and is_unitary_matrix(matrix)):
            raise CircuitRejected(
                f"circuit {self._name!r}: the matrix of a gate 'unitary' is not unitary; check its entries"
            )


def is_quarter_turn(angle: Any) -> bool:
    """Whether an angle is a multiple of pi/2, as those of Clifford gates are."""
    if isinstance(angle, ParameterExpression):
        if angle.parameters:
            return False
        angle = float(angle.numeric())
    turns = float(angle) / (math.pi / 2)
    return abs(turns - round(turns)) < 1e-12


def _is_dynamic(circuit: QuantumCircuit) -> bool:
    """Whether it measures and goes on, resets, or has classical control flow.

    To initialise a qubit that was in use is to reset it.
    """
    measured: set[Qubit] = set()
    used: set[Qubit] = set()
    for item in circuit.data:
        if item.is_control_flow() or isinstance(item.operation if item.name == "reset" else None, Reset):
            return True
        if item.name == "barrier":
            continue
        if measured.intersection(item.qubits) or (
            item.name == "initialize" and used.intersection(item.qubits)
        ):
            return True
        used.update(item.qubits)
        if item.clbits:
            measured.update(item.qubits)
    return False


def final_measurements(circuit: QuantumCircuit) -> dict[int, int]:
    """For each qubit whose last operation is a measurement, the classical bit it writes."""
    last: dict[int, int | None] = {}
    index = {bit: at for at, bit in enumerate(circuit.qubits)}
    clbit = {bit: at for at, bit in enumerate(circuit.clbits)}
    for item in circuit.data:
        if item.name in _IDLE:
            continue
        is_measure = item.name == "measure" and isinstance(item.operation, Measure)
        for qubit in item.qubits:
            last[index[qubit]] = clbit[item.clbits[0]] if is_measure else None
    return {qubit: bit for qubit, bit in last.items() if bit is not None}


def _schmidt_ranks_log2(circuit: QuantumCircuit) -> tuple[float, ...]:
    """log2 of a bound on the Schmidt rank across each cut k | k + 1, qubits in their own order.

    Each gate multiplies the rank across the cuts it spans by at most its operator Schmidt rank; no rank
    exceeds 2^min(left, right). The bound is never below the truth.
    """
    width = circuit.num_qubits
    if not 2 <= width <= _CUTS_MAX_QUBITS:
        return ()
    growth = [0.0] * (width + 1)  # differences between neighbouring cuts, summed up at the end
    index = {qubit: at for at, qubit in enumerate(circuit.qubits)}
    for item in circuit.data:
        if item.name in {"for_loop", "while_loop"}:
            return ()
        qubits = [index[qubit] for qubit in item.qubits]
        if item.name in _IDLE or len(qubits) < 2:
            continue
        log2_rank = 1.0 if len(qubits) == 2 and item.name in _RANK_TWO else 2.0 * (len(qubits) // 2)
        growth[min(qubits)] += log2_rank
        growth[max(qubits)] -= log2_rank
    ranks, running = [], 0.0
    for cut in range(width - 1):
        running += growth[cut]
        ranks.append(min(running, float(cut + 1), float(width - cut - 1)))
    return tuple(ranks)
