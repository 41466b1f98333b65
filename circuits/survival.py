"""How likely an ISA circuit runs on a device without an error: the estimate, as the circuit was placed and scheduled.

    survival = product of (1 - e) over gates * product of (1 - e) over readings * product of F(t) over idle windows
    F(t) = 1/2 + exp(-t/T1)/6 + exp(-t/T2)/3

Each `e` is the average error that the device reports for that gate on those very qubits, and already holds what
relaxes while the gate runs. F is the same average fidelity for a qubit that waits: of thermal relaxation towards its
ground state, with T2 taken as 2 T1 at most. A window lies between two operations of a qubit in the schedule as late
as possible (ALAP); before its first one a qubit is in its ground state and loses nothing, and so it does after a
reset until it is used. Rotations that take no time and have no error are no operations here.

It is a number between 0 and 1 that ranks circuits and places; it is not the answer's quality, since many errors do
not change what is read, and errors at the device are neither independent nor as they were calibrated.

Sources: M. Horodecki et al., Phys. Rev. A 60, 1888 (1999) for the average fidelity; the windows as in Qiskit's
`ALAPScheduleAnalysis`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qurable.contracts.confidence import Survival
from qurable.contracts.targets import TargetDocument

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_LOST = -math.inf
_CHOICES = frozenset({"if_else", "switch_case"})
_LEAVES = frozenset({"break_loop", "continue_loop"})
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}


@dataclass(frozen=True)
class Operation:
    """One of a device's operations on certain qubits.

    Attributes:
        log_survival: Logarithm of one minus its error; minus infinity where it cannot be used.
        seconds: How long it takes.
    """

    log_survival: float
    seconds: float

    @property
    def virtual(self) -> bool:
        """Whether nothing happens at the device."""
        return not self.log_survival and not self.seconds


@dataclass(frozen=True)
class Rates:
    """What a device reports of its errors and times, by operation and qubits.

    Attributes:
        operations: By name, then by qubits.
        relaxation: T1 and T2 of each qubit (s), infinite where unknown; empty where no idle window can be judged.
        dt: Sample time (s), None where unknown.
        virtual: Names of operations that are virtual wherever they are.
    """

    operations: Mapping[str, Mapping[tuple[int, ...], Operation]]
    relaxation: tuple[tuple[float, float], ...] = ()
    dt: float | None = None
    virtual: frozenset[str] = frozenset()


def rates_of(document: TargetDocument) -> Rates | None:
    """A device's errors and times; None for a place that reports no errors."""
    operations: dict[str, dict[tuple[int, ...], Operation]] = {}
    known = timed = False
    for operation in document.operations:
        entries = operations.setdefault(operation.name, {})
        for qubits, error, duration in zip(
            operation.qargs or (), operation.errors, operation.durations, strict=False
        ):
            known = known or _is_number(error)
            timed = timed or bool(duration)
            entries[qubits] = Operation(_log_survival(error, len(qubits)), duration or 0.0)
    if not known:
        return None
    relaxation = tuple(
        (qubit.t1 or math.inf, min(qubit.t2 or math.inf, 2 * (qubit.t1 or math.inf)))
        for qubit in document.qubits
    )
    virtual = frozenset(
        name
        for name, entries in operations.items()
        if name not in ("delay", "reset") and all(entry.virtual for entry in entries.values())
    )
    return Rates(operations, relaxation if timed else (), document.dt, virtual)


def _is_number(error: float | None) -> bool:
    return error is not None and not math.isnan(error)


def _log_survival(error: float | None, width: int) -> float:
    """A coupling without a reported error is a dead one; of other operations some devices report none."""
    if error is None or math.isnan(error):
        return _LOST if width > 1 else 0.0
    return math.log1p(-error) if error < 1.0 else _LOST


def survival_of(isa: "QuantumCircuit", rates: Rates) -> Survival:
    """The estimate for an ISA circuit on the device that it was compiled for.

    Of a circuit that branches or loops, where what runs is not known before, it is the most that it can be: the best
    branch, no pass of a `while`, and no idle windows inside.
    """
    schedule = _Schedule(rates, {qubit: number for number, qubit in enumerate(isa.qubits)})
    for item in reversed(list(isa.data)):
        if item.name not in rates.virtual:  # more than half of an ISA circuit are rotations about Z
            schedule.add(item)
    parts = schedule.parts
    idle = None
    if rates.relaxation:
        idle = math.exp(
            sum(_log_idle(seconds, *rates.relaxation[qubit]) for qubit, seconds in schedule.windows)
        )
    gates, readout = math.exp(parts.gates), math.exp(parts.readout)
    return Survival(
        value=gates * readout * (1.0 if idle is None else idle),
        gates=gates,
        readout=readout,
        idle=idle,
        at_most=parts.at_most,
    )


def _log_idle(seconds: float, t1: float, t2: float) -> float:
    return math.log(0.5 + math.exp(-seconds / t1) / 6 + math.exp(-seconds / t2) / 3)


@dataclass
class _Parts:
    """Logarithms of two of the factors.

    Attributes:
        gates: Of the gates.
        readout: Of the readings.
        at_most: Whether something was left out that nobody can know before the run.
    """

    gates: float = 0.0
    readout: float = 0.0
    at_most: bool = False

    @property
    def total(self) -> float:
        return self.gates + self.readout

    def count(self, name: str, log_survival: float) -> None:
        """One more operation."""
        if name == "measure":
            self.readout += log_survival
        else:
            self.gates += log_survival

    def join(self, other: "_Parts", times: int = 1) -> None:
        """Everything of another, so many times."""
        if times:
            self.gates += times * other.gates
            self.readout += times * other.readout
        self.at_most = self.at_most or other.at_most


class _Schedule:
    """A circuit from its end to its beginning, each operation as late as what comes after it lets it be.

    Args:
        rates: Of the device.
        places: The device's number of each qubit.

    Attributes:
        parts: What gates and readings come to.
        windows: Idle windows: the device's qubit and seconds.
    """

    def __init__(self, rates: Rates, places: Mapping[Any, int]) -> None:
        self._rates = rates
        self._places = places
        # Of each bit, seconds before the end: what comes before ends by then.
        self._free: dict[Any, float] = {}
        # Of each qubit, when the operation after this moment begins.
        self._next: dict[Any, float] = {}
        # What the device says of each gate where it is: a circuit has the same ones again and again.
        self._known: dict[tuple[str, Any], Operation] = {}
        self.parts = _Parts()
        self.windows: list[tuple[int, float]] = []

    def add(self, item: Any) -> None:
        """The operation before all those that were added."""
        name, qubits = item.name, item.qubits
        if name == "delay":
            (qubit,) = qubits
            self._free[qubit] = self._free.get(qubit, 0.0) + self._delay(item)
        elif name == "barrier":
            self._occupy(name, qubits, (), 0.0)
        elif name not in self._rates.operations and item.is_control_flow():
            self.parts.join(_of_control_flow(item, [self._places[qubit] for qubit in qubits], self._rates))
            self._occupy(name, (*qubits, *item.clbits), qubits, 0.0)
        else:
            operation = self._known.get((name, qubits))
            if operation is None:
                places = tuple(self._places[qubit] for qubit in qubits)
                operation = self._known[name, qubits] = _found(self._rates, name, places)
            if name == "measure" or name == "reset":
                self.parts.count(name, operation.log_survival)
                self._occupy(name, (*qubits, *item.clbits), qubits, operation.seconds)
            elif operation.log_survival or operation.seconds:
                self.parts.gates += operation.log_survival
                self._occupy(name, qubits, qubits, operation.seconds)

    def _occupy(self, name: str, bits: Sequence[Any], qubits: Sequence[Any], seconds: float) -> None:
        """Put an operation where its bits are free; what its qubits do until their next one is to wait."""
        free, following = self._free, self._next
        ends = 0.0
        for bit in bits:
            ends = max(ends, free.get(bit, 0.0))
        begins = ends + seconds
        for qubit in qubits:
            next_begins = following.get(qubit, ends)
            if ends > next_begins and name != "reset":
                self.windows.append((self._places[qubit], ends - next_begins))
            following[qubit] = begins
        for bit in bits:
            free[bit] = begins

    def _delay(self, item: Any) -> float:
        operation = item.operation
        try:
            length = float(operation.duration)
        except TypeError:  # one that is known only once the circuit runs
            self.parts.at_most = True
            return 0.0
        if operation.unit == "dt":
            return length * (self._rates.dt or 0.0)
        return length * _SECONDS.get(operation.unit, 0.0)


def _found(rates: Rates, name: str, places: tuple[int, ...]) -> Operation:
    """What is known of an operation; one that the target has for any qubits at all reports no error."""
    entries = rates.operations.get(name)
    if not entries:
        return _HARMLESS
    return entries.get(places) or (_DEAD if len(places) > 1 else _HARMLESS)


_HARMLESS, _DEAD = Operation(0.0, 0.0), Operation(_LOST, 0.0)


def _of_control_flow(item: Any, places: Sequence[int], rates: Rates) -> _Parts:
    """The most that survives of what branches or loops."""
    operation, found = item.operation, _Parts(at_most=True)
    bodies = [_of_block(block, places, rates) for block in getattr(operation, "blocks", ())]
    if item.name == "for_loop" and not _leaves_early(operation.blocks):
        found.join(bodies[0], times=len(operation.params[0]))
        found.at_most = True
    elif item.name in _CHOICES:
        nothing = [] if item.name == "if_else" and len(bodies) == 2 else [_Parts()]
        found.join(max((*bodies, *nothing), key=lambda parts: parts.total))
    elif item.name == "box":
        found.join(bodies[0])
    return found


def _of_block(block: "QuantumCircuit", places: Sequence[int], rates: Rates) -> _Parts:
    inside = {qubit: places[number] for number, qubit in enumerate(block.qubits)}
    found = _Parts()
    for item in block.data:
        at = [inside[qubit] for qubit in item.qubits]
        if item.is_control_flow():
            found.join(_of_control_flow(item, at, rates))
        elif item.name not in ("barrier", "delay"):
            found.count(item.name, _found(rates, item.name, tuple(at)).log_survival)
    return found


def _leaves_early(blocks: Iterable["QuantumCircuit"]) -> bool:
    return any(
        item.name in _LEAVES
        or (item.is_control_flow() and _leaves_early(getattr(item.operation, "blocks", ())))
        for block in blocks
        for item in block.data
    )
