"""Clifford twins of ISA circuits: the same shape with an answer that is known at any width; runs in a child.

A twin has the circuit's two-qubit gates, pulses, delays and readings where they are; only angles differ, each a
multiple of a quarter turn. What it measures without noise is uniform over an affine subspace of the outcomes
(Dehaene and De Moor, Phys. Rev. A 68, 042318 (2003)), given here by parity checks: sets of bits whose parity is
certain. A device that errs breaks them.

Angles are rounded to the nearest quarter turn where the checks that this leaves would notice most errors. Else they
are chosen: neighbours are kept out of entanglement where the circuit's own rotations allow it, as in the trap circuits
of Ferracin, Kapourniotis and Datta, New J. Phys. 21, 113038 (2019), and single angles are turned as long as that helps.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction

from circuits.parities import (
    ABOUT_Z,
    Bits,
    Clifford,
    Gate,
    NotClifford,
    Picks,
    gate_moves,
    noticed_share,
    one_outcome,
    parities,
)
from circuits.parse import dump_qpy, load_qpy
from qurable.contracts.base import digest

_QUARTER = math.pi / 2
_IDLE = frozenset({"barrier", "delay"})
_PAIRS = frozenset({"rzz", "rxx", "ryy", "rzx"})

_ENOUGH = 0.5
"""Share of errors that a twin by the nearest angles has to notice to be taken as it is; a choice of this project's."""

_GOOD = 0.75
"""Share at which nobody looks for more: next to a reading, 12 of 15 errors of a gate are as many as any twin notices."""

_STARTS = 8
_VISITS = 400_000
"""Operations that a search may look at: seconds, the same on every machine."""


class _NoTwin(Exception):
    """There is none; the message says why."""


def make_twin(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: the twin of an ISA circuit.

    Args:
        payload: `{"qpy": of the ISA circuit, "values": of p0, p1, ... that are bound}`.

    Returns:
        `{"qpy", "isa", "bits", "checks", "odd", "noticed"}`: `bits` is how many are read, `checks` are sets of
        classical bits as hexadecimal numbers, bit 0 the lowest, `odd` is each one's parity, and `noticed` the share of
        single errors behind two-qubit gates that would break one of them. Or `{"because"}` where there is no twin.
    """
    try:
        return twin_of(load_qpy(payload["qpy"]), payload["values"], seed=digest(payload["qpy"]))
    except (_NoTwin, NotClifford) as reason:
        return {"because": str(reason)}


def twin_of(isa: QuantumCircuit, values: Sequence[float], *, seed: str) -> dict[str, Any]:
    """The twin of an ISA circuit as `make_twin` gives it; the same for the same seed (hexadecimal)."""
    bound = isa.assign_parameters({f"p{at}": value for at, value in enumerate(values)}) if values else isa
    shape = _shape(bound)
    picks, noticed = _choose(shape, np.random.default_rng(int(seed[:16], 16)))
    rows = parities(shape, picks)
    if not len(rows):
        raise _NoTwin("without noise every outcome of its twins is equally likely, as of coins")
    outcome = one_outcome(shape, picks)
    twin = _written(bound, shape, picks)
    body = dump_qpy(twin)
    return {
        "qpy": body,
        "isa": digest(body),
        "bits": len(shape.measured),
        "checks": [
            f"{sum(1 << clbit for (_, clbit), bit in zip(shape.measured, row, strict=True) if bit):x}"
            for row in rows
        ],
        "odd": [int(parity) for parity in rows @ outcome & 1],
        "noticed": noticed,
    }


def _shape(circuit: QuantumCircuit) -> Clifford:
    index = {bit: at for at, bit in enumerate(circuit.qubits)}
    clbit = {bit: at for at, bit in enumerate(circuit.clbits)}
    place: dict[int, int] = {}
    measured: dict[int, int] = {}
    gates = []
    for at, item in enumerate(circuit.data):
        if item.name in _IDLE:
            continue
        qubits = tuple(place.setdefault(index[bit], len(place)) for bit in item.qubits)
        if item.is_control_flow() or item.name == "reset" or not measured.keys().isdisjoint(qubits):
            raise _NoTwin("it branches, resets, or measures and goes on")
        if item.name == "measure":
            measured[qubits[0]] = clbit[item.clbits[0]]
        else:
            gates.append(Gate(at, item.name, qubits, _choices(item)))
    if len(set(measured.values())) != len(measured):
        raise _NoTwin("it writes a classical bit twice")
    if not measured:
        raise _NoTwin("it measures nothing")
    return Clifford(gates, len(place), tuple(measured.items()))


def _choices(item: CircuitInstruction) -> tuple[tuple[float, ...], ...]:
    """Angles that make a gate Clifford, an even and an odd number of quarter turns where that is free.

    A pulse stays a pulse: no angle of a rotation that is one becomes 0, and rzz stays in IBM's range of 0 to a
    quarter turn.
    """
    if not all(isinstance(angle, int | float) for angle in item.params):
        raise NotClifford(f"no Clifford gate of the same pulses is known for {item.name!r}")
    angles = tuple(float(angle) for angle in item.params)
    if item.name in _PAIRS:
        return ((_QUARTER,),)
    if item.name in ABOUT_Z:
        turns = angles[0] / _QUARTER
        found: tuple[tuple[float, ...], ...] = tuple(
            (_QUARTER * turn,)
            for turn in sorted((math.floor(turns), math.floor(turns) + 1), key=lambda turn: abs(turns - turn))
        )
    elif item.name in {"rx", "ry"}:
        turns = math.remainder(angles[0], 2 * math.pi) / _QUARTER
        odd = 1 if turns >= 0 else -1
        found = tuple(
            (_QUARTER * turn,) for turn in sorted((odd, 2), key=lambda turn: abs(abs(turns) - abs(turn)))
        )
    else:
        found = (tuple(_QUARTER * round(angle / _QUARTER) for angle in angles),)
    gate_moves(item.name, found[0])
    return found


def _choose(shape: Clifford, rng: np.random.Generator) -> tuple[Picks, float]:
    """Angles whose checks notice the most, and the share that they notice."""

    def score(picks: Picks) -> float:
        return noticed_share(shape, picks, parities(shape, picks))

    best = [0] * len(shape.gates)
    most = score(best)
    free = [at for at, gate in enumerate(shape.gates) if len(gate.choices) > 1]
    if most >= _ENOUGH or not free:
        return best, most
    tries = max(_STARTS, _VISITS // max(1, 2 * len(shape.gates)))
    turned = iter(rng.permutation(free).tolist())
    for tried in range(tries):
        if tried < _STARTS:
            picks = _apart(shape, rng)
        else:
            at = next(turned, None)
            if at is None:
                break
            picks = [*best[:at], 1 - best[at], *best[at + 1 :]]
        if (found := score(picks)) > most:
            best, most = picks, found
        if most >= _GOOD:
            break
    return best, most


def _apart(shape: Clifford, rng: np.random.Generator) -> Picks:
    """Angles that keep qubits out of entanglement, each in a state of X, Y or Z, wherever their rotations allow it."""
    picks = [0] * len(shape.gates)
    states: list[tuple[int, int] | None] = [(0, 1)] * shape.width
    waiting: list[list[int]] = [[] for _ in range(shape.width)]

    def reached(qubit: int) -> dict[tuple[int, int] | None, Picks]:
        """Each state that the waiting rotations can lead to, with their angles."""
        found: dict[tuple[int, int] | None, Picks] = {states[qubit]: []}
        for at in waiting[qubit]:
            gate = shape.gates[at]
            after: dict[tuple[int, int] | None, Picks] = {}
            for state, way in found.items():
                for pick in range(len(gate.choices)):
                    after.setdefault(_moved(state, gate.moves(pick)), [*way, pick])
            found = after
        return found

    def settle(qubit: int, way: Picks) -> None:
        for at, pick in zip(waiting[qubit], way, strict=True):
            picks[at] = pick
        waiting[qubit].clear()

    for at, gate in enumerate(shape.gates):
        if len(gate.qubits) == 1:
            waiting[gate.qubits[0]].append(at)
            continue
        first, second = gate.qubits
        ways = reached(first), reached(second)
        every = [(one, other) for one in ways[0] for other in ways[1]]
        apart = [pair for pair in every if _stay_apart(*pair, gate.moves(0)) is not None]
        pair = (apart or every)[rng.integers(len(apart or every))]
        settle(first, ways[0][pair[0]])
        settle(second, ways[1][pair[1]])
        states[first], states[second] = _stay_apart(*pair, gate.moves(0)) or (None, None)
    for qubit in range(shape.width):
        ways_out = reached(qubit)
        settle(qubit, ways_out.get((0, 1)) or next(iter(ways_out.values())))
    return picks


def _moved(state: tuple[int, int] | None, moves: Bits) -> tuple[int, int] | None:
    if state is None:
        return None
    after = moves @ np.array(state, dtype=np.uint8) & 1
    return int(after[0]), int(after[1])


def _stay_apart(
    one: tuple[int, int] | None, other: tuple[int, int] | None, moves: Bits
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """The states of two qubits after a gate; None where it entangles them, or they were."""
    if one is None or other is None:
        return None
    first = moves @ np.array([one[0], 0, one[1], 0], dtype=np.uint8) & 1
    second = moves @ np.array([0, other[0], 0, other[1]], dtype=np.uint8) & 1
    found: dict[int, tuple[int, int]] = {}
    for pauli in (first, second, first ^ second):
        left, right = (int(pauli[0]), int(pauli[2])), (int(pauli[1]), int(pauli[3]))
        if right == (0, 0):
            found[0] = left
        elif left == (0, 0):
            found[1] = right
    return (found[0], found[1]) if len(found) == 2 else None


def _written(circuit: QuantumCircuit, shape: Clifford, picks: Picks) -> QuantumCircuit:
    """The circuit with the twin's angles, and without its author's words for it."""
    twin = circuit.copy(name="twin")
    twin.metadata = {}
    angles = {gate.at: gate.choices[pick] for gate, pick in zip(shape.gates, picks, strict=True)}
    twin.data = list(_items(circuit.data, angles))
    return twin


def _items(
    data: Sequence[CircuitInstruction], angles: dict[int, tuple[float, ...]]
) -> Iterator[CircuitInstruction]:
    for at, item in enumerate(data):
        if angles.get(at):
            yield item.replace(operation=item.operation.base_class(*angles[at]))
        else:
            yield item
