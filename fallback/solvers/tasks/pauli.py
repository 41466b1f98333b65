"""Expectation values by Pauli propagation, as a task for a child.

An observable is followed back through the circuit as a sum of Pauli products. The smallest are dropped where there
are too many; each of them has a value between -1 and 1, so that the sum of what was dropped bounds the error.
"""

import warnings
from typing import Any

import numpy as np
from pauli_prop.propagation import (
    RotationGates,
    circuit_to_rotation_gates,
    evolve_through_cliffords,
    propagate_through_rotation_gates,
)
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import Clifford, SparsePauliOp

from circuits.confidence import NOTE, note_of
from circuits.estimation import Product
from circuits.parse import load_qpy
from fallback.solvers.pauli import MAX_TERMS
from isolation.child import Emit
from isolation.pieces import Answer, expectation_of, run_pieces, values_of
from qurable.contracts.confidence import Confidence, ConfidenceKind
from qurable.contracts.results import ErrorOrigin
from qurable.errors import UnsupportedCircuit

_TERMS = (1_000, 10_000, MAX_TERMS)
_EXACT = 1e-9
"""What is aimed at where a value without shots is asked."""

_ROUNDING = 1e-12
"""Of double precision, per gate and unit of the observable; added to the bound."""

_IDLE = frozenset({"barrier", "delay"})


def simulate(payload: Any, emit: Emit) -> Any:
    """Task: estimate pieces of a submission; takes and emits what `isolation.aer:simulate` does.

    Raises:
        UnsupportedCircuit: It is to be sampled, or measures or resets on its way.
    """
    if payload["kind"] != "estimate":
        raise UnsupportedCircuit(
            "Pauli propagation gives expectation values alone: ask for 'classical:clifford' or 'classical:mps'"
        )
    circuits = {isa: load_qpy(body) for isa, body in payload["circuits"].items()}
    run_pieces(payload, emit, lambda piece: _estimate(circuits[piece["isa"]], piece))


def _estimate(original: QuantumCircuit, piece: Any) -> Answer:
    asked = expectation_of(original, piece, idle_is_zero=True)
    bare = _unitary(asked.circuit)
    first, rotations = evolve_through_cliffords(bare) if bare.num_qubits else (None, bare)
    aim = piece["shots"] ** -0.5 if piece["shots"] else _EXACT
    place = {name: at for at, name in enumerate(piece["parameters"])}
    gates = []
    for values in values_of(piece):
        bound = {parameter: values[place[parameter.name]] for parameter in rotations.parameters}
        gates.append(circuit_to_rotation_gates(rotations.assign_parameters(bound)))
    evs, bounds, terms = np.zeros(len(asked.pairs)), np.zeros(len(asked.pairs)), 0
    for at, (_, row, observable) in enumerate(asked.pairs):
        evs[at], bounds[at], used = propagated(
            asked.sums[observable], first, gates[row], bare.num_qubits, aim
        )
        terms = max(terms, used)
    worst = int(np.argmax(bounds))
    flat, _, observable = asked.pairs[worst]
    confidence = Confidence(
        kind=ConfidenceKind.TRUNCATION_BOUND,
        value=float(bounds[worst]),
        interval=_allowed(evs[worst], bounds[worst], asked.sums[observable]),
        basis=f"sum of the coefficients of all Pauli terms that were dropped, at most {terms:,} being kept: a bound on the error",
        element=flat,
    )
    notes = {
        "method": "pauli-prop",
        "terms": terms,
        "error_origin": str(ErrorOrigin.TRUNCATION),
        NOTE: note_of(confidence),
    }
    return asked.arrays(evs, np.zeros(len(evs))), notes


def _unitary(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit without what does nothing.

    Raises:
        UnsupportedCircuit: It measures or resets on its way.
    """
    bare = circuit.copy_empty_like()
    for item in circuit.data:
        if item.name in {"measure", "reset"} or item.is_control_flow():
            raise UnsupportedCircuit(
                f"operation {item.name!r} on the way is nothing that Pauli propagation follows: ask for 'aer' or 'classical:mps'"
            )
        if item.name not in _IDLE:
            bare.append(item)
    return bare


def propagated(
    observable: dict[Product, float], first: Clifford | None, gates: Any, num_qubits: int, aim: float
) -> tuple[float, float, int]:
    """Value of an observable, a bound on its error, and the terms that took.

    Args:
        observable: In the circuit's qubits.
        first: The circuit's Clifford part, moved to its beginning; None for a circuit without qubits.
        gates: Its rotations, after that.
        num_qubits: Of the circuit.
        aim: More terms are kept until the bound is below this.
    """
    products = {product: factor for product, factor in observable.items() if product}
    constant = observable.get((), 0.0)
    if not products or first is None:
        return constant, 0.0, 0
    total = SparsePauliOp.from_sparse_list(
        [
            ("".join(letter for _, letter in product), [qubit for qubit, _ in product], factor)
            for product, factor in products.items()
        ],
        num_qubits,
    )
    reach = sum(abs(factor) for factor in products.values())
    rounding = _ROUNDING * reach * (1 + (len(gates.gates) if isinstance(gates, RotationGates) else 0))
    for terms in _TERMS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)  # the library casts and means it
            kept, dropped = propagate_through_rotation_gates(total, gates, terms, 0.0, "h")
        if dropped <= aim:
            break
    start = kept.paulis.evolve(first, frame="h")
    signs = 1.0 - 2.0 * ((start.phase // 2) % 2)  # Paulis without Y have a phase of 0 or 2
    value = constant + float(np.sum((kept.coeffs.real * signs)[~start.x.any(axis=1)]))
    return value, float(dropped) + rounding, min(terms, max(len(kept), 1))


def _allowed(value: float, bound: float, observable: dict[Product, float]) -> tuple[float, float]:
    """What a value may be, its own largest and smallest among the rest."""
    constant = observable.get((), 0.0)
    reach = sum(abs(factor) for product, factor in observable.items() if product)
    return max(value - bound, constant - reach), min(value + bound, constant + reach)
