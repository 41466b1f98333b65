"""Every failure of the client and its provider is an error of this project, of the right class, and tells no secret."""

import importlib
import inspect
from typing import Any

import pytest

from backends.ibm import bearer
from backends.ibm.failures import CLASSES, scrub, translated, translation_of
from backends.ibm.permits import Exchange, Permit, Watch
from qurable.errors import (
    BY_CODE,
    AccountRefused,
    HybridError,
    JobTooLarge,
    RequestRejected,
    SessionClosed,
    StateUnknown,
    SubmissionUnclear,
    TargetClosed,
    TargetSaturated,
    TargetUnavailable,
    UnknownBackend,
    UsageExhausted,
)
from tests.backends.ibm.driving import DEVICE, Driver
from tests.chaos.ports import free_port

_EXPORTED = (
    "qiskit_ibm_runtime.exceptions",
    "qiskit_ibm_runtime.api.exceptions",
    "qiskit_ibm_runtime.accounts.exceptions",
    "ibm_cloud_sdk_core.api_exception",
    "requests.exceptions",
    "urllib3.exceptions",
)


def _exceptions() -> list[type[BaseException]]:
    found = {
        kind
        for module in map(importlib.import_module, _EXPORTED)
        for kind in vars(module).values()
        if inspect.isclass(kind)
        and issubclass(kind, Exception)
        and not issubclass(kind, Warning)
        and kind.__module__.partition(".")[0] == module.__name__.partition(".")[0]
    }
    return sorted(found, key=lambda kind: f"{kind.__module__}.{kind.__name__}")


@pytest.mark.parametrize("kind", _exceptions(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_exception_that_the_client_exports_has_a_translation(kind: type[BaseException]) -> None:
    """Nothing of the vendor's leaves its file; those of IBM's client are listed one by one, since a new one has a reason."""
    translation = translation_of(kind)

    assert translation is not None
    assert translation.__name__ in BY_CODE
    if kind.__module__.startswith("qiskit_ibm_runtime"):
        assert f"{kind.__module__}.{kind.__qualname__}" in CLASSES


def test_a_defect_of_ours_is_not_taken_for_the_providers() -> None:
    """An exception that did not come out of the client keeps its name and its trace."""
    nothing: dict[str, str] = {}
    with pytest.raises(KeyError), translated(Watch(), "testing"):
        _ = nothing["ours"]


def test_whatever_happens_after_a_submission_was_sent_leaves_it_unclear() -> None:
    """Even want of memory: a job may be there, and another must not be sent before it was looked for."""
    sent = Permit(0.0, 1.0, Exchange("POST", "/jobs", status=200, body=b"<html>", sent=True))
    with pytest.raises(SubmissionUnclear), translated(Watch(permit=sent), "testing"):
        raise MemoryError
    with pytest.raises(MemoryError), translated(Watch(permit=Permit(0.0, 1.0)), "testing"):
        raise MemoryError


def test_messages_hold_no_key_and_no_token() -> None:
    """They go into histories, logs and reports."""
    token = "eyJhbGciOi.eyJpYXQiOjF9.c2lnbmF0dXJl"
    bearer._keys.add("a-key-of-some-length")
    bearer._bearers[("iam", "a-key-of-some-length")] = bearer._Bearer("an-opaque-token", {}, 0.0)
    text = (
        f"Authorization: Bearer abc.def refused, apikey AbC-123_x, {token}, a-key-of-some-length, an-opaque-token, "
        "http://user:secret@proxy:3128"
    )

    scrubbed = scrub(text)
    bearer.forget_tokens()

    for secret in ("abc.def", "AbC-123_x", token, "a-key-of-some-length", "an-opaque-token", "user:secret"):
        assert secret not in scrubbed


_SUBMISSIONS: list[tuple[str, dict[str, Any], type[HybridError]]] = [
    ("bad request", {"mode": "status", "status": 400, "message": "pubs are missing"}, RequestRejected),
    ("token", {"mode": "status", "status": 401}, AccountRefused),
    ("permission", {"mode": "status", "status": 403, "message": "not yours"}, AccountRefused),
    ("reserved", {"mode": "status", "status": 403, "message": "device is reserved for others"}, TargetClosed),
    ("maintenance", {"mode": "status", "status": 409, "message": "backend in maintenance"}, TargetClosed),
    ("no such device", {"mode": "status", "status": 404, "message": "backend not found"}, UnknownBackend),
    ("usage", {"mode": "status", "status": 409, "message": "usage exceeds instance limit"}, UsageExhausted),
    ("usage as 403", {"mode": "status", "status": 403, "message": "Usage limit reached"}, UsageExhausted),
    ("session", {"mode": "status", "status": 409, "message": "Session is closed"}, SessionClosed),
    (
        "session as 400",
        {"mode": "status", "status": 400, "message": "The session has expired"},
        SessionClosed,
    ),
    ("too large", {"mode": "status", "status": 413}, JobTooLarge),
    ("too fast", {"mode": "status", "status": 429}, TargetSaturated),
    ("slow proxy", {"mode": "status", "status": 408}, SubmissionUnclear),
    ("error before", {"mode": "status", "status": 500}, SubmissionUnclear),
    ("drop before", {"mode": "drop"}, SubmissionUnclear),
    ("drop after", {"mode": "drop", "after": True}, SubmissionUnclear),
    ("no answer", {"mode": "hold", "after": True}, SubmissionUnclear),
    ("half an answer", {"mode": "truncate"}, SubmissionUnclear),
    (
        "a web page",
        {"mode": "body", "body": "<html>", "content_type": "text/html", "after": True},
        SubmissionUnclear,
    ),
    ("no id", {"mode": "body", "body": "{}", "after": True}, SubmissionUnclear),
    ("an odd id", {"mode": "body", "body": '{"id": 7, "backend": "x"}', "after": True}, SubmissionUnclear),
]


@pytest.mark.parametrize(("name", "fault", "kind"), _SUBMISSIONS, ids=[row[0] for row in _SUBMISSIONS])
async def test_a_submission_fails_as_what_it_failed_of(
    driver: Driver, name: str, fault: dict[str, Any], kind: type[HybridError]
) -> None:
    """Certainly not taken, or unclear: the difference decides whether a second one may be sent."""
    tag = f"fails-{name.replace(' ', '-')}"
    await driver.emulator.control.fault("POST /jobs", **fault)

    error = await driver.refused("post", **driver.posting(tag))

    assert type(error) is kind
    assert error.details["sent"] is True
    assert await driver.submissions() == 1
    assert kind is SubmissionUnclear or await driver.jobs(tag) == []
    if fault["mode"] == "status":
        assert error.details["status"] == fault["status"]
        assert error.details["code"] == 1000


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("17", 17.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("soon", None)],
)
async def test_too_fast_says_when_to_come_again(
    driver: Driver, header: str | None, seconds: float | None
) -> None:
    """429 comes with and without Retry-After, in seconds or as a date."""
    headers = {} if header is None else {"Retry-After": header}
    await driver.emulator.control.fault("POST /jobs", "status", status=429, headers=headers)

    error = await driver.refused("post", **driver.posting("fast"))

    assert isinstance(error, TargetSaturated)
    assert error.details["retry_after"] == seconds


@pytest.mark.parametrize("body", ['{"id": "dqurable"}', '{"id": "dqurable", "backend": "ibm_gone"}'])
async def test_an_id_that_came_is_kept_whatever_the_client_makes_of_the_answer(
    driver: Driver, body: str
) -> None:
    """The client wants more of the answer than its id, and asks for more; the job is there all the same."""
    await driver.emulator.control.fault("POST /jobs", "body", body=body, after=True)

    assert await driver.post("odd-answer") == "dqurable"


_BEFORE = [
    "GET /instances/usage",
    "GET /backends/{name}/status",
    "GET /backends",
    "GET /backends/{name}/configuration",
]


@pytest.mark.parametrize("route", _BEFORE)
@pytest.mark.parametrize(
    "fault",
    [{"mode": "status", "status": 500}, {"mode": "drop"}, {"mode": "hold"}, {"mode": "body", "body": "x"}],
)
async def test_what_fails_before_a_submission_sends_none(
    driver: Driver, route: str, fault: dict[str, Any]
) -> None:
    """The client asks other things first; whatever they fail of, it is safe to try again."""
    await driver.forget()
    await driver.ask("user")
    await driver.emulator.control.fault(route, **fault)

    error = await driver.refused("post", **driver.posting("before"), read_seconds=0.5)

    assert isinstance(error, TargetUnavailable)
    assert error.details["sent"] is False
    assert await driver.submissions() == 0


_QUESTIONS: list[tuple[str, dict[str, Any], type[HybridError]]] = [
    ("token", {"mode": "status", "status": 401, "times": 2}, AccountRefused),
    ("permission", {"mode": "status", "status": 403}, AccountRefused),
    ("conflict", {"mode": "status", "status": 409}, TargetUnavailable),
    ("too fast", {"mode": "status", "status": 429, "headers": {"Retry-After": "3"}}, TargetSaturated),
    ("error", {"mode": "status", "status": 503}, TargetUnavailable),
    ("drop", {"mode": "drop"}, TargetUnavailable),
    ("no answer", {"mode": "hold"}, TargetUnavailable),
    ("half an answer", {"mode": "truncate"}, TargetUnavailable),
    ("no JSON", {"mode": "body", "body": "not json"}, TargetUnavailable),
    ("no job", {"mode": "body", "body": "{}"}, TargetUnavailable),
    ("a list", {"mode": "body", "body": "[1, 2]"}, TargetUnavailable),
    ("new word", {"mode": "body", "body": '{"id": "x", "state": {"status": "Weird"}}'}, StateUnknown),
    ("no state", {"mode": "body", "body": '{"id": "x"}'}, StateUnknown),
]


@pytest.mark.parametrize(("name", "fault", "kind"), _QUESTIONS, ids=[row[0] for row in _QUESTIONS])
async def test_a_question_fails_as_what_it_failed_of(
    driver: Driver, name: str, fault: dict[str, Any], kind: type[HybridError]
) -> None:
    """Each has its own next step."""
    job = await driver.post("asked")
    await driver.emulator.control.fault("GET /jobs/{id}", **fault)

    error = await driver.refused("look", ids=[job])

    assert type(error) is kind
    assert error.details["sent"] is False
    assert error.details["status"] == (fault.get("status") if fault["mode"] == "status" else None)


_SIGNING_IN: list[tuple[str, dict[str, Any], type[HybridError]]] = [
    ("wrong key", {"mode": "status", "status": 400}, AccountRefused),
    ("down", {"mode": "status", "status": 503, "times": None}, TargetUnavailable),
    ("too fast", {"mode": "status", "status": 429}, TargetSaturated),
    ("drop", {"mode": "drop", "times": None}, TargetUnavailable),
    ("no answer", {"mode": "hold"}, TargetUnavailable),
    ("a web page", {"mode": "body", "body": "<html>", "times": None}, TargetUnavailable),
    ("no token", {"mode": "body", "body": "{}", "times": None}, TargetUnavailable),
]


@pytest.mark.parametrize(("name", "fault", "kind"), _SIGNING_IN, ids=[row[0] for row in _SIGNING_IN])
async def test_without_a_token_nothing_is_asked(
    driver: Driver, name: str, fault: dict[str, Any], kind: type[HybridError]
) -> None:
    """By itself the client waits for a minute, call by call, and then sends the API key."""
    await driver.forget()
    await driver.emulator.control.fault("POST /identity/token", **fault)

    error = await driver.refused("post", **driver.posting("unsigned"), read_seconds=0.5)

    assert type(error) is kind
    assert error.details["sent"] is False
    log = await driver.emulator.control.log()
    assert {line["path"] for line in log if not line["path"].endswith("/identity/token")} == set()
    await driver.emulator.control.clear()
    assert (await driver.ask("device", device=DEVICE))["name"] == DEVICE


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:{closed}", "http://provider.invalid", "https://127.0.0.1:{open}"]
)
async def test_a_provider_that_cannot_be_reached_is_unavailable_within_seconds(
    driver: Driver, place: str
) -> None:
    """By itself the client takes a minute to build, and then has no devices."""
    driver.account = {"emulator": place.format(closed=free_port(), open=driver.emulator.port)}

    for task, payload in (
        ("devices", {"min_qubits": 1}),
        ("look", {"ids": ["x"]}),
        ("post", driver.posting("away")),
    ):
        error = await driver.refused(task, **payload)

        assert type(error) is TargetUnavailable
        assert error.details["sent"] is False
