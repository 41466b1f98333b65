"""A loop that finishes elsewhere, and one whose iterations are jobs: the walk follows from the log alone."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from circuits.loop_preparation import prepare_loop
from circuits.seeds import STRIDE, iteration_base
from circuits.source import SourceLimits
from isolation import loops
from isolation.loop_turns import last_points, next_points
from isolation.loops import run_chunk
from qurable.contracts.optimisations import Optimisation, PreparedLoop, StopReason
from tests.variational_at_hand import H2

FINISH = {"backend": "aer", "shots": 100, "when": "iterations", "explore": 5, "iterations": 3}


def _prepared(**fields: Any) -> str:
    wanted = {"observable": H2, "ansatz": {"family": "real_amplitudes"}, "seed": 3, "key": "k", **fields}
    loop = Optimisation.model_validate(wanted)
    return prepare_loop({"loop": loop.model_dump_json(), "limits": asdict(SourceLimits())}, lambda _: None)


def _payload(prepared: str, log: list[Any]) -> dict[str, Any]:
    return {"name": "loop", "prepared": prepared, "log": list(log)}


def _walked(prepared: str, *, seconds: float, forgetful: bool) -> tuple[list[Any], Any, list[bool]]:
    """Log, end, and whether each chunk said that the loop had explored; as a workflow goes on from chunk to chunk."""
    loops._kept.clear()
    loop = PreparedLoop.read(prepared).loop
    log: list[Any] = []
    finishing, said = False, []
    while True:
        if forgetful:  # as a new child is
            loops._kept.clear()
        shots = loop.finish.shots if finishing and loop.finish else loop.shots
        call = {**_payload(prepared, log), "shots": shots, "seconds": seconds, "finishing": finishing}
        answer = run_chunk(call, lambda block: log.append(block) if block["sizes"] else None)
        finishing = answer["finishing"]
        said.append(finishing)
        if answer["stopped_by"] is not None:
            return log, answer["stopped_by"], said


@pytest.mark.parametrize("optimiser", ["cma_es", "spsa", "cobyla"])
def test_where_chunks_end_changes_no_bit_of_a_loop_that_finishes(optimiser: str) -> None:
    """The optimiser begins anew at the same iteration, with the same seed, whoever asks it."""
    prepared = _prepared(optimiser={"name": optimiser}, finish=FINISH, stop={"tolerance": 1e-12})
    whole, stopped, said = _walked(prepared, seconds=600.0, forgetful=False)
    by_one, stopped_by_one, _ = _walked(prepared, seconds=0.0, forgetful=True)

    assert stopped == stopped_by_one == StopReason.FINISHED
    assert said == [True, True]
    assert [
        sum(len(block["sizes"]) for block in whole if block["shots"] == shots) for shots in (None, 100)
    ] == [5, 3]
    for what in ("x", "values", "errors"):
        assert b"".join(block[what] for block in whole) == b"".join(block[what] for block in by_one)


def test_an_exploration_that_converged_finishes_and_one_that_ran_out_does_not() -> None:
    """Paying for the second place makes sense only at a point that is worth it."""
    finish = {"backend": "aer", "shots": 50, "iterations": 1}
    optimiser = {"name": "cobyla"}
    good = _prepared(optimiser=optimiser, finish=finish, stop={"tolerance": 0.1})
    short = _prepared(optimiser=optimiser, finish=finish, stop={"tolerance": 1e-9, "evaluations": 6})

    log, stopped, _ = _walked(good, seconds=600.0, forgetful=False)
    assert stopped == StopReason.FINISHED
    assert log[-1]["shots"] == 50
    log, stopped, _ = _walked(short, seconds=600.0, forgetful=False)
    assert stopped == StopReason.EVALUATIONS
    assert {block["shots"] for block in log} == {None}


@pytest.mark.parametrize(("second", "stopped"), [("aer", StopReason.PLATEAU), ("fake_manila", None)])
def test_a_plateau_is_one_of_values_from_one_place(second: str, stopped: StopReason | None) -> None:
    """No device is as good as the simulator was; its values are judged by themselves."""
    prepared = _prepared(optimiser={"name": "spsa"}, stop={"plateau": 3, "tolerance": 1e-12})
    loops._kept.clear()
    log: list[Any] = []
    for value, place in ((-2.0, "aer"), (-1.0, second), (-1.1, second), (-1.2, second)):
        answer = next_points({**_payload(prepared, log), "finishing": False}, lambda _: None)
        points = answer["points"]
        values = np.full(len(points) // 32, value).tobytes()
        log.append({"sizes": [len(points) // 32], "x": points, "values": values, "backend": place})
    last = next_points({**_payload(prepared, log), "finishing": False}, lambda _: None)

    assert last["stopped_by"] == stopped


def test_a_turn_that_is_made_again_asks_for_the_same_points() -> None:
    """Whichever child makes it; the seed is the iteration's."""
    prepared = _prepared(shots=10, optimiser={"name": "cma_es"})
    asked = []
    for forgetful in (True, False, True):
        if forgetful:
            loops._kept.clear()
        asked.append(next_points({**_payload(prepared, []), "finishing": False}, lambda _: None))

    assert asked[0] == asked[1] == asked[2]
    assert asked[0]["seed"] == iteration_base(3, 0)


def test_the_last_points_are_the_same_whoever_asks_and_their_circuit_too() -> None:
    """A job whose key is known has the same body each time."""
    prepared = _prepared(shots=10, optimiser={"name": "cobyla"})
    loops._kept.clear()
    first = next_points({**_payload(prepared, []), "finishing": False}, lambda _: None)
    log = [{"sizes": [1], "x": first["points"], "values": np.zeros(1).tobytes(), "backend": "aer"}]
    answers = []
    for _ in range(2):
        loops._kept.clear()
        answers.append(last_points({**_payload(prepared, log), "best": first["points"]}, lambda _: None))

    assert answers[0] == answers[1]
    assert answers[0]["points"] == first["points"] * 2
    assert answers[0]["answer_seed"] == answers[0]["seed"] + 2 * STRIDE
