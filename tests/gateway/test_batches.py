"""Batches over HTTP: the same door as a job's, for any number of them."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from gateway.batches import _follow
from gateway.connections import Connections
from qurable.blocking import BlockingQurable
from qurable.contracts.reports import State
from qurable.errors import HybridError, NoWorker
from qurable.requests import as_circuit
from tests.circuits_at_hand import BELL
from tests.conftest import Service
from tests.gateway.conftest import Http


def job(seed: int, **fields: Any) -> dict[str, Any]:
    """As `POST /jobs` takes it."""
    return {
        "kind": "sample",
        "backend": "aer",
        "seed": seed,
        "pubs": [{"circuit": BELL, "shots": 50}],
        **fields,
    }


async def ended(http: Http, answer: Any) -> Any:
    """The document of a batch that was started, once it has ended."""
    assert answer.status_code == 202, answer.text
    return await http.until(answer.headers["Location"], lambda batch: batch["state"] != "running")


async def test_a_batch_is_told_page_by_page_and_line_by_line(http: Http) -> None:
    """From an array or from lines; the same key with the same jobs is the same batch, with others a conflict."""
    jobs = [job(seed, labels={"seed": str(seed)}) for seed in (7, 8, 9)]
    key = {"Idempotency-Key": "pages"}

    started = await http.post("/batches?project=lab", jobs, headers=key)
    batch = await ended(http, started)
    again = await http.post("/batches?project=lab", jobs, headers=key)
    other = await http.post("/batches?project=lab", jobs[:1], headers=key)
    first = (await http.get(f"{batch['links']['items']}?limit=2")).json()
    rest = (await http.get(first["next"])).json()
    lines = await http.get(batch["links"]["items"], headers={"Accept": "application/jsonl"})
    alone = (await http.post("/jobs", jobs[0], headers={"Prefer": "wait=60"})).json()
    as_job = [await http.get(f"/jobs/{batch['id']}{what}") for what in ("", "/why", "/results", "/events")]

    assert (batch["state"], batch["report"]["counts"], batch["error"]) == (
        "completed",
        {"completed": 3},
        None,
    )
    assert (again.json()["id"], other.status_code) == (batch["id"], 409)
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (2, 1, None)
    told = [*first["items"], *rest["items"]]
    assert [json.loads(line) for line in lines.text.splitlines()] == told
    assert {item["labels"]["seed"]: item["seed"] for item in told} == {"7": 7, "8": 8, "9": 9}
    (mine,) = [item for item in told if item["seed"] == 7]
    assert mine["results"] == alone["results"]
    assert [answer.status_code for answer in as_job] == [404] * 4


async def test_what_is_no_batch_is_refused_by_what_is_wrong(http: Http) -> None:
    """QPY too, however it is written: it is taken from the typed client alone."""
    qpy = as_circuit_document()
    text = "\n".join((json.dumps(job(1)), "no job", json.dumps(qpy).replace('"qpy"', '"\\u0071py"')))
    lines = {"Content-Type": "application/jsonl"}

    stopped = await ended(http, await http.call("POST", "/batches", data=text, headers=lines))
    went_on = await ended(http, await http.call("POST", "/batches?on_error=go-on", data=text, headers=lines))
    no_array = await http.post("/batches", job(1))
    no_json = await http.call("POST", "/batches", data="{", headers={"Content-Type": "application/json"})
    no_type = await http.call("POST", "/batches", data="a,b", headers={"Content-Type": "text/csv"})
    empty = await http.post("/batches", [])
    unknown = await http.get("/batches/lab-batch-0123456789abcdef01234567")

    assert (stopped["state"], stopped["error"]["details"]["lines"]) == ("failed", [2, 3])
    assert "QPY" in stopped["error"]["message"]
    assert [line["line"] for line in went_on["broken"]] == [2, 3]
    assert went_on["counts"] == {"completed": 1}
    assert [answer.status_code for answer in (no_array, no_json, no_type, empty, unknown)] == [422] * 4 + [
        404
    ]


def as_circuit_document() -> dict[str, Any]:
    """A job whose circuit is QPY."""
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    body = as_circuit(circuit).qpy
    assert body is not None
    pub = {"circuit": {"format": "qpy", "qpy": base64.urlsafe_b64encode(body).decode()}, "shots": 10}
    return {"kind": "sample", "backend": "aer", "pubs": [pub]}


async def test_a_batch_is_cancelled_and_run_again(http: Http) -> None:
    """What waits for a stage that nobody runs ends as cancelled, and once more."""
    hook = {"before": {"activity": "never", "task_queue": "nobody"}}
    started = await http.post("/batches", [job(1), job(2, hooks=hook)])
    place = started.headers["Location"]
    await http.until(place, lambda batch: batch["counts"].get("completed") == 1)

    cancelling = await http.delete(place)
    cancelled = await ended(http, started)
    stays = await http.delete(place)
    rerun = await http.post(f"{place}/rerun")
    await http.until(place, lambda batch: batch["counts"].get("accepted") == 1)
    await http.delete(place)
    twice = await ended(http, started)

    assert (cancelling.status_code, stays.status_code, rerun.status_code) == (202, 200, 202)
    assert (cancelled["state"], cancelled["counts"]) == ("cancelled", {"completed": 1, "cancelled": 1})
    assert twice["report"]["chunks"] == cancelled["report"]["chunks"] + 1


class Endless:
    """A batch that has no item yet.

    Args:
        failure: What asking for one ends in; None where it waits for ever.
    """

    def __init__(self, failure: HybridError | None = None) -> None:
        self.failure = failure
        self.stopping = asyncio.Event()
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def qurable(self) -> "Endless":
        """The client, which is this too."""
        return self

    def attach_batch(self, _: str) -> "Endless":
        """The batch, which is this too."""
        return self

    async def results(self, after: int) -> AsyncIterator[Any]:
        """Nothing."""
        self.asked.set()
        if self.failure is not None:
            raise self.failure
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
        yield after


async def test_nothing_is_looked_up_for_whoever_has_left() -> None:
    """Each look is a workflow."""
    batch = Endless()
    lines = _follow(cast("Connections", batch), "a-batch", 0)
    reading = asyncio.ensure_future(anext(lines))
    await asyncio.wait_for(batch.asked.wait(), 10)
    reading.cancel()
    await asyncio.wait([reading], timeout=10)

    await asyncio.wait_for(batch.left.wait(), 10)


async def test_lines_that_are_not_all_are_broken_off() -> None:
    """A transfer that ends well would say that there are no more."""
    batch = Endless(NoWorker("nobody answers"))

    with pytest.raises(NoWorker):
        await anext(_follow(cast("Connections", batch), "a-batch", 0))


async def test_the_blocking_client_has_the_same_verbs(service: Service) -> None:
    """For code without an event loop."""
    import asyncio

    def run() -> tuple[Any, ...]:
        with BlockingQurable(service.server.target, home=service.settings.home) as client:
            identity = client.batch([job_of(3), job_of(4)], key="blocking")
            items = list(client.batch_results(identity))
            again = client.run_batch_again(identity)
            return client.batch_report(identity), items, again == identity, client.batch_status(identity)

    report, items, same, status = await asyncio.to_thread(run)

    assert report.counts == {State.COMPLETED: 2}
    assert sorted(item.seed for item in items) == [3, 4]
    assert (same, status.items) == (True, 2)


def job_of(seed: int) -> Any:
    """As the typed client has it."""
    from qurable.contracts.jobs import SampleJob

    return SampleJob.model_validate(job(seed))
