"""Rows of the matrix where the provider answers wrongly, late or not at all: every fault on every route."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.chaos.paid import Play, Round, Row
from tests.chaos.paid_house import READ_SECONDS, SETTLING_SECONDS, SPEED, Part

_SUBMIT = "POST /jobs"
_LIST = "GET /jobs"
_JOB = "GET /jobs/{id}"
_RESULTS = "GET /jobs/{id}/results"
_METRICS = "GET /jobs/{id}/metrics"
_CANCEL = "POST /jobs/{id}/cancel"
_USAGE = "GET /instances/usage"
_STATUS = "GET /backends/{name}/status"
_DEVICES = "GET /backends"
_CONFIGURATION = "GET /backends/{name}/configuration"
_PROPERTIES = "GET /backends/{name}/properties"
_TOKEN = "POST /identity/token"


@dataclass(frozen=True)
class Trouble:
    """One fault of the emulator's.

    Attributes:
        name: In the table.
        fault: As the control API takes it.
        ends: Class of the error that a job rightly ends with.
        quick: Whether its round is over within some seconds.
    """

    name: str
    fault: dict[str, Any]
    ends: str = ""
    quick: bool = False


def refusal(code: int, times: int = 1, **details: Any) -> dict[str, Any]:
    """A fault that answers an HTTP status."""
    return {"mode": "status", "status": code, "times": times, **details}


def answer(text: str, times: int = 1, **details: Any) -> dict[str, Any]:
    """A fault that answers a text of its own."""
    return {"mode": "body", "body": text, "times": times, **details}


_RETRY_AFTER: dict[str, Any] = {"headers": {"Retry-After": "1"}}
_LOST = {"after": True}
_WEIRD = json.dumps({"id": "x", "backend": "ibm_manila", "state": {"status": "Weird"}, "status": "Weird"})

_AT_SUBMIT = (
    Trouble("400", refusal(400), "RequestRejected", quick=True),
    Trouble("401", refusal(401), "AccountRefused"),
    Trouble("403", refusal(403), "AccountRefused"),
    Trouble("404", refusal(404), "UnknownBackend"),
    Trouble("409", refusal(409), "UsageExhausted"),
    Trouble("429", refusal(429)),
    Trouble("429, Retry-After 1", refusal(429, **_RETRY_AFTER), quick=True),
    *(Trouble(f"{code} before accept", refusal(code)) for code in (500, 502, 503, 504, 520)),
    *(
        Trouble(f"{code} after accept", refusal(code, **_LOST), quick=code == 500)
        for code in (500, 502, 503, 504, 520)
    ),
    Trouble("504 twice before accept", refusal(504, 2)),
    Trouble("504 twice after accept", refusal(504, 2, **_LOST)),
    Trouble("dropped before accept", {"mode": "drop"}),
    Trouble("dropped after accept", {"mode": "drop", **_LOST}, quick=True),
    Trouble("hangs before accept", {"mode": "hang", "seconds": READ_SECONDS + 1}),
    Trouble("hangs after accept", {"mode": "hang", "seconds": READ_SECONDS + 1, **_LOST}),
    Trouble("no JSON, not accepted", answer("<html>")),
    Trouble("no JSON, accepted", answer("<html>", **_LOST)),
    Trouble("no id, not accepted", answer("{}")),
    Trouble("no id, accepted", answer("{}", **_LOST)),
    Trouble("null, accepted", answer("null", **_LOST)),
    Trouble("truncated", {"mode": "truncate"}),
)

_WHILE_WAITING = (
    Trouble("401", refusal(401)),
    Trouble("403", refusal(403)),
    Trouble("404", refusal(404)),
    Trouble("409", refusal(409)),
    Trouble("429", refusal(429)),
    Trouble("429, Retry-After 1", refusal(429, **_RETRY_AFTER)),
    Trouble("500 three times", refusal(500, 3), quick=True),
    Trouble("503 ten times", refusal(503, 10)),
    Trouble("dropped", {"mode": "drop"}),
    Trouble("hangs", {"mode": "hang", "seconds": READ_SECONDS + 1}),
    Trouble("without state", answer("{}")),
    Trouble("no JSON", answer("<html>")),
    Trouble("null", answer("null")),
    Trouble("unknown status", answer(_WEIRD, 3), quick=True),
    Trouble("truncated", {"mode": "truncate"}),
)

_AT_FETCH = (
    Trouble("404", refusal(404)),
    Trouble("429", refusal(429)),
    Trouble("500", refusal(500)),
    Trouble("503 six times", refusal(503, 6)),
    Trouble("empty", answer("")),
    Trouble("no JSON", answer("not json"), quick=True),
    Trouble("{}", answer("{}")),
    Trouble("[1,2]", answer("[1,2]")),
    Trouble("null", answer("null")),
    Trouble("truncated", {"mode": "truncate"}, quick=True),
    Trouble("dropped", {"mode": "drop"}),
    Trouble("hangs", {"mode": "hang", "seconds": READ_SECONDS + 1}),
)

_BY_ROUTE: dict[str, tuple[Trouble, ...]] = {
    _SUBMIT: _AT_SUBMIT,
    _JOB: _WHILE_WAITING,
    _RESULTS: _AT_FETCH,
    _METRICS: (
        Trouble("500 three times", refusal(500, 3)),
        Trouble("404", refusal(404)),
        Trouble("no JSON", answer("<html>")),
        Trouble("{}", answer("{}")),
    ),
    _USAGE: (
        Trouble("401", refusal(401)),
        Trouble("404", refusal(404)),
        Trouble("429", refusal(429)),
        Trouble("500 twice", refusal(500, 2)),
        Trouble("dropped", {"mode": "drop"}),
    ),
    _STATUS: (
        Trouble("500", refusal(500)),
        Trouble("no JSON", answer("<html>")),
    ),
    _LIST: (
        Trouble("500 three times", refusal(500, 3)),
        Trouble("429 twice", refusal(429, 2)),
        Trouble("no JSON twice", answer("<html>", 2)),
        Trouble("counts and pages that disagree", {"mode": "duplicate_pages", "times": 6}),
    ),
}

_OF_DEVICES: dict[str, tuple[Trouble, ...]] = {
    _DEVICES: (
        Trouble("500 twice", refusal(500, 2)),
        Trouble("empty", answer('{"devices": []}')),
        Trouble("no JSON", answer("<html>")),
    ),
    _CONFIGURATION: (
        Trouble("404", refusal(404)),
        Trouble("500", refusal(500)),
        Trouble("{}", answer("{}")),
    ),
    _PROPERTIES: (Trouble("500", refusal(500)),),
}
"""Routes that are asked only of a device that was not described lately."""

_UNSEEN = ("ibm:belem", "ibm:lima", "ibm:quito", "ibm:bogota", "ibm:athens", "ibm:rome", "ibm:vigo")
"""Devices that nobody has asked for yet, one per row of those routes."""

_AT_THE_SECOND_LOOK = (
    Trouble("500", refusal(500)),
    Trouble("counts and pages that disagree", {"mode": "duplicate_pages", "times": 2}),
    Trouble("no JSON", answer("<html>")),
    Trouble("dropped", {"mode": "drop"}),
)

_AT_CANCEL = (
    Trouble("404", refusal(404), "JobCancelled"),
    Trouble("409", refusal(409), "JobCancelled"),
    Trouble("500", refusal(500), "JobCancelled", quick=True),
    Trouble("dropped, cancelled", {"mode": "drop", **_LOST}, "JobCancelled"),
    Trouble("dropped, not cancelled", {"mode": "drop"}, "JobCancelled"),
)


def fault_rows() -> Iterator[Row]:
    """Every fault on every route."""
    for route, troubles in _BY_ROUTE.items():
        for trouble in troubles:
            yield Row(
                "fault",
                f"{route}: {trouble.name}",
                _from_the_start(route, trouble),
                trouble.ends,
                quick=trouble.quick,
            )
    unseen = iter(_UNSEEN)
    for route, troubles in _OF_DEVICES.items():
        for trouble in troubles:
            play = _from_the_start(route, trouble, next(unseen))
            yield Row("fault", f"{route}: {trouble.name}", play, trouble.ends)
    for trouble in _AT_THE_SECOND_LOOK:
        yield Row("fault", f"{_LIST} after a lost answer: {trouble.name}", _at_the_second_look(trouble))
    for trouble in _AT_CANCEL:
        yield Row(
            "fault", f"{_CANCEL}: {trouble.name}", _at_cancel(trouble), trouble.ends, quick=trouble.quick
        )
    yield Row("fault", f"{_TOKEN}: 500 when the token has expired in the queue", _expired_and_iam_down)
    yield Row("fault", "token expired in the queue", _expired, quick=True)
    yield Row("fault", "job unknown by id and tag (404 until resubmitted)", _vanished)
    for step in ("submit-0", "await_start-0", "fetch-0"):
        yield Row("fault", f"host dead for a while at {step}", _dead_for_a_while(step))
    yield Row("fault", "tag index slow, within the setting", _index_within_the_setting)
    yield Row("fault", "index slower than the setting", _index_too_slow, excused=True)


def _from_the_start(route: str, trouble: Trouble, device: str | None = None) -> Play:
    async def play(round_: Round) -> None:
        await round_.home.control.call("POST", "/faults", {"route": route, **trouble.fault})
        await (round_.start() if device is None else round_.start(device=device))

    return play


def _at_the_second_look(trouble: Trouble) -> Play:
    async def play(round_: Round) -> None:
        await round_.home.control.fault(_SUBMIT, "drop", after=True)
        await round_.stop_at("ibm:unclear")
        await round_.home.control.call("POST", "/faults", {"route": _LIST, **trouble.fault})
        round_.house.release("ibm:unclear")

    return play


def _at_cancel(trouble: Trouble) -> Play:
    async def play(round_: Round) -> None:
        await round_.home.control.settings(hold=True)
        await round_.home.control.call("POST", "/faults", {"route": _CANCEL, **trouble.fault})
        await round_.start()
        await round_.until_began("await_start-0")
        round_.wanted = False
        await round_.house.qurable.cancel(round_.job_id)

    return play


async def _in_the_queue(round_: Round) -> None:
    await round_.home.control.settings(hold=True)
    await round_.start()
    await round_.until_ended("await_start-0", "waiting")


async def _expired(round_: Round) -> None:
    await _in_the_queue(round_)
    await round_.home.control.tokens(revoke=True)
    await round_.home.control.settings(hold=False)


async def _expired_and_iam_down(round_: Round) -> None:
    await _in_the_queue(round_)
    await round_.home.control.fault(_TOKEN, "status", status=500, times=3)
    await round_.home.control.tokens(revoke=True)
    await round_.home.control.settings(hold=False)


async def _vanished(round_: Round) -> None:
    await _in_the_queue(round_)
    (taken,) = await round_.jobs_of()
    await round_.home.control.set_job(taken["id"], vanish=True)
    await round_.home.control.settings(hold=False)


def _dead_for_a_while(step: str) -> Play:
    async def play(round_: Round) -> None:
        await round_.stop_at(f"{step}:begun")
        round_.home.kill(Part.EMULATOR)
        round_.house.release(f"{step}:begun")
        await round_.until_ended(step, "failed", "waiting")
        await round_.home.start(Part.EMULATOR)

    return play


async def _index_within_the_setting(round_: Round) -> None:
    await round_.home.control.settings(tag_lag_seconds=0.8 * SPEED)
    await round_.home.control.fault(_SUBMIT, "drop", after=True)
    await round_.start()


async def _index_too_slow(round_: Round) -> None:
    """A job that shows up after the second attempt was sent, although the setting says it would before."""
    await round_.home.control.settings(tag_lag_seconds=1.5 * SETTLING_SECONDS * SPEED)
    await round_.home.control.fault(_SUBMIT, "drop", after=True)
    await round_.start()
    await asyncio.shield(round_.finish())
    await round_.until_duplicates_are_found()
