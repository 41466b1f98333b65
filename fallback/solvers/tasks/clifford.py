"""Clifford circuits on stim, as a task for a child.

Bit order: as everywhere, outcomes are packed as in Qiskit's `BitArray`, classical bit 0 in the lowest bit of the
last byte; a bit that is never written reads 0, and one that is written twice keeps the last.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import stim
from qiskit.circuit import CircuitInstruction, QuantumCircuit

from circuits.confidence import NOTE, note_of
from circuits.estimation import Product
from circuits.parse import load_qpy
from circuits.seeds import STRIDE
from circuits.squeeze import squeeze
from isolation.child import Emit
from isolation.pieces import Answer, expectation_of, run_pieces, values_of
from qurable.contracts.confidence import Confidence, ConfidenceKind
from qurable.contracts.results import ErrorOrigin
from qurable.errors import UnsupportedCircuit

_NEAR = 1e-9
"""A quarter turn that arithmetic on bound values has reached is this close to one."""

_ROWS_AT_ONCE = 4096

_FIXED: dict[str, tuple[tuple[str, tuple[int, ...]], ...]] = {
    "id": (),
    "x": (("X", (0,)),),
    "y": (("Y", (0,)),),
    "z": (("Z", (0,)),),
    "h": (("H", (0,)),),
    "s": (("S", (0,)),),
    "sdg": (("S_DAG", (0,)),),
    "sx": (("SQRT_X", (0,)),),
    "sxdg": (("SQRT_X_DAG", (0,)),),
    "cx": (("CX", (0, 1)),),
    "cy": (("CY", (0, 1)),),
    "cz": (("CZ", (0, 1)),),
    "swap": (("SWAP", (0, 1)),),
    "iswap": (("ISWAP", (0, 1)),),
    "dcx": (("CX", (0, 1)), ("CX", (1, 0))),
    "ecr": (("S", (0,)), ("SQRT_X", (1,)), ("CX", (0, 1)), ("X", (0,))),
}
"""What each gate is in stim's, on the qubits of the gate, beside a phase."""

_TURNS: dict[str, tuple[str, str, str]] = {
    "rx": ("SQRT_X", "X", "SQRT_X_DAG"),
    "ry": ("SQRT_Y", "Y", "SQRT_Y_DAG"),
    "rz": ("S", "Z", "S_DAG"),
    "p": ("S", "Z", "S_DAG"),
    "u1": ("S", "Z", "S_DAG"),
    "rxx": ("SQRT_XX", "XX", "SQRT_XX_DAG"),
    "ryy": ("SQRT_YY", "YY", "SQRT_YY_DAG"),
    "rzz": ("SQRT_ZZ", "ZZ", "SQRT_ZZ_DAG"),
}
"""One, two and three quarter turns, beside a phase."""

_IDLE = frozenset({"barrier", "delay"})


def simulate(payload: Any, emit: Emit) -> Any:
    """Task: run pieces of a submission on stim; takes and emits what `isolation.aer:simulate` does.

    Raises:
        UnsupportedCircuit: A gate is not Clifford.
    """
    circuits = {isa: load_qpy(body) for isa, body in payload["circuits"].items()}
    answer = _sample if payload["kind"] == "sample" else _estimate
    run_pieces(payload, emit, lambda piece: answer(circuits[piece["isa"]], piece))


def _sample(original: QuantumCircuit, piece: Any) -> Answer:
    circuit, _ = squeeze(original)
    rows = []
    for row, bound in enumerate(bound_circuits(circuit, piece)):
        program, written = translated(bound)
        seed = piece["seed"] + STRIDE * (piece["start"] + row)
        measured = program.compile_sampler(seed=seed).sample(piece["shots"], bit_packed=True)
        rows.append(_packed(measured, written, circuit.num_clbits))
    confidence = Confidence(
        kind=ConfidenceKind.STANDARD_ERROR,
        value=0.5 / math.sqrt(piece["shots"]),
        basis=f"the circuit was sampled exactly; over {piece['shots']:,} shots no frequency has a larger standard error",
    )
    return {"bits": np.stack(rows)}, {"method": "stim", NOTE: note_of(confidence)}


def _estimate(original: QuantumCircuit, piece: Any) -> Answer:
    asked = expectation_of(original, piece, idle_is_zero=True)
    programs = [translated(bound)[0] for bound in bound_circuits(asked.circuit, piece)]
    known: dict[tuple[int, Product], float] = {}
    evs = np.zeros(len(asked.pairs))
    for at, (_, row, observable) in enumerate(asked.pairs):
        for product, factor in asked.sums[observable].items():
            if (row, product) not in known:
                known[row, product] = expectation(programs[row], product)
            evs[at] += factor * known[row, product]
    confidence = Confidence(
        kind=ConfidenceKind.STANDARD_ERROR,
        value=0.0,
        basis="the value is exact: a Pauli observable followed back through a Clifford circuit",
    )
    notes = {"method": "stim", "error_origin": str(ErrorOrigin.EXACT), NOTE: note_of(confidence)}
    return asked.arrays(evs, np.zeros(len(evs))), notes


def bound_circuits(circuit: QuantumCircuit, piece: Any) -> Iterable[QuantumCircuit]:
    """The circuit with the values of each row of a piece."""
    place = {name: at for at, name in enumerate(piece["parameters"])}
    parameters = list(circuit.parameters)
    for values in values_of(piece):
        yield circuit.assign_parameters(
            {parameter: values[place[parameter.name]] for parameter in parameters}
        )


def translated(circuit: QuantumCircuit) -> tuple[stim.Circuit, dict[int, int]]:
    """The circuit as stim reads it, and which of its measurements each classical bit keeps.

    Raises:
        UnsupportedCircuit: A gate is not Clifford.
    """
    index = {qubit: at for at, qubit in enumerate(circuit.qubits)}
    clbit = {bit: at for at, bit in enumerate(circuit.clbits)}
    lines: list[str] = []
    written: dict[int, int] = {}
    measurements = 0
    for item in circuit.data:
        qubits = [index[qubit] for qubit in item.qubits]
        if item.name in _IDLE:
            continue
        if item.name == "measure":
            lines.append(f"M {qubits[0]}")
            written[clbit[item.clbits[0]]] = measurements
            measurements += 1
        elif item.name == "reset":
            lines.append(f"R {qubits[0]}")
        else:
            for name, on in _in_stim(item):
                lines.append(f"{name} {' '.join(str(qubits[at]) for at in on)}")
    return stim.Circuit("\n".join(lines)), written


def _in_stim(item: CircuitInstruction) -> Sequence[tuple[str, tuple[int, ...]]]:
    """An operation in stim's gates, on its own qubits."""
    if item.name in _FIXED:
        return _FIXED[item.name]
    if item.name == "pauli":
        letters = reversed(item.operation.params[0])
        return [(letter, (at,)) for at, letter in enumerate(letters) if letter != "I"]
    turns = _quarter_turns(item)
    if turns is None:
        angles = [str(value) for value in item.params]
        raise UnsupportedCircuit(
            f"gate {item.name!r}{' with ' + ', '.join(angles) if angles else ''} is not Clifford, and stim runs nothing else: "
            "ask for 'aer', 'classical:mps' or, for expectation values, 'classical:pauli'"
        )
    if turns == 0:
        return ()
    if item.name == "rzx":
        return (("H", (1,)), *_turned("rzz", turns), ("H", (1,)))
    return _turned(item.name, turns)


def _turned(name: str, turns: int) -> Sequence[tuple[str, tuple[int, ...]]]:
    gate = _TURNS[name][turns - 1]
    if gate in {"XX", "YY", "ZZ"}:
        return ((gate[0], (0,)), (gate[0], (1,)))
    return ((gate, (0, 1) if len(name) == 3 else (0,)),)


def _quarter_turns(item: CircuitInstruction) -> int | None:
    """How many quarter turns a rotation makes, modulo 4; None for what is none."""
    if item.name not in _TURNS and item.name != "rzx":
        return None
    turns = float(item.params[0]) / (math.pi / 2)
    return round(turns) % 4 if abs(turns - round(turns)) < _NEAR else None


def _packed(
    measured: npt.NDArray[np.uint8], written: dict[int, int], num_clbits: int
) -> npt.NDArray[np.uint8]:
    """Measurements in stim's order and packing as classical bits in Qiskit's, shape (shots, bytes)."""
    shots, width = measured.shape[0], (num_clbits + 7) // 8
    packed: npt.NDArray[np.uint8] = np.zeros((shots, width), dtype=np.uint8)
    clbits, records = list(written), list(written.values())
    for start in range(0, shots, _ROWS_AT_ONCE):
        flat = np.unpackbits(measured[start : start + _ROWS_AT_ONCE], axis=1, bitorder="little")
        bits = np.zeros((flat.shape[0], num_clbits), dtype=np.uint8)
        bits[:, clbits] = flat[:, records]
        packed[start : start + _ROWS_AT_ONCE] = np.packbits(bits, axis=1, bitorder="little")[:, ::-1]
    return packed


def expectation(program: stim.Circuit, product: Product) -> float:
    """The exact value of a Pauli product after a circuit that starts in |0...0>: 1, 0 or -1.

    The product is followed back to the start. A measurement or reset on the way that it does not commute with
    leaves it no value: it averages to 0.
    """
    if not product:
        return 1.0
    observable = stim.PauliString(dict(product))
    width = max(len(observable), program.num_qubits)
    observable = observable + stim.PauliString(width - len(observable))
    try:
        before = observable.before(program)
    except ValueError as error:
        if "anticommutes" not in str(error):
            raise
        return 0.0
    return 0.0 if before.pauli_indices("XY") else float(before.sign.real)
