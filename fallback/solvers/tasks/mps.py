"""A matrix product state on Aer, its bond doubled until little is cut off; a task for a fresh child.

What is cut off is known as the sum of the squared singular values that Aer reports. That is an estimate of the
error and no bound: the state at the time of each cut was truncated before.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from circuits.confidence import NOTE, note_of
from fallback.solvers.mps import LARGEST_BOND
from isolation.aer import Run, estimate_piece, sample_piece
from isolation.child import Emit
from isolation.pieces import Answer, run_pieces
from qurable.contracts.confidence import Confidence, ConfidenceKind
from qurable.contracts.results import ErrorOrigin

_BOND = "matrix_product_state_max_bond_dimension"
_FIRST_BOND = 32
_ENOUGH_DISCARDED = 1e-6
"""Squared weight below which doubling the bond is not worth its eightfold time."""

_ENOUGH_CHANGE = 1e-4
"""Change of an expectation value on doubling, relative to the observable's largest possible value."""

_ROUNDING = 1e-12


def simulate(payload: Any, emit: Emit) -> Any:
    """Task: run pieces of a submission; takes and emits what `isolation.aer:simulate` does."""
    estimating = payload["kind"] == "estimate"
    run_pieces(payload, emit, lambda piece: _converged(payload, piece, estimating=estimating))


def _converged(payload: Any, piece: Any, *, estimating: bool) -> Answer:
    """The answer at the smallest bond that doubling confirms, or at the largest allowed."""
    limit: int = payload["options"].get(_BOND, LARGEST_BOND)
    if estimating and not piece["dynamic"]:
        piece = {**piece, "shots": 0}  # the state is at hand: its values need no shots
    answer = estimate_piece if estimating else sample_piece
    # What is cut off in a circuit that is run shot by shot is not known: it runs where nothing is, or not at all.
    bond, history = limit if piece["dynamic"] else min(_FIRST_BOND, limit), []
    while True:
        run = Run({**payload, "options": {**payload["options"], _BOND: bond, "mps_log_data": True}})
        arrays, notes = answer(run, piece)
        history.append((bond, notes.get("discarded_weight", 0.0), arrays.get("evs")))
        if bond == limit or _settled(history):
            break
        bond = min(2 * bond, limit)
    notes |= {"bond": bond, NOTE: note_of(_confidence(history, limit))}
    if estimating and not piece["shots"]:
        notes["error_origin"] = str(ErrorOrigin.TRUNCATION)
    return arrays, notes


History = list[tuple[int, float, npt.NDArray[np.float64] | None]]
"""Bond, discarded weight, and expectation values, run by run."""


def _settled(history: History) -> bool:
    """Whether nothing was cut off, or little, and doubling the bond has confirmed the answer."""
    _, discarded, _ = history[-1]
    if discarded <= _ROUNDING:
        return True
    return len(history) > 1 and discarded <= _ENOUGH_DISCARDED and _change(history) <= _ENOUGH_CHANGE


def _change(history: History) -> float:
    """Largest change of a value at the last doubling; 0 for samples, whose randomness hides it."""
    before, after = history[-2][2], history[-1][2]
    if before is None or after is None or not len(after):
        return 0.0
    return float(np.abs(after - before).max())


def _confidence(history: History, limit: int) -> Confidence:
    bond, discarded, _ = history[-1]
    if discarded <= _ROUNDING:
        basis = f"nothing was cut off at a bond dimension of {bond}"
    else:
        basis = (
            f"sum of the squared singular values that were cut off at a bond dimension of {bond}, the limit being {limit}: an estimate of "
            "the infidelity, no bound"
        )
        if len(history) > 1:
            half, weight, values = history[-2]
            moved = (
                "" if values is None else f", and doubling moved no value by more than {_change(history):.3g}"
            )
            basis += f"; at {half} it was {weight:.3g}{moved}"
        else:
            basis += "; not confirmed by doubling it"
    return Confidence(kind=ConfidenceKind.TRUNCATION_ESTIMATE, value=discarded, basis=basis)
