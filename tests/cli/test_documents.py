"""A job's document beside options: what is said twice, what is said once, and what no option can say of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from qurable.cli.jobs import read_job
from qurable.cli.options import Wishes
from qurable.contracts.jobs import SampleJob
from qurable.errors import RequestRejected
from qurable.requests import sample
from tests.circuits_at_hand import BELL

_SAID: dict[str, Any] = {
    "backend": "ibm:torino",
    "project": "chem",
    "ibm": {"max_execution_time": 30},
    "fallback": {"leave_house": False},
    "limits": {"queue": 60},
    "budget": {"qpu_seconds": 90},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A job with limits of its own."""
    file = tmp_path / "job.json"
    document = json.loads(sample(BELL, shots=1000).model_dump_json())
    file.write_text(json.dumps({**document, **_SAID}), encoding="utf-8")
    return file


def test_an_option_takes_the_place_of_what_it_names_and_of_nothing_else(file: Path) -> None:
    """Else one more option would take a limit of cost away, or let data out of the house."""
    wishes = Wishes(
        ibm=["resilience_level=0"], fallback=["least_shots=100"], deadline=600, budget=["25EUR"], seed=3
    )
    job = read_job(file, wishes)

    assert isinstance(job, SampleJob)
    assert (job.ibm.max_execution_time, job.ibm.resilience_level) == (30, 0)
    assert (job.fallback.leave_house, job.fallback.least_shots) == (False, 100)
    assert job.limits.queue.total_seconds() == 60
    assert job.limits.total is not None
    assert (job.budget.qpu_seconds, job.budget.price, job.budget.currency) == (90, 25, "EUR")
    assert (job.backend, job.project, job.seed, job.pubs[0].shots) == ("ibm:torino", "chem", 3, 1000)


def test_a_default_that_is_said_is_said(file: Path) -> None:
    """Whoever writes `--backend auto` does not want the document's device."""
    job = read_job(file, Wishes(backend="auto", project="default"))

    assert (job.backend, job.project) == ("auto", "default")


@pytest.mark.parametrize(
    ("wishes", "named"),
    [
        (Wishes(shots=10), "--shots"),
        (Wishes(precision=0.1), "--precision"),
        (Wishes(observables=["ZZ"]), "--observable"),
        (Wishes(parameters=["a=1"]), "--parameter"),
    ],
)
def test_what_the_pubs_say_is_not_said_beside_them(file: Path, wishes: Wishes, named: str) -> None:
    """An option that nobody heeds is worse than one that is refused."""
    with pytest.raises(RequestRejected, match=f"{named}: a job's document says that of each pub"):
        read_job(file, wishes)


def test_shots_and_a_precision_exclude_each_other(tmp_path: Path) -> None:
    """Also for a circuit in a file."""
    circuit = tmp_path / "bell.qasm"
    circuit.write_text(BELL, encoding="ascii")

    with pytest.raises(RequestRejected, match="shots"):
        read_job(circuit, Wishes(shots=10, precision=0.1, observables=["ZZ"]))


@pytest.mark.parametrize("suffix", [".qasm", ".json", ".lp"])
def test_a_text_in_the_place_of_its_file_is_refused(suffix: str) -> None:
    """No name is as long as a program."""
    with pytest.raises(RequestRejected, match="cannot be read: File name too long"):
        read_job(Path("h q[0];" * 100 + suffix), Wishes())
