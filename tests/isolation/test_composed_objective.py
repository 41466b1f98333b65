"""Loops with a registered objective: values, error bars, the same walk after a kill, and failures by iteration and point."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from circuits.seeds import iteration_base
from isolation.composed_objective import ComposedObjective
from qurable.contracts.optimisations import PreparedLoop
from qurable.errors import OptimisationFailed, RequestRejected
from tests.circuits.test_registered_objectives import install
from tests.isolation.test_loops import _numbers, _prepared, _run
from tests.variational_at_hand import H2, H2_ENERGY

NUMBER = {"II": 1.0, "IZ": -0.5, "ZI": -0.5}
"""Ones among two qubits (count)."""

SECTOR: dict[str, Any] = {
    "observables": [H2, NUMBER],
    "objective": {"name": "penalised", "data": {"targets": [1.0], "weight": 3.0}},
}
"""H2 among states of one particle, where its ground state is."""


def _square(operator: dict[str, float]) -> Any:
    from qiskit.quantum_info import SparsePauliOp

    matrix = SparsePauliOp.from_list(list(operator.items()))
    return (matrix @ matrix).simplify()


def test_values_are_what_the_function_makes_of_exact_expectation_values() -> None:
    """Against state vectors."""
    from qiskit.quantum_info import SparsePauliOp, Statevector

    from circuits.parse import load_qpy

    prepared = PreparedLoop.read(_prepared(**SECTOR))
    points = np.random.default_rng(1).normal(size=(3, len(prepared.parameters)))
    values, errors = ComposedObjective(prepared).values(points, None, 1)

    energy, number = (SparsePauliOp.from_list(list(operator.items())) for operator in (H2, NUMBER))
    for value, point in zip(values, points, strict=True):
        state = Statevector(load_qpy(prepared.qpy).assign_parameters(list(point)))
        ones = state.expectation_value(number).real
        assert value == pytest.approx(state.expectation_value(energy).real + 3 * (ones - 1) ** 2)
    assert not errors.any()


def test_error_bars_are_those_of_the_function() -> None:
    """Over many repetitions of one point, where the expectation values are measured together and correlate."""
    prepared = PreparedLoop.read(_prepared(**SECTOR, shots=400))
    objective = ComposedObjective(prepared)
    point = np.array([[0.7, 0.5, 0.2, 0.1]])  # most of it without a particle: the price is steep there
    found = [objective.values(point, 400, iteration_base(3, number)) for number in range(150)]
    values, errors = (np.array([entry[at][0] for entry in found]) for at in (0, 1))

    # a standard deviation of 150 values is known to about 6 %
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.25)


def test_the_loop_finds_the_ground_state_of_its_sector() -> None:
    """1.6 mHa, without noise."""
    log, _ = _run(_prepared(**SECTOR, stop={"evaluations": 400}))

    assert np.frombuffer(_numbers(log, "values")).min() == pytest.approx(H2_ENERGY, abs=1.6e-3)


@pytest.mark.parametrize("shots", [None, 100])
def test_where_chunks_end_changes_no_bit(shots: int | None) -> None:
    """A child that begins anew with the log walks on as the one that was killed would have."""
    prepared = _prepared(**SECTOR, shots=shots, stop={"evaluations": 24})
    whole, stopped = _run(prepared)
    anew, stopped_anew = _run(prepared, seconds=0.0, forgetful=True)

    assert stopped == stopped_anew
    assert len(anew) > len(whole)
    for what in ("x", "values", "errors"):
        assert _numbers(whole, what) == _numbers(anew, what)


@pytest.mark.parametrize("name", ["no_number", "raises", "text"])
def test_a_function_that_gives_no_number_ends_the_loop_by_iteration_and_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whoever wrote it sees what it was told."""
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "acme_objectives", raising=False)
    prepared = _prepared(observables=[H2], objective=name, initial=(0.25,) * 4, optimiser={"name": "cobyla"})

    with pytest.raises(
        OptimisationFailed, match=rf"in iteration 0, the objective '{name}' .*, told .* at \[0.25, "
    ):
        _run(prepared)


def test_a_function_of_one_observable_takes_a_problem_s_own() -> None:
    """The variance needs the square; a plain one of any loop is told its expectation value."""
    prepared = PreparedLoop.read(
        _prepared(observable=H2, objective={"name": "penalised", "data": {"targets": []}})
    )
    values, _ = ComposedObjective(prepared).values(np.zeros((1, 4)), None, 1)

    assert values[0] == pytest.approx(sum(H2[label] for label in ("II", "IZ", "ZI", "ZZ")))


def test_the_variance_vanishes_in_an_eigenstate() -> None:
    """Whichever it finds."""
    from qurable.requests import as_observables

    observables = list(as_observables([H2, _square(H2)]).items)
    log, _ = _run(_prepared(observables=observables, objective="variance", stop={"evaluations": 400}))

    assert np.frombuffer(_numbers(log, "values")).min() == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"observables": ["ZZ"]}, "several observables need an objective"),
        ({"observables": ["ZZ"], "observable": "ZZ", "objective": "variance"}, "one of problem, file"),
        (
            {"observables": ["ZZ"], "objective": "variance", "backend": "fake_manila", "shots": 9},
            "runs on 'aer'",
        ),
        (
            {
                "observables": ["ZZ"],
                "objective": "variance",
                "finish": {"backend": "fake_manila", "shots": 9},
            },
            "runs on 'aer', not on 'fake_manila'",
        ),
        ({"observables": ["ZZ"], "objective": "not a name"}, "String should match pattern"),
    ],
)
def test_a_loop_that_makes_no_sense_is_refused_before_it_starts(fields: dict[str, Any], words: str) -> None:
    """By the contract."""
    with pytest.raises(ValueError, match=words):
        _prepared(**fields)


def test_an_unknown_objective_is_refused_with_those_that_are_registered() -> None:
    """Before anything runs."""
    with pytest.raises(RequestRejected, match="did you mean 'variance'"):
        _prepared(observables=["ZZ"], objective="varianz")
