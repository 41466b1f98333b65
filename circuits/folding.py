"""ISA circuits that do the same with more noise: folded, in the device's own gates, and optimised by nobody after; runs in a child.

Global folding makes U (U^-1 U)^k of a circuit U, and folds the gates at its end once more for a factor between odd whole
numbers. Gate folding makes G (G^-1 G)^k of every two-qubit gate, and folds the gates at the beginning once more. What
comes of a factor is the noisy gates that are run over those of the circuit; turns about Z, which devices make by
bookkeeping, do not count.

Barriers stand between a part and its inverse, so that nobody who compiles again takes them for nothing.

Source: T. Giurgica-Tiron, Y. Hindy, R. LaRose, A. Mari, W. J. Zeng, IEEE QCE (2020), arXiv:2005.10921.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qiskit.circuit import CircuitInstruction, QuantumCircuit, Qubit
from qiskit.circuit.library import RZGate, SXGate, XGate

from circuits.estimation import without_final_measurements
from circuits.parse import dump_qpy, load_qpy
from qurable.contracts.base import digest
from qurable.contracts.targets import TargetDocument

_FREE = frozenset({"barrier", "delay", "rz", "p", "u1", "z", "s", "sdg", "t", "tdg", "id"})
"""Without noise of their own that a second time would double: turns about Z, and waiting, which folds along."""

Folding = Literal["global", "gates"]


class NotFoldable(Exception):
    """A circuit has no inverse in the device's gates, or nothing to fold; the message says what."""


@dataclass(frozen=True)
class Part:
    """What is folded as one.

    Attributes:
        does: Its operations, in order.
        undoes: Those that undo it, in order.
    """

    does: Sequence[CircuitInstruction]
    undoes: Sequence[CircuitInstruction]


def fold_circuit(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: the folded circuits of an ISA circuit.

    Args:
        payload: `{"qpy": of the ISA circuit, "target": TargetDocument as JSON, "factors": [...], "folding"}`.

    Returns:
        `{"folded": [{"asked", "factor", "qpy", "isa", "depth", "two_qubit_gates", "size"}, ...]}` for every factor above
        1 that comes out as one of its own, or `{"because"}` where the circuit cannot be folded.
    """
    native = {operation.name for operation in TargetDocument.read(payload["target"]).operations}
    try:
        return {
            "folded": list(_folded(load_qpy(payload["qpy"]), payload["factors"], payload["folding"], native))
        }
    except NotFoldable as reason:
        return {"because": str(reason)}


def _folded(
    isa: QuantumCircuit, factors: Sequence[float], folding: Folding, native: Collection[str]
) -> Iterator[dict[str, Any]]:
    seen = {1.0}
    for asked in factors:
        circuit, factor = folded(isa, asked, folding, native)
        if factor in seen:
            continue
        seen.add(factor)
        body = dump_qpy(circuit)
        yield {
            "asked": asked,
            "factor": factor,
            "qpy": body,
            "isa": digest(body),
            "depth": circuit.depth(),
            "two_qubit_gates": sum(_is_pair(item) for item in circuit.data),
            "size": circuit.size(),
        }


def folded(
    isa: QuantumCircuit, factor: float, folding: Folding, native: Collection[str]
) -> tuple[QuantumCircuit, float]:
    """The circuit without its final measurements, folded, and the factor that it came out as.

    Args:
        isa: In the device's gates; parameters stay parameters.
        factor: How many times its noisy gates are to be run, >= 1.
        folding: The whole circuit, or each two-qubit gate.
        native: Names of the device's gates.

    Raises:
        NotFoldable: A gate has no inverse there, or there is no noisy gate.
    """
    bare = without_final_measurements(isa)[0]
    out = bare.copy_empty_like()
    fold = _fold_all if folding == "global" else _fold_pairs
    return out, fold(out, bare, factor, native)


def _fold_all(out: QuantumCircuit, bare: QuantumCircuit, factor: float, native: Collection[str]) -> float:
    weights = [item.name not in _FREE for item in bare.data]
    noisy = sum(weights)
    if not noisy:
        raise NotFoldable("it has no gate with noise to fold")
    whole = Part(list(bare.data), _undone(bare.data, native))
    times, last = _in_wholes(factor, noisy)
    _append(out, whole.does)
    for _ in range(times):
        _append_pair(out, whole)
    if last:
        at = len(weights)
        while sum(weights[at:]) < last:
            at -= 1
        _append_pair(out, Part(bare.data[at:], _undone(bare.data[at:], native)))
    return 1 + 2 * (times * noisy + last) / noisy


def _fold_pairs(out: QuantumCircuit, bare: QuantumCircuit, factor: float, native: Collection[str]) -> float:
    noisy = sum(map(_is_pair, bare.data))
    if not noisy:
        raise NotFoldable("it has no two-qubit gate to fold: ask for global folding")
    times, once_more = _in_wholes(factor, noisy)
    seen = 0
    for item in bare.data:
        _append(out, [item])
        if not _is_pair(item):
            continue
        for _ in range(times + (seen < once_more)):
            _append_pair(out, Part([item], _undone([item], native)))
        seen += 1
    return 1 + 2 * (times * noisy + once_more) / noisy


def _in_wholes(factor: float, noisy: int) -> tuple[int, int]:
    """How often all noisy gates are folded, and how many of them once more, as near to the factor as whole gates come."""
    return divmod(math.floor((factor - 1) / 2 * noisy + 0.5), noisy)


def _append(out: QuantumCircuit, items: Sequence[CircuitInstruction]) -> None:
    for item in items:
        out.append(item)


def _append_pair(out: QuantumCircuit, part: Part) -> None:
    """A part's inverse and the part again, each behind a barrier on the qubits they use."""
    qubits = list(dict.fromkeys(qubit for item in part.does for qubit in item.qubits))
    out.barrier(qubits)
    _append(out, part.undoes)
    out.barrier(qubits)
    _append(out, part.does)


def _undone(items: Sequence[CircuitInstruction], native: Collection[str]) -> list[CircuitInstruction]:
    return [back for item in reversed(items) for back in _inverse(item, native)]


def _inverse(item: CircuitInstruction, native: Collection[str]) -> list[CircuitInstruction]:
    """What undoes an operation but for a global phase, in the device's gates.

    Raises:
        NotFoldable: Nothing there does.
    """
    qubits = item.qubits
    if item.name in ("barrier", "delay"):
        return [item]
    if item.name == "sx" and "sxdg" not in native:
        return [_on(RZGate(math.pi), qubits), _on(SXGate(), qubits), _on(RZGate(math.pi), qubits)]
    if item.name == "rzz" and "x" in native:
        # The device takes angles from 0 to a quarter turn alone.
        flip = _on(XGate(), qubits[:1])
        return [flip, item, flip]
    if item.is_control_flow() or item.name in ("measure", "reset"):
        raise NotFoldable(f"{item.name!r} cannot be undone")
    inverse = item.operation.inverse()
    if inverse.name not in native:
        raise NotFoldable(f"the device has no gate that undoes {item.name!r}")
    return [_on(inverse, qubits)]


def _on(gate: Any, qubits: Sequence[Qubit]) -> CircuitInstruction:
    return CircuitInstruction(gate, qubits)


def _is_pair(item: CircuitInstruction) -> bool:
    return len(item.qubits) == 2 and item.name not in ("barrier", "delay")
