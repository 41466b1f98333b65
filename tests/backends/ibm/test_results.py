"""What the client gives back, checked before it is believed."""

import json
import math
from typing import Any

import numpy as np
import pytest
from qiskit.circuit import ClassicalRegister, Clbit, Parameter, QuantumCircuit
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder

from backends.ibm.results import pieces
from backends.ibm.split import DeviceLimits, parts
from circuits.assembly import arrays_of, assemble, is_complete
from circuits.canonical import canonicalise
from qurable.contracts.circuits import Circuit, CircuitFormat, Dress, Register
from qurable.contracts.executions import Piece, Slice, Submission
from qurable.contracts.ibm import Generation, IbmOptions, Resilience, Twirling, Zne
from qurable.contracts.pubs import EstimatePub
from qurable.contracts.results import ErrorOrigin, EstimateResult
from qurable.errors import ResultRefused
from tests.backends.ibm.submissions import GENERATIONS, Lab, submission, whole

UNMITIGATED = IbmOptions(resilience_level=0)
SHOTS = 4000
FIVE_SIGMA = 5 / math.sqrt(SHOTS)


def _bindings(shape: tuple[int, ...]) -> tuple[dict[str, Any], Any]:
    table = np.random.default_rng(4).uniform(0.1, 3.0, (*shape, 2))
    return {"parameters": ("p0", "p1"), "shape": shape, "values": tuple(table.ravel().tolist())}, table


def _rotations() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.rx(Parameter("p0"), 0)
    circuit.ry(Parameter("p1"), 1)
    return circuit


def _pieces(lab: Lab, asked: Submission, slices: Any = None, *, generation: Generation) -> list[Piece]:
    slices = whole(asked) if slices is None else slices
    result = lab.run(asked, slices, generation=generation)
    return [Piece(**entry) for entry in pieces(result, asked, slices)]


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_samples_come_in_the_order_of_their_bindings(shape: tuple[int, ...], generation: Generation) -> None:
    """Of every shape, in parts as they are divided, bit i that of classical bit i."""
    lab, (bindings, table) = Lab(layout=(3, 1)), _bindings(shape)
    circuit = _rotations()
    circuit.add_bits([*QuantumCircuit(0, 10).clbits])
    circuit.measure([0, 1], [9, 2])
    asked = submission(lab.pub(circuit, bindings=bindings, shots=SHOTS))
    divided = parts(asked, DeviceLimits(max_executions=2 * SHOTS))
    found = [
        piece for part in divided for piece in _pieces(lab, asked, list(part.slices), generation=generation)
    ]

    bits = np.concatenate([arrays_of(piece)["bits"] for piece in found])
    assert bits.shape == (math.prod(shape), SHOTS, 2)
    assert bits.dtype == np.uint8
    ones = np.unpackbits(bits[..., ::-1], axis=-1, bitorder="little").mean(axis=1)
    rows = table.reshape(-1, 2)
    assert np.abs(ones[:, 9] - np.sin(rows[:, 0] / 2) ** 2).max() < FIVE_SIGMA / 2
    assert np.abs(ones[:, 2] - np.sin(rows[:, 1] / 2) ** 2).max() < FIVE_SIGMA / 2
    assert not ones[:, [0, 1, 3, 4, 5, 6, 7, 8, *range(10, 16)]].any()
    assert is_complete(found, math.prod(shape))


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    ("inner", "outer"), [((), ()), ((3,), ()), ((), (2,)), ((2, 1), (3,)), ((2, 2), (2, 2)), ((2,), (3, 1))]
)
def test_estimates_land_where_broadcasting_puts_them(
    inner: tuple[int, ...], outer: tuple[int, ...], generation: Generation
) -> None:
    """For both shapes of broadcasting, from parts, through a layout, asymmetric in the qubits."""
    lab, (bindings, table) = Lab(layout=(3, 1)), _bindings(inner)
    items = [{"IZ": 1.0, "ZI": 2.0 + at} for at in range(math.prod(outer))]
    observables = {"shape": outer, "items": items}
    pub = lab.pub(_rotations(), bindings=bindings, observables=observables, shots=SHOTS)
    asked = submission(pub, options=UNMITIGATED)
    count = math.prod(inner)
    cuts = [Slice(pub=0, start=0, stop=1), Slice(pub=0, start=1, stop=count)][: 1 + (count > 1)]
    found = [piece for cut in cuts for piece in _pieces(lab, asked, [cut], generation=generation)]
    result = assemble(_estimate_pub(bindings, observables), Dress(name="x"), 0, found)

    assert isinstance(result, EstimateResult)
    cosines = np.cos(table)
    weights = np.array([2.0 + at for at in range(math.prod(outer))]).reshape(outer)
    due = cosines[..., 0] + weights * cosines[..., 1]
    assert result.shape == due.shape
    assert np.abs(result.evs.to_numpy() - due).max() < FIVE_SIGMA * (1 + weights.max())
    assert result.error_origin is ErrorOrigin.SHOTS


def _estimate_pub(bindings: Any, observables: Any) -> EstimatePub:
    return EstimatePub.model_validate(
        {
            "circuit": Circuit(format=CircuitFormat.OPENQASM3, text="qubit q;"),
            "bindings": bindings,
            "observables": observables,
            "shots": SHOTS,
        }
    )


@pytest.mark.parametrize("generation", GENERATIONS)
def test_bindings_of_a_circuit_without_parameters_each_have_their_own_shots(generation: Generation) -> None:
    """Three bindings are three experiments, also where nothing is bound."""
    lab = Lab()
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    pub = lab.pub(circuit, bindings={"parameters": (), "shape": (3,), "values": ()}, shots=50)
    (piece,) = _pieces(lab, submission(pub), generation=generation)

    assert arrays_of(piece)["bits"].shape == (3, 50, 1)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_several_pubs_come_back_each_under_its_number(generation: Generation) -> None:
    """Pubs share a job; their pieces keep apart."""
    lab = Lab()
    asked = []
    for ones in (0b00, 0b01, 0b10):
        circuit = QuantumCircuit(2, 2)
        for qubit in range(2):
            if ones >> qubit & 1:
                circuit.x(qubit)
        circuit.measure([0, 1], [0, 1])
        asked.append(lab.pub(circuit, shots=20))
    found = _pieces(lab, submission(*asked), generation=generation)

    assert [piece.pub for piece in found] == [0, 1, 2]
    assert [set(arrays_of(piece)["bits"].ravel().tolist()) for piece in found] == [{0}, {1}, {2}]


def test_registers_of_a_dynamic_circuit_are_put_together() -> None:
    """Its conditions need its registers; each bit comes back in its place."""
    circuit = QuantumCircuit(3)
    bits = [Clbit() for _ in range(4)]
    circuit.add_bits(bits)
    circuit.add_register(
        ClassicalRegister(bits=[bits[2], bits[0]], name="low"),
        ClassicalRegister(bits=[bits[3]], name="other"),
    )
    circuit.x(0)
    circuit.measure(0, bits[2])
    circuit.measure(1, bits[0])
    with circuit.if_test((circuit.cregs[0], 1)):
        circuit.x(2)
    circuit.measure(2, bits[3])
    lab = Lab()
    asked = submission(lab.pub(canonicalise(circuit, limit=100, name="x").circuit, shots=30, dynamic=True))
    (piece,) = _pieces(lab, asked, generation=Generation.V2)

    assert set(arrays_of(piece)["bits"].ravel().tolist()) == {0b1100}


@pytest.mark.parametrize("shots", [64, 1000])
def test_twirled_shots_are_those_that_were_asked_for(shots: int) -> None:
    """1,000 shots become 16 twirls of 64: the first 1,000 are kept, and the notes say how many ran."""
    lab = Lab()
    circuit = QuantumCircuit(2)
    circuit.x(0)
    circuit.measure_all()
    twirling = Twirling(enable_gates=True, enable_measure=True)
    asked = submission(lab.pub(circuit, shots=shots), options=IbmOptions(twirling=twirling))
    (piece,) = _pieces(lab, asked, generation=Generation.EXECUTOR)

    assert arrays_of(piece)["bits"].shape == (1, shots, 1)
    assert set(arrays_of(piece)["bits"].ravel().tolist()) == {0b01}
    assert (piece.notes["shots"], piece.notes["shots_run"]) == (shots, {64: 64, 1000: 1024}[shots])


@pytest.mark.parametrize(
    ("options", "origin"),
    [
        (UNMITIGATED, ErrorOrigin.SHOTS),
        (IbmOptions(), ErrorOrigin.ENSEMBLE),
        (
            IbmOptions(
                resilience_level=2,
                resilience=Resilience(zne=Zne(extrapolator=("linear",))),
            ),
            ErrorOrigin.EXTRAPOLATION,
        ),
    ],
)
def test_the_report_says_how_error_bars_arose(options: IbmOptions, origin: ErrorOrigin) -> None:
    """Shot noise, the spread over randomised circuits, or a fit: they are not the same thing."""
    lab, (bindings, table) = Lab(layout=(3, 1)), _bindings((2,))
    circuit = _rotations()
    circuit.cz(0, 1)
    pub = lab.pub(circuit, bindings=bindings, observables="ZI", shots=SHOTS)
    (piece,) = _pieces(lab, submission(pub, options=options), generation=Generation.EXECUTOR)
    result = assemble(_estimate_pub(bindings, "ZI"), Dress(name="x"), 0, [piece])

    assert isinstance(result, EstimateResult)
    assert result.error_origin is origin
    assert np.abs(result.evs.to_numpy() - np.cos(table[:, 1])).max() < 10 * FIVE_SIGMA
    assert json.dumps(piece.notes)


def test_a_precision_that_is_only_asked_for_is_said_to_be() -> None:
    """Aer's estimator reports what was asked, whatever the variance."""
    asked, result = _estimated(stds=0.02, metadata={"target_precision": 0.02})
    (piece,) = pieces(result, asked, whole(asked))

    assert piece["notes"]["error_origin"] == "target_precision"
    assert piece["notes"]["target_precision"] == 0.02


def test_a_fit_without_an_error_takes_that_of_its_points() -> None:
    """Equal values at every noise factor fit perfectly, and the client calls the error infinite: the value was paid for."""
    points = np.array([[0.01, 0.03, 0.02]])
    asked, result = _estimated(
        stds=math.inf,
        evs_extrapolated=np.array([[0.5]]),
        stds_extrapolated=np.array([[math.inf]]),
        ensemble_stds_noise_factors=points,
    )
    (piece,) = pieces(result, asked, whole(asked))

    assert arrays_of(Piece(**piece))["stds"].tolist() == [0.03]
    assert piece["notes"]["stds_of_noise_factors"] == 1
    assert piece["notes"]["error_origin"] == "extrapolation"


def test_quasi_probabilities_are_results() -> None:
    """Mitigation may leave the range of an observable."""
    asked, result = _estimated(evs=-1.4)
    (piece,) = pieces(result, asked, whole(asked))

    assert arrays_of(Piece(**piece))["evs"].tolist() == [-1.4]


def test_results_survive_the_client_s_encoding() -> None:
    """As they come over the wire."""
    lab, (bindings, _) = Lab(), _bindings((2,))
    pub = lab.pub(_rotations(), bindings=bindings, observables=["ZI", "IZ"][:1], shots=100)
    asked = submission(pub, options=UNMITIGATED)
    result = lab.run(asked, generation=Generation.V2)
    received = json.loads(json.dumps(result, cls=RuntimeEncoder), cls=RuntimeDecoder)

    assert pieces(received, asked, whole(asked)) == pieces(result, asked, whole(asked))


def _estimated(
    evs: Any = 0.5, stds: Any = 0.1, metadata: dict[str, Any] | None = None, **more: Any
) -> tuple[Submission, PrimitiveResult]:
    lab = Lab()
    circuit = QuantumCircuit(1)
    circuit.x(0)
    asked = submission(lab.pub(circuit, observables="Z", shots=100), options=UNMITIGATED)
    data = DataBin(evs=np.array([evs]), stds=np.array([stds]), shape=(1,), **more)
    return asked, PrimitiveResult([PubResult(data, metadata or {})])


def _sampled() -> tuple[Submission, Any]:
    lab = Lab()
    circuit = QuantumCircuit(2, 2)
    circuit.measure([0, 1], [0, 1])
    asked = submission(lab.pub(circuit, shots=10))
    return asked, lambda array, bits=2, name="c0to1": PrimitiveResult(
        [SamplerPubResult(DataBin(**{name: BitArray(np.asarray(array, dtype=np.uint8), bits)}))]
    )


@pytest.mark.parametrize("came", [None, "", "not json", {}, [1, 2], 7, b"x"])
def test_what_is_no_result_is_refused(came: Any) -> None:
    """The client hands it on without an exception."""
    asked, _ = _sampled()
    with pytest.raises(ResultRefused, match="no result but"):
        pieces(came, asked, whole(asked))


@pytest.mark.parametrize(
    ("array", "bits", "name", "message"),
    [
        (np.zeros((9, 1)), 2, "c0to1", "9 shots came, 10"),
        (np.zeros((3, 10, 1)), 2, "c0to1", r"shape \(3,\)"),
        (np.zeros((10, 1)), 3, "c0to1", "3 bits"),
        (np.zeros((10, 1)), 2, "meas", "not one that was sent"),
        (np.zeros((10, 1)), 2, "c0to7", "not one that was sent"),
        (np.zeros((10, 1)), 1, "c0", r"bits \[1\] are missing"),
        (np.full((10, 1), 4), 2, "c0to1", "wider than its 2 bits"),
    ],
)
def test_wrong_outcomes_are_refused(array: Any, bits: int, name: str, message: str) -> None:
    """Saying what came and what was due."""
    asked, made = _sampled()
    with pytest.raises(ResultRefused, match=message):
        pieces(made(array, bits, name), asked, whole(asked))


@pytest.mark.parametrize(
    ("evs", "stds", "message"),
    [
        (math.nan, 0.1, "evs: 1 of 1 are not finite"),
        (0.5, math.inf, "stds: 1 of 1 are not finite"),
        (0.5, -0.1, "negative"),
        ([0.5, 0.5], 0.1, "due"),
        ("x", 0.1, "no real numbers"),
        (1j, 0.1, "no real numbers"),
    ],
)
def test_wrong_values_are_refused(evs: Any, stds: Any, message: str) -> None:
    """A number that is none must not become an answer."""
    asked, result = _estimated()
    data = DataBin(evs=np.array([evs]), stds=np.array([stds]))
    assert pieces(result, asked, whole(asked))

    with pytest.raises(ResultRefused, match=message):
        pieces(PrimitiveResult([PubResult(data)]), asked, whole(asked))


@pytest.mark.parametrize("count", [0, 2])
def test_another_number_of_pubs_is_refused(count: int) -> None:
    """It is the result of another job."""
    asked, made = _sampled()
    (one,) = made(np.zeros((10, 1)))
    with pytest.raises(ResultRefused, match=f"{count} pubs"):
        pieces(PrimitiveResult([one] * count), asked, whole(asked))


def test_a_sample_is_no_estimate() -> None:
    """Nor the other way round."""
    asked, made = _sampled()
    estimated, result = _estimated()
    with pytest.raises(ResultRefused):
        pieces(result, asked, whole(asked))
    with pytest.raises(ResultRefused):
        pieces(made(np.zeros((10, 1))), estimated, whole(estimated))


def test_results_agree_with_aer_s_own_sampler() -> None:
    """The same counts as a plain run of the same circuit, within five standard errors."""
    lab = Lab()
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.ry(0.6, 2)
    circuit.measure_all()
    plain = AerSimulator(seed_simulator=9).run(circuit, shots=20_000).result().get_counts()
    for generation in GENERATIONS:
        (piece,) = _pieces(lab, submission(lab.pub(circuit, shots=SHOTS)), generation=generation)
        bits = arrays_of(piece)["bits"].ravel()
        for outcome in range(8):
            expected = plain.get(f"{outcome:03b}", 0) / 20_000
            assert abs(float((bits == outcome).mean()) - expected) < FIVE_SIGMA


def test_a_backend_that_names_an_unknown_origin_is_refused() -> None:
    """A report must not guess."""
    asked, result = _estimated()
    (entry,) = pieces(result, asked, whole(asked))
    entry["notes"]["error_origin"] = "tea leaves"

    with pytest.raises(ResultRefused, match="tea leaves"):
        assemble(
            _estimate_pub({}, "Z"),
            Dress(name="x", registers=(Register(name="c", bits=()),)),
            0,
            [Piece(**entry)],
        )
