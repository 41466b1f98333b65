"""Which twins ride with a job, and how often each runs; decided on what is asked, before anything is compiled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qurable.contracts.checks import TwinRide
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.pubs import EstimatePub, SamplePub, shots_for

MOST_TWINS = 3
"""Of the circuits with the most two-qubit gates; what they say of the device holds for the smaller ones all the more."""

_MOST_COPIES = 20
"""Times a twin runs with the shots of its circuit."""


@dataclass(frozen=True)
class Ride:
    """One twin.

    Attributes:
        circuit: Position of the distinct circuit that it is a twin of.
        pub: Position of the first pub with that circuit, whose first binding and shots it has.
        copies: How often it runs, each time with that pub's shots.
        shots: In all.
    """

    circuit: int
    pub: int
    copies: int
    shots: int


def rides_of(
    wanted: TwinRide | None,
    pubs: Sequence[SamplePub | EstimatePub],
    circuits: Sequence[ParsedCircuit],
    circuit_of: Sequence[int],
) -> tuple[Ride, ...]:
    """The twins of a job, in the order of its circuits; none where none is wanted.

    Args:
        wanted: As the job says.
        pubs: All of the job.
        circuits: Distinct circuits.
        circuit_of: For each pub, which of them.
    """
    if wanted is None:
        return ()
    pub_of = {
        at: number for number, at in reversed(list(enumerate(circuit_of))) if pubs[number].bindings.size
    }
    largest = sorted(
        pub_of, key=lambda at: (-circuits[at].traits.two_qubit_gates, -circuits[at].traits.depth, at)
    )
    rides = []
    for at in sorted(largest[:MOST_TWINS]):
        each = shots_for(pubs[pub_of[at]])
        copies = min(_MOST_COPIES, math.ceil(wanted.shots / each))
        rides.append(Ride(at, pub_of[at], copies, copies * each))
    return tuple(rides)
