"""How long simulators take: a model by counting operations, fitted to runs on one core.

Every figure below is of CPU time on one core of the machine that measured it. Machines differ by a factor that is
about the same for all methods, so that a choice between methods carries over.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from qurable.contracts.circuits import CircuitTraits
from qurable.contracts.jobs import Method

RUN_SECONDS = 0.002
"""What one circuit costs Aer before it does anything."""

_OPERATION_SECONDS = 1.5e-5
"""Of bringing an operation to Aer, whatever the method."""

_AMPLITUDE_SECONDS = 2.4e-9
_TABLEAU_SECONDS = 1.2e-8
_BOND_SECONDS = 2.1e-8
_SITE_SECONDS = 2.2e-6
_SITE_BOND_SECONDS = 2.8e-8
_BIT_SECONDS = 1.5e-7
"""Of a bit of a shot: to sample it, and to hand it over as text."""

_AGAIN_SECONDS = 5e-7
"""Of an operation in every further shot, where the state is computed once for each."""

_GPU_START_SECONDS = 0.5
_GPU_AMPLITUDE_SECONDS = 1.2e-10
"""Guesses, since no GPU was at hand to measure: what Aer takes to have a GPU ready, and an amplitude there in a twentieth of
a core's time, as memory of a terabyte a second moves it."""

_PRODUCT_SECONDS = 5e-5
_WIDEST = 60
_UNKNOWN_BOND_LOG2 = 4.0
_MOST_LOG2 = 60.0
_GROUPS = 3
"""Measured groups that observables of several terms are taken to come to; how many they are, only grouping them tells."""


@dataclass(frozen=True)
class Load:
    """One run of one circuit, as far as its time depends on it.

    Attributes:
        qubits: That the state holds.
        operations: Of the circuit.
        shots: Repetitions; 0 where values without shots are asked.
        clbits: That each of them reads.
        products: Pauli products whose expectation values are asked.
        two_qubit_gates: Of the operations.
        ranks_log2: For each cut of the chain, log2 of the bond dimension; empty where nothing is known.
        every_shot_anew: Whether the state is computed once for each shot.
    """

    qubits: int
    operations: int
    shots: int = 0
    clbits: int = 0
    products: int = 0
    two_qubit_gates: int = 0
    ranks_log2: Sequence[float] = ()
    every_shot_anew: bool = False

    @classmethod
    def of(cls, traits: CircuitTraits, shots: int, products: int = 0, *, bond: int | None = None) -> "Load":
        """A circuit without noise.

        Args:
            traits: Of the circuit.
            shots: Repetitions.
            products: Pauli products that are asked.
            bond: Largest bond dimension that it is known to need.
        """
        most = math.inf if bond is None else math.log2(max(bond, 1))
        return cls(
            qubits=traits.active_qubits,
            operations=traits.size,
            shots=shots,
            clbits=traits.num_clbits if not products else traits.num_qubits,
            products=products,
            two_qubit_gates=traits.two_qubit_gates,
            ranks_log2=tuple(min(rank, most) for rank in traits.schmidt_ranks_log2),
            every_shot_anew=traits.is_dynamic,
        )


def simulation_seconds(method: str, load: Load) -> float:
    """Seconds of one circuit on Aer, on one core, good to a factor of three where entanglement is known.

    Args:
        method: Aer's.
        load: What it is to do.
    """
    groups = min(load.products, _GROUPS) if load.products and load.shots else 1
    state, sample, product = _costs(method, load)
    prepare = load.operations * _OPERATION_SECONDS
    if load.every_shot_anew:
        again = max(load.shots, 1) * (load.operations * _AGAIN_SECONDS + state)
        return RUN_SECONDS + groups * (prepare + again + load.shots * load.clbits * _BIT_SECONDS)
    sampling = load.shots * (sample + load.clbits * _BIT_SECONDS)
    values = 0.0 if load.shots else load.products * (_PRODUCT_SECONDS + product)
    return RUN_SECONDS + groups * (prepare + state + sampling) + values


def gpu_seconds(load: Load) -> float:
    """Seconds of one circuit as a statevector on a GPU: a guess, good for whether a GPU is worth the way there.

    What is prepared, and the bits of its shots, take a core's time as anywhere.

    Args:
        load: What it is to do.
    """
    on_core = simulation_seconds(Method.STATEVECTOR, load)
    light = simulation_seconds(Method.STATEVECTOR, replace(load, qubits=0))
    return _GPU_START_SECONDS + light + (on_core - light) * _GPU_AMPLITUDE_SECONDS / _AMPLITUDE_SECONDS


def _costs(method: str, load: Load) -> tuple[float, float, float]:
    """Seconds of the state, of a shot beside its bits, and of a Pauli product."""
    qubits = min(load.qubits, _WIDEST)
    if method == Method.STABILIZER:
        shot = load.qubits**2 * _TABLEAU_SECONDS
        return 0.0, shot, shot
    if method == Method.MATRIX_PRODUCT_STATE:
        return _chain_costs(load)
    amplitudes = 4.0**qubits if method == Method.DENSITY_MATRIX else 2.0**qubits
    return load.operations * amplitudes * _AMPLITUDE_SECONDS, 0.0, amplitudes * _AMPLITUDE_SECONDS


def _chain_costs(load: Load) -> tuple[float, float, float]:
    """Of a matrix product state: a gate costs its bond to the third, a site of a shot the product of its bonds.

    A bond doubles with each gate across its cut until it is as large as it gets, so that all gates before the last
    cost a seventh of it.
    """
    ranks = load.ranks_log2 or (_UNKNOWN_BOND_LOG2,) * max(load.qubits - 1, 0)
    each = load.two_qubit_gates / max(len(ranks), 1)
    gates = sum(
        8.0 ** min(rank, _MOST_LOG2) * (8 / 7 + max(0.0, each - rank)) if rank else 0.0 for rank in ranks
    )
    bonds = [1.0, *(2.0 ** min(rank, _MOST_LOG2) for rank in ranks), 1.0]
    sites = sum(left * right for left, right in itertools.pairwise(bonds))
    shot = load.qubits * _SITE_SECONDS + sites * _SITE_BOND_SECONDS
    return gates * _BOND_SECONDS, shot, shot
