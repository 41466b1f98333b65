"""What a circuit would answer without noise, looked at before somebody pays for it; runs in a child.

Whether it says anything: bits that nothing writes, qubits that nothing touches, one outcome alone or all of them
alike, values that look like degrees, values that change nothing.

It is simulated as it is where that is cheap: by Aer's stabilizer method where every gate is Clifford, else by
statevector. A wider circuit is judged by small twins of it: for each of its first bits, the gates that can reach that
bit and no others, which gives exactly how often it reads 1. Rounding angles to Clifford gates would be cheap at any
width, but a circuit that is constant then need not be so as it stands.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit, generate_preset_pass_manager
from qiskit.quantum_info import Statevector
from qiskit_aer import AerSimulator

from circuits.parse import load_qpy
from circuits.squeeze import squeeze
from circuits.targets import build_target, describe_simulator
from circuits.traits import final_measurements, measure_traits

QUBITS = 16
"""The widest statevector: a mebibyte, and milliseconds a gate."""

OPERATIONS = 5_000
"""The longest circuit that is simulated; each operation may take a millisecond at the widest."""

BITS = 8
"""So many bits of a wide circuit are looked at, each by its own small twin."""

TWIN_QUBITS = 12
"""The widest of these."""

_SHOTS = 200
"""In so many shots a fair bit is constant with a probability of 1e-60."""

_TURNS = 4 * np.pi
_SAME = 1e-9
_NAMED = 8
_SHOWN = 32

Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Seen:
    """What a simulation shows.

    Attributes:
        how: What was simulated.
        ones: For each bit that was looked at, how often it reads 1.
        whole: The probability of every outcome, where there is one.
        alike: Whether all outcomes come equally often; None where that is not known.
        in_part: Whether there are more bits than were looked at.
    """

    how: str
    ones: Probabilities
    whole: Probabilities | None = None
    alike: bool | None = None
    in_part: bool = False


def look_ahead(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: simulate a circuit that is sampled, and say what speaks against it.

    Args:
        payload: `{"qpy": of the canonical circuit, "values": rows of values for p0, p1, ..., one row or two}`.

    Returns:
        `{"how", "findings"}`.
    """
    circuit, rows = load_qpy(payload["qpy"]), payload["values"] or [[]]
    findings = [*_unread(circuit), *_degrees(rows)]
    seen = [_simulate(_bound(circuit, row)) for row in rows]
    findings += _says_nothing(seen[0])
    first, last = seen[0].whole, seen[-1].whole
    if len(seen) > 1 and first is not None and last is not None and np.abs(first - last).max() < _SAME:
        findings.append(
            "its first and its last values give the same answer: do its parameters reach what is measured?"
        )
    return {"how": seen[0].how, "findings": findings}


def _bound(circuit: QuantumCircuit, row: Sequence[float]) -> QuantumCircuit:
    if not row:
        return circuit
    bound: QuantumCircuit = circuit.assign_parameters({f"p{at}": value for at, value in enumerate(row)})
    return bound


def _unread(circuit: QuantumCircuit) -> Iterator[str]:
    """Bits that are always 0 for the way the circuit is written."""
    clbit = {bit: number for number, bit in enumerate(circuit.clbits)}
    written = {clbit[bit] for item in circuit.data for bit in item.clbits}
    if empty := sorted(set(range(circuit.num_clbits)) - written):
        yield f"nothing is ever written to its classical bits {_few(empty)}"
    touched = {
        qubit
        for item in circuit.data
        if item.name not in ("measure", "barrier", "delay", "reset")
        for qubit in item.qubits
    }
    idle = [
        number
        for number, qubit in enumerate(circuit.qubits)
        if qubit not in touched
        and any(qubit in item.qubits and item.name == "measure" for item in circuit.data)
    ]
    if idle:
        yield f"it measures qubits {_few(idle)}, which no gate touches"


def _degrees(rows: Sequence[Sequence[float]]) -> Iterator[str]:
    large = [value for row in rows for value in row if abs(value) > _TURNS and float(value).is_integer()]
    if large:
        yield f"the value {large[0]:g} is more than two turns in radians: was it meant in degrees?"


def _simulate(circuit: QuantumCircuit) -> _Seen:
    traits = measure_traits(circuit, "circuit")
    if traits.has_control_flow or traits.size > OPERATIONS:
        return _Seen("nothing, as it branches or is long", np.empty(0))
    if traits.is_clifford:
        return _clifford(circuit)
    if traits.is_dynamic:
        return _Seen("nothing, as it measures and goes on", np.empty(0))
    measured = final_measurements(circuit)
    if traits.active_qubits <= QUBITS:
        whole = _outcomes(circuit, tuple(measured))
        bits = np.arange(len(whole))
        ones = np.array([whole[(bits >> at) & 1 == 1].sum() for at in range(len(measured))])
        alike = len(whole) > 1 and bool(np.abs(whole - 1 / len(whole)).max() < _SAME)
        return _Seen("the whole circuit by statevector", ones, whole, alike)
    ones = np.array([_ones(circuit, qubit) for qubit in list(measured)[:BITS]])
    known = ones[~np.isnan(ones)]
    how = f"small twins of {len(known)} of its {len(measured)} bits"
    return _Seen(how, ones, in_part=len(ones) < len(measured))


def _clifford(circuit: QuantumCircuit) -> _Seen:
    """Bits of a Clifford circuit are certain or fair, and its outcomes all equally likely among those that come."""
    target = build_target(describe_simulator("stabilizer"))
    ready = generate_preset_pass_manager(0, target=target).run(squeeze(circuit)[0])
    run = AerSimulator(method="stabilizer").run(ready, shots=_SHOTS, seed_simulator=0, memory=True)
    memory = run.result().get_memory() if circuit.num_clbits else []
    shots = np.array([[bit == "1" for bit in reversed(word.replace(" ", ""))] for word in memory])
    written = sorted({circuit.find_bit(bit).index for item in circuit.data for bit in item.clbits})
    if not written:
        return _Seen("the whole circuit by stabilizers", np.empty(0))
    shots = shots[:, written]
    alike = _rank(shots[1:] ^ shots[0]) == len(written) if len(written) <= _SHOTS // 2 else None
    return _Seen("the whole circuit by stabilizers", shots.mean(axis=0), alike=alike)


def _rank(rows: npt.NDArray[np.bool_]) -> int:
    """Over the field of two elements."""
    rows, rank = rows.copy(), 0
    for column in range(rows.shape[1]):
        pivots = np.flatnonzero(rows[rank:, column])
        if not len(pivots):
            continue
        pivot = rank + pivots[0]
        rows[[rank, pivot]] = rows[[pivot, rank]]
        others = np.flatnonzero(rows[:, column])
        rows[others[others != rank]] ^= rows[rank]
        rank += 1
    return rank


def _ones(circuit: QuantumCircuit, qubit: int) -> float:
    """How often a qubit reads 1 at the end, from the gates that can reach it; NaN where these are too many."""
    reached = {circuit.qubits[qubit]}
    kept = []
    for item in reversed(list(circuit.data)):
        if item.name in ("measure", "barrier", "delay") or reached.isdisjoint(item.qubits):
            continue
        reached.update(item.qubits)
        if len(reached) > TWIN_QUBITS:
            return float("nan")
        kept.append(item)
    cone = circuit.copy_empty_like()
    cone.data = list(reversed(kept))
    small, active = squeeze(cone, keep=[qubit])
    return float(Statevector(small).probabilities([active.index(qubit)])[1])


def _outcomes(circuit: QuantumCircuit, measured: tuple[int, ...]) -> Probabilities:
    """Probability of every outcome, bit k of its number that of the k-th measured qubit."""
    gates = circuit.copy_empty_like()
    gates.data = [item for item in circuit.data if item.name not in ("measure", "barrier", "delay")]
    small, active = squeeze(gates, keep=measured)
    if not measured:
        return np.ones(1)
    probabilities: Probabilities = Statevector(small).probabilities(
        [active.index(qubit) for qubit in measured]
    )
    return probabilities


def _says_nothing(seen: _Seen) -> Iterator[str]:
    if len(seen.ones) and bool(np.all((seen.ones < _SAME) | (seen.ones > 1 - _SAME))):  # none of them unknown
        answer = "".join("1" if one > _SAME else "0" for one in reversed(seen.ones))
        which = f"its first {len(seen.ones)} bits are" if seen.in_part else "its bits are"
        yield f"without noise {which} always {answer[-_SHOWN:]}: only a device's errors would be seen in them"
    elif seen.alike:
        yield "without noise every outcome is equally likely, as of coins: no number of shots says more"


def _few(numbers: Sequence[int]) -> str:
    words = ", ".join(str(number) for number in numbers[:_NAMED])
    return f"{words} and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else words
