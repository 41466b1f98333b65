"""The content hash: names do not matter, whatever changes a result does, and what it does not know is not guessed."""

import random

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import AnnotatedOperation, Gate, InverseModifier, Parameter, QuantumRegister
from qiskit.circuit.library import PauliEvolutionGate, SGate
from qiskit.quantum_info import Operator, Pauli

from circuits.canonical import Canonical, canonicalise
from qurable.errors import CircuitRejected
from tests.circuits.mutations import MUTATIONS, Mutation, random_circuit

PAIRS = 1_000
ALL_PAIRS = 10_000


def canonical(circuit: QuantumCircuit, limit: int = 10_000) -> Canonical:
    """The canonical form."""
    return canonicalise(circuit, limit=limit, name="circuit")


def digest_of(circuit: QuantumCircuit) -> str:
    """The hash of a circuit that has one."""
    found = canonical(circuit)
    assert found.cacheable
    return found.digest


def sweep(pairs: range) -> dict[str, int]:
    """Hash pairs of circuits that differ by one mutation; gives back how often each mutation was tried.

    Raises:
        AssertionError: Naming the first pair whose hashes do not say what the mutation did.
    """
    tried = dict.fromkeys(map(str, MUTATIONS), 0)
    for pair in pairs:
        draw = random.Random(pair)
        mutation, before, after = mutated(draw, pair)
        tried[mutation.name] += 1
        differs = digest_of(before) != digest_of(after)
        assert differs == mutation.matters, f"pair {pair}: {mutation} of\n{before}\nto\n{after}"
    return tried


def mutated(draw: random.Random, pair: int) -> tuple[Mutation, QuantumCircuit, QuantumCircuit]:
    """A circuit with something to mutate, and its mutant; mutations take turns."""
    mutation = MUTATIONS[pair % len(MUTATIONS)]
    while True:
        before = random_circuit(draw)
        after = mutation.apply(before, draw)
        if after is not None:
            return mutation, before, after


def test_no_mutant_is_mistaken_for_its_circuit() -> None:
    """A false hit is another circuit's answer; a false miss is a transpilation too many."""
    tried = sweep(range(PAIRS))

    assert min(tried.values()) >= PAIRS // len(MUTATIONS)


@pytest.mark.long
def test_no_mutant_of_many_is_mistaken_for_its_circuit() -> None:
    """Ten thousand pairs, none of those above."""
    sweep(range(PAIRS, PAIRS + ALL_PAIRS))


@pytest.mark.long
def test_different_circuits_have_different_hashes() -> None:
    """Beyond neighbours: no two of two thousand random circuits share a hash."""
    hashes = {digest_of(random_circuit(random.Random(f"other {number}"))) for number in range(2_000)}

    assert len(hashes) == 2_000


@pytest.mark.parametrize("seed", range(20))
def test_the_canonical_circuit_does_what_the_circuit_does(seed: int) -> None:
    """It is what runs, so that a hash of something else would be worth nothing."""
    draw = random.Random(seed)
    circuit = random_circuit(draw)
    circuit.data = [item for item in circuit.data if isinstance(item.operation, Gate)]

    found = canonical(circuit)

    values = [draw.uniform(-3, 3) for _ in found.dress.parameters]
    bound = circuit.assign_parameters(dict(zip(found.dress.parameters, values, strict=True)))
    canonical_bound = found.circuit.assign_parameters(
        {f"p{at}": value for at, value in enumerate(values)}, strict=False
    )
    assert Operator(canonical_bound) == Operator(bound)


def test_a_hash_is_the_same_in_another_process_and_version() -> None:
    """It names entries of a cache that outlives both; whoever changes the encoding raises `VERSION`."""
    circuit = QuantumCircuit(3, 2, global_phase=0.5)
    theta = Parameter("theta")
    circuit.h(0)
    circuit.rx(2 * theta + 0.1, 1)
    circuit.cp(np.pi / 4, 0, 2)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.ry(theta, 2)
    circuit.delay(100, 1)

    assert digest_of(circuit) == "a886d73c6ec6127dae73b97a43a375e3ec9de7484dda7a478ea3868d7390212b"


def test_parameters_are_told_apart_by_position() -> None:
    """Swapping names everywhere is no change; swapping one use is."""

    def circuit(*names: str) -> QuantumCircuit:
        parameters = {name: Parameter(name) for name in names}
        made = QuantumCircuit(1)
        for name in names:
            made.rx(parameters[name], 0)
        return made

    assert digest_of(circuit("a", "b", "a")) == digest_of(circuit("b", "a", "b"))
    assert digest_of(circuit("a", "b", "a")) != digest_of(circuit("a", "b", "b"))
    assert canonical(circuit("b", "a", "b")).dress.parameters == ("b", "a")


@pytest.mark.parametrize("names", [("a10", "a2"), ("a2", "a10"), ("x", "a"), ("a", "x")])
def test_an_expression_keeps_its_meaning_under_other_names(names: tuple[str, str]) -> None:
    """Qiskit sorts by name, so that a new name may change the order of an expression's parts."""
    first, second = map(Parameter, names)
    circuit = QuantumCircuit(1)
    circuit.rx(first - 3 * second, 0)

    found = canonical(circuit)
    at = {name: f"p{number}" for number, name in enumerate(found.dress.parameters)}
    bound = found.circuit.assign_parameters({at[names[0]]: 1.0, at[names[1]]: 0.25})

    assert float(bound.data[0].params[0]) == pytest.approx(0.25)


def test_names_that_the_canonical_form_uses_are_names_like_others() -> None:
    """In angles of several parameters too, and in another order than the canonical one."""

    def woven(*names: str) -> QuantumCircuit:
        first, second, third = map(Parameter, names)
        circuit = QuantumCircuit(1, global_phase=first + second * third)
        circuit.rx(third, 0)
        circuit.ry(first + second * third, 0)
        circuit.rz(first - second, 0)
        return circuit

    assert digest_of(woven("p0", "p1", "p2")) == digest_of(woven("x", "y", "z"))


def test_a_phase_is_taken_modulo_a_whole_turn() -> None:
    """Otherwise phases that gates add up would hide equal circuits from each other."""
    assert digest_of(QuantumCircuit(1, global_phase=0.0)) == digest_of(
        QuantumCircuit(1, global_phase=2 * np.pi)
    )


def test_a_negative_zero_is_a_zero() -> None:
    """Two doubles, one angle."""
    circuits = [QuantumCircuit(1), QuantumCircuit(1)]
    for circuit, angle in zip(circuits, (0.0, -0.0), strict=True):
        circuit.rx(angle, 0)

    assert digest_of(circuits[0]) == digest_of(circuits[1])


class OwnGate(Gate):
    """A gate that has a definition, and may have more to it."""

    def __init__(self, secret: int) -> None:
        super().__init__("h", 1, [])
        self.secret = secret

    def _define(self) -> None:
        self.definition = QuantumCircuit(QuantumRegister(1))


def with_own_gate() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.append(OwnGate(1), [0])
    return circuit


def with_evolution() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.append(PauliEvolutionGate(Pauli("ZZ"), 0.3), [0, 1])
    return circuit


def with_annotation() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.append(AnnotatedOperation(SGate(), InverseModifier()), [0])
    return circuit


def with_box() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    with circuit.box():
        circuit.x(0)
    return circuit


def with_loop_parameter() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    with circuit.for_loop(range(3)) as turn:
        circuit.rx(turn * 0.1, 0)
    return circuit


def with_variable() -> QuantumCircuit:
    from qiskit.circuit.classical import expr, types

    circuit = QuantumCircuit(1)
    circuit.add_var("flag", expr.lift(False, types.Bool()))
    return circuit


def in_a_block() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.append(OwnGate(1), [0])
    return circuit


@pytest.mark.parametrize(
    "make",
    [
        with_own_gate,
        with_evolution,
        with_annotation,
        with_box,
        with_loop_parameter,
        with_variable,
        in_a_block,
    ],
)
def test_what_the_hash_does_not_know_is_not_cached(make: object) -> None:
    """Its name and numbers might not be all there is to it; it runs all the same."""
    assert callable(make)
    found = canonical(make())

    assert not found.cacheable
    assert found.digest == ""
    assert found.circuit.num_qubits


def test_a_circuit_that_expands_too_far_is_refused() -> None:
    """A definition of definitions may stand for more operations than there is memory."""
    gate: Gate = SGate()
    for level in range(11):
        inner = QuantumCircuit(1, name=f"twice{level}")
        inner.append(gate, [0])
        inner.append(gate, [0])
        gate = inner.to_gate()
    circuit = QuantumCircuit(1)
    circuit.append(gate, [0])

    with pytest.raises(
        CircuitRejected, match=r"expands to more than 1,000 operations: use fewer, or split it"
    ):
        canonical(circuit, limit=1_000)
