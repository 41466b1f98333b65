"""The device's noise is on every answer, by a method that carries it, or the job is refused."""

from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import fake_provider

from circuits.statistics import g_test, histogram, permutation_test
from circuits.targets import describe_target
from emulator.execution import NOT_EMULATED, NOT_VALID, run
from emulator.execution_devices import find_device
from emulator.execution_methods import PAULI_NOISE, choose_method
from emulator.execution_pieces import split
from emulator.execution_sampling import Plan, plan, sample
from isolation.device_noise import noise_model
from tests.emulator.client_jobs import (
    brickwork,
    described,
    estimator_job,
    isa,
    line,
    results,
    sampler_job,
)

BRISBANE, TORINO = "ibm_brisbane", "ibm_torino"
SURE = 2e-5
"""Each test alarms falsely less often than this; together about once in a thousand runs."""


def _ghz(width: int) -> QuantumCircuit:
    circuit = QuantumCircuit(width)
    circuit.h(0)
    for qubit in range(width - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def _mixed() -> QuantumCircuit:
    """A pair, and three qubits on their own: rotated, waiting long, and only measured."""
    circuit = QuantumCircuit(5)
    circuit.ry(0.7, 0)
    circuit.cx(0, 1)
    circuit.rx(1.2, 2)
    circuit.x(3)
    circuit.barrier()
    circuit.delay(60_000, 2, unit="ns")
    circuit.delay(90_000, 3, unit="ns")
    circuit.ry(0.4, 2)
    circuit.measure_all()
    return circuit


_PLACES = (62, 72, 0, 126, 14)


def _exact_noisy_probabilities(circuit: QuantumCircuit, device: str, places: tuple[int, ...]) -> Any:
    """Of all outcomes, from one density matrix of all qubits and the readout errors, by Aer's own noise model."""
    backend = getattr(fake_provider, "Fake" + device.removeprefix("ibm_").capitalize())()
    document = describe_target(backend.target)
    order = tuple(sorted(places))
    small = QuantumCircuit(len(order))
    for item in circuit.data:
        if item.name not in {"measure", "barrier"}:
            small.append(
                item.operation, [order.index(circuit.find_bit(qubit).index) for qubit in item.qubits]
            )
    small.save_density_matrix()
    model = noise_model(document, order)
    state = AerSimulator(method="density_matrix", noise_model=model).run(small).result().data()
    probabilities = state["density_matrix"].probabilities([order.index(place) for place in places])
    for at, place in enumerate(places):
        readout = model._local_readout_errors[(order.index(place),)].probabilities
        table = probabilities.reshape(2 ** (len(places) - at - 1), 2, 2**at)
        probabilities = np.einsum("aib,ij->ajb", table, readout).ravel()
    return probabilities


def test_parts_of_a_circuit_are_as_good_as_the_whole() -> None:
    """Sampled part by part, qubits on their own computed, the outcomes are those of one noisy state of all."""
    circuit = isa(_mixed(), BRISBANE, _PLACES)
    job = sampler_job("V2", [(circuit, None, 60_000)], BRISBANE)

    counts = histogram(results(job)[0].data.meas.get_counts(), 5)
    exact = _exact_noisy_probabilities(circuit, BRISBANE, _PLACES)

    assert len(split(circuit)) == 4
    assert g_test(counts, exact).p_value > SURE
    perfect = histogram(results(job, noise=False)[0].data.meas.get_counts(), 5)
    assert g_test(perfect, exact).p_value < SURE


def test_qubits_that_are_not_measured_are_not_simulated() -> None:
    """What nobody reads costs nothing."""
    circuit = QuantumCircuit(3, 1)
    circuit.h([0, 1, 2])
    circuit.cx(1, 2)
    circuit.measure(0, 0)

    (piece,) = split(isa(circuit, BRISBANE, (62, 72, 81)))

    assert piece.qubits == (62,)


def test_classical_bits_join_what_gates_do_not() -> None:
    """A qubit that is flipped by another's outcome is no part of its own."""
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)):
        circuit.x(1)
    circuit.measure(1, 1)

    (piece,) = split(isa(circuit, BRISBANE, (62, 126)))

    assert sorted(piece.qubits) == [62, 126]


@pytest.mark.parametrize(
    "method", ["statevector", pytest.param("matrix_product_state", marks=pytest.mark.long)]
)
def test_trajectories_agree_with_the_density_matrix(method: str) -> None:
    """The methods that carry all of the noise give one distribution."""
    device = find_device(BRISBANE)
    places = tuple(line(BRISBANE, 4))
    circuit = isa(brickwork(4, 2), BRISBANE, places)
    planned = plan(circuit, {}, 1, 20_000, noisy=True)
    ((piece, choice),) = planned.parts
    assert choice is not None
    assert choice.method == "density_matrix"
    forced = [(piece, type(choice)(method, 0.0))]

    bits = sample(Plan(circuit, {}, 1, 20_000, forced, noisy=True), device, (3,))[0]

    numbers = bits @ (1 << np.arange(4))
    counts = np.bincount(numbers, minlength=16)
    assert g_test(counts, _exact_noisy_probabilities(circuit, BRISBANE, places)).p_value > SURE


def test_rows_of_many_shots_share_no_trajectories() -> None:
    """With more shots than seeds lie between two rows, the rows would be shifted copies of each other."""
    device = find_device(BRISBANE)
    circuit = isa(brickwork(4, 2), BRISBANE, line(BRISBANE, 4))
    planned = plan(circuit, {}, 2, 4000, noisy=True)
    ((piece, choice),) = planned.parts
    assert choice is not None
    forced = [(piece, type(choice)("statevector", 0.0))]

    first, second = sample(Plan(circuit, {}, 2, 4000, forced, noisy=True), device, (3,))

    assert not (first[2113:] == second[: 4000 - 2113]).all(axis=1).mean() > 0.9
    assert permutation_test(_table(first), _table(second), seed=1).p_value > SURE


def _table(bits: Any) -> Any:
    return np.bincount(bits @ (1 << np.arange(4)), minlength=16)


def test_a_ghz_state_suffers_from_the_device() -> None:
    """Gate and readout errors show: far from half the shots are all zeros, and outcomes between appear."""
    circuit = isa(_ghz(8), TORINO, line(TORINO, 8))
    job = sampler_job("V2", [(circuit, None, 2000)], TORINO)

    ideal = results(job, noise=False)[0].data.meas.get_counts()
    noisy = results(job)[0].data.meas.get_counts()

    assert ideal.keys() == {"0" * 8, "1" * 8}
    assert noisy["0" * 8] + noisy["1" * 8] < 1900
    assert noisy["0" * 8] + noisy["1" * 8] > 600


def test_a_wide_chain_carries_the_whole_noise() -> None:
    """40 qubits of little entanglement run as a matrix product state, with relaxation and all."""
    circuit = isa(_ghz(40), BRISBANE, line(BRISBANE, 40))
    job = sampler_job("V2", [(circuit, None, 40)], BRISBANE)

    answer = run(job | {"seed": 1, "noise": True}, lambda _: None)
    ((_, choice),) = plan(circuit, {}, 1, 40, noisy=True).parts

    assert choice is not None
    assert choice.method == "matrix_product_state"
    assert answer["notes"] == []


def test_a_wide_clifford_circuit_says_what_noise_it_had() -> None:
    """Too entangled for anything else, a Clifford circuit has Pauli noise, and the result says so."""
    mirror = QuantumCircuit(30)
    generator = np.random.default_rng(1)
    for layer in range(8):
        for qubit in range(30):
            getattr(mirror, generator.choice(["h", "s", "sx", "x"]))(qubit)
        for qubit in range(layer % 2, 29, 2):
            mirror.cx(qubit, qubit + 1)
    mirror = mirror.compose(mirror.inverse())
    mirror.measure_all()
    circuit = isa(mirror, BRISBANE, line(BRISBANE, 30), level=0)
    job = sampler_job("V2", [(circuit, None, 200)], BRISBANE)

    perfect = results(job, noise=False)[0].data.meas.get_counts()
    noisy = results(job)

    assert described(job)["refusal"] is None
    assert perfect == {"0" * 30: 200}
    assert noisy.metadata["emulator"]["notes"] == [PAULI_NOISE.format(qubits=30)]
    assert noisy[0].data.meas.get_counts().get("0" * 30, 0) < 100


@pytest.mark.long
def test_a_wide_twirled_clifford_circuit_runs() -> None:
    """Twirls turn by quarters up to rounding errors, and count as Clifford."""
    mirror = QuantumCircuit(26)
    for layer in range(8):
        mirror.h(range(26))
        for qubit in range(layer % 2, 25, 2):
            mirror.cx(qubit, qubit + 1)
    mirror = mirror.compose(mirror.inverse())
    mirror.measure_all()
    circuit = isa(mirror, BRISBANE, line(BRISBANE, 26), level=0)
    twirling = {"enable_gates": True, "enable_measure": True, "num_randomizations": 2}
    job = sampler_job("executor", [(circuit, None, 50)], BRISBANE, twirling=twirling)

    counts = results(job, noise=False)[0].data.meas.get_counts()

    assert counts == {"0" * 26: 50}


def test_what_cannot_carry_its_noise_is_refused() -> None:
    """Neither Clifford nor nearly a product: the refusal names the active qubits and the way out."""
    circuit = isa(brickwork(26, 20), BRISBANE, line(BRISBANE, 26))

    refusal = described(sampler_job("V2", [(circuit, None, 100)], BRISBANE))["refusal"]

    assert refusal["code"] == NOT_EMULATED
    assert "26 active qubits" in refusal["message"]
    assert "cut the circuit" in refusal["message"]


def test_what_would_take_hours_is_refused() -> None:
    """20 noisy qubits fit, but not 4,000 shots of them; the refusal says how long they would take."""
    circuit = isa(brickwork(20, 20), BRISBANE, line(BRISBANE, 20))

    many = described(sampler_job("V2", [(circuit, None, 4000)], BRISBANE))["refusal"]
    few = described(sampler_job("V2", [(circuit, None, 20)], BRISBANE))["refusal"]

    assert many["code"] == NOT_EMULATED
    assert "20 active qubits" in many["message"]
    assert "fewer shots" in many["message"]
    assert few is None


def test_the_cheapest_exact_method_is_chosen() -> None:
    """Few shots of a dozen qubits are trajectories, many are one density matrix."""
    circuit = isa(brickwork(10, 12), BRISBANE, line(BRISBANE, 10))
    (piece,) = split(circuit)

    few = choose_method(piece, {}, 1, 5, noisy=True)
    many = choose_method(piece, {}, 1, 4000, noisy=True)

    assert (few.method, many.method) == ("statevector", "density_matrix")
    assert few.thermal_relaxation
    assert many.thermal_relaxation


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"execution": {"meas_type": "kerneled"}}, NOT_EMULATED, "classified"),
        ({"execution": {"init_qubits": False}}, NOT_EMULATED, "init_qubits"),
        ({"execution": {"rep_delay": 1.0}}, NOT_VALID, "out of range"),
        ({"simulator": {"seed_simulator": 3}}, NOT_EMULATED, "'simulator'"),
        ({"default_shots": 6_000_000}, NOT_VALID, "5000000"),
    ],
)
def test_options_that_would_be_ignored_are_refused(options: Any, code: int, words: str) -> None:
    """Nothing that was asked for is left out silently."""
    circuit = isa(_ghz(2), BRISBANE, (62, 72))

    refusal = described(sampler_job("V2", [circuit], BRISBANE, **options))["refusal"]

    assert refusal["code"] == code
    assert words in refusal["message"]


@pytest.mark.parametrize(
    "resilience",
    [
        {"pec_mitigation": True},
        {"zne_mitigation": True, "zne": {"amplifier": "pea"}},
        {"zne_mitigation": True, "zne": {"noise_factors": (1, 1.5, 2)}},
        {"zne_mitigation": True, "measure_mitigation": False},
    ],
)
def test_mitigation_that_is_not_done_is_refused(resilience: Any) -> None:
    """PEC, PEA, folding by chance and error bars out of one estimate are not pretended."""
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit = isa(circuit, BRISBANE, (62, 72))
    job = estimator_job(
        "V2",
        [(circuit, "I" * 126 + "Z")],
        BRISBANE,
        resilience=resilience,
        twirling={"enable_measure": resilience.get("measure_mitigation", True)},
    )

    assert described(job)["refusal"]["code"] == NOT_EMULATED


def test_circuits_of_another_device_are_refused() -> None:
    """A job that IBM's service would refuse is refused here."""
    circuit = isa(_ghz(3), TORINO, (5, 4, 3))

    refusal = described(sampler_job("V2", [circuit], BRISBANE))["refusal"]

    assert refusal["code"] == NOT_VALID
    assert BRISBANE in refusal["message"]


@pytest.mark.parametrize(
    "params", ["", "{}", '{"pubs": []}', '{"pubs": [[1]]}', '{"schema_version": "v9"}', "[]"]
)
@pytest.mark.parametrize("program", ["sampler", "estimator", "executor", "noise-learner"])
def test_nonsense_is_refused(program: str, params: str) -> None:
    """Whatever a stranger sends has a refusal, not a crash."""
    job = {"program": program, "params": params, "backend": BRISBANE}

    assert described(job)["refusal"]["code"] in {NOT_VALID, NOT_EMULATED}
