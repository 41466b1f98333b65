"""Raw shots become results in the author's registers and shapes, exactly as Qiskit's primitives give them."""

import io
from typing import Any

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit, Parameter
from qiskit.primitives import BitArray
from qiskit_aer.primitives import SamplerV2 as AerSampler

from circuits.assembly import assemble, is_complete
from qurable.contracts.circuits import Dress, Register
from qurable.contracts.executions import Piece
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.contracts.results import ErrorOrigin, EstimateResult, SampleResult, to_primitive_result
from qurable.errors import ResultRefused
from qurable.requests import as_bindings, as_circuit, as_observables
from tests.circuits.running import Simulation, parse


def npz(**arrays: Any) -> bytes:
    """Arrays as a child sends them."""
    body = io.BytesIO()
    np.savez(body, **arrays)
    return body.getvalue()


def piece(start: int, stop: int, **arrays: Any) -> Piece:
    return Piece(pub=0, start=start, stop=stop, data=npz(**arrays))


def sampled(circuit: QuantumCircuit, values: Any = None, *, shots: int = 50, seed: int = 3) -> SampleResult:
    """A circuit through parser, compiler, simulator and assembly, in as many pieces as there are bindings."""
    parsed, _ = parse(circuit)
    bindings = as_bindings(circuit, values)
    pub = SamplePub(circuit=as_circuit(circuit), bindings=bindings, shots=shots)
    pieces = [
        piece(
            at,
            at + 1,
            bits=Simulation().sample(circuit, bindings, shots=shots, seed=seed, part=(at, at + 1)),
        )
        for at in range(bindings.size)
    ]
    result = assemble(pub, parsed.dress, circuit.num_clbits, pieces)
    assert isinstance(result, SampleResult)
    return result


def with_registers() -> QuantumCircuit:
    circuit = QuantumCircuit(
        QuantumRegister(5, "q"),
        ClassicalRegister(2, "a"),
        ClassicalRegister(1, "b"),
        ClassicalRegister(2, "c"),
    )
    circuit.x([0, 3])
    circuit.h(4)
    circuit.measure(range(5), range(5))
    return circuit


def with_shared_bits() -> QuantumCircuit:
    """Registers that overlap, in another order, beside a bit that is in none."""
    bits = [Clbit() for _ in range(4)]
    circuit = QuantumCircuit(QuantumRegister(4, "q"), bits)
    circuit.add_register(ClassicalRegister(name="back", bits=bits[2::-1]))
    circuit.add_register(ClassicalRegister(name="first", bits=bits[:1]))
    circuit.x(0)
    circuit.h(1)
    circuit.measure(range(4), range(4))
    return circuit


def with_seventy_bits() -> QuantumCircuit:
    """More than fit into one machine word."""
    circuit = QuantumCircuit(
        QuantumRegister(70), ClassicalRegister(70, "wide"), ClassicalRegister(3, "narrow")
    )
    circuit.h(0)
    circuit.x([1, 63, 64, 69])
    for qubit in range(2, 60):
        circuit.cx(0, qubit)
    circuit.measure(range(70), range(70))
    circuit.measure(range(3), range(70, 73))
    return circuit


def with_unused_register() -> QuantumCircuit:
    circuit = QuantumCircuit(QuantumRegister(1), ClassicalRegister(3, "silent"), ClassicalRegister(1, "said"))
    circuit.x(0)
    circuit.measure(0, 3)
    return circuit


@pytest.mark.parametrize("make", [with_registers, with_seventy_bits, with_unused_register])
def test_registers_are_those_of_a_direct_run(make: Any) -> None:
    """Same seed, same bits, same containers, in shot order."""
    circuit = make()

    ours = to_primitive_result((sampled(circuit),))[0]
    theirs = AerSampler(seed=3).run([circuit], shots=50).result()[0]

    assert ours.data.shape == theirs.data.shape
    assert list(ours.data) == list(theirs.data)
    for register in circuit.cregs:
        assert ours.data[register.name] == theirs.data[register.name]


def test_registers_may_share_bits() -> None:
    """Bit i of a register is the classical bit that the author put there."""
    result = sampled(with_shared_bits())

    back, first = result.register("back"), result.register("first")
    assert {word[-3:] for word in back.counts()} == {"100", "110"}
    assert first.counts() == {"1": 50}


def theta_circuit() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.ry(Parameter("theta"), 0)
    circuit.ry(Parameter("phi"), 1)
    circuit.measure_all()
    return circuit


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 1, 2)])
def test_shapes_are_those_of_a_direct_run(shape: tuple[int, ...]) -> None:
    """An array of bindings gives an array of results, element by element."""
    circuit = theta_circuit()
    values = np.random.default_rng(1).uniform(0, 3, size=(*shape, 2))

    ours = to_primitive_result((sampled(circuit, values),))[0]
    theirs = AerSampler(seed=3).run([(circuit, values)], shots=50).result()[0]

    assert ours.data.meas.shape == theirs.data.meas.shape == shape
    assert ours.data.meas == theirs.data.meas


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_no_bindings_give_an_empty_result(shape: tuple[int, ...]) -> None:
    """Nothing is run, and nothing is lost of the shape."""
    result = sampled(theta_circuit(), np.zeros((*shape, 2)))

    bits = to_primitive_result((result,))[0].data.meas
    assert isinstance(bits, BitArray)
    assert (bits.shape, bits.num_shots, bits.num_bits) == (shape, 50, 2)


def test_a_register_without_bits_reads_nothing() -> None:
    """Its one outcome is the empty word."""
    circuit = QuantumCircuit(QuantumRegister(1), ClassicalRegister(0, "none"), ClassicalRegister(1, "one"))
    circuit.measure(0, 0)

    result = sampled(circuit, shots=5)

    assert result.register("none").counts() == {"": 5}
    assert result.counts() == {"0 ": 5}


@pytest.mark.parametrize(
    ("spans", "bindings", "complete"),
    [
        ([], 0, True),
        ([], 1, False),
        ([(0, 2), (2, 5)], 5, True),
        ([(2, 5), (0, 2)], 5, True),
        ([(0, 2), (3, 5)], 5, False),
        ([(0, 3), (2, 5)], 5, True),
        ([(0, 4)], 5, False),
        ([(1, 5)], 5, False),
    ],
)
def test_pieces_are_complete_when_nothing_is_missing(
    spans: list[tuple[int, int]], bindings: int, complete: bool
) -> None:
    """Pieces may come in any order, and twice."""
    pieces = [Piece(pub=0, start=start, stop=stop, data=b"") for start, stop in spans]

    assert is_complete(pieces, bindings) == complete


PUB = SamplePub(circuit=as_circuit("OPENQASM 3.0; qubit[2] q;"), shots=4)
DRESS = Dress(name="circuit", registers=(Register(name="c", bits=(0, 1)),))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (
            npz(bits=np.zeros((1, 3, 1), np.uint8)),
            r"uint8 of shape \(1, 4, 1\), not uint8 of shape \(1, 3, 1\)",
        ),
        (npz(bits=np.zeros((1, 4, 1), np.int64)), "not int64"),
        (npz(other=np.zeros(1)), "not nothing"),
        (npz(bits=np.array([[{}]], dtype=object)), "is not readable"),
        (b"", "is not readable"),
        (b"PK\x03\x04 rubbish", "is not readable"),
    ],
)
def test_a_piece_of_another_shape_is_refused(data: bytes, problem: str) -> None:
    """A backend's mistake must not become somebody's counts, nor its pickles our code."""
    with pytest.raises(ResultRefused, match=problem):
        assemble(PUB, DRESS, 2, [Piece(pub=0, start=0, stop=1, data=data)])


ESTIMATE = EstimatePub(
    circuit=as_circuit("OPENQASM 3.0; qubit[2] q;"), observables=as_observables(["ZZ", "XX"]), precision=0.1
)


def test_values_stand_where_their_index_says() -> None:
    """Pieces come as they are done."""
    pieces = [
        piece(0, 1, index=np.array([1]), evs=np.array([0.5]), stds=np.array([0.1])),
        piece(0, 1, index=np.array([0]), evs=np.array([-1.0]), stds=np.array([0.0])),
    ]

    result = assemble(ESTIMATE, DRESS, 2, pieces)

    assert isinstance(result, EstimateResult)
    assert result.evs.to_numpy().tolist() == [-1.0, 0.5]
    assert result.stds.to_numpy().tolist() == [0.0, 0.1]
    assert (result.error_origin, result.shots, result.target_precision) == (ErrorOrigin.SHOTS, 100, 0.1)


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"index": [0], "evs": [1.0], "stds": [0.0]}, "1 of 2 expectation values are missing or not numbers"),
        ({"index": [0, 1], "evs": [1.0, np.nan], "stds": [0.0, 0.0]}, "1 of 2 expectation values"),
        ({"index": [0, 1], "evs": [1.0, 1.0], "stds": [0.0, np.nan]}, "of 2 expectation values"),
        ({"index": [0, 2], "evs": [1.0, 1.0], "stds": [0.0, 0.0]}, r"do not fit shape \(2,\)"),
        ({"index": [0, 1], "evs": [1.0, 1.0]}, r"do not fit shape \(2,\)"),
        ({"index": [0, -1], "evs": [1.0, 1.0, 1.0], "stds": [0.0, 0.0]}, r"do not fit shape \(2,\)"),
    ],
)
def test_values_that_do_not_fit_are_refused(arrays: dict[str, list[float]], problem: str) -> None:
    """Every value is there, and is a number."""
    entry = piece(0, 1, **{name: np.array(values) for name, values in arrays.items()})

    with pytest.raises(ResultRefused, match=problem):
        assemble(ESTIMATE, DRESS, 2, [entry])
