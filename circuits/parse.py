"""From what a stranger sent to a canonical circuit; runs in a child.

The task `parse_circuits` takes the circuits of a job and gives back, for each distinct one, the QPY of its
canonical form and a `ParsedCircuit` without the artifact hash's bytes.
"""

import re
import warnings
from collections.abc import Callable
from typing import Any

from qiskit import ClassicalRegister, QuantumCircuit, qasm2, qasm3

from circuits.canonical import canonicalise
from circuits.source import SourceLimits, check_source, defined_gates, without_comments
from circuits.traits import measure_traits
from qurable import qpy
from qurable.contracts.base import digest
from qurable.contracts.circuits import CircuitFormat, ParsedCircuit
from qurable.errors import CircuitRejected, HybridError

_QASM2_POSITION = re.compile(r"<input>:(\d+),(\d+): (.*)", re.DOTALL)
_QASM3_POSITION = re.compile(r"L?(\d+)[,:]C?(\d+): (.*)", re.DOTALL)
_SINGLE_BIT = re.compile(r"\bbit\s+([^\W\d]\w*)\s*;")
_DECORATION = re.compile(r"\x1b\[[0-9;]*m|[\u2500-\u257f]+")
"""What Rust paints around its errors for a terminal."""

_QPY_MAGIC = b"QISKIT"
_QPY_OLDEST = 13


def parse_circuits(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: parse, check and canonicalise circuits.

    Args:
        payload: `{"limits": {...}, "circuits": [{"format", "source", "name", "metadata"}, ...]}`.

    Returns:
        A list in the same order of `[ParsedCircuit as JSON, QPY of the canonical circuit]`.
    """
    limits = SourceLimits(**payload["limits"])
    return [_parse_one(entry, limits) for entry in payload["circuits"]]


def _parse_one(entry: Any, limits: SourceLimits) -> list[Any]:
    form, name = CircuitFormat(entry["format"]), entry["name"]
    circuit = read_circuit(entry["source"], form, limits, name)
    try:
        canonical = canonicalise(circuit, limit=limits.expanded_gates, name=name, metadata=entry["metadata"])
        traits = measure_traits(canonical.circuit, name)
    except RecursionError:
        raise CircuitRejected(
            f"circuit {name!r} is nested too deeply; flatten loops or definitions"
        ) from None
    body = dump_qpy(canonical.circuit)
    identity = canonical.digest if canonical.cacheable else "uncacheable-" + digest(body)
    parsed = ParsedCircuit(
        canonical=identity,
        cacheable=canonical.cacheable,
        qpy=digest(body),
        source=entry["source_hash"],
        dress=canonical.dress,
        traits=traits,
    )
    return [parsed.model_dump_json(), body]


def read_circuit(source: bytes, form: CircuitFormat, limits: SourceLimits, name: str) -> QuantumCircuit:
    """Parse a circuit from the outside.

    Raises:
        CircuitRejected: Whatever is wrong with it, with line and column where the parser tells.
    """
    if form is CircuitFormat.QPY:
        return _read_qpy(source, name)
    try:
        text = source.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CircuitRejected(
            f"circuit {name!r} is not UTF-8 text: byte {error.start} is no character"
        ) from None
    text = text.removeprefix("\ufeff")
    check_source(text, form, limits, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if form is CircuitFormat.OPENQASM2:
                return qasm2.loads(text, include_path=(), custom_instructions=_qiskit_extras(text))
            return _with_named_bits(qasm3.loads(text), text)
    except HybridError:
        raise
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001  a panic of the Rust parser is no `Exception`
        raise _explained(error, form, name) from None


def _with_named_bits(circuit: QuantumCircuit, text: str) -> QuantumCircuit:
    """A register of one bit, by its name, for each `bit c;`: the parser gives it none, and results are told by register."""
    kept = {bit for register in circuit.cregs for bit in register}
    loose = [bit for bit in circuit.clbits if bit not in kept]
    names = _SINGLE_BIT.findall(without_comments(text))
    if len(names) != len(loose):  # one in an inner scope shares its name with another
        names = [f"bit{number}" for number in range(len(loose))]
    for name, bit in zip(names, loose, strict=True):
        circuit.add_register(ClassicalRegister(bits=[bit], name=name))
    return circuit


def _qiskit_extras(text: str) -> list[Any]:
    """Gates that Qiskit exports without defining them, less those that this text defines for itself.

    Given a custom instruction, the parser takes it whatever the text's own definition says.
    """
    own = defined_gates(text)
    return [
        gate
        for gate in qasm2.LEGACY_CUSTOM_INSTRUCTIONS
        if (gate.builtin or gate.name == "delay") and gate.name not in own
    ]


def _explained(error: BaseException, form: CircuitFormat, name: str) -> CircuitRejected:
    """A parser's exception as one sentence with its position."""
    message = _one_line(error)
    pattern = _QASM2_POSITION if form is CircuitFormat.OPENQASM2 else _QASM3_POSITION
    found = pattern.search(message)
    if found:
        line, column = int(found.group(1)), int(found.group(2)) + 1
        what = found.group(3)
    else:
        line, column = _antlr_position(error)
        what = message
    if isinstance(error, RecursionError):
        what = "it is nested too deeply to be read; flatten loops or definitions"
    elif type(error).__name__ == "PanicException":
        what = f"the parser gave up on it ({what[:200]})"
    elif not what or isinstance(error, AttributeError):  # the OpenQASM 3 parser trips over an empty program
        what = "it is not valid OpenQASM"
    elif not found:
        what = f"{what} ({type(error).__name__})"
    if line:
        return CircuitRejected(
            f"circuit {name!r}, line {line}, column {column}: {what}", line=line, column=column
        )
    return CircuitRejected(f"circuit {name!r}: {what}")


def _one_line(error: BaseException) -> str:
    """What an exception of a parser says, without quotes around it and paint on it."""
    return " ".join(_DECORATION.sub(" ", str(getattr(error, "message", error))).split())[:500]


def _antlr_position(error: BaseException) -> tuple[int, int]:
    """Line and column of a syntax error, which the OpenQASM 3 parser keeps two causes deep."""
    seen: BaseException | None = error
    while seen is not None:
        for candidate in (seen, *seen.args):
            token = getattr(candidate, "offendingToken", None)
            if token is not None:
                return int(token.line), int(token.column) + 1
        seen = seen.__cause__ or seen.__context__
    return 0, 0


def _read_qpy(source: bytes, name: str) -> QuantumCircuit:
    if source[:6] != _QPY_MAGIC:
        raise CircuitRejected(f"circuit {name!r} is not QPY: it does not begin with {_QPY_MAGIC.decode()!r}")
    if source[6:7] < bytes([_QPY_OLDEST]):
        raise CircuitRejected(
            f"circuit {name!r} is QPY version {int.from_bytes(source[6:7])}; versions from {_QPY_OLDEST} are read, older ones can carry code: "
            "save it again with a current Qiskit"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            circuits = qpy.load(source)
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001  a panic of the Rust reader is no `Exception`
        raise CircuitRejected(
            f"circuit {name!r} is not readable QPY: {_one_line(error)} ({type(error).__name__}); if it was just written, Qiskit does not read one "
            "of its gates back: decompose the circuit once before sending it"
        ) from None
    if len(circuits) != 1 or not isinstance(circuits[0], QuantumCircuit):
        raise CircuitRejected(f"circuit {name!r}: one circuit per QPY is taken, this holds {len(circuits)}")
    return circuits[0]


def dump_qpy(circuit: QuantumCircuit) -> bytes:
    """QPY of one circuit."""
    return qpy.dump(circuit)


def load_qpy(body: bytes) -> QuantumCircuit:
    """A circuit from QPY that this project wrote."""
    return qpy.load(body)[0]
