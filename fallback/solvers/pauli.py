"""`classical:pauli`: expectation values by Pauli propagation, with a rigorous bound on the error."""

from collections.abc import Sequence

from fallback.solvers.protocol import CircuitQuestion, Fit, unfit
from qurable.contracts.executions import IsaPub
from qurable.contracts.jobs import Method
from qurable.contracts.targets import TargetDocument, TargetOperation

MAX_TERMS = 100_000
"""Terms an observable may grow to."""

_CLIFFORD = "id x y z h s sdg sx sxdg cx cy cz swap iswap ecr dcx"
_ROTATIONS = "rx ry rz rxx ryy rzz"
_OTHER = "measure delay"

_GATE_SECONDS = 2e-3
_TERM_GATE_SECONDS = 8e-8
_BASIS = "brickwork of 30 and 100 qubits on one core: 2 ms a gate to rewrite it, 80 ns a gate and term; 100,000 terms at the most"
_COPIES = 4
_TERM_BYTES = 24
_TASK_BYTES = 64 * 2**20


class PauliSolver:
    """Follows observables back through a circuit as sums of Paulis and drops the smallest; says what that may cost."""

    name = "pauli"
    task = "fallback.solvers.tasks.pauli:simulate"
    needs: Sequence[str] = ("pauli_prop",)
    distributions: Sequence[str] = ("pauli-prop",)
    fresh = False
    method: Method = Method.AUTOMATIC
    target: TargetDocument | None = TargetDocument(
        operations=tuple(
            TargetOperation(name=name) for name in sorted(f"{_CLIFFORD} {_ROTATIONS} {_OTHER}".split())
        )
    )
    dynamic_circuits = False
    description = "pauli-prop: expectation values alone, with a rigorous bound on what truncation cost"

    def fits(self, question: CircuitQuestion, capacity_bytes: int) -> Fit:
        """Where expectation values of a unitary circuit are asked."""
        traits, what = question.traits, f"circuit {question.name!r}"
        if question.kind == "sample":
            return unfit(
                f"{what} is to be sampled; Pauli propagation gives expectation values alone: ask for 'classical:clifford' or 'classical:mps'"
            )
        if traits.is_dynamic:
            return unfit(
                f"{what} measures and goes on, resets or branches, which Pauli propagation does not follow: ask for 'aer' or 'classical:mps'"
            )
        memory_bytes = _memory_bytes(traits.num_qubits, traits.size)
        if memory_bytes > capacity_bytes:
            return unfit(
                f"{what} of {traits.num_qubits} qubits takes {memory_bytes:,} bytes for {MAX_TERMS:,} Pauli terms; this machine grants "
                f"{capacity_bytes:,}: ask for a larger machine (QURABLE_MEMORY_MIB)"
            )
        return Fit(
            suits=True,
            because=f"its observables are followed back as at most {MAX_TERMS:,} Pauli terms, and what is dropped bounds the error",
            memory_bytes=memory_bytes,
            seconds=question.bindings * _seconds(traits.size),
            certain=False,
            basis=_BASIS,
        )

    def seconds(self, pub: IsaPub) -> float:
        """For one binding and one observable."""
        observables = 1 if pub.observables is None else len(pub.observables.items)
        return observables * _seconds(pub.size)


def _seconds(gates: int) -> float:
    return 0.01 + gates * (_GATE_SECONDS + MAX_TERMS * _TERM_GATE_SECONDS)


def _memory_bytes(qubits: int, gates: int) -> int:
    """Terms twice over and being sorted, a byte for each X and Z; and the rotations, which are as wide."""
    return _TASK_BYTES + MAX_TERMS * _COPIES * (2 * qubits + _TERM_BYTES) + gates * (4 * qubits + 4096)
