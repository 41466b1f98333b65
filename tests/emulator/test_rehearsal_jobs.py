"""What may be rehearsed, and how a job is changed for it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator.rehearsal import Asked, read_jobs
from emulator.rehearsal_playing import compressed
from qurable.errors import RequestRejected
from qurable.requests import sample
from tests.circuits_at_hand import BELL


def job(**changes: Any) -> str:
    """A job as a line of JSON."""
    return json.dumps({"kind": "sample", "pubs": [{"circuit": BELL, "shots": 10}], **changes})


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_circuit_runs_on_whichever_device_is_free(tmp_path: Path) -> None:
    """Unless one is named; shots are as `run` takes them."""
    file = written(tmp_path, "bell.qasm", BELL)

    (chosen,) = read_jobs(Asked(file, shots=77))
    (named,) = read_jobs(Asked(file, backend="ibm:torino"))

    assert (chosen.backend, named.backend) == ("ibm", "ibm:torino")
    assert chosen.pubs[0].shots == 77  # type: ignore[union-attr]


def test_lines_are_jobs_that_run_together(tmp_path: Path) -> None:
    """Each with a backend of its own, unless one is named for all."""
    text = "\n".join([job(backend="ibm:fez"), "", job()])
    file = written(tmp_path, "batch.jsonl", text)

    assert [one.backend for one in read_jobs(Asked(file))] == ["ibm:fez", "ibm"]
    assert [one.backend for one in read_jobs(Asked(file, backend="ibm:torino"))] == ["ibm:torino"] * 2


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("bell.jsonl", "\n", "holds 0 jobs; a rehearsal takes 1 to 100"),
        ("many.jsonl", "\n".join([job()] * 101), "holds 101 jobs; a rehearsal takes 1 to 100"),
        ("bad.jsonl", job() + "\n{", "bad.jsonl', line 2, column 2"),
        ("list.jsonl", "[]", "list.jsonl', line 1: a job is a JSON object"),
        ("deep.jsonl", "[" * 100_000, "line 1: maximum recursion depth"),
        ("digits.jsonl", "9" * 10_000, "line 1: .*4300"),
        ("field.jsonl", job(shotz=1), r"field\.jsonl', line 1 is not acceptable: .*shotz"),
        ("aer.json", job(backend="aer"), "nothing to rehearse on 'aer': give --backend ibm, or ibm:<device>"),
    ],
)
def test_what_cannot_be_rehearsed_is_refused_with_its_place(
    tmp_path: Path, name: str, text: str, named: str
) -> None:
    """Before anything is started."""
    with pytest.raises(RequestRejected, match=named):
        read_jobs(Asked(written(tmp_path, name, text)))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With or without lines."""
    for name in ("none.qasm", "none.jsonl", "none.json"):
        with pytest.raises(RequestRejected, match=f"there is no file .*{name}"):
            read_jobs(Asked(tmp_path / name))


def test_a_rehearsed_job_is_the_same_under_another_key_with_shorter_limits() -> None:
    """Half an hour passes in a second at the least, and a busy machine gets some seconds more; short ones stay."""
    asked = sample(
        BELL, shots=10, key="mine", limits={"queue": 24 * 3600, "run": timedelta(seconds=5), "total": 36_000}
    )

    played, again = compressed(asked), compressed(asked)

    assert len({asked.key, played.key, again.key}) == 3
    as_asked = {"key": asked.key, "limits": asked.limits, "fallback": asked.fallback}
    assert played.model_copy(update=as_asked) == asked
    assert played.fallback.policy == "none"  # it is this place that is rehearsed
    assert played.limits.queue == timedelta(seconds=48 + 12)
    assert played.limits.run == timedelta(seconds=5)
    assert played.limits.total == timedelta(seconds=20 + 45)
