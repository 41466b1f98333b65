"""A twin has its circuit's shape and an answer that is known exactly, which a device that errs misses.

Bit order: the rightmost character of an outcome is bit 0.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, generate_preset_pass_manager
from qiskit.circuit import Parameter
from qiskit.quantum_info import Pauli, Statevector
from qiskit_aer import AerSimulator

from circuits.parse import dump_qpy, load_qpy
from circuits.squeeze import squeeze
from circuits.statistics import bound, g_test, histogram
from circuits.targets import build_target, describe_simulator
from circuits.twins import make_twin
from tests.circuits.devices import device
from tests.circuits.running import compile_for, ignore, parse

_SHOTS = 4_000


def _made(isa: QuantumCircuit, values: Sequence[float] = ()) -> tuple[QuantumCircuit, dict[str, Any]]:
    found = make_twin({"qpy": dump_qpy(isa), "values": list(values)}, ignore)
    return load_qpy(found["qpy"]), found


def _because(isa: QuantumCircuit) -> str:
    found = make_twin({"qpy": dump_qpy(isa), "values": []}, ignore)
    assert found.keys() == {"because"}
    return str(found["because"])


def _is_right(outcome: int, found: dict[str, Any]) -> bool:
    return all(
        (int(bits, 16) & outcome).bit_count() % 2 == odd
        for bits, odd in zip(found["checks"], found["odd"], strict=True)
    )


def _right(found: dict[str, Any], width: int) -> list[int]:
    return [outcome for outcome in range(2**width) if _is_right(outcome, found)]


def _exact(circuit: QuantumCircuit) -> np.ndarray[Any, Any]:
    """Probability of each value of the classical bits, all of them measured at the end from the qubit of their number."""
    return np.asarray(Statevector(circuit.remove_final_measurements(inplace=False)).probabilities())


def _by_stabilizers(twin: QuantumCircuit, shots: int) -> list[str]:
    ready = generate_preset_pass_manager(0, target=build_target(describe_simulator("stabilizer"))).run(
        squeeze(twin)[0]
    )
    run = AerSimulator(method="stabilizer").run(ready, shots=shots, seed_simulator=5, memory=True)
    return [word.replace(" ", "") for word in run.result().get_memory()]


def _ghz(qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(qubits)
    circuit.h(0)
    for qubit in range(qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def _bricks(qubits: int, layers: int) -> QuantumCircuit:
    random = np.random.default_rng(3)
    circuit = QuantumCircuit(qubits)
    for layer in range(layers):
        for qubit in range(qubits):
            circuit.ry(float(random.uniform(0, 6)), qubit)
            circuit.rz(float(random.uniform(0, 6)), qubit)
        for qubit in range(layer % 2, qubits - 1, 2):
            circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def _isa(circuit: QuantumCircuit, name: str = "FakeTorino", **options: Any) -> QuantumCircuit:
    return compile_for(parse(circuit)[1], device(name), 2, **options).circuit


def test_a_ghz_state_reads_alike_everywhere() -> None:
    """A Clifford circuit is its own twin: of n bits, n - 1 parities are certain and one bit is a coin."""
    twin, found = _made(_ghz(5))

    assert twin.count_ops() == _ghz(5).count_ops()
    assert (found["bits"], len(found["checks"])) == (5, 4)
    assert _right(found, 5) == [0b00000, 0b11111]


def test_a_ghz_state_of_a_hundred_qubits_is_known_as_well() -> None:
    """Nothing here grows faster than a power of the width."""
    _, found = _made(_ghz(100))

    assert len(found["checks"]) == 99
    assert _is_right(0, found)
    assert _is_right(2**100 - 1, found)
    assert not any(_is_right(1 << bit, found) for bit in range(100))


def test_a_graph_state_says_nothing_and_is_refused() -> None:
    """Each of its outcomes is equally likely, and no angle can be turned to change that."""
    graph = QuantumCircuit(4)
    graph.h(range(4))
    for qubit in range(3):
        graph.cz(qubit, qubit + 1)
    graph.measure_all()

    assert "equally likely" in _because(graph)


@pytest.mark.parametrize("name", ["FakeTorino", "FakeBrisbane"])
def test_a_twin_keeps_gates_places_and_idle_windows(name: str) -> None:
    """All that a device errs by: only angles differ, and they are quarter turns."""
    isa = _isa(_bricks(5, 3), name, dynamical_decoupling="XX")

    twin, _ = _made(isa)

    assert [(item.name, item.qubits, item.clbits) for item in twin.data] == [
        (item.name, item.qubits, item.clbits) for item in isa.data
    ]
    assert twin.depth() == isa.depth()
    changed = [item for item, before in zip(twin.data, isa.data, strict=True) if item.params != before.params]
    assert changed
    assert {item.name for item in changed} == {"rz"}
    assert all(math.remainder(item.params[0], math.pi / 2) == 0 for item in changed)
    assert any(item.name == "delay" for item in twin.data)


def test_angles_of_pulses_stay_in_the_range_of_the_device() -> None:
    """Fractional gates: rzz goes from 0 to a quarter turn, and no pulse is turned off."""
    theta = Parameter("p0")
    circuit = QuantumCircuit(3)
    circuit.rx(theta, 0)
    circuit.rx(-3.0, 1)
    circuit.rzz(0.03, 0, 1)
    circuit.rzz(theta, 1, 2)
    circuit.rx(0.1, 0)
    circuit.measure_all()

    twin, found = _made(circuit, [0.2])

    assert [item.params[0] for item in twin.data if item.name == "rzz"] == [math.pi / 2] * 2
    assert all(abs(item.params[0]) >= math.pi / 2 for item in twin.data if item.name == "rx")
    assert not twin.parameters
    assert np.flatnonzero(_exact(twin) > 1e-9).tolist() == _right(found, 3)


@pytest.mark.parametrize(
    ("circuit", "nearest"), [(_bricks(6, 6), False), (_ghz(6), True)], ids=["bricks", "ghz"]
)
def test_what_is_known_is_what_comes(circuit: QuantumCircuit, nearest: bool) -> None:
    """Outcomes of Aer's stabilizer method are spread evenly over those that are right; those of a broken twin are not."""
    isa = _isa(circuit)
    twin, found = _made(isa)
    right = _right(found, 6)
    probabilities = np.zeros(64)
    probabilities[right] = 1 / len(right)

    def p_value(what: QuantumCircuit) -> float:
        words = _by_stabilizers(what, _SHOTS)
        counts = {word: words.count(word) for word in set(words)}
        return g_test(histogram(counts, 6), probabilities).p_value

    broken = twin.copy_empty_like()
    at = max(at for at, item in enumerate(twin.data) if len(item.qubits) == 2 and item.name != "barrier")
    broken.data = [*twin.data[: at + 1]]
    broken.x(twin.data[at].qubits[0])
    broken.data = [*broken.data, *twin.data[at + 1 :]]

    assert found["noticed"] >= 0.5
    assert nearest == ([item.params for item in twin.data] == [item.params for item in isa.data])
    assert p_value(twin) > bound(2)
    assert p_value(broken) < bound(2)


@pytest.mark.long
def test_a_hundred_qubits_are_told_from_noise() -> None:
    """Every shot without noise is right; of coins hardly one is."""
    twin, found = _made(_isa(_bricks(100, 4)))
    words = _by_stabilizers(twin, 50)
    coins = np.random.default_rng(1).integers(0, 2, (50, 100))

    assert found["bits"] == 100
    assert len(found["checks"]) >= 10
    assert all(_is_right(int(word, 2), found) for word in words)
    assert not any(_is_right(int("".join(map(str, row)), 2), found) for row in coins)


def _thrice() -> QuantumCircuit:
    """Of gates that undo themselves at the third time only: a step back through them is no step on."""
    circuit = QuantumCircuit(4)
    circuit.h([0, 2])
    circuit.dcx(0, 1)
    circuit.u(math.pi / 2, 0, math.pi / 2, 1)
    circuit.dcx(1, 2)
    circuit.cx(2, 3)
    circuit.dcx(3, 0)
    circuit.measure_all()
    return circuit


@pytest.mark.parametrize("made", [lambda: squeeze(_isa(_bricks(4, 3)))[0], _thrice], ids=["bricks", "thrice"])
def test_the_share_of_errors_that_it_notices_is_what_it_says(made: Callable[[], QuantumCircuit]) -> None:
    """Every Pauli error is put behind every two-qubit gate, and the exact outcomes are looked at."""
    found = make_twin({"qpy": dump_qpy(made()), "values": []}, ignore)
    twin = load_qpy(found["qpy"])
    bit_of = {
        item.qubits[0]: twin.find_bit(item.clbits[0]).index for item in twin.data if item.name == "measure"
    }
    gates = [item for item in twin.data if item.name not in ("measure", "barrier")]
    noticed = []
    for at, item in enumerate(gates):
        if len(item.qubits) != 2:
            continue
        for letters in itertools.islice(itertools.product("IXYZ", repeat=2), 1, None):
            erring = twin.copy_empty_like()
            erring.data = gates[: at + 1]
            erring.append(Pauli("".join(letters)), item.qubits)
            erring.data = [*erring.data, *gates[at + 1 :]]
            read = sorted(bit_of, key=lambda qubit: bit_of[qubit])
            weights = Statevector(erring).probabilities([twin.find_bit(qubit).index for qubit in read])
            wrong = [
                outcome for outcome in np.flatnonzero(weights > 1e-9) if not _is_right(int(outcome), found)
            ]
            noticed.append(bool(wrong))

    assert found["noticed"] == pytest.approx(np.mean(noticed))


def test_the_same_circuit_has_the_same_twin() -> None:
    """An activity that runs again sends what it sent before, byte for byte."""
    isa = _isa(_bricks(5, 3))

    assert _made(isa)[1] == _made(isa)[1]


def test_what_has_no_twin_says_why() -> None:
    """It is found before anything is reserved."""
    goes_on = QuantumCircuit(1, 2)
    goes_on.measure(0, 0)
    goes_on.x(0)
    goes_on.measure(0, 1)
    branches = QuantumCircuit(1, 1)
    branches.measure(0, 0)
    with branches.if_test((0, 1)):
        branches.x(0)
    eighth = QuantumCircuit(1)
    eighth.t(0)
    eighth.measure_all()
    twice = QuantumCircuit(2, 1)
    twice.measure([0, 1], [0, 0])

    assert "measures and goes on" in _because(goes_on)
    assert "branches" in _because(branches)
    assert "'t'" in _because(eighth)
    assert "twice" in _because(twice)
    assert "measures nothing" in _because(QuantumCircuit(1))


_TURN = st.floats(-7, 7)
_PLACE = st.integers(0, 3)
_GATE = st.one_of(
    st.tuples(st.sampled_from(["rz", "rx"]), _TURN, _PLACE),
    st.tuples(st.sampled_from(["sx", "x", "h"]), _PLACE),
    st.tuples(st.sampled_from(["cz", "ecr", "cx"]), _PLACE, _PLACE),
    st.tuples(st.just("rzz"), st.floats(0, 1.5), _PLACE, _PLACE),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_GATE, max_size=20))
def test_ideal_shots_are_always_right(gates: list[tuple[Any, ...]]) -> None:
    """Whatever the circuit: the outcomes that can come are those that are called right, each as likely as any other."""
    circuit = QuantumCircuit(4)
    for name, *words in gates:
        places = [word for word in words if isinstance(word, int)]
        if len(set(places)) == len(places):
            getattr(circuit, name)(*words)
    circuit.measure_all()
    found = make_twin({"qpy": dump_qpy(circuit), "values": []}, ignore)
    if "because" in found:
        return
    right = _right(found, 4)

    probabilities = _exact(load_qpy(found["qpy"]))

    assert len(right) == 2 ** (4 - len(found["checks"]))
    assert np.allclose(probabilities[right], 1 / len(right))
