"""Chunks of a loop: where one ends changes nothing, and what a log says is all that is needed to go on."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from circuits.loop_preparation import prepare_loop
from circuits.seeds import STRIDE, iteration_base
from circuits.source import SourceLimits
from isolation import loops
from isolation.loop_objective import Objective
from isolation.loops import end_loop, run_chunk
from qurable.contracts.optimisations import Optimisation, PreparedLoop, StopReason
from qurable.contracts.problems import ProblemAnswer
from qurable.errors import InternalError, OptimisationFailed
from tests.variational_at_hand import H2, H2_ENERGY, chain, three_regular

AT_ONCE = 0.0
"""Seconds of a chunk of one iteration."""


def _prepared(**fields: Any) -> str:
    wanted = {"ansatz": {"family": "real_amplitudes"}, "seed": 3, "key": "k", **fields}
    loop = Optimisation.model_validate(wanted)
    return prepare_loop({"loop": loop.model_dump_json(), "limits": asdict(SourceLimits())}, lambda _: None)


def _chunk(prepared: str, log: list[Any], *, seconds: float, forgetful: bool = False) -> Any:
    if forgetful:  # as a new child is
        loops._kept.clear()
    shots = PreparedLoop.read(prepared).loop.shots
    payload = {
        "name": "loop",
        "prepared": prepared,
        "log": list(log),
        "shots": shots,
        "seconds": seconds,
    }
    return run_chunk(payload, log.append)["stopped_by"]


def _run(prepared: str, *, seconds: float = 600.0, forgetful: bool = False) -> tuple[list[Any], Any]:
    loops._kept.clear()
    log: list[Any] = []
    stopped = None
    while stopped is None:
        stopped = _chunk(prepared, log, seconds=seconds, forgetful=forgetful)
    return log, stopped


def _numbers(log: list[Any], what: str) -> bytes:
    return b"".join(block[what] for block in log)


@pytest.mark.parametrize("optimiser", ["cma_es", "spsa", "cobyla"])
@pytest.mark.parametrize("shots", [None, 200])
def test_where_chunks_end_and_who_runs_them_changes_no_bit(optimiser: str, shots: int | None) -> None:
    """One chunk, a chunk for each iteration, and a new child for each of those: the same walk."""
    prepared = _prepared(observable=H2, shots=shots, optimiser={"name": optimiser}, stop={"evaluations": 40})
    whole, stopped = _run(prepared)
    by_one, stopped_by_one = _run(prepared, seconds=AT_ONCE)
    anew, stopped_anew = _run(prepared, seconds=AT_ONCE, forgetful=True)

    assert stopped == stopped_by_one == stopped_anew == StopReason.EVALUATIONS
    assert len(by_one) > len(whole)
    for what in ("x", "values", "errors"):
        assert _numbers(whole, what) == _numbers(by_one, what) == _numbers(anew, what)


def test_a_chunk_of_a_loop_that_has_ended_says_so_again_and_adds_nothing() -> None:
    """An attempt whose answer was lost is made again."""
    prepared = _prepared(observable=H2, stop={"evaluations": 20})
    log, stopped = _run(prepared)
    before = len(log)

    assert _chunk(prepared, log, seconds=1.0, forgetful=True) == stopped
    assert len(log) == before


def test_a_child_that_went_on_without_its_log_being_kept_forgets_it() -> None:
    """Its worker may have died between the two."""
    prepared = _prepared(observable=H2, shots=100, stop={"evaluations": 64})
    whole, _ = _run(prepared)
    loops._kept.clear()
    log: list[Any] = []
    _chunk(prepared, log, seconds=AT_ONCE)
    _chunk(prepared, list(log), seconds=AT_ONCE)  # nobody keeps this one
    while _chunk(prepared, log, seconds=AT_ONCE) is None:
        pass

    assert _numbers(log, "values") == _numbers(whole, "values")


def test_a_log_of_another_optimiser_is_not_gone_on_with() -> None:
    """A library that draws otherwise after an upgrade would mix two walks."""
    prepared = _prepared(observable=H2, stop={"evaluations": 40})
    log: list[Any] = []
    loops._kept.clear()
    _chunk(prepared, log, seconds=AT_ONCE)
    moved = np.frombuffer(log[0]["x"]) + 1e-9
    log[0] = {**log[0], "x": moved.tobytes()}

    with pytest.raises(InternalError, match="another version"):
        _chunk(prepared, log, seconds=AT_ONCE, forgetful=True)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_objective_that_is_no_number_ends_the_loop_where_it_is() -> None:
    """Coefficients that are finite by themselves need not be in sum; no optimiser is told infinity."""
    prepared = _prepared(observable={"ZI": 1.7e308, "IZ": 1.7e308}, initial=(0.0,) * 4)

    with pytest.raises(OptimisationFailed, match="iteration 0"):
        _run(prepared)


def test_an_optimiser_that_runs_away_is_stopped() -> None:
    """A slope of 10^9 in a valley of 2 pi: its next point is nowhere."""
    prepared = _prepared(observable=H2, optimiser={"name": "spsa"}, initial=(9e6,) * 4)

    with pytest.raises(OptimisationFailed, match="diverged"):
        _run(prepared)


def test_values_with_shots_lie_about_the_exact_ones_as_their_errors_say() -> None:
    """Within 3 sigma for all but a few of a hundred points; the seed of each follows from loop, iteration and place."""
    prepared = PreparedLoop.read(_prepared(problem=chain(4), ansatz={"family": "hamiltonian", "depth": 2}))
    objective = Objective(prepared)
    points = np.random.default_rng(1).normal(size=(100, len(prepared.parameters)))
    base = iteration_base(3, 17)
    exact, nothing = objective.values(points, None, base)
    values, errors = objective.values(points, 500, base)
    seventh, _ = objective.values(points[7:8], 500, base + 7 * STRIDE)

    assert not nothing.any()
    assert np.count_nonzero(np.abs(values - exact) > 3 * errors) <= 4
    assert np.abs((values - exact) / errors).mean() == pytest.approx(math.sqrt(2 / math.pi), abs=0.25)
    assert seventh[0] == values[7]


def _ended(prepared: str, log: list[Any], shots: int | None) -> Any:
    x = np.frombuffer(_numbers(log, "x")).reshape(-1, len(PreparedLoop.read(prepared).parameters))
    values = np.frombuffer(_numbers(log, "values"))
    sign = -1 if PreparedLoop.read(prepared).sense == "maximize" else 1
    best = x[np.argmin(sign * values)]
    payload = {"name": "loop", "prepared": prepared, "log": log, "best": best.tobytes(), "shots": shots}
    return end_loop(payload, lambda _: None)


@pytest.mark.parametrize(
    "optimiser",
    ["cma_es", *(pytest.param(name, marks=pytest.mark.long) for name in ("cobyla", "nelder_mead"))],
)
def test_vqe_of_hydrogen_is_within_its_bound(optimiser: str) -> None:
    """1.6 mHa, without noise."""
    prepared = _prepared(observable=H2, optimiser={"name": optimiser}, stop={"evaluations": 400})
    log, _ = _run(prepared)

    assert _ended(prepared, log, None)["value"] == pytest.approx(H2_ENERGY, abs=1.6e-3)


@pytest.mark.parametrize("nodes", [6, pytest.param(10, marks=pytest.mark.long)])
def test_qaoa_of_one_layer_cuts_what_it_must_of_a_three_regular_graph(nodes: int) -> None:
    """Expected cut at least 0.692 of the optimum at optimised angles (Farhi, Goldstone and Gutmann, arXiv:1411.4028)."""
    problem = three_regular(nodes)  # bipartite for these sizes, so the optimum cuts every edge
    prepared = _prepared(problem=problem, ansatz={"family": "qaoa"}, optimiser={"name": "cobyla"})
    log, _ = _run(prepared)
    ended = _ended(prepared, log, None)
    answer = ProblemAnswer.read(ended["answer"])

    assert ended["value"] >= 0.692 * len(problem.edges)
    assert answer.objective == len(problem.edges)


@pytest.mark.long
def test_vqe_of_a_chain_of_ten_sites_is_within_the_error_of_its_ansatz() -> None:
    """Five layers come within 1 % of the energy of free fermions: 1 - 1 / sin(pi / 42) (Pfeuty, Ann. Phys. 57, 79 (1970))."""
    exact = 1 - 1 / math.sin(math.pi / 42)
    prepared = _prepared(
        problem=chain(10), ansatz={"family": "hamiltonian", "depth": 5}, stop={"evaluations": 3000}
    )
    log, _ = _run(prepared)

    assert exact <= _ended(prepared, log, None)["value"] <= 0.99 * exact
