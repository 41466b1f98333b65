"""`qurable optimize` and `qurable loop`, as a shell runs them, where a loop goes from one place to another."""

from pathlib import Path
from typing import Any

import pytest

from qurable.cli.loop_places import wishes
from qurable.cli.show_loops import read_steering
from qurable.errors import RequestRejected
from tests.cli.shell import qurable
from tests.conftest import Service

_NOTHING: dict[str, Any] = {
    "backend": None,
    "finish": None,
    "finish_shots": None,
    "finish_iterations": None,
    "finish_after": None,
    "ibm": None,
    "budget": None,
}


@pytest.mark.long
async def test_a_loop_that_finishes_elsewhere_says_what_was_where(service: Service, tmp_path: Path) -> None:
    """In the document and in words; one that has ended is switched no more."""
    file = tmp_path / "ring.edges"
    file.write_text("0 1\n1 2\n2 3\n3 0\n", encoding="utf-8")
    command = (
        *("optimize", str(file), "--ansatz", "qaoa:1", "--optimiser", "cobyla", "--key", "cli-places"),
        *(
            "--finish",
            "fake_manila",
            "--finish-shots",
            "50",
            "--finish-iterations",
            "1",
            "--finish-after",
            "2",
        ),
    )

    ended = await qurable(service, *command, "--json")
    told = await qurable(service, *command)
    switched = await qurable(service, "loop", ended.document["id"], "--switch", "fake_lima")

    assert (ended.code, ended.document["stopped_by"]) == (0, "finished")
    assert [(place["backend"], place["iterations"]) for place in ended.document["places"]] == [
        ("aer", 2),
        ("fake_manila", 1),
    ]
    assert "on fake_manila" in told.out
    assert "3 jobs" in told.out
    assert switched.code == 2
    assert "ended" in switched.err


def test_options_become_fields_of_a_loop() -> None:
    """As the contract reads them."""
    found = wishes(
        backend="ibm:torino",
        finish="ibm:fez",
        finish_shots=10,
        finish_iterations=None,
        finish_after="plateau",
        ibm=["mode=batch"],
        budget=["60s"],
    )

    assert found["finish"] == {"backend": "ibm:fez", "shots": 10, "when": "plateau"}
    assert found["ibm"] == {"mode": "batch"}
    assert found["budget"].qpu_seconds == 60
    assert wishes(**{**_NOTHING, "finish": "aer", "finish_after": "7"})["finish"] == {
        "backend": "aer",
        "when": "iterations",
        "explore": 7,
    }
    with pytest.raises(RequestRejected, match="--finish BACKEND"):
        wishes(**{**_NOTHING, "finish_shots": 5})


def test_a_switch_is_a_change_of_its_own() -> None:
    """Nothing else has to be changed with it."""
    steering = read_steering(stop=False, pause=False, resume=False, shots=None, switch="fake_lima")

    assert steering is not None
    assert (steering.backend, steering.pause, steering.shots) == ("fake_lima", None, None)
