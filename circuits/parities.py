"""What a Clifford circuit's readings have in common without noise, and which errors that shows; for a child.

Pauli operators are followed through the circuit, signs aside: the readings of a stabilizer state are uniform over an
affine subspace of the outcomes (Dehaene and De Moor, Phys. Rev. A 68, 042318 (2003)), given here by sets of bits whose
parity is certain.
"""

import functools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import stim
from qiskit.circuit.library import get_standard_gate_name_mapping

ABOUT_Z = frozenset({"rz", "p", "u1"})
"""Rotations that are no pulses."""

Bits = npt.NDArray[np.uint8]
Picks = list[int]


class NotClifford(Exception):
    """A gate is none that is known to be Clifford; the message says which."""


@dataclass(frozen=True)
class Gate:
    """A gate of the twin, on the circuit's busy qubits.

    Attributes:
        at: Its position in the circuit's data.
        name: Qiskit's.
        qubits: Where.
        choices: Angles it may have, every one of which makes it Clifford, the nearest first.
    """

    at: int
    name: str
    qubits: tuple[int, ...]
    choices: tuple[tuple[float, ...], ...]

    def moves(self, pick: int) -> Bits:
        """What it does to Pauli operators, signs aside, see `gate_moves`."""
        return gate_moves(self.name, self.choices[pick])


@dataclass(frozen=True)
class Clifford:
    """What a twin is made of.

    Attributes:
        gates: In order.
        width: Busy qubits.
        measured: Busy qubit and classical bit of each reading, in order.
    """

    gates: Sequence[Gate]
    width: int
    measured: Sequence[tuple[int, int]]


@functools.lru_cache(maxsize=4096)
def _tableau(name: str, angles: tuple[float, ...]) -> stim.Tableau:
    known = get_standard_gate_name_mapping().get(name)
    if known is None:
        raise NotClifford(f"no Clifford gate of the same pulses is known for {name!r}")
    try:
        return stim.Tableau.from_unitary_matrix(known.base_class(*angles).to_matrix(), endian="little")
    except ValueError:
        raise NotClifford(f"no Clifford gate of the same pulses is known for {name!r}") from None


@functools.lru_cache(maxsize=4096)
def gate_moves(name: str, angles: tuple[float, ...]) -> Bits:
    """A gate on w qubits as a (2w, 2w) matrix over two elements: column j holds what becomes of the j-th of X0..Xw, Z0..Zw."""
    x2x, x2z, z2x, z2z, _, _ = _tableau(name, angles).to_numpy()
    moves: Bits = np.block([[x2x, x2z], [z2x, z2z]]).astype(np.uint8).T.copy()
    return moves


@functools.lru_cache(maxsize=4096)
def _sums(name: str, angles: tuple[float, ...], *, back: bool = False) -> tuple[tuple[int, ...], ...]:
    """Which of a gate's rows are added up for each of its rows; empty where nothing changes.

    The inverse of a symplectic matrix is its transpose with X and Z exchanged.
    """
    moves = gate_moves(name, angles)
    if back:
        width = len(moves) // 2
        swap = np.r_[width : 2 * width, 0:width]
        moves = moves.T[np.ix_(swap, swap)]
    if (moves == np.eye(len(moves))).all():
        return ()
    return tuple(tuple(np.flatnonzero(row).tolist()) for row in moves)


def _apply(paulis: list[int], gate: Gate, pick: int, width: int, *, back: bool = False) -> None:
    """Follow Pauli operators through a gate, or back.

    Args:
        paulis: X of each qubit, then Z of each, as numbers whose bit k is that of the k-th operator.
        gate: Which.
        pick: Of its angles.
        width: Qubits.
        back: From its end to its beginning.
    """
    sums = _sums(gate.name, gate.choices[pick], back=back)
    if not sums:
        return
    rows = _rows(gate, width)
    before = [paulis[row] for row in rows]
    for row, sources in zip(rows, sums, strict=True):
        paulis[row] = functools.reduce(operator.xor, [before[source] for source in sources])


def _rows(gate: Gate, width: int) -> list[int]:
    return [*gate.qubits, *(width + qubit for qubit in gate.qubits)]


def parities(shape: Clifford, picks: Picks) -> Bits:
    """The sets of readings whose parity is certain, as rows over `measured`, none of them a sum of others."""
    width = shape.width
    paulis = [0] * width + [1 << qubit for qubit in range(width)]
    for gate, pick in zip(shape.gates, picks, strict=True):
        _apply(paulis, gate, pick, width)
    read = [qubit for qubit, _ in shape.measured]
    unread = sorted(set(range(width)) - set(read))
    hidden = _unpacked(paulis[:width] + [paulis[width + qubit] for qubit in unread], width)
    return _combinations_without(hidden.T, _unpacked([paulis[width + qubit] for qubit in read], width).T)


def _unpacked(numbers: Sequence[int], width: int) -> Bits:
    """The bits of numbers, shape (numbers, width), bit 0 first."""
    size = (width + 7) // 8
    packed = np.frombuffer(b"".join(number.to_bytes(size, "little") for number in numbers), dtype=np.uint8)
    return np.unpackbits(packed.reshape(len(numbers), size), axis=1, count=width, bitorder="little")


def _combinations_without(hidden: Bits, seen: Bits) -> Bits:
    """What sums of rows leave in `seen` that cancel in `hidden`, all that are independent."""
    hidden, seen = hidden.copy(), seen.copy()
    rank = 0
    for column in range(hidden.shape[1]):
        pivots = np.flatnonzero(hidden[rank:, column])
        if not len(pivots):
            continue
        pivot = rank + pivots[0]
        hidden[[rank, pivot]], seen[[rank, pivot]] = hidden[[pivot, rank]], seen[[pivot, rank]]
        others = rank + 1 + np.flatnonzero(hidden[rank + 1 :, column])
        hidden[others] ^= hidden[rank]
        seen[others] ^= seen[rank]
        rank += 1
    return seen[rank:]


def noticed_share(shape: Clifford, picks: Picks, rows: Bits) -> float:
    """Share of Pauli errors behind a two-qubit gate, each as likely as any, that break a parity check.

    Of a circuit without such gates: behind any gate that is a pulse.
    """
    if not len(rows):
        return 0.0
    width = shape.width
    paulis = [0] * (2 * width)
    for (qubit, _), column in zip(shape.measured, rows.T, strict=True):
        paulis[width + qubit] = int.from_bytes(np.packbits(column, bitorder="little").tobytes(), "little")
    pairs: list[float] = []
    singles: list[float] = []
    for gate, pick in zip(reversed(shape.gates), reversed(picks), strict=True):
        if len(gate.qubits) == 2 or gate.name not in ABOUT_Z:
            kinds = 4 ** len(gate.qubits)
            free = 2 * len(gate.qubits) - _rank([paulis[row] for row in _rows(gate, width)])
            (pairs if len(gate.qubits) == 2 else singles).append((kinds - 2**free) / (kinds - 1))
        _apply(paulis, gate, pick, width, back=True)
    shares = pairs or singles
    return float(np.mean(shares)) if shares else 0.0


def _rank(rows: Iterable[int]) -> int:
    """How many of these numbers are no sums of others, bit by bit."""
    basis: list[int] = []
    for row in rows:
        rest = row
        for known in basis:
            rest = min(rest, rest ^ known)
        if rest:
            basis.append(rest)
    return len(basis)


def one_outcome(shape: Clifford, picks: Picks) -> Bits:
    """One of the outcomes that come without noise; every other has the same parities."""
    simulator = stim.TableauSimulator(seed=0)
    simulator.set_num_qubits(shape.width)
    for gate, pick in zip(shape.gates, picks, strict=True):
        simulator.do_tableau(_tableau(gate.name, gate.choices[pick]), gate.qubits)
    read = simulator.measure_many(*(qubit for qubit, _ in shape.measured))
    return np.array(read, dtype=np.uint8)
