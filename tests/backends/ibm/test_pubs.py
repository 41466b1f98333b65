"""What the client's primitives are given."""

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pytest
from qiskit.circuit import ClassicalRegister, Parameter, QuantumCircuit, QuantumRegister
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import Operator, Statevector
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.utils.utils import is_valid_rzz_pub

from backends.ibm.neutral import register_bits, register_name, sanitised
from backends.ibm.pubs import _with_valid_rzz, build, post
from backends.ibm.split import DeviceLimits, rows
from circuits.canonical import canonicalise
from circuits.parse import dump_qpy, load_qpy
from qurable.contracts.executions import Slice
from qurable.contracts.ibm import DynamicalDecoupling, Generation, IbmOptions
from qurable.contracts.pubs import broadcast
from qurable.errors import RequestRejected, UnsupportedCircuit
from tests.backends.ibm.submissions import GENERATIONS, Lab, submission, whole

LAYOUT = (40, 39, 38, 37)


def _rotations(width: int = 2) -> QuantumCircuit:
    circuit = QuantumCircuit(width)
    circuit.rx(Parameter("p0"), 0)
    circuit.ry(Parameter("p1"), 1)
    return circuit


def _table(shape: tuple[int, ...], seed: int = 3) -> Any:
    return np.random.default_rng(seed).uniform(0.1, 3.0, (*shape, 2))


def _bindings(table: Any) -> dict[str, Any]:
    return {
        "parameters": ("p0", "p1"),
        "shape": table.shape[:-1],
        "values": tuple(table.ravel().tolist()),
    }


def _built(lab: Lab, asked: Any, slices: Any = None) -> Any:
    circuits = {isa: sanitised(load_qpy(body)) for isa, body in lab.circuits.items()}
    return build(asked, whole(asked) if slices is None else slices, circuits)


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_a_sampler_pub_is_flat_in_its_bindings(shape: tuple[int, ...]) -> None:
    """Row i of what is sent is binding start + i."""
    lab, table = Lab(), _table(shape)
    circuit = _rotations()
    circuit.measure_all()
    asked = submission(lab.pub(circuit, bindings=_bindings(table)))
    count = math.prod(shape)
    (pub,) = _built(lab, asked, [Slice(pub=0, start=count - 1, stop=count)])

    sent = pub.parameter_values.as_array([p.name for p in pub.circuit.parameters])
    assert pub.shape == (1,)
    assert sent.tolist() == table.reshape(-1, 2)[count - 1 :].tolist()


def test_values_follow_the_circuit_s_own_order_of_parameters() -> None:
    """Qiskit sorts by name: p10 comes before p2, and the values must not."""
    lab = Lab()
    circuit = QuantumCircuit(1, 1)
    for at in range(12):
        circuit.rx(Parameter(f"p{at}"), 0)
        circuit.rz(0.1 + at, 0)
    circuit.measure(0, 0)
    names = tuple(f"p{at}" for at in range(12))
    values = tuple(float(at) for at in range(12))
    (pub,) = _built(
        lab, submission(lab.pub(circuit, bindings={"parameters": names, "shape": (), "values": values}))
    )

    order = [parameter.name for parameter in pub.circuit.parameters]
    assert order != list(names)
    sent = pub.parameter_values.as_array(order).ravel().tolist()
    assert sent == [float(name[1:]) for name in order]


def test_a_circuit_without_parameters_is_sent_once_for_each_binding() -> None:
    """A primitive would run it once, whatever the shape; the result has that shape all the same."""
    lab = Lab()
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    asked = submission(lab.pub(circuit, bindings={"parameters": (), "shape": (3,), "values": ()}))

    assert [pub.shape for pub in _built(lab, asked)] == [(), (), ()]


@pytest.mark.parametrize(
    ("inner", "outer"), [((), ()), ((3,), ()), ((), (2,)), ((2, 1), (3,)), ((2, 2), (2, 2)), ((2,), (3, 1))]
)
@pytest.mark.parametrize("projector", [False, True])
def test_observables_reach_the_physical_qubits(
    inner: tuple[int, ...], outer: tuple[int, ...], *, projector: bool
) -> None:
    """On 127 qubits with a layout, asymmetric in the qubits, in every way of broadcasting."""
    lab, table = Lab("FakeBrisbane", LAYOUT), _table(inner)
    labels = ["IZ", "ZI", "1Z", "I0"] if projector else ["IZ", "ZI", "IY", "XI"]
    count = math.prod(outer)
    chosen = [{labels[at % 4]: 1.0 + at, "II": 0.25} for at in range(count)]
    observables = {
        "shape": outer,
        "items": chosen,
    }
    asked = submission(lab.pub(_rotations(), bindings=_bindings(table), observables=observables))
    pubs = _built(lab, asked)

    shape = broadcast(inner, outer)
    flat_table = np.broadcast_to(np.arange(math.prod(inner)).reshape(inner), shape).ravel()
    flat_items = np.broadcast_to(np.arange(count).reshape(outer), shape).ravel()
    due = []
    for binding, item in zip(flat_table, flat_items, strict=True):
        state = Statevector(_rotations().assign_parameters(table.reshape(-1, 2)[binding]))
        due.append(_expectation(state, chosen[item]))
    found = np.concatenate([_values_of(pub).ravel() for pub in pubs])
    assert np.allclose(found, np.array(due)[_index(asked)])


def _expectation(state: Statevector, terms: dict[str, float]) -> float:
    letters = {"0": (Operator.from_label("0")), "1": Operator.from_label("1")}
    total = 0.0
    for label, factor in terms.items():
        operator = None
        for letter in label:
            one = letters.get(letter) or Operator.from_label(letter)
            operator = one if operator is None else operator.tensor(one)
        total += factor * float(np.real(state.expectation_value(operator)))
    return total


def _values_of(pub: Any) -> Any:
    """Exact values of a pub on 127 qubits, from the few that are used."""
    used = sorted({pub.circuit.find_bit(qubit).index for item in pub.circuit.data for qubit in item.qubits})
    small = QuantumCircuit(len(used))
    small.global_phase = pub.circuit.global_phase
    for item in pub.circuit.data:
        small.append(item.operation, [used.index(pub.circuit.find_bit(qubit).index) for qubit in item.qubits])
    width = pub.circuit.num_qubits

    def squeezed(terms: Any) -> dict[str, float]:
        return {
            "".join(label[width - 1 - qubit] for qubit in reversed(used)): factor
            for label, factor in terms.items()
        }

    observables = np.vectorize(squeezed, otypes=[object])(np.array(pub.observables.tolist(), dtype=object))
    values = {tuple(pub.circuit.parameters): pub.parameter_values.as_array()}
    job = StatevectorEstimator().run([(small, observables.tolist(), values)])
    return np.asarray(job.result()[0].data.evs)


def _index(asked: Any) -> Any:
    pub = asked.pubs[0]
    return [flat for row in rows(pub.bindings, pub.observables, 0, pub.bindings.size) for flat in row.results]


def test_a_sweep_shares_its_observables() -> None:
    """A thousand bindings of one Hamiltonian must not send it a thousand times."""
    lab, table = Lab(), _table((5,))
    asked = submission(lab.pub(_rotations(), bindings=_bindings(table), observables={"ZZ": 1.0, "XX": 0.5}))
    (pub,) = _built(lab, asked)

    assert (pub.parameter_values.shape, pub.observables.shape, pub.shape) == ((5, 1), (1, 1), (5, 1))


def test_missing_values_are_refused() -> None:
    """A parameter without a value would be an error after the queue."""
    lab = Lab()
    circuit = _rotations()
    circuit.measure_all()
    asked = submission(lab.pub(circuit, bindings={"p0": 0.5}))

    with pytest.raises(RequestRejected, match="p1"):
        _built(lab, asked)


def test_final_measurements_are_no_part_of_an_estimate() -> None:
    """A measured Bell pair has <XX> = 1 all the same, as everywhere in this project."""
    lab = Lab()
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    asked = submission(lab.pub(circuit, observables="XX", shots=1000))

    for generation in GENERATIONS:
        assert float(lab.run(asked, generation=generation)[0].data.evs[0]) == pytest.approx(1.0)


@pytest.mark.parametrize("bits", [[0], [3], [0, 1, 2, 3], [0, 1, 4], [4, 3], [2, 0, 1, 9]])
def test_a_register_s_name_says_its_bits(bits: list[int]) -> None:
    """Results are read by it, without the circuit."""
    assert register_bits(register_name(bits)) == bits
    assert register_name(bits).isidentifier()


@pytest.mark.parametrize("name", ["", "meas", "c", "cx", "c1to", "d0"])
def test_other_names_are_none_of_ours(name: str) -> None:
    """A register that was not sent is refused."""
    with pytest.raises(ValueError):
        register_bits(name)


def test_a_sanitised_circuit_does_the_same() -> None:
    """Only names differ: a teleportation with feed-forward on registers, and a loop, run alike."""
    circuit = canonicalise(_dynamic(), limit=1000, name="x").circuit
    counts = [
        AerSimulator(seed_simulator=3).run(one, shots=2000).result().get_counts()
        for one in (circuit, sanitised(circuit))
    ]

    flat = [{key.replace(" ", ""): value for key, value in one.items()} for one in counts]
    assert flat[0] == flat[1]


def _dynamic() -> QuantumCircuit:
    qubits = QuantumRegister(3, "wirSindGeheim")
    first, second = ClassicalRegister(2, "geheimnis"), ClassicalRegister(1, "wallet")
    circuit = QuantumCircuit(qubits, first, second, name="secret plan", metadata={"owner": "alice"})
    circuit.ry(0.7, 0)
    circuit.measure(0, first[0])
    circuit.h(1)
    circuit.measure(1, first[1])
    with circuit.if_test((first, 3)) as otherwise:
        circuit.x(2, label="hidden")
    with otherwise:
        circuit.ry(0.4, 2)
    with circuit.for_loop(range(3), Parameter("knownOnlyToMe")) as turn:
        circuit.rz(turn, 2)
    with circuit.if_test((second[0], 0)):
        circuit.sx(2)
    circuit.measure(2, second[0])
    return circuit


def test_real_time_variables_are_refused() -> None:
    """Their names could not be replaced."""
    circuit = QuantumCircuit(1, 1)
    circuit.add_var("mine", False)

    with pytest.raises(UnsupportedCircuit, match="real-time"):
        sanitised(circuit)


def test_registers_that_share_bits_are_refused() -> None:
    """Only where conditions read them; a static circuit has one register anyway."""
    circuit = QuantumCircuit(1, 2)
    circuit.add_register(ClassicalRegister(bits=circuit.clbits[:1], name="twice"))
    circuit.measure(0, 0)

    assert [register.name for register in sanitised(circuit).cregs] == ["c0to1"]
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    with pytest.raises(UnsupportedCircuit, match="share bits"):
        sanitised(circuit)


def test_parameters_under_other_names_are_refused() -> None:
    """They are canonical long before; a name that is not never leaves the house."""
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("myTheta"), 0)

    with pytest.raises(UnsupportedCircuit, match="canonical") as caught:
        sanitised(circuit)
    assert "myTheta" not in caught.value.message


@pytest.mark.parametrize("generation", GENERATIONS)
def test_what_is_no_isa_circuit_is_not_sent(generation: Generation) -> None:
    """The client-side primitives do not look, and the provider would after the queue."""
    lab = Lab("FakeTorino", (0, 1))
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure([0, 1], [0, 1])
    asked = submission(Lab("FakeManilaV2").pub(circuit))

    with pytest.raises(UnsupportedCircuit, match="compile again"):
        post(
            lab.device,
            asked,
            whole(asked),
            {asked.pubs[0].isa: dump_qpy(circuit)},
            generation=generation,
            device=DeviceLimits(),
            local={"seed_simulator": 1},
        )


@pytest.mark.parametrize("generation", GENERATIONS)
def test_pubs_of_different_shots_are_not_sent_together(generation: Generation) -> None:
    """The client would run the first one's for all, or refuse."""
    lab = Lab()
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    asked = submission(lab.pub(circuit, shots=10), lab.pub(circuit, shots=20))

    with pytest.raises(RequestRejected, match=r"equal shots, not \[10, 20\]"):
        lab.run(asked, generation=generation)


@pytest.mark.parametrize("kind", ["sample", "estimate"])
def test_angles_of_rzz_are_folded_after_binding(kind: str) -> None:
    """Hardware takes 0 to pi/2; any angle comes to that, and the state stays."""
    angles = [-2.0, -0.3, 0.0, 0.4, 1.6, 2.5, 4.0, 6.0]
    circuit = QuantumCircuit(2)
    circuit.sx(0)
    circuit.rx(0.3, 1)
    circuit.rzz(Parameter("p0"), 0, 1)
    circuit.sx(1)
    circuit.rx(0.7, 0)
    if kind == "sample":
        circuit.measure_all()
    lab = Lab("FakeFractionalBackend")
    bindings = {"parameters": ("p0",), "shape": (len(angles),), "values": tuple(angles)}
    asked = submission(lab.pub(circuit, bindings=bindings, observables=None if kind == "sample" else "ZI"))
    (pub,) = _built(lab, asked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        valid = _with_valid_rzz(pub, lab.device, asked.kind)

    assert is_valid_rzz_pub(pub)
    assert not is_valid_rzz_pub(valid)
    bare, ideal = (one.circuit.remove_final_measurements(inplace=False) for one in (valid, pub))
    for at, angle in enumerate(angles):
        row = valid.parameter_values.ravel()[at].as_array([p.name for p in bare.parameters]).ravel()
        folded = Statevector(bare.assign_parameters(dict(zip(bare.parameters, row, strict=True))))
        wanted = Statevector(ideal.assign_parameters([angle]))
        assert abs(folded.inner(wanted)) == pytest.approx(1.0)


def test_options_are_checked_before_the_client_is_asked() -> None:
    """The device's limits and the circuits decide: branches exclude dynamical decoupling."""
    lab = Lab()
    circuit = canonicalise(_dynamic(), limit=1000, name="x").circuit
    asked = submission(
        lab.pub(circuit, dynamic=True), options=IbmOptions(dynamical_decoupling=DynamicalDecoupling())
    )
    for generation in GENERATIONS:
        with pytest.raises(RequestRejected, match="dynamical_decoupling"):
            lab.run(asked, generation=generation)


def test_every_pair_of_slices_gives_the_same_values() -> None:
    """Wherever the bindings are parted, each is sent once with its own values."""
    lab, table = Lab(), _table((5,))
    circuit = _rotations()
    circuit.measure_all()
    asked = submission(lab.pub(circuit, bindings=_bindings(table)))
    for first, second in itertools.combinations(range(1, 5), 2):
        cuts = [(0, first), (first, second), (second, 5)]
        pubs = _built(lab, asked, [Slice(pub=0, start=start, stop=stop) for start, stop in cuts])
        sent = np.concatenate([pub.parameter_values.as_array(["p0", "p1"]) for pub in pubs])
        assert sent.tolist() == table.tolist()
