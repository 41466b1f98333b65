"""The guard on the client's transport: one request is sent once, in time, with a token, or not at all."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests

from backends.ibm import bearer
from backends.ibm.bearer import bearer_headers
from backends.ibm.http import GuardedAdapter, watching
from backends.ibm.permits import Permit, Watch
from qurable.contracts.ibm import Generation
from qurable.errors import (
    BackendNotInstalled,
    InternalError,
    ResultRefused,
    SubmissionUnclear,
    TargetUnavailable,
)
from tests.backends.ibm.driving import Driver
from tests.chaos.harness import until
from tests.chaos.ports import free_port

POST = "POST /jobs"


class Wire:
    """A server of one answer, which counts what it was sent.

    Args:
        answer: Bytes to answer every request with; None hangs up instead, and an empty text never answers.
    """

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.heard: list[bytes] = []
        self._kept: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.heard.append(connection.recv(65536))
                if self.answer:
                    connection.sendall(self.answer)
                if self.answer == b"":
                    self._kept.append(connection)
                else:
                    connection.close()

    def close(self) -> None:
        self._listener.close()
        for connection in self._kept:
            connection.close()


@contextlib.contextmanager
def wire(answer: bytes | None) -> Iterator[Wire]:
    server = Wire(answer)
    yield server
    server.close()


def _submit(url: str, permit: Permit) -> BaseException | None:
    """Send a submission through the guard; gives back what it ended with."""
    with requests.Session() as session, watching(Watch(permit=permit)):
        session.trust_env = False
        session.mount("http://", GuardedAdapter(max_retries=5))
        session.mount("https://", GuardedAdapter())
        try:
            session.post(f"{url}/jobs", data=b"{}")
        except (requests.RequestException, TargetUnavailable, InternalError, ResultRefused) as failure:
            return failure
    return None


def _permit(seconds: float = 60.0) -> Permit:
    return Permit(time.time() + seconds, 0.5)


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:{closed}", "https://127.0.0.1:{plain}", "http://provider.invalid"]
)
def test_a_submission_that_met_nobody_was_not_sent(place: str) -> None:
    """A closed port, a broken TLS handshake and a dead name leave nothing to look for: it may be sent again at once."""
    with wire(b"HTTP/1.1 400 Bad Request\r\n\r\n") as plain:
        permit = _permit()
        failure = _submit(place.format(closed=free_port(), plain=plain.port), permit)

    assert isinstance(failure, requests.ConnectionError)
    assert permit.exchange is not None
    assert not permit.sent


@pytest.mark.parametrize(("answer", "kind"), [(None, requests.ConnectionError), (b"", requests.ReadTimeout)])
def test_a_submission_without_an_answer_was_sent_once(answer: bytes | None, kind: type[Exception]) -> None:
    """A server that hangs up, or never answers, may have taken the job."""
    with wire(answer) as server:
        permit = _permit()
        failure = _submit(f"http://127.0.0.1:{server.port}", permit)

    assert isinstance(failure, kind)
    assert permit.sent
    assert len(server.heard) == 1


@pytest.mark.parametrize("status", [301, 307, 308, 500, 503])
def test_no_answer_makes_the_guard_send_again(status: int) -> None:
    """Redirects that keep the body, and the statuses that the client retries by itself, would each make a second job."""
    with wire(
        f"HTTP/1.1 {status} X\r\nLocation: /jobs\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n".encode()
    ) as server:
        permit = _permit()
        _submit(f"http://127.0.0.1:{server.port}", permit)

    assert permit.exchange is not None
    assert permit.exchange.status == status
    assert permit.sent
    assert len(server.heard) == 1


def test_the_fence_is_asked_when_the_bytes_leave_not_before() -> None:
    """A process frozen while it connects wakes up late, and must not submit what another may have sent meanwhile."""
    with wire(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as server:
        permit = _permit()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket.socket, "connect", _slowly(permit))
            failure = _submit(f"http://127.0.0.1:{server.port}", permit)

    assert isinstance(failure, TargetUnavailable)
    assert not permit.sent
    assert server.heard in ([], [b""])


def _slowly(permit: Permit) -> Any:
    """Connecting that takes until after the permit."""
    connect = socket.socket.connect

    def slowly(self: socket.socket, address: Any) -> None:
        connect(self, address)
        permit.not_after = time.time() - 1

    return slowly


def test_an_answer_that_does_not_end_is_refused() -> None:
    """The largest answer is bounded, so that no answer fills the memory of a child."""
    with (
        wire(b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n" + b"x" * 4096) as server,
        requests.Session() as session,
        watching(Watch(max_body_bytes=1024)),
    ):
        session.mount("http://", GuardedAdapter())
        with pytest.raises(ResultRefused, match="larger than"):
            session.get(f"http://127.0.0.1:{server.port}/jobs/x/results")


@pytest.mark.parametrize(("permit", "times", "sent"), [(False, 1, 0), (True, 2, 1)])
async def test_a_submission_needs_a_permit_of_its_own(
    driver: Driver, permit: bool, times: int, sent: int
) -> None:
    """Whatever the client comes to do by itself, a second submission does not leave the house."""
    await driver.ask("user")
    await driver.emulator.control.forget_log()

    await driver.refused("tests.backends.ibm.probes:send_jobs", permit=permit, times=times)

    assert await driver.submissions() == sent


@pytest.mark.parametrize("generation", Generation)
@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 522, 524])
async def test_an_accepted_submission_whose_answer_is_lost_makes_one_job(
    driver: Driver, generation: Generation, status: int
) -> None:
    """By itself the client sends it again on each of these, and a second job is paid for."""
    tag = f"lost-{generation}-{status}"
    await driver.emulator.control.fault(POST, "status", status=status, after=True)

    error = await driver.refused("post", **driver.posting(tag, generation))

    assert isinstance(error, SubmissionUnclear)
    assert error.details["sent"] is True
    assert error.details["status"] == status
    assert len(await driver.jobs(tag)) == 1
    assert await driver.submissions() == 1


async def test_nothing_is_sent_after_the_fence(driver: Driver) -> None:
    """Held on its last question before the submission until its right has ended, it does not submit."""
    control = driver.emulator.control
    await driver.ask("user")
    await control.fault("GET /backends/{name}/status", "hold")
    posting = driver.posting("late", read_seconds=20.0, not_after=time.time() + 1.0)

    async def wake() -> None:
        await control.until_held()
        await until("the right to send has ended", lambda: time.time() > posting["not_after"])
        await control.release()

    async with asyncio.TaskGroup() as both:
        refused = both.create_task(driver.refused("post", **posting))
        both.create_task(wake())
    error = refused.result()

    assert isinstance(error, TargetUnavailable)
    assert error.details["sent"] is False
    assert await driver.submissions() == 0
    assert await driver.jobs("late") == []


@pytest.mark.parametrize("what", ["adapter", "header", "mount", "session", "client"])
async def test_a_client_whose_insides_have_moved_is_not_driven(driver: Driver, what: str) -> None:
    """Without the guard it would retry submissions: better no hardware than hardware paid twice."""
    error = await driver.refused("tests.backends.ibm.probes:move", what=what)

    assert isinstance(error, BackendNotInstalled)
    assert "0.51" in error.message
    assert (await driver.ask("user"))["user"]


async def test_the_version_that_was_tested_is_the_one_that_is_installed(driver: Driver) -> None:
    """The message names it, and a new one is read before it is named."""
    tested, installed = await driver.ask("tests.backends.ibm.probes:guarded")

    assert tested == installed


class _Sign:
    """An account's way to sign in, as the client's `CloudAuth` has it.

    Args:
        key: API key.
        issued: When its tokens say they were issued, in seconds from now.
        lifetime: Seconds that they say they live.
    """

    def __init__(self, key: str, issued: float, lifetime: float) -> None:
        self.api_key, self.crn, self.tm, self.url = key, "crn", self, "http://iam.invalid"
        self.asked = 0
        self._issued, self._lifetime = issued, lifetime

    def request_token(self) -> dict[str, Any]:
        self.asked += 1
        issued = int(time.time() + self._issued)
        claims = {"iat": issued, "exp": issued + int(self._lifetime), "iam_id": "me"}
        return {"access_token": jwt.encode(claims, "x" * 32, algorithm="HS256"), "expires_in": 1}


@pytest.mark.parametrize("skew", [-86_400.0, 0.0, 86_400.0])
def test_a_token_is_used_for_as_long_as_it_lives_whatever_the_clocks_say(skew: float) -> None:
    """The client compares the provider's times with its own clock: a day ahead, it signs in for every request."""
    sign = _Sign(f"key-{skew}", skew, 3600)

    headers = [bearer_headers(sign) for _ in range(3)]

    assert sign.asked == 1
    assert all(header["Authorization"].startswith("Bearer ") for header in headers)
    bearer.forget_tokens()
    bearer_headers(sign)
    assert sign.asked == 2


def test_a_token_that_is_already_over_is_asked_for_once_a_request() -> None:
    """No loop: each request signs in once, and the provider has the last word."""
    sign = _Sign("key-over", 0.0, 0)

    for _ in range(3):
        bearer_headers(sign)

    assert sign.asked == 1


def test_no_token_means_no_request() -> None:
    """By itself the client sends the API key where it gets no token."""

    class Down(_Sign):
        def request_token(self) -> dict[str, Any]:
            raise requests.ConnectionError("down")

    with pytest.raises(requests.ConnectionError):
        bearer_headers(Down("key-down", 0.0, 1))
