"""What every task shares that runs pieces of a submission, whatever it runs them by.

A piece is a range of bindings of one pub:
`{"pub", "isa", "layout", "shape", "parameters", "values", "observables", "shots", "dynamic", "seed", "start", "stop"}`, where
`shape` is that of all bindings of the pub and `values` are float64 rows of the piece's own.
"""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import QuantumCircuit

from circuits.estimation import Product, on_busy_qubits, placed, without_final_measurements
from circuits.squeeze import squeeze
from isolation.child import Emit
from qurable.contracts.arrays import size_of
from qurable.contracts.observables import Observables
from qurable.contracts.pubs import broadcast

Answer = tuple[dict[str, Any], dict[str, Any]]
"""Arrays of a piece's result, and notes on it."""

Floats = npt.NDArray[np.float64]


def run_pieces(payload: Any, emit: Emit, run: Callable[[Any], Answer]) -> None:
    """Run each piece and emit its result as it is done.

    Args:
        payload: `{"work": [piece, ...]}`.
        emit: Is given `{"pub", "start", "stop", "data": npz, "notes", "seconds"}` for each piece. The npz holds
            `bits`, uint8 of shape (stop - start, shots, bytes), or `index`, `evs`, `stds` of flat positions in the
            result.
        run: Gives the arrays and notes of a piece.
    """
    for piece in payload["work"]:
        began = time.perf_counter()
        arrays, notes = run(piece)
        body = io.BytesIO()
        np.savez(body, **arrays)
        emit(
            {
                "pub": piece["pub"],
                "start": piece["start"],
                "stop": piece["stop"],
                "data": body.getvalue(),
                "notes": notes,
                "seconds": time.perf_counter() - began,
            }
        )


def values_of(piece: Any) -> Floats:
    """Parameter values of a piece, one row per binding, columns in the order of its parameters."""
    rows, width = piece["stop"] - piece["start"], len(piece["parameters"])
    values: Floats = np.frombuffer(piece["values"]).reshape(rows, width)
    return values


@dataclass(frozen=True)
class Expectation:
    """What a piece of an estimate asks for, on the qubits that matter alone.

    Attributes:
        circuit: Without its final measurements.
        active: The original index of each of its qubits.
        sums: Each observable as coefficients of Pauli products on those qubits.
        pairs: (flat index in the result, row of the piece, observable) for each value.
    """

    circuit: QuantumCircuit
    active: tuple[int, ...]
    sums: Sequence[dict[Product, float]]
    pairs: Sequence[tuple[int, int, int]]

    def arrays(self, evs: Floats, stds: Floats) -> dict[str, Any]:
        """The piece's result, values in the order of `pairs`."""
        return {
            "index": np.array([flat for flat, _, _ in self.pairs], dtype=np.int64),
            "evs": evs,
            "stds": stds,
        }


def expectation_of(original: QuantumCircuit, piece: Any, *, idle_is_zero: bool) -> Expectation:
    """Observables moved to the places their qubits have, and the circuit squeezed to what matters for them.

    Args:
        original: The ISA circuit.
        piece: Of an estimate.
        idle_is_zero: Whether a qubit that nothing touches is surely read as 0, as without noise.
    """
    observables = Observables.read(piece["observables"])
    layout = dict(enumerate(piece["layout"] or range(original.num_qubits)))
    sums = [
        {placed(product, layout): factor for product, factor in observable.paulis().items()}
        for observable in observables.items
    ]
    bare, _ = without_final_measurements(original)
    if idle_is_zero:
        busy = set(squeeze(bare)[1])
        sums = [on_busy_qubits(observable, busy) for observable in sums]
    support = {qubit for observable in sums for product in observable for qubit, _ in product}
    circuit, active = squeeze(bare, keep=support)
    new = {old: at for at, old in enumerate(active)}
    return Expectation(
        circuit,
        active,
        [{placed(product, new): factor for product, factor in observable.items()} for observable in sums],
        _pairs(tuple(piece["shape"]), observables, piece["start"], piece["stop"]),
    )


def _pairs(
    bindings: tuple[int, ...], observables: Observables, start: int, stop: int
) -> list[tuple[int, int, int]]:
    """(flat index in the result, row of the piece, observable) for the bindings from start to stop."""
    shape = broadcast(bindings, observables.shape)
    binding_of = np.broadcast_to(np.arange(size_of(bindings)).reshape(bindings), shape).ravel()
    observable_of = np.broadcast_to(
        np.arange(len(observables.items)).reshape(observables.shape), shape
    ).ravel()
    chosen = np.flatnonzero((binding_of >= start) & (binding_of < stop))
    return [(int(flat), int(binding_of[flat]) - start, int(observable_of[flat])) for flat in chosen]
