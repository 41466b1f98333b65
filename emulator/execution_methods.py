"""How a part of a circuit is simulated with the device's noise, what that takes, and when it is refused.

Density matrix, trajectories of statevectors and trajectories of matrix product states all carry the whole noise of
the device. The stabilizer method carries Pauli noise alone: it is the last resort, for Clifford circuits, and says
so. Nothing is ever run without the noise that was asked for.

The figures are seconds on one core, measured on Aer 0.18 with circuits of 14 to 100 qubits; they decide between
methods and refuse what would take hours.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from qiskit.circuit import Parameter, QuantumCircuit

from circuits.traits import measure_traits
from emulator.execution_pieces import Piece
from emulator.execution_qubit import Columns
from qurable.contracts.circuits import CircuitTraits
from qurable.errors import JobTooLarge

MOST_QUBITS = 24
"""Widest statevector: 256 MiB."""

DENSITY_MATRIX_QUBITS = 12
"""256 MiB; one qubit more takes a gibibyte."""

MOST_BOND_LOG2 = 6
"""Widest bond of a matrix product state that is run, as a power of 2; nothing is ever truncated."""

LONGEST_SECONDS = 900.0
"""Longest simulation that is begun."""

PAULI_NOISE = (
    "{qubits} active qubits of a Clifford circuit were simulated as stabilizer states: gate errors as depolarizing noise of the device's "
    "average gate error, readout errors as the device's, without the asymmetry of relaxation and without noise on delays"
)

_DENSITY_GATE = 3e-9
_STATEVECTOR_GATE = 4e-9
_SHOT_GATE = 1.5e-6
_CHAIN_GATE = 1.2e-4
_CHAIN_BOND = 1e-7
_STABILIZER_GATE = 8e-6

_ANGLE_DECIMALS = 5
"""Angles this close to a quarter turn are taken for one, as the client's own simulator does."""


@dataclass(frozen=True)
class Choice:
    """A method, and what it does.

    Attributes:
        method: As Aer calls it.
        seconds: What it is expected to take.
        thermal_relaxation: Whether the noise is the whole noise of the device.
    """

    method: str
    seconds: float
    thermal_relaxation: bool = True


def choose_method(piece: Piece, columns: Columns, rows: int, shots: int, *, noisy: bool) -> Choice:
    """The cheapest method that carries the noise.

    Args:
        piece: Part of a circuit.
        columns: Values of its parameters, shape (rows,) each.
        rows: Bindings.
        shots: Of each binding.
        noisy: Whether the device's noise was asked for.

    Raises:
        JobTooLarge: No method runs it in reasonable time; the number of active qubits is in the message.
    """
    traits = measure_traits(piece.circuit, "of the job")
    whole = list(_exact(len(piece.qubits), traits, rows, shots, noisy=noisy))
    best = min(whole, key=lambda choice: choice.seconds, default=None)
    if best is not None and best.seconds <= LONGEST_SECONDS:
        return best
    stabilizer = rows * shots * traits.size * _STABILIZER_GATE
    if stabilizer <= LONGEST_SECONDS and all(
        measure_traits(bound, "of the job").is_clifford
        for bound in clifford_circuits(piece.circuit, columns, rows)
    ):
        return Choice("stabilizer", stabilizer, thermal_relaxation=not noisy)
    raise JobTooLarge(_refusal(piece, traits, best, rows * shots), qubits=len(piece.qubits))


def clifford_circuits(circuit: QuantumCircuit, columns: Columns, rows: int) -> list[QuantumCircuit]:
    """The circuit of each binding, angles near quarter turns rounded to them."""
    if not circuit.num_parameters:
        return [circuit] * rows
    return [
        circuit.assign_parameters(
            {parameter: _rounded(columns[parameter][row]) for parameter in circuit.parameters}
        )
        for row in range(rows)
    ]


def free_columns(circuit: QuantumCircuit, columns: Columns) -> dict[Parameter, list[float]]:
    """The values of those parameters that a circuit has."""
    return {parameter: [float(value) for value in columns[parameter]] for parameter in circuit.parameters}


def _rounded(angle: float) -> float:
    quarter = math.pi / 2
    near = round(angle / quarter)
    return near * quarter if abs(angle / quarter - near) < 10**-_ANGLE_DECIMALS else float(angle)


def _exact(qubits: int, traits: CircuitTraits, rows: int, shots: int, *, noisy: bool) -> Iterator[Choice]:
    """The methods that carry all of the noise, with what they take."""
    gates = rows * max(traits.size, 1)
    runs = shots if noisy or traits.is_dynamic else 1
    if noisy and not traits.is_dynamic and qubits <= DENSITY_MATRIX_QUBITS:
        yield Choice("density_matrix", gates * max(_DENSITY_GATE * 4**qubits, _SHOT_GATE))
    if qubits <= MOST_QUBITS:
        yield Choice("statevector", gates * runs * max(_STATEVECTOR_GATE * 2**qubits, _SHOT_GATE))
    if traits.schmidt_ranks_log2 and max(traits.schmidt_ranks_log2) <= MOST_BOND_LOG2:
        bond = 2.0 ** max(traits.schmidt_ranks_log2)
        yield Choice("matrix_product_state", gates * shots * (_CHAIN_GATE + _CHAIN_BOND * bond**3))


def _refusal(piece: Piece, traits: CircuitTraits, best: Choice | None, executions: int) -> str:
    qubits = len(piece.qubits)
    what = (
        f"the job keeps {qubits} active qubits in one noisy state of {traits.two_qubit_gates} two-qubit gates"
    )
    if best is not None:
        hours = best.seconds / 3600
        return (
            f"{what}, which takes about {hours:,.1f} h for its {executions} executions; the emulator begins nothing longer than "
            f"{LONGEST_SECONDS / 60:g} min: ask for fewer shots or twirls, or use fewer qubits"
        )
    rank = np.max(traits.schmidt_ranks_log2, initial=0.0)
    return (
        f"{what}; the emulator runs at most {MOST_QUBITS} with the device's noise, and wider ones where they are Clifford or need no "
        f"bond above {2**MOST_BOND_LOG2} (this one may need 2^{rank:g}): use fewer qubits, or cut the circuit"
    )
