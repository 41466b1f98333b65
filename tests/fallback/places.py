"""Circuits, devices and surroundings that routes are planned with in tests."""

from collections.abc import Mapping, Sequence
from typing import Any

from circuits.methods import Probe
from circuits.survival_bound import BestErrors
from fallback.health import Health
from fallback.solvers.protocol import CircuitQuestion
from fallback.table import AsksFor
from fallback.wish import Offer, Surroundings, Wish
from qurable.contracts.circuits import CircuitTraits, Dress, ParsedCircuit
from qurable.contracts.targets import AnswerKind, TargetSnapshot

GIB = 2**30
DEVICE = "ibm:torino"


def parsed(name: str = "c", **traits: Any) -> ParsedCircuit:
    """A circuit of which only the traits matter; `qubits` stands for declared and active ones."""
    qubits = traits.pop("qubits", 5)
    known: dict[str, Any] = {
        "num_qubits": qubits,
        "active_qubits": qubits,
        "num_clbits": qubits,
        "size": 4 * qubits,
        "depth": 10,
        "two_qubit_gates": qubits,
        "measurements": qubits,
        "is_clifford": False,
        "is_dynamic": False,
        "parameters": 0,
    }
    found = CircuitTraits(**(known | traits))
    return ParsedCircuit(
        canonical=name, cacheable=True, qpy=name, source=name, dress=Dress(name=name), traits=found
    )


def wish(*circuits: ParsedCircuit, shots: int = 1000, **fields: Any) -> Wish:
    """A job of these circuits that asks for the device."""
    asked = circuits or (parsed(),)
    questions = {
        circuit.canonical: CircuitQuestion(circuit.dress.name, "sample", circuit.traits, shots)
        for circuit in asked
    }
    return Wish(
        **{"asked": DEVICE, "asks_for": AsksFor.HARDWARE, "circuits": asked, "questions": questions, **fields}
    )


def device(name: str = DEVICE, **fields: Any) -> TargetSnapshot:
    """Hardware that costs money."""
    known = {
        "answer_kind": AnswerKind.HARDWARE,
        "num_qubits": 133,
        "paid": True,
        "dynamic_circuits": True,
        "pending_jobs": 0,
        "target": f"target of {name}",
    }
    return TargetSnapshot(name=name, **(known | fields))


def twin(name: str = "fake_torino", **fields: Any) -> TargetSnapshot:
    """A noisy simulator."""
    known = {
        "answer_kind": AnswerKind.NOISY_SIMULATOR,
        "num_qubits": 133,
        "simulator": True,
        "dynamic_circuits": True,
        "target": f"target of {name}",
    }
    return TargetSnapshot(name=name, **(known | fields))


def aer(name: str = "aer", **fields: Any) -> TargetSnapshot:
    """An ideal simulator."""
    known = {
        "answer_kind": AnswerKind.SIMULATOR,
        "simulator": True,
        "dynamic_circuits": True,
        "exact_values": True,
    }
    return TargetSnapshot(name=name, **(known | fields))


def solver(name: str = "classical:clifford", **fields: Any) -> TargetSnapshot:
    """A classical solver of circuits."""
    known = {"answer_kind": AnswerKind.CLASSICAL, "simulator": True, "exact_values": True}
    return TargetSnapshot(name=name, **(known | fields))


def around(
    offers: Mapping[str, Sequence[TargetSnapshot | Offer]] | None = None,
    *,
    capacity_bytes: int = 8 * GIB,
    health: Mapping[str, Health] | None = None,
    errors: Mapping[str, BestErrors] | None = None,
    probes: Mapping[str, Probe] | None = None,
) -> Surroundings:
    """What there is: a device with its twin, Aer and a solver, with other places in their stead where they are named."""
    known: dict[str, Sequence[TargetSnapshot | Offer]] = {
        "asked": [device()],
        "twin": [twin()],
        "aer": [aer()],
        "classical:*": [solver()],
    }
    found = {
        word: [place if isinstance(place, Offer) else Offer(place.name, place) for place in places]
        for word, places in (known | dict(offers or {})).items()
    }
    return Surroundings(found, capacity_bytes, health or {}, errors or {}, probes=probes or {})
