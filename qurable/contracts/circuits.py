"""How a circuit travels: a format, its text or bytes, and what the parser found in it."""

import hashlib
import math
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from qurable.contracts.base import Contract

MAX_TEXT_BYTES = 8 * 2**20
MAX_QPY_BYTES = 64 * 2**20
"""Nothing larger is taken into a request; workers may set lower limits for what they parse."""


class CircuitFormat(StrEnum):
    """Formats a circuit may travel in."""

    OPENQASM2 = "openqasm2"
    OPENQASM3 = "openqasm3"
    QPY = "qpy"


class Circuit(Contract):
    """A circuit as its author wrote it.

    Attributes:
        format: OpenQASM 2, OpenQASM 3, or QPY (which only the typed client sends).
        text: The program, for the OpenQASM formats (at most 8 MiB).
        qpy: The serialised circuit, for QPY (at most 64 MiB).
        name: What messages call it. It never reaches a provider.
        metadata: The author's notes, handed back with the results.
    """

    format: CircuitFormat
    text: str | None = None
    qpy: bytes | None = Field(default=None, repr=False)
    name: str = Field(default="circuit", max_length=200)
    metadata: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _plain_text(cls, value: Any) -> Any:
        """A bare string is an OpenQASM program; its version line says which."""
        if isinstance(value, str):
            return {"format": detect_format(value), "text": value}
        if isinstance(value, dict) and "format" not in value and isinstance(value.get("text"), str):
            return {**value, "format": detect_format(value["text"])}
        return value

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.format is CircuitFormat.QPY:
            if self.qpy is None or self.text is not None:
                raise ValueError("a QPY circuit carries `qpy` and no `text`")
            _within(len(self.qpy), MAX_QPY_BYTES, self.name)
        else:
            if self.text is None or self.qpy is not None:
                raise ValueError(f"an {self.format} circuit carries `text` and no `qpy`")
            _within(len(self.text.encode("utf-8", "surrogatepass")), MAX_TEXT_BYTES, self.name)
        return self

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read an OpenQASM file; the size is checked before it is read."""
        path = Path(path)
        _within(path.stat().st_size, MAX_TEXT_BYTES, path.name)
        text = path.read_text(encoding="utf-8", errors="replace")
        return cls(format=detect_format(text), text=text, name=path.stem[:200])

    @property
    def source(self) -> bytes:
        """The bytes that were sent."""
        return self.qpy if self.qpy is not None else (self.text or "").encode("utf-8", "surrogatepass")

    @property
    def source_hash(self) -> str:
        """SHA-256 of the format and the bytes that were sent."""
        return hashlib.sha256(self.format.encode() + b"\0" + self.source).hexdigest()


def _within(size: int, limit: int, name: str) -> None:
    if size > limit:
        raise ValueError(
            f"circuit {name!r} is {size:,} bytes; at most {limit:,} are taken: shorten it, for instance with "
            "gate definitions or loops, or send it from the typed client as QPY"
        )


def detect_format(text: str) -> CircuitFormat:
    """OpenQASM 2 if the first statement says so, else OpenQASM 3, which may go without a version line."""
    for line in text.lstrip("\ufeff").splitlines():
        statement = line.split("//")[0].strip()
        if statement:
            return CircuitFormat.OPENQASM2 if statement.startswith("OPENQASM 2") else CircuitFormat.OPENQASM3
    return CircuitFormat.OPENQASM3


class Register(Contract):
    """A classical register of the author's circuit.

    Attributes:
        name: Its name in the circuit and in the results.
        bits: Index into the circuit's classical bits of each of its bits, bit 0 first.
    """

    name: str
    bits: tuple[int, ...]


class Dress(Contract):
    """What the canonical circuit leaves out and the results need again.

    Attributes:
        name: The author's name for the circuit.
        registers: Classical registers in order of declaration.
        parameters: Names of the parameters, in the canonical order p0, p1, ...
        measured: (qubit, classical bit) for each qubit whose last operation is a measurement.
        metadata: The author's notes.
    """

    name: str
    registers: tuple[Register, ...] = ()
    parameters: tuple[str, ...] = ()
    measured: tuple[tuple[int, int], ...] = ()
    metadata: dict[str, Any] = Field(default_factory=dict)


class CircuitTraits(Contract):
    """What a planner needs to know of a circuit, measured once when it is parsed.

    Attributes:
        num_qubits: Qubits declared.
        active_qubits: Qubits that some operation touches.
        num_clbits: Classical bits declared.
        size: Operations, with gate definitions expanded.
        depth: Depth of the circuit as written.
        two_qubit_gates: Operations on two qubits, with definitions expanded.
        measurements: Measure operations.
        is_clifford: Every gate is Clifford (measurement, reset and classical control allowed).
        is_clifford_when_bound: It is, or becomes so where its free angles are bound to quarter turns.
        is_dynamic: It measures and goes on, resets, or has classical control flow: every shot is run anew.
        has_control_flow: It branches or loops at run time.
        parameters: Number of free parameters.
        schmidt_ranks_log2: For each cut between qubit k and k + 1, log2 of an upper bound on the bond
            dimension a matrix product state needs; empty where it was not worth computing.
        widest_gate: Largest number of qubits one operation acts on.
    """

    num_qubits: int
    active_qubits: int
    num_clbits: int
    size: int
    depth: int
    two_qubit_gates: int
    measurements: int
    is_clifford: bool
    is_clifford_when_bound: bool = False
    is_dynamic: bool
    has_control_flow: bool = False
    parameters: int
    schmidt_ranks_log2: tuple[float, ...] = ()
    widest_gate: int = 0

    @property
    def max_bond(self) -> int | None:
        """Upper bound on the bond dimension of a matrix product state, None where unknown."""
        if self.num_qubits <= 1:
            return 1
        if not self.schmidt_ranks_log2:
            return None
        return round(math.exp2(min(max(self.schmidt_ranks_log2), 62.0)))


class ParsedCircuit(Contract):
    """A circuit that has been parsed, checked and brought into canonical form.

    Attributes:
        canonical: SHA-256 of the canonical circuit: names, registers, metadata and parameter identities do
            not matter, everything that can change a result does.
        cacheable: False where the circuit holds a construct whose meaning the hash does not cover.
        qpy: Artifact hash of the canonical circuit's QPY.
        source: SHA-256 of what the author sent.
        dress: Names to put back on the results.
        traits: What a planner needs to know.
    """

    canonical: str
    cacheable: bool
    qpy: str
    source: str
    dress: Dress
    traits: CircuitTraits
