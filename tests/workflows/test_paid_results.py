"""What a paid job answers is what the device would answer, and is shaped as IBM's own client shapes it.

Bit order: the rightmost character of a bitstring is bit 0 of its register.
"""

import asyncio
import io
import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qpy
from qiskit.circuit import Parameter
from qiskit.primitives import BackendEstimatorV2
from qiskit.quantum_info import Statevector
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import QiskitRuntimeService, fake_provider
from scipy import stats

from circuits.statistics import g_test, histogram, permutation_test
from isolation.pool import Nursery
from qurable.contracts.ibm import DynamicalDecoupling, Generation, IbmOptions, Resilience, Twirling
from qurable.contracts.jobs import TranspileOptions
from qurable.contracts.reports import JobReport, State
from qurable.contracts.results import ErrorOrigin, EstimateResult, SampleResult
from qurable.requests import estimate, sample
from store.shelf import StoreShelf
from tests.conftest import Service, running_service
from tests.emulator.running import EmulatorProcess
from tests.paid import DEVICE, FAST, Paid, fair_weather, known_ids
from tests.workflows.known_answers import (
    ANGLES,
    BOUND,
    Z_BOUND,
    assert_agrees,
    asymmetric,
    exact_probabilities,
    exact_values,
    joint,
    turned,
)

WIDE = "ibm:brisbane"


@pytest.fixture(
    scope="module", params=[Generation.EXECUTOR, pytest.param(Generation.V2, marks=pytest.mark.long)]
)
async def house(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    nursery: Nursery,
    ibm_nursery: Nursery,
) -> AsyncIterator[Service]:
    """A service that uses one generation of primitives."""
    settings = FAST | {"ibm_primitives": request.param}
    home = tmp_path_factory.mktemp("house")
    async with running_service(home, nursery, ibm_nursery=ibm_nursery, **settings) as service:
        yield service


@pytest.fixture
async def paying(house: Service, ibm_account: None, emulated_ibm: EmulatorProcess) -> Paid:
    """That service and its provider, in fair weather and without noise."""
    await fair_weather(emulated_ibm.control)
    return Paid(house, emulated_ibm, await known_ids(emulated_ibm.control))


async def by_the_client(id: str) -> Any:  # noqa: A002  the provider's word
    """The result of a provider's job as IBM's own client gives it."""

    def fetch() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the client's own, of its deprecations
            return QiskitRuntimeService().job(id).result()

    return await asyncio.to_thread(fetch)


async def isa_circuit(paid: Paid, report: JobReport, pub: int = 0) -> QuantumCircuit:
    """The circuit that ran."""
    assert report.provenance is not None
    body = await StoreShelf(paid.service.database).artifact(report.provenance.circuits[pub].isa)
    (circuit,) = qpy.load(io.BytesIO(body))
    return circuit


async def test_samples_agree_with_the_exact_distribution_and_with_ibms_client(paying: Paid) -> None:
    """Two registers, an array of bindings, a layout that is not the trivial one; shot by shot what the client decodes."""
    work = sample(
        (turned(), ANGLES), shots=2000, backend=DEVICE, transpile=TranspileOptions(layout=(3, 1, 2))
    )

    report = await paying.service.run(work)
    theirs = await by_the_client(report.provider_jobs[0].id)

    (result,) = report.results
    assert isinstance(result, SampleResult)
    assert (report.state, result.shape, result.shots) == (State.COMPLETED, (2, 3), 2000)
    assert [register.name for register in result.registers] == ["left", "right"]
    p_values = [
        g_test(joint(result, index), exact_probabilities(values)).p_value
        for index, values in enumerate(ANGLES.reshape(6, 2))
    ]
    assert min(p_values) > BOUND
    wrong = exact_probabilities(ANGLES[0, 0])[
        [0, 2, 1, 3, 4, 6, 5, 7]
    ]  # the bits of `left` the other way round
    assert g_test(joint(result, 0), wrong).p_value < 1e-9
    _assert_same_bits(report, list(theirs))


def _assert_same_bits(report: JobReport, theirs: Sequence[Any]) -> None:
    """The client's result has the bits of all registers in one of a neutral name, the first register's lowest."""
    for mine, his in zip(report.to_primitive_result(), theirs, strict=True):
        (register,) = (his.data[name] for name in his.data if hasattr(his.data[name], "num_bits"))
        columns = [mine.data[name].to_bool_array(order="little") for name in mine.data]
        joined = np.concatenate(columns, axis=-1)
        assert joined.shape[:-2] == mine.data.shape
        assert np.array_equal(joined.reshape(-1), register.to_bool_array(order="little").reshape(-1))


async def test_estimates_agree_with_exact_values_and_with_ibms_client(paying: Paid) -> None:
    """127 qubits, a layout far from the trivial one, Z terms that no two qubits share, bindings against observables."""
    circuit, observables = asymmetric()
    angles = np.array([[0.3], [1.9]])
    work = estimate(
        (circuit, observables, angles[:, None, :], 0.03),
        backend=WIDE,
        transpile=TranspileOptions(layout=(101, 102, 103, 92)),
        ibm=IbmOptions(resilience_level=0),
    )

    report = await paying.service.run(work)
    theirs = await by_the_client(report.provider_jobs[0].id)

    (result,) = report.results
    assert isinstance(result, EstimateResult)
    assert report.provenance is not None
    layout = report.provenance.circuits[0].layout
    assert layout is not None
    assert set(layout) != set(range(4))
    assert (result.shape, result.error_origin) == ((2, 3), ErrorOrigin.SHOTS)
    assert_agrees(result, exact_values(circuit, observables, angles[:, 0]))
    assert np.array_equal(np.ravel(theirs[0].data.evs), result.evs.to_numpy().ravel())


@pytest.mark.long
@pytest.mark.parametrize("mode", ["job", "session", "batch"])
async def test_every_mode_answers_the_same_question(paying: Paid, mode: str) -> None:
    """Several pubs with several shapes in one job, in a batch, in a session."""
    options = IbmOptions(mode=mode, resilience_level=None)
    ghz = QuantumCircuit(3)
    ghz.h(0)
    ghz.cx(0, 1)
    ghz.cx(1, 2)
    ghz.measure_all()
    circuit, observables = asymmetric()

    sampled, estimated = await asyncio.gather(
        paying.service.run(
            sample(
                ghz,
                (turned(), ANGLES[0]),
                (turned(), ANGLES[1, 0], 500),
                shots=1000,
                backend=DEVICE,
                ibm=options,
            )
        ),
        paying.service.run(estimate((circuit, observables[0], [0.3], 0.03), backend=DEVICE, ibm=options)),
    )

    first, second, third = sampled.results
    assert isinstance(first, SampleResult)
    assert isinstance(second, SampleResult)
    assert isinstance(third, SampleResult)
    assert g_test(joint(first, 0), np.array([0.5, *[0] * 6, 0.5])).p_value > BOUND
    for index, values in enumerate(ANGLES[0]):
        assert g_test(joint(second, index), exact_probabilities(values)).p_value > BOUND
    assert g_test(joint(third, 0), exact_probabilities(ANGLES[1, 0])).p_value > BOUND
    assert (first.shots, second.shape, third.shots) == (1000, (3,), 500)
    assert_agrees(estimated.results[0], exact_values(circuit, observables[:1], [0.3])[0, 0])
    theirs = [pub for record in sampled.provider_jobs for pub in await by_the_client(record.id)]
    _assert_same_bits(sampled, theirs)


@pytest.mark.long
async def test_noisy_samples_agree_with_aer_on_the_same_device(paying: Paid) -> None:
    """The ISA circuit that ran, run again by Aer alone with the noise of the whole device."""
    await paying.control.settings(noise=True)

    report = await paying.service.run(sample((turned(), ANGLES[0]), shots=20_000, backend="ibm:lima"))

    isa = await isa_circuit(paying, report)
    simulator = AerSimulator.from_backend(fake_provider.FakeLimaV2(), method="density_matrix")
    (result,) = report.results
    assert isinstance(result, SampleResult)
    for index, values in enumerate(ANGLES[0]):
        bound = isa.assign_parameters(_by_name(isa, values))
        direct = simulator.run(bound, shots=200_000, seed_simulator=index).result().get_counts()
        one, other = _flat(result.counts(index)), _flat(direct)
        assert permutation_test(one, other, seed=index, permutations=int(2 / BOUND)).p_value > BOUND
        assert g_test(one, exact_probabilities(values)).p_value < 1e-9  # it was noisy indeed


def _by_name(isa: QuantumCircuit, values: Any) -> dict[Any, float]:
    """Values of `first` and `second` for canonical parameters, which are named by their position in the circuit."""
    return dict(zip(sorted(isa.parameters, key=lambda one: int(one.name[1:])), values, strict=True))


def _flat(counts: Mapping[str, int]) -> Any:
    return histogram({word.replace(" ", ""): number for word, number in counts.items()}, 3)


@pytest.mark.long
async def test_noisy_estimates_agree_with_aer_on_the_same_device(paying: Paid) -> None:
    """Without mitigation, an estimate is as wrong as the device is."""
    await paying.control.settings(noise=True)
    circuit, observables = asymmetric()
    fixed = circuit.assign_parameters([0.3])

    report = await paying.service.run(
        estimate((fixed, observables, None, 0.005), backend="ibm:lima", ibm=IbmOptions(resilience_level=0))
    )

    isa = await isa_circuit(paying, report)
    assert report.provenance is not None
    layout = report.provenance.circuits[0].layout
    assert layout is not None
    direct = BackendEstimatorV2(
        backend=AerSimulator.from_backend(
            fake_provider.FakeLimaV2(), method="density_matrix", seed_simulator=7
        )
    )
    moved = [one.apply_layout(list(layout), isa.num_qubits) for one in observables]
    reference = direct.run([(isa, moved)], precision=0.002).result()[0].data
    (result,) = report.results
    assert isinstance(result, EstimateResult)
    evs, stds = result.evs.to_numpy(), result.stds.to_numpy()
    assert (np.abs(evs - reference.evs) < Z_BOUND * np.hypot(stds, reference.stds) + 0.005).all(), (
        evs,
        reference.evs,
    )
    exact = exact_values(circuit, observables, [0.3])[0]
    assert (np.abs(evs - exact) > Z_BOUND * stds).any()  # it was noisy indeed


@pytest.mark.long
async def test_a_circuit_that_measures_on_the_way_is_run_as_it_is(paying: Paid) -> None:
    """A qubit is measured, reset and used again; both readings are kept."""
    circuit = QuantumCircuit(QuantumRegister(2), ClassicalRegister(1, "early"), ClassicalRegister(2, "late"))
    circuit.ry(1.0, 0)
    circuit.measure(0, 0)
    circuit.reset(0)
    circuit.ry(2.0, 0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [1, 2])
    early, late = np.sin(0.5) ** 2, np.sin(1.0) ** 2
    exact = np.zeros(8)
    for one, p_one in enumerate((1 - early, early)):
        for both, p_both in ((0b00, 1 - late), (0b11, late)):
            exact[both << 1 | one] = p_one * p_both

    report = await paying.service.run(sample(circuit, shots=4000, backend=DEVICE))

    (result,) = report.results
    assert isinstance(result, SampleResult)
    assert g_test(_flat(result.counts()), exact).p_value > BOUND


@pytest.mark.long
async def test_a_dynamic_circuit_branches_on_what_it_reads(paying: Paid) -> None:
    """Teleporting the angle of one qubit to another by two conditional gates."""
    circuit = QuantumCircuit(QuantumRegister(3), ClassicalRegister(2, "bell"), ClassicalRegister(1, "out"))
    circuit.ry(1.0, 0)
    circuit.h(1)
    circuit.cx(1, 2)
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((circuit.clbits[1], 1)):
        circuit.x(2)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.z(2)
    circuit.measure(2, 2)

    report = await paying.service.run(sample(circuit, shots=4000, backend=WIDE))

    (result,) = report.results
    assert isinstance(result, SampleResult)
    ones = int(result.register("out").to_numpy().sum())
    assert stats.binomtest(ones, 4000, np.sin(0.5) ** 2).pvalue > BOUND


@pytest.mark.long
async def test_fractional_gates_run_as_such_and_change_nothing_else(paying: Paid) -> None:
    """One rzz instead of two cz and a rotation, on a device that has it."""
    angle = Parameter("angle")
    circuit = QuantumCircuit(2)
    circuit.rx(0.9, 0)
    circuit.rx(0.4, 1)
    circuit.rzz(angle, 0, 1)
    circuit.rx(0.7, 0)
    circuit.measure_all()
    angles = [[0.2], [1.5]]

    report = await paying.service.run(
        sample(
            (circuit, angles), shots=4000, backend="ibm:fractional", ibm=IbmOptions(use_fractional_gates=True)
        )
    )

    (result,) = report.results
    assert isinstance(result, SampleResult)
    operations = (await isa_circuit(paying, report)).count_ops()
    assert operations["rzz"] == 1
    assert "cz" not in operations
    bare = circuit.remove_final_measurements(inplace=False)
    for index, values in enumerate(angles):
        exact = Statevector(bare.assign_parameters(values)).probabilities()
        assert g_test(histogram(result.counts(index), 2), exact).p_value > BOUND


LEVELS = [
    IbmOptions(resilience_level=1),
    IbmOptions(resilience_level=2),
    IbmOptions(resilience_level=0, twirling=Twirling(enable_gates=True, enable_measure=True)),
    IbmOptions(resilience_level=0, dynamical_decoupling=DynamicalDecoupling(sequence_type="XpXm")),
    IbmOptions(resilience=Resilience(measure_mitigation=True)),
]


@pytest.mark.long
@pytest.mark.parametrize("options", LEVELS, ids=lambda options: options.model_dump_json(exclude_unset=True))
async def test_mitigation_leaves_a_perfect_device_as_it_is(paying: Paid, options: IbmOptions) -> None:
    """Whatever IBM's words ask for, an estimate without noise is within its own error of the truth."""
    circuit, observables = asymmetric()

    report = await paying.service.run(
        estimate((circuit, observables, [0.3], 0.03), backend=DEVICE, ibm=options)
    )

    (result,) = report.results
    assert isinstance(result, EstimateResult)
    extrapolated = result.error_origin is ErrorOrigin.EXTRAPOLATION
    assert extrapolated == (options.resilience_level == 2)
    assert_agrees(result, exact_values(circuit, observables, [0.3])[0], least=0.1 if extrapolated else 0.0)


@pytest.mark.long
async def test_readout_mitigation_makes_a_noisy_estimate_better(paying: Paid) -> None:
    """The level reaches the device: with it, the error of reading is gone; that of the gates stays."""
    await paying.control.settings(noise=True)
    circuit = QuantumCircuit(2)
    circuit.x([0, 1])
    errors = []
    for level in (0, 1):
        options = IbmOptions(resilience_level=level)
        report = await paying.service.run(
            estimate((circuit, "ZZ", None, 0.01), backend="ibm:lima", ibm=options)
        )
        (result,) = report.results
        assert isinstance(result, EstimateResult)
        errors.append(abs(result.evs.values[0] - 1.0))

    assert errors[1] < errors[0] / 2


@pytest.mark.long
async def test_twirled_samples_are_samples_of_the_same_distribution(paying: Paid) -> None:
    """Twirls that are undone in the results change no outcome."""
    options = IbmOptions(twirling=Twirling(enable_gates=True, enable_measure=True))

    report = await paying.service.run(sample((turned(), ANGLES[0]), shots=2048, backend=DEVICE, ibm=options))

    (result,) = report.results
    assert isinstance(result, SampleResult)
    for index, values in enumerate(ANGLES[0]):
        assert g_test(joint(result, index), exact_probabilities(values)).p_value > BOUND
