"""The best case of a device: what cannot be used is left out, what is not known decides nothing."""

import math

import pytest

from circuits.survival_bound import BestErrors, best_case_survival, best_errors
from qurable.contracts.targets import TargetDocument, TargetOperation
from tests.fallback.places import parsed


def _document(pairs: tuple[float | None, ...], readout: tuple[float | None, ...] = ()) -> TargetDocument:
    return TargetDocument(
        operations=(
            TargetOperation(name="cz", qargs=tuple((n, n + 1) for n in range(len(pairs))), errors=pairs),
            TargetOperation(name="measure", qargs=tuple((n,) for n in range(len(readout))), errors=readout),
            TargetOperation(name="sx", qargs=((0,),), errors=(1e-4,)),
        )
    )


def test_the_best_coupling_and_the_best_qubits_count() -> None:
    """Product of (1 - error), a reading per measured qubit."""
    errors = best_errors(_document((0.02, 0.01, math.nan), (0.05, 0.01, 0.02, None)))

    assert errors == BestErrors(0.01, (0.01, 0.02, 0.05))
    circuit = parsed(two_qubit_gates=3, measurements=2).traits
    assert best_case_survival(circuit, errors) == pytest.approx(0.99**3 * 0.99 * 0.98)


def test_dead_couplings_and_unknown_errors_are_left_out() -> None:
    """Some snapshots mark a coupling that does not work by an error of 1, others by none at all."""
    errors = best_errors(_document((1.0, 0.5, None, math.nan)))

    assert errors == BestErrors(None)
    assert best_case_survival(parsed(two_qubit_gates=1).traits, errors) == 0
    assert best_case_survival(parsed(two_qubit_gates=0).traits, errors) == 1


def test_a_place_without_errors_is_not_judged() -> None:
    """An ideal simulator's target has none."""
    assert best_errors(TargetDocument(operations=(TargetOperation(name="cx"),))) is None
