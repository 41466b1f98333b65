"""An emulator as a process of its own, which may be killed and started again, and a client of its control API."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import requests

from emulator.app import environment
from emulator.serving import ACCOUNT, INSTANCE
from tests.architecture.imports import ROOT
from tests.chaos.harness import until
from tests.chaos.ports import free_port

_STOP_SECONDS = 30.0
_CALL_SECONDS = 60.0


class EmulatorProcess:
    """`python -m emulator` on one folder and one port.

    Args:
        folder: Of its jobs and its log; made if it is not there.
        port: A free one by default; it stays the same over restarts.
        speed: Of its clock, at every start.
    """

    def __init__(self, folder: Path, port: int | None = None, speed: float | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.control = Control(self.url)
        self._speed = speed
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which the real client finds it."""
        return environment(self.url, INSTANCE)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "emulator", "--port", str(self.port)]
        command += ["--home", str(self.folder / "jobs"), "--json"]
        command += [] if self._speed is None else ["--speed", str(self._speed)]
        with (self.folder / "emulator.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "QURABLE_HOME": str(self.folder), "PYTHONWARNINGS": "error"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """Kill it with signal 9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """End it as a service manager does; gives back the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(_STOP_SECONDS)

    async def ready(self) -> None:
        """Return once it answers."""

        async def answers() -> bool:
            assert self._process is not None
            if self._process.poll() is not None:
                raise AssertionError(f"the emulator ended:\n{self.printed()}")
            try:
                await self.control.held()
            except requests.ConnectionError:
                return False
            return True

        await until("the emulator answers", answers)

    def printed(self) -> str:
        """What it wrote."""
        return (self.folder / "emulator.log").read_text(encoding="utf-8")


class Api:
    """Requests of IBM's API without the client: what they answer is looked at byte by byte.

    Args:
        emulator: That answers.
        job: Body of a job.
        instance: One of its own by default.
    """

    def __init__(self, emulator: EmulatorProcess, job: dict[str, Any], instance: str | None = None) -> None:
        self.instance = instance or f"{ACCOUNT}{uuid.uuid4()}::"
        self.control = emulator.control
        self.emulator = emulator
        self.job = job
        self.key = uuid.uuid4().hex
        self._url = emulator.url
        self._token = ""

    async def log_in(self) -> requests.Response:
        """Get a token."""
        answer = await self._send("POST", f"{self._url}/identity/token", data={"apikey": self.key})
        self._token = answer.json().get("access_token", "")
        return answer

    async def call(self, method: str, path: str, document: Any = None, **options: Any) -> requests.Response:
        """One request under a prefix of the API."""
        if not self._token:
            await self.log_in()
        headers = {"Authorization": f"Bearer {self._token}", "Service-CRN": self.instance}
        headers |= options.pop("headers", {})
        if document is not None:
            options["data"] = json.dumps(document)
        return await self._send(method, f"{self._url}/experimental{path}", headers=headers, **options)

    async def get(self, path: str) -> Any:
        """The JSON of a GET.

        Raises:
            AssertionError: It was refused.
        """
        answer = await self.call("GET", path)
        assert answer.ok, answer.text
        return answer.json()

    async def post_job(self, **changes: Any) -> requests.Response:
        """`POST /jobs` of the small job, with other fields."""
        return await self.call("POST", "/jobs", {**self.job, **changes})

    async def submit(self, **changes: Any) -> str:
        """Id of a job that was accepted."""
        answer = await self.post_job(**changes)
        assert answer.ok, answer.text
        return str(answer.json()["id"])

    async def computed(self, *jobs: str) -> None:
        """Return once the results of jobs are there, whether or not their time has come."""

        async def all_there() -> bool:
            state = {job["id"]: job for job in (await self.control.state())["jobs"]}
            return all(state[job]["computed"] for job in jobs)

        await until("the jobs are computed", all_there)

    async def finished(self, job: str) -> dict[str, Any]:
        """A job as the control API tells it, as soon as it is computed and its time was put past."""
        await self.computed(job)
        await self.control.advance(60)
        return await self.control.job(job)

    async def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        def send() -> requests.Response:
            with requests.Session() as session:
                session.trust_env = False
                return session.request(method, url, **{"timeout": _CALL_SECONDS, **options})

        return await asyncio.to_thread(send)


class Control:
    """The control API, from a test that does not block.

    Args:
        url: Of the emulator.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def call(self, method: str, path: str, document: Any = None) -> Any:
        """One request; its JSON answer.

        Raises:
            AssertionError: It was refused.
        """
        return await asyncio.to_thread(self._send, method, path, document)

    def _send(self, method: str, path: str, document: Any) -> Any:
        body = None if document is None else json.dumps(document)
        with requests.Session() as session:
            session.trust_env = False
            url = f"{self._url}/control{path}"
            answer = session.request(method, url, data=body, timeout=_CALL_SECONDS)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    async def state(self) -> dict[str, Any]:
        """Everything: clock, settings, devices, jobs, sessions, paid."""
        return await self.call("GET", "/state")  # type: ignore[no-any-return]

    async def job(self, job_id: str) -> dict[str, Any]:
        """One job."""
        return next(job for job in (await self.state())["jobs"] if job["id"] == job_id)

    async def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings, or the clock's speed."""
        return await self.call("PATCH", "/settings", changes)  # type: ignore[no-any-return]

    async def advance(self, seconds: float) -> None:
        """Put the clock forward."""
        await self.call("POST", "/clock", {"advance_seconds": seconds})

    def advance_at_once(self, seconds: float) -> None:
        """Put the clock forward, from where nothing can be awaited."""
        self._send("POST", "/clock", {"advance_seconds": seconds})

    async def clock(self, **asked: Any) -> None:
        """Set the clock: `at`, `speed`."""
        await self.call("POST", "/clock", asked)

    async def fault(self, route: str, mode: str, **details: Any) -> None:
        """Set a fault."""
        await self.call("POST", "/faults", {"route": route, "mode": mode, **details})

    async def clear(self) -> None:
        """No faults; what is held goes on."""
        await self.call("DELETE", "/faults")

    async def log(self) -> list[dict[str, Any]]:
        """Every request since the last `forget_log`."""
        return (await self.call("GET", "/log"))["log"]  # type: ignore[no-any-return]

    async def forget_log(self) -> None:
        await self.call("DELETE", "/log")

    async def held(self) -> list[dict[str, Any]]:
        """Requests that are held."""
        return (await self.call("GET", "/held"))["held"]  # type: ignore[no-any-return]

    async def until_held(self) -> dict[str, Any]:
        """The first request that is held, as soon as one is."""
        held = await until("a request is held", self.held)
        return held[0]  # type: ignore[no-any-return]

    async def release(self) -> None:
        """Let held requests go on."""
        await self.call("POST", "/hold/release", {})

    async def device(self, name: str, **changes: Any) -> None:
        """Set a device's status, reason, queue_length, until, calibrate_at, error_factor."""
        await self.call("POST", f"/devices/{name}", changes)

    async def set_job(self, job_id: str, **changes: Any) -> None:
        """Set a job's status, reason, reason_code; or `vanish=True`."""
        await self.call("POST", f"/jobs/{job_id}", changes)

    async def tokens(self, **changes: Any) -> None:
        """`revoke` tokens, or `accept` these API keys alone."""
        await self.call("POST", "/tokens", changes)
