"""What a round of weather is: some jobs, and what goes wrong with their device and their provider meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qurable.requests import AnyJob

UNDER_ONE_SKY = 20
"""Rounds in a row that have the settings of the whole provider in common."""

SPEED = 20.0
"""Seconds of the emulator's clock per real second."""

OVER_AFTER = 15.0
"""Real seconds after which a round's own weather is over: no job without a deadline waits for ever."""

POOR, THRIFTY, USUAL = "poor", "thrifty", "usual"
"""Projects: one without any money, one whose month is soon used up, one without a budget."""

DEVICES = (
    *(
        "manila",
        "lima",
        "belem",
        "quito",
        "bogota",
        "athens",
        "rome",
        "santiago",
        "vigo",
        "valencia",
        "ourense",
    ),
    *(
        "jakarta",
        "lagos",
        "nairobi",
        "perth",
        "oslo",
        "casablanca",
        "guadalupe",
        "melbourne",
        "hanoi",
        "kolkata",
    ),
    *("mumbai", "montreal", "algiers", "auckland", "paris", "sydney", "toronto"),
)
"""Small ones whose twins are quick; rounds at one time are on different ones."""

_HEAD = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'


def _measured(qubits: int, *gates: str) -> str:
    return f"{_HEAD}qreg q[{qubits}];\ncreg c[{qubits}];\n{' '.join(gates)}\nmeasure q -> c;\n"


def _unmeasured(qubits: int, *gates: str) -> str:
    return f"{_HEAD}qreg q[{qubits}];\n{' '.join(gates)}\n"


_GATES: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "bell": (2, ("h q[0];", "cx q[0], q[1];")),
    "ghz": (3, ("h q[0];", "cx q[0], q[1];", "cx q[1], q[2];")),
    "tilted": (2, ("ry(0.8) q[0];", "cx q[0], q[1];", "rx(1.9) q[1];")),
    "flipped": (3, ("x q[0];", "x q[2];")),
    "turned": (1, ("ry(1.1) q[0];",)),
    "wide": (28, ("h q[0];", *(f"cx q[{one}], q[{one + 1}];" for one in range(27)))),
}
"""Circuits whose outcomes are known; the last fits no device of the rounds'."""

CIRCUITS = {name: _measured(qubits, *gates) for name, (qubits, gates) in _GATES.items()}
STATES = {name: _unmeasured(qubits, *gates) for name, (qubits, gates) in _GATES.items()}
PROBABILITIES: Mapping[str, dict[str, float]] = {
    "bell": {"00": 0.5, "11": 0.5},
    "ghz": {"000": 0.5, "111": 0.5},
    "flipped": {"101": 1.0},
}
"""Of the outcomes of some, the rightmost character is bit 0."""

OBSERVABLES = {"bell": "ZZ", "ghz": "XXX", "tilted": "ZI", "flipped": "ZIZ", "turned": "X"}


@dataclass(frozen=True)
class Piece:
    """One thing that is wrong with a round's device.

    Attributes:
        kind: Its name, under which it is counted.
        at: Real seconds from the beginning of the round.
        faults: As the control API takes them, without the device and the end.
        device: Changes of the device, which end with the round's weather.
        job: Changes of the first job that the provider has of the round by then.
    """

    kind: str
    at: float = 0.0
    faults: tuple[Mapping[str, Any], ...] = ()
    device: Mapping[str, Any] = field(default_factory=dict)
    job: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sky:
    """What some rounds in a row have in common.

    Attributes:
        kinds: Names of what is wrong.
        settings: Of the emulator.
        tokens: What happens to the tokens, once.
        faults: Of every device, each for its number of times.
        jump: Seconds that the provider's clock jumps by, some real seconds later.
        kill: Real seconds after which every worker is killed; None for never.
    """

    kinds: tuple[str, ...]
    settings: Mapping[str, Any]
    tokens: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Mapping[str, Any], ...] = ()
    jump: float = 0.0
    kill: float | None = None


@dataclass(frozen=True)
class Asked:
    """One job.

    Attributes:
        work: As it is submitted, but for its key.
        circuits: Names of its pubs' circuits.
        action: What happens to it: cancelled, terminated, or nothing.
        at: Real seconds from its submission until then.
    """

    work: AnyJob
    circuits: tuple[str, ...]
    action: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Round:
    """Some jobs in some weather.

    Attributes:
        number: With the seed it decides everything else.
        device: Whom the weather is about, without `ibm_`.
        sky: That it is played under.
        pieces: Of weather.
        jobs: That are asked for at once.
    """

    number: int
    device: str
    sky: Sky
    pieces: tuple[Piece, ...]
    jobs: tuple[Asked, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of all that is wrong, actions included."""
        actions = (job.action for job in self.jobs if job.action)
        return (*(piece.kind for piece in self.pieces), *self.sky.kinds, *actions)

    def __str__(self) -> str:
        """For whoever looks for what went wrong."""
        pieces = [f"{piece.kind} at {piece.at:.1f} s {_said(piece)}" for piece in self.pieces]
        jobs = [
            f"{'+'.join(job.circuits)} as {job.work.kind} for {job.work.backend}"
            + (f", {job.action} at {job.at:.1f} s" if job.action else "")
            for job in self.jobs
        ]
        return f"round {self.number} on {self.device}: {pieces or 'fair'}, sky {self.sky.kinds}; {jobs}"


def _said(piece: Piece) -> str:
    return " ".join(str(dict(one)) for one in (*piece.faults, piece.device, piece.job) if one)
