"""Results of emulated jobs, read by the real client's decoders, against exact values."""

import json
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ClassicalRegister, Parameter, QuantumRegister
from qiskit.primitives import PrimitiveResult
from qiskit.quantum_info import SparsePauliOp, Statevector

from circuits.statistics import bound, g_test, histogram
from emulator.execution import NOT_EMULATED
from isolation.limits import Limits
from isolation.pool import ChildPool, Nursery
from qurable.errors import JobTooLarge
from tests.emulator.client_jobs import (
    GENERATIONS,
    body,
    brickwork,
    described,
    estimator_job,
    isa,
    line,
    results,
    sampler_job,
)

BRISBANE, TORINO = "ibm_brisbane", "ibm_torino"
PLACES = ((BRISBANE, (62, 72, 81)), (TORINO, (5, 4, 3)))
"""127 and 133 qubits, neighbours, in no order of their numbers."""

ASYMMETRIC = SparsePauliOp.from_sparse_list(
    [("Z", [0], 0.7), ("ZZ", [0, 1], -0.4), ("XX", [1, 2], 0.5), ("Y", [2], 0.3), ("Z", [2], -0.2)],
    num_qubits=3,
)
"""No two qubits can be exchanged without changing its value."""

SURE = bound(60)
SIGMAS = 4.5


def _lopsided() -> QuantumCircuit:
    """Three qubits of which no two are alike."""
    circuit = QuantumCircuit(3)
    circuit.ry(0.4, 0)
    circuit.cx(0, 1)
    circuit.ry(1.1, 1)
    circuit.cx(1, 2)
    circuit.rx(0.8, 2)
    circuit.rz(0.3, 1)
    return circuit


def _probabilities(circuit: QuantumCircuit) -> Any:
    return Statevector(circuit.remove_final_measurements(inplace=False)).probabilities()


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(("device", "layout"), PLACES)
@pytest.mark.parametrize("twirled", [False, True])
def test_counts_follow_the_circuit(
    generation: str, device: str, layout: tuple[int, ...], twirled: bool
) -> None:
    """Layouts, bit order and twirling are right, for both generations of primitives."""
    circuit = _lopsided()
    circuit.measure_all()
    twirling = {"enable_gates": True, "enable_measure": True, "num_randomizations": 16} if twirled else {}
    job = sampler_job(generation, [(isa(circuit, device, layout), None, 4000)], device, twirling=twirling)

    found = results(job, noise=False)

    assert isinstance(found, PrimitiveResult)
    counts = found[0].data.meas.get_counts()
    assert sum(counts.values()) == 4000
    assert g_test(histogram(counts, 3), _probabilities(circuit)).p_value > SURE


@pytest.mark.parametrize("generation", GENERATIONS)
def test_several_registers_and_bindings_keep_their_names_and_shapes(generation: str) -> None:
    """A (2, 3) array of bindings and two registers come back as such, each binding with its own values."""
    first, second = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(QuantumRegister(2), ClassicalRegister(2, "low"), ClassicalRegister(1, "high"))
    circuit.ry(first, 0)
    circuit.rx(second, 1)
    circuit.measure([0, 1], [2, 0])
    values = np.linspace(0.2, 2.4, 12).reshape(2, 3, 2)
    job = sampler_job(generation, [(isa(circuit, BRISBANE, (62, 81)), values, 1000)], BRISBANE)

    data = results(job, noise=False)[0].data

    assert (data.low.shape, data.low.num_bits, data.high.num_bits) == ((2, 3), 2, 1)
    for place in np.ndindex(2, 3):
        chance = np.sin(values[place] / 2) ** 2
        ones = [data.high.get_counts(place).get("1", 0), data.low.get_counts(place).get("01", 0)]
        assert data.low.get_counts(place).keys() <= {"00", "01"}
        spread = np.sqrt(1000 * chance * (1 - chance)) + 1e-9
        assert (abs(ones - 1000 * chance) < SIGMAS * spread).all()


def test_outcomes_of_more_than_a_byte_keep_their_order() -> None:
    """Bit i of a register of 11 is what its i-th qubit says."""
    circuit = QuantumCircuit(11)
    circuit.x([0, 3, 9])
    for qubit in range(10):
        circuit.cz(qubit, qubit + 1)
    circuit.measure_all()
    job = sampler_job("V2", [(isa(circuit, TORINO, line(TORINO, 11), level=0), None, 20)], TORINO)

    assert results(job, noise=False)[0].data.meas.get_counts() == {"01000001001": 20}


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(("device", "layout"), PLACES)
@pytest.mark.parametrize("level", [0, 1, 2])
def test_expectation_values_are_exact_within_their_error(
    generation: str, device: str, layout: tuple[int, ...], level: int
) -> None:
    """A noiseless device gives the exact value at every resilience level, on a layout and with asymmetric terms."""
    circuit = isa(_lopsided(), device, layout)
    observable = ASYMMETRIC.apply_layout(circuit.layout)
    exact = Statevector(_lopsided()).expectation_value(ASYMMETRIC).real
    job = estimator_job(generation, [(circuit, observable, None, 0.03)], device, resilience_level=level)

    data = results(job, noise=False)[0].data

    errors = data.stds if level < 2 else data.stds_noise_factors[0]
    value = data.evs if level < 2 else data.evs_noise_factors[0]
    assert 0 < errors < 0.06
    assert abs(value - exact) < SIGMAS * errors


@pytest.mark.parametrize("generation", GENERATIONS)
def test_observables_and_bindings_are_broadcast(generation: str) -> None:
    """Bindings of shape (3, 1) with observables of shape (2,) give (3, 2) values."""
    angle = Parameter("a")
    plain = QuantumCircuit(2)
    plain.ry(angle, 0)
    plain.cx(0, 1)
    circuit = isa(plain, TORINO, (5, 4))
    observables = [SparsePauliOp(label).apply_layout(circuit.layout) for label in ("IZ", "XX")]
    values = np.array([0.3, 1.0, 2.0])
    job = estimator_job(
        generation, [(circuit, observables, values.reshape(3, 1, 1), 0.02)], TORINO, resilience_level=0
    )

    data = results(job, noise=False)[0].data

    exact = np.stack([np.cos(values), np.sin(values)], axis=1)
    assert data.evs.shape == (3, 2)
    assert (abs(data.evs - exact) < SIGMAS * data.stds + 1e-9).all()


def test_projectors_are_measured_at_every_level() -> None:
    """A projector is a sum of Paulis, so that readout mitigation, which refuses projectors, takes it too."""
    circuit = isa(_lopsided(), BRISBANE, (62, 72, 81))
    state = Statevector(_lopsided())
    letters = ["I"] * 127
    letters[126 - 62], letters[126 - 81] = "1", "+"
    wanted = {"".join(letters): 2.0}
    plus_one = SparsePauliOp.from_list([("III", 0.5), ("IIZ", -0.5)]) @ SparsePauliOp.from_list(
        [("III", 0.5), ("XII", 0.5)]
    )
    exact = 2 * state.expectation_value(plus_one).real
    job = estimator_job("V2", [(circuit, wanted, None, 0.02)], BRISBANE, resilience_level=1)

    data = results(job, noise=False)[0].data

    assert abs(data.evs - exact) < SIGMAS * data.stds


def test_the_stated_error_is_the_spread() -> None:
    """Over many seeds, deviations in units of the stated error have a variance of one."""
    circuit = isa(_lopsided(), "ibm_manila", (1, 2, 3))
    observable = ASYMMETRIC.apply_layout(circuit.layout)
    exact = Statevector(_lopsided()).expectation_value(ASYMMETRIC).real
    job = estimator_job("V2", [(circuit, observable, None, 0.1)], "ibm_manila", resilience_level=0)

    found = [results(job, seed=seed, noise=False)[0].data for seed in range(60)]

    pulls = np.array([(data.evs - exact) / data.stds for data in found])
    # chi-square of 60 degrees of freedom: a chance of 0.0003 to be below 28 or above 107
    assert 28 < float((pulls**2).sum()) < 107


def test_readout_mitigation_of_the_service_is_real() -> None:
    """Level 1 of the V2 estimator undoes most of the readout error that level 0 shows."""
    plain = QuantumCircuit(2)
    plain.x(0)
    circuit = isa(plain, BRISBANE, (62, 81))
    observable = SparsePauliOp("ZZ").apply_layout(circuit.layout)

    raw, mitigated = (
        results(estimator_job("V2", [(circuit, observable, None, 0.01)], BRISBANE, resilience_level=level))[0]
        for level in (0, 1)
    )

    assert raw.metadata["resilience"]["measure_mitigation"] is False
    assert mitigated.metadata["resilience"]["measure_mitigation"] is True
    assert raw.data.evs > -1 + 5 * raw.data.stds
    assert abs(mitigated.data.evs + 1) < abs(raw.data.evs + 1) / 2


@pytest.mark.parametrize("generation", GENERATIONS)
def test_equal_seeds_give_equal_bytes(generation: str) -> None:
    """A job that is computed again answers what it answered; another provider job does not."""
    circuit = isa(_lopsided(), TORINO, (5, 4, 3))
    job = estimator_job(generation, [(circuit, ASYMMETRIC.apply_layout(circuit.layout), None, 0.05)], TORINO)

    assert body(job, seed=5) == body(job, seed=5)
    assert body(job, seed=5) != body(job, seed=6)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_dynamical_decoupling_is_done(generation: str) -> None:
    """Pulses and delays that it puts into idle times are part of what runs, and the noise of delays acts."""
    circuit = QuantumCircuit(3)
    circuit.x(0)
    circuit.barrier()
    for _ in range(60):
        circuit.cx(1, 2)
    circuit.measure_all()
    pubs = [(isa(circuit, BRISBANE, (62, 72, 81), level=0), None, 4000)]
    plain, decoupled = (
        sampler_job(generation, pubs, BRISBANE, dynamical_decoupling={"enable": enabled})
        for enabled in (False, True)
    )

    kept = [
        results(job, noise=noise)[0].data.meas.slice_bits(0).get_counts()["1"]
        for job, noise in ((plain, True), (decoupled, True), (decoupled, False))
    ]

    assert kept[2] == 4000
    assert kept[1] < kept[0] - 60


@pytest.mark.parametrize("generation", GENERATIONS)
def test_dynamic_circuits_run_shot_by_shot(generation: str) -> None:
    """Measuring, going on and resetting are done, with noise and without."""
    circuit = QuantumCircuit(2, 3)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)):
        circuit.x(1)
    circuit.reset(0)
    circuit.measure([1, 0], [1, 2])
    job = sampler_job(generation, [(isa(circuit, BRISBANE, (62, 72)), None, 2000)], BRISBANE)

    perfect = results(job, noise=False)[0].data.c.get_counts()
    noisy = results(job)[0].data.c.get_counts()

    assert perfect.keys() == {"000", "011"}
    assert abs(perfect["000"] - 1000) < SIGMAS * 500**0.5
    assert noisy.keys() > perfect.keys()


async def test_the_tasks_run_in_a_child() -> None:
    """What a client sent is read and run where it can be killed."""
    circuit = _lopsided()
    circuit.measure_all()
    job = sampler_job("executor", [(isa(circuit, TORINO, (5, 4, 3)), None, 500)], TORINO)
    limits = Limits(memory_bytes=4 * 2**30, wall_seconds=60.0)
    async with Nursery(preload=("qiskit_ibm_runtime",)) as nursery, ChildPool(nursery, 1) as pool:
        told = await pool.call("emulator.execution:describe", job, limits)
        ran = await pool.call("emulator.execution:run", job | {"seed": 11, "noise": True}, limits)

    assert told == described(job)
    assert ran["body"] == body(job)


def test_a_job_without_noise_says_so() -> None:
    """A rehearsal that asked for a perfect device is told that it had one."""
    circuit = _lopsided()
    circuit.measure_all()
    job = sampler_job("V2", [(isa(circuit, TORINO, (5, 4, 3)), None, 10)], TORINO)

    assert json.loads(body(job, noise=False))["__value__"]["metadata"]["emulator"]["notes"]
    assert not results(job).metadata["emulator"]["notes"]


def test_a_refused_job_does_not_run() -> None:
    """Whoever runs a job that was refused is given the same reason."""
    circuit = isa(brickwork(26, 20), BRISBANE, line(BRISBANE, 26))
    job = sampler_job("V2", [(circuit, None, 100)], BRISBANE)

    refusal = described(job)["refusal"]
    with pytest.raises(JobTooLarge) as refused:
        body(job)

    assert refusal == {"code": NOT_EMULATED, "message": refused.value.message}
    assert "26 active qubits" in refusal["message"]
