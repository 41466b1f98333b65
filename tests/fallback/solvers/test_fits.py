"""What the circuit solvers say of a circuit before anything runs."""

import math
from typing import Any

import pytest
from qiskit import QuantumCircuit

from fallback.solvers.circuits import CIRCUIT_SOLVERS, questions_of
from fallback.solvers.clifford import CliffordSolver
from fallback.solvers.mps import MpsSolver
from fallback.solvers.pauli import PauliSolver
from fallback.solvers.protocol import CircuitQuestion
from qurable.contracts.jobs import Method, SimulatorOptions
from qurable.requests import estimate, sample
from tests.circuits.running import parse
from tests.fallback.solvers.circuits_to_solve import ansatz, brick, measured, random_clifford

GIB = 2**30


def _asked(circuit: QuantumCircuit, **about: Any) -> CircuitQuestion:
    return CircuitQuestion("it", about.pop("kind", "sample"), parse(circuit)[0].traits, 1000, **about)


def _branching() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "about", "suits", "because"),
    [
        (measured(random_clifford(5, 1)), {}, True, "Clifford"),
        (measured(brick(5, 2, 1)), {}, False, "not Clifford"),
        (measured(ansatz(3)), {"quarter_turns": True}, True, "Clifford"),
        (measured(ansatz(3)), {"quarter_turns": False}, False, "other values than quarter turns"),
        (_branching(), {}, False, "branches or loops"),
    ],
)
def test_clifford(circuit: QuantumCircuit, about: dict[str, Any], suits: bool, because: str) -> None:
    """Gates decide, free angles by what they are bound to."""
    fit = CliffordSolver().fits(_asked(circuit, **about), GIB)

    assert fit.suits is suits
    assert because in fit.because
    assert suits or "ask for" in fit.because


@pytest.mark.parametrize(
    ("circuit", "kind", "suits", "because"),
    [
        (brick(5, 2, 1), "estimate", True, "bounds the error"),
        (measured(brick(5, 2, 1)), "sample", False, "expectation values alone"),
        (_branching(), "estimate", False, "measures and goes on"),
    ],
)
def test_pauli(circuit: QuantumCircuit, kind: str, suits: bool, because: str) -> None:
    """Never a rung for samples."""
    fit = PauliSolver().fits(_asked(circuit, kind=kind), GIB)

    assert fit.suits is suits
    assert because in fit.because
    assert suits or "ask for" in fit.because


def test_a_matrix_product_state_takes_the_largest_bond_that_fits() -> None:
    """Half the memory is half the bond at most, until it is not worth having."""
    question = _asked(measured(brick(60, 60, 1)))
    bonds = {size: MpsSolver().fits(question, size * 2**20) for size in (1024, 256, 64, 16, 1)}

    assert [fit.max_bond for fit in bonds.values()] == [256, 128, 64, 32, None]
    assert all(fit.memory_bytes <= size * 2**20 for size, fit in bonds.items())
    assert not bonds[1].suits
    assert "simulator.max_bond" in bonds[1].because
    assert not bonds[1024].certain


def test_a_bond_that_suffices_is_known_to() -> None:
    """Where no cut can need more than the limit, nothing is truncated."""
    fit = MpsSolver().fits(_asked(measured(brick(60, 4, 1))), GIB)

    assert fit.certain
    assert "no cut needs" in fit.because


def test_the_callers_bond_is_kept() -> None:
    """It is not raised, and not lowered to fit."""
    question = _asked(measured(brick(60, 60, 1)), max_bond=100)

    assert MpsSolver().fits(question, GIB).max_bond == 100
    assert not MpsSolver().fits(question, 2**20).suits


@pytest.mark.parametrize("solver", CIRCUIT_SOLVERS.values(), ids=list(CIRCUIT_SOLVERS))
def test_figures_grow_with_what_is_asked_and_say_where_they_come_from(solver: Any) -> None:
    """A planner compares them."""
    circuits = [random_clifford(qubits, 1) for qubits in (4, 12)]
    small, large = (solver.fits(_asked(circuit, kind="estimate"), 16 * GIB) for circuit in circuits)
    many = solver.fits(_asked(circuits[1], kind="estimate", bindings=100), 16 * GIB)

    assert 0 < small.seconds < large.seconds < many.seconds
    assert many.seconds == pytest.approx(100 * large.seconds)
    assert 0 < small.memory_bytes <= large.memory_bytes
    assert "one core" in small.basis


def test_a_jobs_pubs_become_one_question_for_each_circuit() -> None:
    """Bindings add up, the most demanding shots count, and one angle that is no quarter turn is noticed."""
    circuit = ansatz(3)
    quarter, other = [[0, math.pi, math.pi / 2]] * 2, [[0, math.pi, 0.1]]
    parsed = parse(measured(circuit))[0]
    job = sample((measured(circuit), quarter, 10), (measured(circuit), other, 30), simulator={"max_bond": 8})

    (question,) = questions_of("sample", job.pubs, [parsed], [0, 0], job.simulator).values()
    (first,) = questions_of("sample", job.pubs[:1], [parsed], [0], SimulatorOptions()).values()

    assert (question.bindings, question.shots, question.max_bond) == (3, 30, 8)
    assert not question.quarter_turns
    assert first.quarter_turns


def test_terms_of_observables_are_counted() -> None:
    """Over all observables of a pub."""
    circuit = brick(2, 1, 1)
    job = estimate((circuit, ["ZZ", {"XX": 1.0, "YY": 2.0}]))

    (question,) = questions_of("estimate", job.pubs, [parse(circuit)[0]], [0], job.simulator).values()

    assert question.terms == 3
    assert question.kind == "estimate"


def test_methods_are_those_a_report_may_name() -> None:
    """Aer's where Aer runs it."""
    assert {name: solver.method for name, solver in CIRCUIT_SOLVERS.items()} == {
        "classical:clifford": Method.STABILIZER,
        "classical:pauli": Method.AUTOMATIC,
        "classical:mps": Method.MATRIX_PRODUCT_STATE,
    }


def test_a_matrix_product_state_runs_shot_by_shot_only_where_nothing_can_be_cut_off() -> None:
    """Aer does not say what it cut off then."""
    narrow, wide = _branching(), QuantumCircuit(20, 1)
    wide.compose(brick(20, 40, 1), inplace=True)
    wide.measure(0, 0)
    wide.reset(0)

    assert MpsSolver().fits(_asked(narrow), GIB).suits
    refused = MpsSolver().fits(_asked(wide), GIB)
    assert not refused.suits
    assert "shot by shot" in refused.because
    assert "ask for 'aer'" in refused.because
