"""The solvers for jobs made of circuits, and what they are asked."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from circuits.calibration_plan import runs_for
from circuits.twin_rides import Ride
from fallback.solvers.clifford import CliffordSolver
from fallback.solvers.mps import MpsSolver
from fallback.solvers.pauli import PauliSolver
from fallback.solvers.protocol import CircuitQuestion, CircuitSolver
from qurable.contracts.bindings import Bindings
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.jobs import SimulatorOptions
from qurable.contracts.pubs import EstimatePub, SamplePub, shots_for
from qurable.names import CLASSICAL_PREFIX

_NEAR = 1e-9

_SOLVERS: tuple[CircuitSolver, ...] = (CliffordSolver(), PauliSolver(), MpsSolver())

CIRCUIT_SOLVERS: Mapping[str, CircuitSolver] = {CLASSICAL_PREFIX + solver.name: solver for solver in _SOLVERS}
"""By the name of their backend, those that say most of their answer's error first."""


def questions_of(
    kind: Literal["sample", "estimate"],
    pubs: Sequence[SamplePub | EstimatePub],
    circuits: Sequence[ParsedCircuit],
    circuit_of: Sequence[int],
    options: SimulatorOptions,
    rides: Sequence[Ride] = (),
    factors: Sequence[float] = (1.0,),
    calibration_shots: int = 0,
) -> dict[str, CircuitQuestion]:
    """What a job asks of each of its circuits, by canonical hash.

    Args:
        kind: Of the job.
        pubs: All of them.
        circuits: Distinct circuits.
        circuit_of: For each pub, which of them.
        options: The caller's simulator options.
        rides: Twins of its circuits that run beside them.
        factors: Noise factors that every circuit is run at, the first of them 1.
        calibration_shots: Times that each qubit is prepared to measure its readout errors; 0 for none.
    """
    copies = {ride.circuit: ride.copies for ride in rides}
    asked: dict[str, CircuitQuestion] = {}
    for at, circuit in enumerate(circuits):
        mine = [pub for number, pub in enumerate(pubs) if circuit_of[number] == at]
        asked[circuit.canonical] = CircuitQuestion(
            name=circuit.dress.name,
            kind=kind,
            traits=circuit.traits,
            shots=max(map(shots_for, mine), default=0),
            bindings=sum(pub.bindings.size for pub in mine),
            twins=copies.get(at, 0),
            factors=tuple(factors),
            calibration=(0, 0) if at else _calibration(calibration_shots, pubs, circuits),
            terms=max(map(_terms, mine), default=0),
            quarter_turns=all(_quarter_turns(pub.bindings) for pub in mine),
            max_bond=options.max_bond,
            pubs=tuple((pub.bindings.size, shots_for(pub)) for pub in mine),
        )
    return asked


def _calibration(
    wanted: int, pubs: Sequence[SamplePub | EstimatePub], circuits: Sequence[ParsedCircuit]
) -> tuple[int, int]:
    """Runs and shots of a calibration of all that is read, at most: another job may have measured it."""
    bits = sum(circuit.traits.measurements for circuit in circuits)
    if not wanted or not bits:
        return 0, 0
    runs = runs_for(bits, wanted, max(map(shots_for, pubs), default=1), at_provider=True)
    return runs.circuits * runs.copies, runs.shots


def _terms(pub: SamplePub | EstimatePub) -> int:
    return 0 if isinstance(pub, SamplePub) else sum(len(entry.terms) for entry in pub.observables.items)


def _quarter_turns(bindings: Bindings) -> bool:
    turns = (value / (math.pi / 2) for value in bindings.values)
    return all(abs(turn - round(turn)) < _NEAR for turn in turns)
