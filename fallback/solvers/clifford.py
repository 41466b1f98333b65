"""`classical:clifford`: Clifford circuits on stim, exactly, at any width."""

from collections.abc import Sequence

from fallback.solvers.protocol import CircuitQuestion, Fit, unfit
from qurable.contracts.executions import IsaPub
from qurable.contracts.jobs import Method
from qurable.contracts.targets import TargetDocument, TargetOperation

FIXED = frozenset("id x y z h s sdg sx sxdg cx cy cz swap iswap ecr dcx".split())
TURNS = frozenset("rx ry rz p u1 rxx ryy rzz rzx".split())
"""Clifford at multiples of a quarter turn."""

_OTHER = ("pauli", "measure", "reset", "delay")

_GATE_SECONDS = 5e-6
"""Of reading a gate from QPY and writing it down for stim, on one core of the machine that measured it."""

_SHOT_GATE_SECONDS = 6e-11
_SHOT_BIT_SECONDS = 8e-9
_QUBIT_GATE_SECONDS = 6e-10
_BASIS = (
    "brickwork of 28 to 300 qubits and up to 100,000 shots on one core: 5 µs a gate to read it, 0.06 ns a gate and shot, 8 ns a bit and shot, "
    "0.6 ns a gate and qubit"
)
_TASK_BYTES = 64 * 2**20


class CliffordSolver:
    """Samples Clifford circuits, and gives expectation values of Pauli observables without any error."""

    name = "clifford"
    task = "fallback.solvers.tasks.clifford:simulate"
    needs: Sequence[str] = ("stim",)
    distributions: Sequence[str] = ("stim",)
    fresh = False
    method: Method = Method.STABILIZER
    target: TargetDocument | None = TargetDocument(
        operations=tuple(TargetOperation(name=name) for name in sorted({*FIXED, *TURNS, *_OTHER}))
    )
    dynamic_circuits = True
    description = "stim: Clifford circuits of any width, with mid-circuit measurement and reset; exact"

    def fits(self, question: CircuitQuestion, capacity_bytes: int) -> Fit:
        """Where every gate is Clifford and nothing branches."""
        traits, what = question.traits, f"circuit {question.name!r}"
        if traits.has_control_flow:
            return unfit(
                f"{what} branches or loops at run time, which stim does not follow: ask for 'aer' or 'classical:mps'"
            )
        if not traits.is_clifford and not (traits.is_clifford_when_bound and question.quarter_turns):
            why = (
                "has free angles that are bound to other values than quarter turns"
                if traits.is_clifford_when_bound
                else "has gates that are not Clifford"
            )
            return unfit(
                f"{what} {why}: ask for 'aer', 'classical:mps' or, for expectation values, 'classical:pauli'"
            )
        memory_bytes = _memory_bytes(question)
        if memory_bytes > capacity_bytes:
            return unfit(
                f"{what} takes {memory_bytes:,} bytes for {question.shots:,} shots; this machine grants {capacity_bytes:,}: ask for fewer shots"
            )
        return Fit(
            suits=True,
            because="every gate is Clifford",
            memory_bytes=memory_bytes,
            seconds=question.bindings
            * _seconds(
                traits.size,
                traits.active_qubits,
                question.shots if question.kind == "sample" else 0,
                traits.num_clbits,
            ),
            certain=True,
            basis=_BASIS,
        )

    def seconds(self, pub: IsaPub) -> float:
        """For one binding."""
        return _seconds(pub.size, pub.qubits, pub.shots if pub.observables is None else 0, pub.num_clbits)


def _seconds(gates: int, qubits: int, shots: int, clbits: int) -> float:
    state = gates * (_GATE_SECONDS + shots * _SHOT_GATE_SECONDS + qubits * _QUBIT_GATE_SECONDS)
    return 0.001 + state + shots * clbits * _SHOT_BIT_SECONDS


def _memory_bytes(question: CircuitQuestion) -> int:
    """Tableau of the reference shot, and every measurement of every shot, packed once and once more in order."""
    traits = question.traits
    shots = question.shots if question.kind == "sample" else 0
    return (
        _TASK_BYTES + traits.num_qubits**2 + shots * (traits.measurements // 2 + traits.num_clbits // 2 + 64)
    )
