"""What the emulator bills lies within what was estimated: for the compiled circuits, and for the job as it was asked."""

import dataclasses
from typing import Any

import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import SparsePauliOp

from backends.ibm.options import primitive_options
from backends.ibm.split import DeviceLimits, parts
from circuits.traits import measure_traits
from emulator.execution_devices import find_device
from emulator.settings import Settings
from fallback.estimates import work_out
from fallback.solvers.protocol import CircuitQuestion
from fallback.table_file import load_table
from qurable.contracts.bindings import Bindings
from qurable.contracts.executions import IsaPub, Seconds, Submission
from qurable.contracts.ibm import Generation, IbmOptions, Resilience, Twirling, Zne
from qurable.contracts.observables import Observables
from tests.backends.ibm.submissions import KEY
from tests.emulator.client_jobs import described, estimator_job, isa, sampler_job
from tests.fallback.places import around, device, wish

DEVICE = "ibm_manila"
_SHOTS = 400
_TERMS = ("IZX", "ZIZ", "XXI")
_VALUES = (0.3, 0.7)

OPTIONS = {
    "level 0": IbmOptions(resilience_level=0),
    "the default": IbmOptions(),
    "level 1": IbmOptions(resilience_level=1),
    "level 2": IbmOptions(resilience_level=2),
    "five factors": IbmOptions(
        resilience_level=2, resilience=Resilience(zne=Zne(noise_factors=(1, 3, 5, 7, 9)))
    ),
    "gates twirled": IbmOptions(resilience_level=0, twirling=Twirling(enable_gates=True)),
    "own twirls": IbmOptions(
        resilience_level=1, twirling=Twirling(num_randomizations=7, shots_per_randomization=300)
    ),
    "short pauses": IbmOptions(resilience_level=2, rep_delay=1e-5),
}
_QUICK = ("level 0", "level 1", "level 2", "own twirls")


def _circuit() -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.ry(Parameter("p0"), 0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    return circuit


def _bindings() -> Bindings:
    return Bindings(parameters=("p0",), shape=(2,), values=_VALUES)


def _planned(circuit: QuantumCircuit, kind: Any, options: IbmOptions) -> tuple[Seconds, str]:
    """What the planner expects of the circuit as it is written, and what it says of that."""
    question = CircuitQuestion(
        "c",
        kind,
        measure_traits(circuit, "c"),
        _SHOTS,
        bindings=2 * len(_VALUES),
        terms=len(_TERMS) if kind == "estimate" else 0,
        pubs=((len(_VALUES), _SHOTS),) * 2,
    )
    asked = dataclasses.replace(wish(ibm=options), questions={"c": question})
    worked = work_out(device(rep_delay=find_device(DEVICE).rep_delay), asked, around(), load_table())
    assert worked.estimate.qpu_seconds is not None
    return worked.estimate.qpu_seconds, worked.how


def _divided(circuit: QuantumCircuit, kind: Any, options: IbmOptions) -> Seconds:
    """What the one job is expected to take, that is sent."""
    pub = IsaPub(
        isa="f" * 64,
        bindings=_bindings(),
        observables=Observables.model_validate([[term] for term in _TERMS]) if kind == "estimate" else None,
        shots=_SHOTS,
        seed=1,
        num_clbits=circuit.num_clbits,
        size=circuit.size(),
        qubits=3,
    )
    asked = Submission(key=KEY, kind=kind, pubs=(pub,) * 2, ibm=options)
    (part,) = parts(asked, DeviceLimits(rep_delay=find_device(DEVICE).rep_delay))
    assert part.estimate is not None
    return part.estimate


def _within(expected: Seconds, formula: float) -> bool:
    """Whether whatever is billed is, however the bill varies."""
    variation = Settings().bill_variation
    return expected.low <= (1 - variation) * formula and (1 + variation) * formula <= expected.high


@pytest.mark.parametrize("generation", list(Generation))
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in _QUICK else pytest.mark.long) for name in OPTIONS]
)
def test_an_estimate_is_billed_within_its_range(generation: Generation, name: str) -> None:
    """Twirls, noise factors and what learns the readout, for two pubs of two bindings each."""
    options, circuit = OPTIONS[name], _circuit()
    compiled = isa(circuit, DEVICE, (0, 1, 2))
    terms = [[SparsePauliOp(term).apply_layout(compiled.layout)] for term in _TERMS]
    said = primitive_options(options, "estimate", generation, shots=_SHOTS)
    said.pop("environment")
    sent = [(compiled, terms, [[value] for value in _VALUES], None)] * 2
    job = estimator_job("V2" if generation is Generation.V2 else "executor", sent, DEVICE, **said)
    billed = described(job)["qpu_seconds"]

    assert _within(_divided(compiled, "estimate", options), billed), billed
    assert _within(_planned(circuit, "estimate", options)[0], billed), billed


@pytest.mark.parametrize("generation", list(Generation))
def test_a_sampler_s_twirls_are_billed_within_its_range(generation: Generation) -> None:
    """With a number of twirls and shots of each that are not what the shots come to."""
    options = IbmOptions(
        twirling=Twirling(
            enable_gates=True, enable_measure=True, num_randomizations=9, shots_per_randomization=250
        )
    )
    circuit = _circuit()
    circuit.measure_all()
    compiled = isa(circuit, DEVICE, (0, 1, 2))
    said = primitive_options(options, "sample", generation, shots=_SHOTS)
    said.pop("environment")
    sent = [(compiled, [[value] for value in _VALUES], None)] * 2
    job = sampler_job("V2" if generation is Generation.V2 else "executor", sent, DEVICE, **said)
    billed = described(job)["qpu_seconds"]

    assert _within(_divided(compiled, "sample", options), billed), billed
    expected, added = _planned(circuit, "sample", options)
    assert _within(expected, billed), billed
    assert added == "its QPU time counts 9 twirls of 250 shots"
