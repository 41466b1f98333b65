"""Server-sent events over a real socket."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import requests

from gateway import app, events
from qurable.contracts.executions import Phase
from tests.chaos.harness import until
from tests.conftest import Stack
from tests.fakes.scripted import ScriptedBackend
from tests.gateway.conftest import Http, running_gateway
from tests.gateway.test_jobs import WAIT, bell

STATES = ["accepted", "validated", "compiled", "submitted", "running", "post_processing", "completed"]


def _read(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Events as `EventSource` reads them; comments and blank lines are none."""
    event: dict[str, Any] = {}
    for line in lines:
        if not line and event:
            yield event
            event = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = json.loads(value) if name == "data" else value


@contextlib.asynccontextmanager
async def following(http: Http, job: str, **headers: str) -> AsyncIterator["Stream"]:
    """A stream of a job's events, which is closed when it is left."""
    session = requests.Session()
    answer = await asyncio.to_thread(
        session.get, f"{http.base}/jobs/{job}/events", headers=headers, stream=True, timeout=60
    )
    try:
        yield Stream(answer)
    finally:
        answer.close()
        session.close()


class Stream:
    """An answer, event by event."""

    def __init__(self, answer: requests.Response) -> None:
        self.answer = answer
        self._events = _read(answer.iter_lines(chunk_size=1, decode_unicode=True))

    async def next(self) -> dict[str, Any] | None:
        """The next event; None at the end."""
        return await asyncio.to_thread(next, self._events, None)

    async def rest(self) -> list[dict[str, Any]]:
        """Events until the server closes the stream."""
        return await asyncio.to_thread(list, self._events)


async def test_every_state_change_is_told_and_then_the_stream_ends(http: Http) -> None:
    """From the first, numbered, with the state as the event's name."""
    job = (await http.post("/jobs", bell())).json()["id"]

    async with following(http, job) as stream:
        told = await stream.rest()

    assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
    assert [event["event"] for event in told] == STATES
    assert [event["id"] for event in told] == [str(number) for number in range(1, 8)]
    assert told[-1]["data"]["state"] == "completed"
    assert told[-1]["data"]["backend"] == "aer"


async def test_events_come_while_the_job_runs(stack: Stack) -> None:
    """Whoever watches sees the queue while the job is in it, not afterwards."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)

    async with stack(backends={"qpu": qpu}) as service, running_gateway(service.settings) as http:
        job = (await http.post("/jobs", bell(backend="qpu"))).json()["id"]
        async with following(http, job) as stream:
            before = [await stream.next() for _ in range(4)]
            await http.delete(f"/jobs/{job}")
            after = await stream.rest()

    assert [event["event"] for event in before if event] == STATES[:4]
    assert after[-1]["event"] == "cancelled"


@pytest.mark.parametrize(
    ("heard", "first"), [("3", 4), ("6", 7), ("0", 1), ("nonsense", 1), ("9" * 5000, 1), ("-1", 1)]
)
async def test_a_client_that_was_cut_off_goes_on_where_it_was(http: Http, heard: str, first: int) -> None:
    """Nothing is told twice, nothing is left out; an id that was never given counts as none."""
    job = (await http.post("/jobs", bell(), headers=WAIT)).json()["id"]

    async with following(http, job, **{"Last-Event-ID": heard}) as stream:
        told = await stream.rest()

    assert [int(event["id"]) for event in told] == list(range(first, 8))


async def test_a_client_that_has_heard_everything_is_told_not_to_come_back(http: Http) -> None:
    """An `EventSource` connects again after every end, until it gets 204."""
    job = (await http.post("/jobs", bell(), headers=WAIT)).json()["id"]

    answer = await http.get(f"/jobs/{job}/events", headers={"Last-Event-ID": "7"})

    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_client_that_goes_away_stops_the_looking(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand closed browser tabs must not read the store for ever."""
    qpu, followed, ended = ScriptedBackend("qpu", Phase.QUEUED), events._follow, asyncio.Event()

    async def watched(*arguments: Any) -> AsyncIterator[str]:
        try:
            async for line in followed(*arguments):
                yield line
        finally:
            ended.set()

    monkeypatch.setattr(events, "_follow", watched)
    async with stack(backends={"qpu": qpu}) as service, running_gateway(service.settings) as http:
        job = (await http.post("/jobs", bell(backend="qpu"))).json()["id"]
        async with following(http, job) as stream:
            await stream.next()
            assert not ended.is_set()
        await asyncio.wait_for(ended.wait(), 10)


async def test_a_job_that_is_terminated_ends_its_stream(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No worker records that end; after a while of silence Temporal is asked."""
    monkeypatch.setattr(events, "_QUIET_SECONDS", 0.2)
    qpu = ScriptedBackend("qpu", Phase.QUEUED)

    async with stack(backends={"qpu": qpu}) as service, running_gateway(service.settings) as http:
        job = (await http.post("/jobs", bell(backend="qpu"))).json()["id"]
        async with following(http, job) as stream:
            await stream.next()
            await asyncio.wait_for(qpu.queued.wait(), 30)
            await service.temporal.get_workflow_handle(job).terminate("by hand")
            told = await stream.rest()

    assert told[-1]["event"] == "failed"
    assert "terminated" in told[-1]["data"]["detail"]


async def test_a_gateway_that_stops_ends_its_streams_and_waits(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart takes no longer because somebody watches or waits; the job is not touched."""
    monkeypatch.setattr(
        app, "_GRACEFUL_STOP_SECONDS", 3600
    )  # nobody is cut off; they have to end by themselves
    qpu = ScriptedBackend("qpu", Phase.QUEUED)

    async with stack(backends={"qpu": qpu}) as service:
        async with asyncio.timeout(60), running_gateway(service.settings) as http:
            job = (await http.post("/jobs", bell(backend="qpu"))).json()["id"]
            stream = await asyncio.create_task(_stream(http, job))
            first = await stream.next()
            waiting = asyncio.create_task(
                http.post("/jobs", bell(backend="qpu", shots=3), headers={"Prefer": "wait=60"})
            )
            await until("both are submitted", lambda: len(qpu.submitted) == 2, 30)
        rest, waited = await stream.rest(), await waiting
        stream.answer.close()
        status = await service.qurable.status(job)

    assert first is not None
    assert first["event"] == "accepted"
    assert not any(event["event"] in {"completed", "failed", "cancelled"} for event in rest)
    assert waited.status_code == 202
    assert not status.state.final


async def _stream(http: Http, job: str) -> Stream:
    answer = await asyncio.to_thread(requests.get, f"{http.base}/jobs/{job}/events", stream=True, timeout=60)
    return Stream(answer)
