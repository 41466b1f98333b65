"""`classical:mps`: circuits of little entanglement on Aer's matrix product state, truncated within limits."""

from collections.abc import Sequence

from circuits.methods import chain_bytes
from fallback.solvers.protocol import CircuitQuestion, Fit, unfit
from qurable.contracts.circuits import CircuitTraits
from qurable.contracts.executions import IsaPub
from qurable.contracts.jobs import Method
from qurable.contracts.targets import TargetDocument

LARGEST_BOND = 256
"""Where the caller sets no bound; a run at it takes a quarter of a minute for each hundred gates."""

_SMALLEST_BOND = 16
_GATE_SECONDS = 3e-4
_GATE_BOND_SECONDS = 7e-9
_SHOT_SECONDS = 2e-6
_SHOT_BOND_SECONDS = 2.5e-8
_BASIS = (
    "brickwork of 30 and 60 qubits at bonds of 16 to 128 on one core: 0.3 ms and 7 ns bond³ a two-qubit gate, 2 µs and 25 ns bond² a qubit and "
    "shot; and half as much again for the runs at half the bond"
)
_RUNS = 1.5
"""The last run and those before it, at half the bond each, of which only small circuits need the early ones."""

_EXACT_LOG2 = 16


class MpsSolver:
    """Samples and estimates with a bond dimension that is doubled until little is cut off, or the limit is reached."""

    name = "mps"
    task = "fallback.solvers.tasks.mps:simulate"
    needs: Sequence[str] = ("qiskit_aer",)
    distributions: Sequence[str] = ("qiskit-aer",)
    fresh = True
    method: Method = Method.MATRIX_PRODUCT_STATE
    target: TargetDocument | None = None
    dynamic_circuits = True
    description = "Aer's matrix product state, truncated: any circuit of little entanglement, with an estimate of what was cut off"

    def fits(self, question: CircuitQuestion, capacity_bytes: int) -> Fit:
        """Where a bond that is worth having fits into memory; how good the answer is only the run can tell."""
        traits, what = question.traits, f"circuit {question.name!r}"
        asked = question.max_bond
        bonds = [asked] if asked is not None else _halvings(LARGEST_BOND, _SMALLEST_BOND)
        bond = next((bond for bond in bonds if chain_bytes(traits, bond) <= capacity_bytes), None)
        if bond is None:
            least = chain_bytes(traits, bonds[-1])
            return unfit(
                f"{what} of {traits.num_qubits} qubits takes {least:,} bytes at a bond dimension of {bonds[-1]}; this machine grants "
                f"{capacity_bytes:,}: ask for a smaller simulator.max_bond, or a larger machine (QURABLE_MEMORY_MIB)"
            )
        exact = traits.max_bond is not None and traits.max_bond <= bond
        if traits.is_dynamic and not exact:
            return unfit(
                f"{what} measures and goes on, resets or branches, and may need a bond dimension above {bond}: run shot by shot, Aer does "
                "not say what it cut off; ask for 'aer', or raise simulator.max_bond"
            )
        return Fit(
            suits=True,
            because=(
                f"no cut needs a bond dimension above {traits.max_bond}"
                if exact
                else f"bonds are truncated to {bond}, and what is cut off is summed up: an estimate of the error, no bound"
            ),
            memory_bytes=chain_bytes(traits, bond),
            seconds=question.bindings * _RUNS * _question_seconds(question, bond),
            certain=exact,
            basis=_BASIS,
            max_bond=bond,
        )

    def seconds(self, pub: IsaPub) -> float:
        """For one binding; a compiled circuit no longer says how entangled it is, so this is the most it may take."""
        bond = min(pub.max_bond or LARGEST_BOND, 2.0 ** min(pub.qubits / 2, _EXACT_LOG2))
        return _RUNS * _seconds(pub.size / 2, pub.qubits, pub.shots, bond, dynamic=pub.dynamic)


def _halvings(first: int, last: int) -> list[int]:
    bonds = [first]
    while bonds[-1] > last:
        bonds.append(bonds[-1] // 2)
    return bonds


def _question_seconds(question: CircuitQuestion, bond: int) -> float:
    traits = question.traits
    shots = question.shots if question.kind == "sample" or traits.is_dynamic else 0
    return _seconds(
        traits.two_qubit_gates,
        traits.active_qubits,
        shots,
        min(float(bond), _widest_bond(traits)),
        dynamic=traits.is_dynamic,
    )


def _widest_bond(traits: CircuitTraits) -> float:
    return 2.0 ** min(traits.active_qubits / 2, 62.0) if traits.max_bond is None else float(traits.max_bond)


def _seconds(gates: float, qubits: int, shots: int, bond: float, *, dynamic: bool) -> float:
    state = gates * (_GATE_SECONDS + _GATE_BOND_SECONDS * bond**3)
    reading = shots * qubits * (_SHOT_SECONDS + _SHOT_BOND_SECONDS * bond**2)
    return 0.005 + state * (max(shots, 1) if dynamic else 1) + reading
