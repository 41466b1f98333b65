"""Problems in their own terms: variables, qubits, sense, scores; checked against brute force and other libraries."""

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from qiskit.quantum_info import SparsePauliOp

from circuits.fermions import map_to_paulis
from circuits.problems import best_answer, is_diagonal, qubits_of, score
from circuits.programs import best_assignment, read_variables
from circuits.runnable import pubs_of
from qurable.contracts.jobs import SolveJob
from qurable.contracts.observables import PauliTerm
from qurable.contracts.problems import (
    FermionicHamiltonian,
    Ising,
    KernelData,
    LadderTerm,
    LinearProgram,
    MaxCut,
    PauliHamiltonian,
    Problem,
    ProblemAnswer,
    Qubo,
    Sense,
)
from qurable.errors import RequestRejected
from qurable.requests import solve
from tests.circuits.running import ignore
from tests.circuits_at_hand import BELL
from tests.fermions_at_hand import exact_spectrum

PROGRAM = """Maximize
 profit: 3 x + 2 y + 4 z
Subject To
 weight: 2 x + y + 3 z <= 4
 pair: x + y >= 1
Binary
 x y z
End
"""

PROBLEMS: dict[str, Problem] = {
    "qubo": Qubo(linear=(1.0, -2.0), quadratic=((0, 1, 3.0),), offset=0.5, qubits=(4, 2)),
    "ising": Ising(sense=Sense.MAXIMIZE, h=(0.5, 0.0, -1.0), couplings=((0, 2, 1.0), (1, 2, -2.0))),
    "maxcut": MaxCut(num_nodes=3, edges=((0, 1, 1.0), (1, 2, -0.5))),
    "program": LinearProgram(format="lp", text=PROGRAM, variables=("z", "x", "y"), qubits=(0, 1, 2)),
    "paulis": PauliHamiltonian(num_qubits=2, terms=(PauliTerm(pauli="XZ", qubits=(1, 0), coefficient=0.5),)),
    "fermions": FermionicHamiltonian(
        num_modes=2, terms=(LadderTerm(operators=((0, "+"), (0, "-")), coefficient=1.0),), offset=0.7
    ),
    "kernel": KernelData(train=[[0.0, 1.0], [2.0, 3.0]], test=[[0.5, 0.5]]),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_read_as_it_was_written(name: str) -> None:
    """With or without a circuit; fields of a newer version are ignored inside, and refused at the edge."""
    job = solve(PROBLEMS[name], BELL if name == "qubo" else None)

    plain = json.loads(job.model_dump_json())

    assert SolveJob.read(json.dumps(plain | {"new": 1})) == job
    plain["problem"]["new"] = 1
    assert SolveJob.read(json.dumps(plain)) == job
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        SolveJob.model_validate(plain)


@pytest.mark.parametrize(
    ("kind", "fields", "problem"),
    [
        (
            Qubo,
            {"linear": (1,), "quadratic": ((0, 1, 1.0),)},
            "quadratic refers to variable 1; there are 1, counted from 0",
        ),
        (Ising, {"h": (1,), "couplings": ((-1, 0, 1.0),)}, "couplings refers to variable -1"),
        (MaxCut, {"num_nodes": 2, "edges": ((0, 2, 1.0),)}, "an edge refers to variable 2"),
        (MaxCut, {"num_nodes": 2, "edges": ((1, 1, 1.0),)}, "an edge from a node to itself is never cut"),
        (MaxCut, {"num_nodes": 0, "edges": ()}, "greater than or equal to 1"),
        (MaxCut, {"num_nodes": 2, "edges": (), "sense": "minimize"}, "maximize"),
        (Qubo, {"linear": (1, 2), "qubits": (3, 3)}, "must be different and not negative"),
        (Qubo, {"linear": (1, 2), "qubits": (-1, 3)}, "must be different and not negative"),
        (
            PauliHamiltonian,
            {"num_qubits": 1, "terms": ({"pauli": "Z", "qubits": (1,)},)},
            "a term refers to variable 1",
        ),
        (
            FermionicHamiltonian,
            {"num_modes": 1, "terms": ({"operators": ((1, "+"),), "coefficient": 1},)},
            "variable 1",
        ),
        (
            FermionicHamiltonian,
            {"num_modes": 1, "terms": ({"operators": ((0, "*"),), "coefficient": 1},)},
            r"'\+' or '-'",
        ),
        (KernelData, {"train": [1.0, 2.0]}, "one row per point, one column per feature"),
        (KernelData, {"train": [[1.0, 2.0]], "test": [[1.0]]}, "test has 1 features, train has 2"),
        (LinearProgram, {"format": "xml", "text": ""}, "'lp' or 'mps'"),
    ],
)
def test_a_problem_that_contradicts_itself_is_refused(
    kind: Any, fields: dict[str, Any], problem: str
) -> None:
    """By what is wrong with it."""
    with pytest.raises(ValidationError, match=problem):
        kind(**fields)


def all_words(width: int) -> list[str]:
    return ["".join(bits) for bits in itertools.product("01", repeat=width)]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("sense", list(Sense))
def test_the_best_of_all_bitstrings_is_the_optimum(seed: int, sense: Sense) -> None:
    """In the variable order of the problem, whatever bits carry the variables."""
    draw = np.random.default_rng(seed)
    matrix = np.triu(draw.normal(size=(4, 4)), 1)
    linear = draw.normal(size=4)
    pairs = tuple((i, j, float(matrix[i, j])) for i in range(4) for j in range(i + 1, 4))
    qubo = Qubo(sense=sense, linear=tuple(linear), quadratic=pairs, offset=1.5)
    place = tuple(int(bit) for bit in draw.permutation(6)[:4])

    answer = best_answer(qubo, dict.fromkeys(all_words(6), 1), place)

    values = {x: 1.5 + linear @ x + np.array(x) @ matrix @ x for x in itertools.product((0, 1), repeat=4)}
    best = (min if sense is Sense.MINIMIZE else max)(values.values())
    assert answer.objective == pytest.approx(best)
    assert answer.assignment is not None
    assert values[tuple(int(bit) for bit in answer.assignment)] == pytest.approx(best)
    assert (answer.kind, answer.sense, answer.feasible, answer.samples_considered) == (
        "qubo",
        sense,
        True,
        64,
    )


def test_a_measured_one_is_the_spin_minus_one() -> None:
    """As Z has eigenvalue -1 there; the energy is that of the operator in Qiskit."""
    ising = Ising(h=(0.5, -1.0, 0.25), couplings=((0, 1, 1.0), (1, 2, -2.0)), offset=0.1)
    operator = SparsePauliOp.from_sparse_list(
        [
            ("Z", [0], 0.5),
            ("Z", [1], -1.0),
            ("Z", [2], 0.25),
            ("ZZ", [0, 1], 1.0),
            ("ZZ", [1, 2], -2.0),
            ("", [], 0.1),
        ],
        num_qubits=3,
    )
    energies = operator.to_matrix().diagonal().real

    for word in all_words(3):
        bits = [int(letter) for letter in reversed(word)]
        assert score(ising, bits).objective == pytest.approx(energies[int(word, 2)])
    answer = best_answer(ising, dict.fromkeys(all_words(3), 1), (0, 1, 2))
    assert answer.objective == pytest.approx(energies.min())
    assert set(answer.assignment or ()) <= {1.0, -1.0}


def test_a_cut_is_the_weight_between_the_sides() -> None:
    """Negative weights count too, and the larger cut wins."""
    graph = MaxCut(num_nodes=3, edges=((0, 1, 2.0), (1, 2, -0.5), (0, 2, 1.0)))

    assert score(graph, [0, 1, 1]).objective == 3.0
    assert best_answer(graph, {"000": 900, "110": 1, "101": 99}, (0, 1, 2)).objective == 3.0
    assert best_answer(graph, {}, (0, 1, 2)).assignment is None


def program(words: list[str], **fields: Any) -> ProblemAnswer:
    payload = {
        "format": "lp",
        "text": PROGRAM,
        "variables": None,
        "bit_of_variable": [0, 1, 2],
        "bitstrings": words,
    }
    return ProblemAnswer.read(best_assignment(payload | fields, ignore))


def test_the_best_feasible_assignment_of_a_program_wins() -> None:
    """The first two weigh 3 and earn 5; y and z weigh 4 and earn 6; all three break the weight."""
    answer = program(all_words(3))

    assert (answer.assignment, answer.objective, answer.feasible) == ((0.0, 1.0, 1.0), 6.0, True)
    assert answer.sense is Sense.MAXIMIZE


def test_broken_constraints_are_named() -> None:
    """The least broken one comes, and says what it breaks."""
    answer = program(["111", "000"])

    assert answer.feasible is False
    assert len(answer.violations) == 1
    assert set(answer.violations) <= {"weight", "pair"}


def test_variables_keep_the_order_that_the_problem_gives() -> None:
    """An assignment is read in it."""
    read = {"format": "lp", "text": PROGRAM, "variables": ["z", "x", "y"]}

    assert read_variables(read, ignore) == ["z", "x", "y"]
    answer = program(all_words(3), variables=["z", "x", "y"])
    assert answer.assignment == (1.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"text": "this is no program"}, "the lp text is not a program that can be read"),
        (
            {"text": PROGRAM.replace("Binary\n x y z", "Bounds\n x <= 7")},
            "a qubit carries 0 or 1 only: write it in binary",
        ),
        ({"variables": ["x", "y"]}, "the problem names"),
    ],
)
def test_a_program_that_no_qubits_carry_is_refused(fields: dict[str, Any], problem: str) -> None:
    """Before any shot is paid for."""
    with pytest.raises(RequestRejected, match=problem):
        read_variables({"format": "lp", "text": PROGRAM, "variables": None} | fields, ignore)


def matrix_of(problem: FermionicHamiltonian) -> Any:
    products = map_to_paulis(problem)
    terms = [
        ("".join(letter for _, letter in product), [qubit for qubit, _ in product], factor)
        for product, factor in products.items()
    ]
    return SparsePauliOp.from_sparse_list(terms, num_qubits=problem.num_modes).to_matrix()


def hopping(mapping: Any, modes: int = 4) -> FermionicHamiltonian:
    """A ring with hopping, a potential and an interaction."""
    terms: list[LadderTerm] = []
    for mode in range(modes):
        other = (mode + 1) % modes
        terms.append(LadderTerm(operators=((mode, "+"), (other, "-")), coefficient=-1.0))
        terms.append(LadderTerm(operators=((other, "+"), (mode, "-")), coefficient=-1.0))
        terms.append(LadderTerm(operators=((mode, "+"), (mode, "-")), coefficient=0.3 * mode))
    terms.append(LadderTerm(operators=((0, "+"), (0, "-"), (2, "+"), (2, "-")), coefficient=2.0))
    return FermionicHamiltonian(num_modes=modes, terms=tuple(terms), mapping=mapping, offset=0.7)


@pytest.mark.parametrize("mapping", ["jordan_wigner", "parity"])
def test_both_mappings_have_the_spectrum_of_the_fermions(mapping: str) -> None:
    """The sign of an exchange is all there is to a fermion."""
    problem = hopping(mapping)

    assert np.linalg.eigvalsh(matrix_of(problem)) == pytest.approx(exact_spectrum(problem), abs=1e-9)


def test_terms_that_are_not_hermitian_are_refused() -> None:
    """An energy would be complex."""
    lonely = FermionicHamiltonian(
        num_modes=2, terms=(LadderTerm(operators=((0, "+"), (1, "-")), coefficient=1.0),)
    )

    with pytest.raises(ValueError, match="add the conjugates"):
        map_to_paulis(lonely)
    with pytest.raises(RequestRejected, match="the fermionic Hamiltonian is not acceptable"):
        pubs_of(solve(lonely, BELL))


def test_a_diagonal_problem_is_sampled_and_an_energy_estimated_where_its_qubits_are() -> None:
    """`qubits` moves the Hamiltonian onto the circuit's qubits."""
    hamiltonian = PauliHamiltonian(
        num_qubits=2, terms=(PauliTerm(pauli="XZ", qubits=(1, 0), coefficient=0.5),), qubits=(5, 3)
    )

    kind, (pub,) = pubs_of(solve(hamiltonian, BELL))

    assert kind == "estimate"
    assert pub.observables.items[0].paulis() == {((3, "X"), (5, "Z")): 0.5}  # type: ignore[union-attr]
    assert pubs_of(solve(PROBLEMS["qubo"], BELL))[0] == "sample"
    assert [is_diagonal(problem) for problem in PROBLEMS.values()] == [True] * 4 + [False] * 3
    assert qubits_of(PROBLEMS["maxcut"]) == (0, 1, 2)


def test_a_problem_that_no_circuit_answers_is_refused_with_a_way_out() -> None:
    """Rather than run and return nothing."""
    with pytest.raises(RequestRejected, match="sample or estimate the circuits it needs"):
        pubs_of(solve(PROBLEMS["kernel"], BELL))


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_alone_has_no_pubs(name: str) -> None:
    """It is a solver's, whatever its kind."""
    assert pubs_of(solve(PROBLEMS[name])) == ("sample", ())


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Qubo, {"linear": (1.0, "?")}),
        (Qubo, {"linear": (1.0,), "offset": "?"}),
        (Ising, {"h": (0.0, 0.0), "couplings": ((0, 1, "?"),)}),
        (MaxCut, {"num_nodes": 2, "edges": ((0, 1, "?"),)}),
        (FermionicHamiltonian, {"num_modes": 1, "terms": (), "offset": "?"}),
        (LadderTerm, {"operators": ((0, "+"),), "coefficient": "?"}),
        (KernelData, {"train": [[0.0, "?"]]}),
    ],
)
def test_weights_are_finite(kind: Any, fields: dict[str, Any], number: float) -> None:
    """Otherwise every assignment is as good as any other, or none is."""
    with pytest.raises(ValidationError, match="finite number"):
        kind(**_filled(fields, number))


def _filled(value: Any, number: float) -> Any:
    """The value with a number in the place of each question mark."""
    if isinstance(value, dict):
        return {name: _filled(part, number) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_filled(part, number) for part in value)
    return number if value == "?" else value
