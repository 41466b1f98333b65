"""A paid job on the command line: what it cost, where it ran and under which id."""

import json
import re
from pathlib import Path

import pytest

from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.cli.shell import qurable
from tests.paid import DEVICE, Paid


def _file(folder: Path) -> str:
    file = folder / "bell.qasm"
    file.write_text(BELL, encoding="ascii")
    return str(file)


async def test_run_says_what_was_paid(paid: Paid, tmp_path: Path) -> None:
    """The provider's id, its queue, the QPU's seconds, their price and the layout."""
    await paid.control.device("ibm_manila", queue_length=2)

    ended = await qurable(paid.service, "run", _file(tmp_path), "--shots", "300", "--backend", DEVICE)

    job = await paid.one()
    assert ended.code == 0, ended.err
    (provider,) = re.findall(r"^provider (.*)$", ended.out, re.MULTILINE)
    assert job["id"] in provider
    assert re.search(r"\d+\.\d\d QPU seconds, \d+\.\d\d USD$", provider)
    assert re.search(r"queue[d ].*\d", provider)
    assert re.search(r"^layout +.*\d+, \d+", ended.out, re.MULTILINE)
    assert f"served by {DEVICE}" in ended.out
    assert re.search(r"^warning .*emulated", ended.out, re.MULTILINE)
    for state in ("submitted", "running", "completed"):
        assert state in ended.err


async def test_the_document_says_it_in_fields(paid: Paid, tmp_path: Path) -> None:
    """Programs read the same from `run --json` and from `result --json`."""
    ended = await qurable(
        paid.service, "run", _file(tmp_path), "--shots", "300", "--backend", DEVICE, "--json"
    )
    again = await qurable(paid.service, "result", ended.document["id"], "--json")

    job = await paid.one()
    (record,) = ended.document["provider_jobs"]
    assert (record["id"], record["state"], record["currency"]) == (job["id"], "done", "USD")
    assert record["qpu_seconds"] == ended.document["qpu_seconds"] > 0
    assert record["price"] == ended.document["price"] > 0
    assert record["queue_seconds"] == ended.document["durations"]["queue"]
    assert ended.document["provenance"]["provider_job"] == job["id"]
    assert len(ended.document["provenance"]["circuits"][0]["layout"]) == 2
    assert again.document == ended.document


@pytest.mark.long
async def test_options_in_ibms_words_come_with_the_job_document(paid: Paid, tmp_path: Path) -> None:
    """A job as JSON has the fields of IBM's options; the session is in the report."""
    file = tmp_path / "job.json"
    document = {
        "kind": "estimate",
        "pubs": [{"circuit": {"text": BELL}, "observables": ["XX"], "precision": 0.05}],
        "backend": DEVICE,
        "ibm": {"mode": "session", "resilience_level": 1, "dynamical_decoupling": {"sequence_type": "XpXm"}},
    }
    file.write_text(json.dumps(document), encoding="utf-8")

    ended = await qurable(paid.service, "run", str(file), "--json")

    (session,) = await paid.sessions()
    assert ended.code == 0, ended.err
    assert [record["session"] for record in ended.document["provider_jobs"]] == [session["id"]]
    assert abs(ended.document["results"][0]["evs"]["values"][0] - 1.0) < 0.5


@pytest.mark.long
async def test_a_cancelled_job_is_withdrawn_at_the_provider(paid: Paid, tmp_path: Path) -> None:
    """`submit`, `status`, `cancel`: the provider's queue is what one sees meanwhile."""
    await paid.control.settings(hold=True)
    submitted = await qurable(paid.service, "submit", _file(tmp_path), "--backend", DEVICE, "--json")
    job_id = submitted.document["id"]
    (taken,) = await paid.until_taken()

    async def queued() -> bool:
        status = await qurable(paid.service, "status", job_id, "--json")
        return bool(status.document["state"] == "queued")

    await until("the job is queued", queued, 60)
    cancelled = await qurable(paid.service, "cancel", job_id)
    await paid.until_status(taken["id"], "Cancelled")

    assert cancelled.code == 0


async def test_what_is_wrong_with_a_device_is_one_line_on_standard_error(paid: Paid, tmp_path: Path) -> None:
    """Bad input ends with 2 or 4, and no trace."""
    unknown = await qurable(paid.service, "run", _file(tmp_path), "--backend", "ibm:manilla")

    assert unknown.code in (2, 4)
    assert "ibm_manila" in unknown.err
    assert "Traceback" not in unknown.err


@pytest.mark.long
async def test_backends_lists_the_devices_with_their_queues(paid: Paid) -> None:
    """What the account sees now; it says that they are emulated."""
    await paid.control.device("ibm_lima", queue_length=7)

    listed = await qurable(paid.service, "backends", "--json")

    devices = {entry["name"]: entry for entry in listed.document if entry["paid"]}
    assert devices["ibm:lima"]["pending_jobs"] == 7
    assert devices[DEVICE]["num_qubits"] == 5
    assert all(entry["emulated"] and name.startswith("ibm:") for name, entry in devices.items())
