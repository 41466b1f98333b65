"""`qurable optimize` and `qurable loop`, as a shell runs them, where a loop goes from one place to another."""

import json
from pathlib import Path
from typing import Any

import pytest

from qurable.cli.loop_places import wishes
from qurable.cli.show_loops import read_loop, read_steering
from qurable.errors import RequestRejected
from qurable.optimising import as_optimisation
from tests.circuits.test_problem_files import FCIDUMP
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


@pytest.mark.parametrize(
    ("options", "stopped_by"),
    [(("--tolerance", "0.2"), "converged"), (("--target", "-0.5", "--tolerance", "1e-9"), "target")],
)
async def test_a_loop_of_a_molecule_ends_by_the_rule_that_the_command_names(
    service: Service, tmp_path: Path, options: tuple[str, ...], stopped_by: str
) -> None:
    """Its modes become qubits as the command says too, and the report tells which way that was."""
    file = tmp_path / "h2.fcidump"
    file.write_text(FCIDUMP, encoding="ascii")
    begun = ("optimize", str(file), "--ansatz", "real_amplitudes:1", "--optimiser", "cobyla", "--seed", "3")

    ended = await qurable(service, *begun, "--mapping", "parity", *options, "--json")

    assert ended.code == 0, ended.err
    assert ended.document["stopped_by"] == stopped_by
    assert ended.document["spent"]["evaluations"] < 1000
    assert ended.document["reading"]["meaning"] == "a Hamiltonian of 4 modes, mapped by parity"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a.fcidump", ("--mapping", "bravyi_kitaev"), "jordan_wigner"),
        ("a.gset", ("--mapping", "parity"), "mapping says nothing of a g_set file"),
        ("a.json", ("--mapping", "parity"), "--mapping: for files of other formats"),
        ("a.json", ("--index-base", "1"), "--index-base: for files of other formats"),
        ("a.json", ("--table", "qubo"), "--table: for files of other formats"),
        ("a.fcidump", ("--tolerance", "0"), "tolerance"),
        ("a.fcidump", ("--target", "nan"), "target"),
    ],
)
async def test_a_mapping_or_a_rule_that_means_nothing_is_refused(
    service: Service, tmp_path: Path, name: str, options: tuple[str, str], words: str
) -> None:
    """Before anything starts, by the name of the option."""
    file = tmp_path / name
    maxcut = {"kind": "maxcut", "num_nodes": 2, "edges": [[0, 1, 1]]}
    file.write_text(json.dumps(maxcut) if name == "a.json" else FCIDUMP, encoding="ascii")

    ended = await qurable(service, "optimize", str(file), "--ansatz", "real_amplitudes:1", *options)

    assert ended.code == 2
    assert words in ended.err


def test_a_rule_that_the_command_names_leaves_a_documents_other_rules(tmp_path: Path) -> None:
    """Else a loop with a deadline would run for ever because somebody named a target."""
    file = tmp_path / "loop.json"
    document = {
        "kind": "optimisation",
        "observable": {"ZZ": 1.0},
        "ansatz": {"family": "real_amplitudes"},
        "stop": {"deadline": 60, "target": 1.0},
    }
    file.write_text(json.dumps(document), encoding="ascii")

    work, ansatz, fields = read_loop(file, None, None, None, None, None, {"stop": {"target": -1.0}})
    stop = as_optimisation(work, ansatz, **fields).stop

    assert stop.target == -1.0
    assert stop.deadline is not None
    assert stop.deadline.total_seconds() == 60
