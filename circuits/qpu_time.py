"""How long a job keeps a QPU busy: IBM's published formula, for estimates before a job is paid for.

Source of the formula: IBM's guide "Workload usage", section "Estimate usage before submitting a job"
(https://quantum.cloud.ibm.com/docs/guides/estimate-job-run-time). An execution is one shot of one circuit, where
the circuits are those there are after pubs are broadcast and observables grouped. IBM bills what it measures, so
an estimate is a range and never a price.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qurable.contracts.ibm import MAX_EXECUTION_SECONDS
from qurable.contracts.targets import TargetDocument

if TYPE_CHECKING:  # a worker estimates too, and loads no Qiskit for that
    from qiskit.circuit import CircuitInstruction, Instruction, QuantumCircuit

SUB_JOB_SECONDS = 2.0
"""Loading of a sub-job into the control electronics: "approximately 2 s per sub-job"."""

REP_DELAY_SECONDS = 250e-6
"""Pause between two shots where neither the job nor the device names one: "250 microseconds on most backends"."""

MAX_EXECUTIONS = 5_000_000
"""Executions of one job, counted after broadcasting. Source: IBM's guide "Job limits"."""

CIRCUITS_PER_SUB_JOB = 300
"""Circuits, after broadcasting, that one sub-job is taken to hold. IBM publishes no rule; an assumption."""

RESERVE_FACTOR = 2.0
"""Times the most that a job is expected to take: what is reserved also ends the job, and one that is ended early is paid
for and gone, where a second too many comes back with the bill. A choice of this project's."""

_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}

Durations = Mapping[tuple[str, tuple[int, ...] | None], float]


_MEASURED = 0.05
"""What a bill may differ from the formula by, as a fraction: IBM bills what it measures, "a few per cent" off. A guess."""

_READOUT_TWIRLS = 32
"""Random circuits that learn the readout's errors, where a circuit has fewer twirls. Source: the default of IBM's
`MeasureNoiseLearningOptions`."""

_LAYERS = (1, 4)
_LEARNING_SHOTS = 128
_LEARNING_CIRCUITS_PER_LAYER = 9 * 6 * 32
"""Noise learning by IBM's defaults: up to 4 layers, 9 bases, 6 depths, 32 randomisations of 128 shots each."""


@dataclass(frozen=True)
class Suppression:
    """What twirling and mitigation add to a job.

    Attributes:
        twirls: Random circuits that stand for one, and shots of each; None where nothing is twirled.
        noise_factors: Factors each circuit is run at, >= 1; folding makes circuits longer by the factor.
        learns_readout: Times that the readout's errors are learnt, at most.
        overhead: Times that sampling for mitigation multiplies the executions by, at most; infinite without a limit.
        learns_layers: Whether the noise of layers is learnt first.
    """

    twirls: tuple[int, int] | None = None
    noise_factors: Sequence[float] = (1.0,)
    learns_readout: int = 0
    overhead: float = 1.0
    learns_layers: bool = False


PLAIN = Suppression()
"""No twirling and no mitigation."""


def qpu_seconds(executions: int, circuit_seconds: float, rep_delay: float, sub_jobs: int = 1) -> float:
    """IBM's baseline: 2 s x sub-jobs + (rep_delay + circuit length) x executions.

    Args:
        executions: Circuits, after broadcasting, times shots.
        circuit_seconds: Length of one circuit (s), see `circuit_seconds`.
        rep_delay: Pause between two shots (s).
        sub_jobs: Parts that the job is loaded in.
    """
    return SUB_JOB_SECONDS * sub_jobs + (rep_delay + circuit_seconds) * executions


def count_executions(circuits: int, shots: int, suppression: Suppression = PLAIN) -> int:
    """Executions that a job makes at least: every twirl and noise factor, and nothing that learns.

    Args:
        circuits: After pubs are broadcast (each binding counts) and observables are grouped.
        shots: Asked for, of each circuit.
        suppression: What mitigation adds.
    """
    return circuits * len(suppression.noise_factors) * _shots_run(shots, suppression)


def _shots_run(shots: int, suppression: Suppression) -> int:
    """Shots of a circuit that are really run: each twirl gets a whole number."""
    return shots if suppression.twirls is None else math.prod(suppression.twirls)


def count_sub_jobs(circuits: int) -> int:
    """Sub-jobs that this many circuits, twirls included, are loaded in; at least one."""
    return max(1, math.ceil(circuits / CIRCUITS_PER_SUB_JOB))


def qpu_seconds_range(
    circuits: int, shots: int, circuit_seconds: float, rep_delay: float, suppression: Suppression = PLAIN
) -> tuple[float, float]:
    """The least and the most that a job is expected to take (s).

    The least is IBM's formula for what is run for sure, twirls and noise factors included, loaded at once, and circuits
    that take no time. The most also counts what learns the readout and the noise of layers, and sampling for PEC; it lets
    folding stretch every circuit by the largest factor, and loads a sub-job for every `CIRCUITS_PER_SUB_JOB` circuits.
    Both leave room for a bill that differs from the formula; more than a job may have is never expected.

    Args:
        circuits: After pubs are broadcast and observables are grouped.
        shots: Asked for, of each circuit.
        circuit_seconds: Length of the longest circuit (s).
        rep_delay: Pause between two shots (s).
        suppression: What mitigation adds.
    """
    sure = count_executions(circuits, shots, suppression)
    low = qpu_seconds(sure, 0.0, rep_delay)
    number, each = suppression.twirls or (1, shots)
    learning = suppression.learns_readout * max(number, _READOUT_TWIRLS)
    most = suppression.overhead * sure + learning * each
    if math.isinf(most):
        return _as_measured(low, math.inf)
    longest = circuit_seconds * max(1.0, *suppression.noise_factors)
    loaded = suppression.overhead * circuits * len(suppression.noise_factors) * number + learning
    high = qpu_seconds(math.ceil(most), longest, rep_delay, count_sub_jobs(math.ceil(loaded)))
    if suppression.learns_layers:
        least, added = (
            layers * _LEARNING_CIRCUITS_PER_LAYER * _LEARNING_SHOTS * (rep_delay + longest)
            for layers in _LAYERS
        )
        low, high = low + least, high + added
    return _as_measured(low, high)


def _as_measured(low: float, high: float) -> tuple[float, float]:
    most = min((1 + _MEASURED) * high, float(MAX_EXECUTION_SECONDS))
    return min((1 - _MEASURED) * low, most), most


def seconds_to_reserve(high: float, asked: int | None = None) -> int:
    """Whole QPU seconds to reserve for a job, which the provider is told as its limit.

    Args:
        high: The most that it is expected to take (s).
        asked: The caller's own limit (s), which stands whether it is smaller or larger than what would be reserved.
    """
    return min(MAX_EXECUTION_SECONDS, asked or max(1, math.ceil(high * RESERVE_FACTOR)))


def circuit_seconds(circuit: "QuantumCircuit", document: TargetDocument) -> float:
    """Length of a scheduled ISA circuit: its longest path in the device's own durations (s).

    Of branches the longest counts, a `for` loop as often as it runs, and a `while` loop once. Gates without a
    duration take no time, nor do delays that the device is free to stretch.

    Args:
        circuit: ISA circuit on the device's qubits.
        document: The device.
    """
    durations: dict[tuple[str, tuple[int, ...] | None], float] = {}
    for operation in document.operations:
        for qubits, duration in zip(operation.qargs or (), operation.durations, strict=False):
            durations[operation.name, qubits] = duration or 0.0
    return _longest(circuit, range(circuit.num_qubits), durations, document.dt or 0.0)


def delay_seconds(delay: "Instruction", dt: float) -> float | None:
    """Length of a delay (s); None where it is left to the device.

    Args:
        delay: In whatever unit.
        dt: Length of one `dt` (s).
    """
    if not isinstance(delay.duration, int | float):
        return None
    return float(delay.duration) * (dt if delay.unit == "dt" else _UNITS[delay.unit])


def _longest(circuit: "QuantumCircuit", places: Sequence[int], durations: Durations, dt: float) -> float:
    """Longest path of a circuit whose qubit i is the device's places[i]."""
    index = {qubit: places[at] for at, qubit in enumerate(circuit.qubits)}
    ready: dict[Any, float] = {}
    for item in circuit.data:
        wires = [*item.qubits, *item.clbits]
        start = max((ready.get(wire, 0.0) for wire in wires), default=0.0)
        end = start + _duration(item, tuple(index[qubit] for qubit in item.qubits), durations, dt)
        ready.update(dict.fromkeys(wires, end))
    return max(ready.values(), default=0.0)


def _duration(item: "CircuitInstruction", qubits: tuple[int, ...], durations: Durations, dt: float) -> float:
    if item.name == "delay":
        return delay_seconds(item.operation, dt) or 0.0
    if item.is_control_flow():
        once = max((_longest(block, qubits, durations, dt) for block in item.operation.blocks), default=0.0)
        return once * (_rounds(item.operation.params[0]) if item.name == "for_loop" else 1)
    return durations.get((item.name, qubits), 0.0)


def _rounds(indices: Iterable[int]) -> int:
    return len(tuple(indices))
