"""A service that pays at an emulated IBM: what tests ask it, and what the provider has seen and billed."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qurable.client import Job
from qurable.contracts.executions import ProviderJob, SubmissionKey
from qurable.contracts.reports import JobReport
from qurable.errors import HybridError, JobCancelled, JobFailed
from store import submissions
from store.ledger import StoreLedger
from tests.chaos.harness import until
from tests.emulator.running import Control, EmulatorProcess

if TYPE_CHECKING:
    from tests.conftest import Service

DEVICE = "ibm:manila"
"""Five qubits: the smallest circuits there are."""

SPEED = 20.0
"""Seconds of the emulator's clock per real second."""

ONE_PLACE = Path(__file__).with_name("one_place.yaml")
"""A strategy table without ladders: what is asked answers, or nothing does."""

FAST: dict[str, Any] = {
    "strategy": ONE_PLACE,
    "heartbeat": timedelta(seconds=2),
    "ibm_submissions_per_minute": 1000,
    "ibm_send_within": timedelta(seconds=5),
    "ibm_read_timeout": timedelta(seconds=3),
    "ibm_tag_lag": timedelta(seconds=0.5),
    "poll_shortest": timedelta(seconds=0.1),
    "poll_longest": timedelta(seconds=0.5),
    "reconcile_every": timedelta(hours=1),
}
"""Settings of a service whose provider is on this machine; tests that want the reconciler have it come sooner."""

RECONCILING: dict[str, Any] = {
    "reconcile_every": timedelta(seconds=1),
    "reconcile_grace": timedelta(seconds=1),
}
"""Settings of a service whose reconciler is to come within a test."""

FAIR: dict[str, Any] = {
    "hold": False,
    "prepare_seconds": 1.0,
    "seconds_per_queued_job": 30.0,
    "tag_lag_seconds": 0.0,
    "usage_lag_seconds": 0.0,
    "submissions_per_minute": None,
    "usage_limit_seconds": None,
    "run_factor": 1.0,
    "noise": False,
    "token_seconds": 3600.0,
    "session_max_ttl_seconds": 28_800.0,
    "speed": SPEED,
}
"""What every test finds at the provider."""

_DEVICES_USED = ("ibm_manila", "ibm_lima", "ibm_brisbane", "ibm_fractional")


async def fair_weather(control: Control) -> None:
    """No faults, no queues, every key good."""
    await control.clear()
    await control.settings(**FAIR)
    await control.tokens(revoke=False, accept=None)
    for device in _DEVICES_USED:
        await control.device(device, status="active", reason="", queue_length=0)


@dataclass
class Paid:
    """A service, its provider, and what was there before.

    Attributes:
        service: That pays.
        emulator: That is paid.
        before: Jobs, sessions that the provider had before this test.
    """

    service: "Service"
    emulator: EmulatorProcess
    before: frozenset[str] = frozenset()

    @property
    def control(self) -> Control:
        """The provider's other side."""
        return self.emulator.control

    async def taken(self) -> list[dict[str, Any]]:
        """Jobs that the provider took since the test began, oldest first."""
        return [job for job in (await self.control.state())["jobs"] if job["id"] not in self.before]

    async def sessions(self) -> list[dict[str, Any]]:
        """Sessions and batches that were opened since the test began."""
        return [one for one in (await self.control.state())["sessions"] if one["id"] not in self.before]

    async def alive(self) -> list[str]:
        """Jobs of this test that may still cost something."""
        return [job["id"] for job in await self.taken() if job["status"].lower() in ("queued", "running")]

    async def one(self) -> dict[str, Any]:
        """The only job that the provider took.

        Raises:
            AssertionError: It took none, or several.
        """
        taken = await self.taken()
        assert len(taken) == 1, taken
        return taken[0]

    async def until_taken(self, number: int = 1) -> list[dict[str, Any]]:
        """As soon as the provider has so many jobs of this test's."""

        async def there() -> list[dict[str, Any]] | None:
            taken = await self.taken()
            return taken if len(taken) >= number else None

        found: list[dict[str, Any]] = await until(f"{number} jobs at the provider", there, 60)
        return found

    async def until_status(self, id: str, *status: str) -> dict[str, Any]:  # noqa: A002  the provider's word
        """As soon as a job of the provider's stands so, in IBM's words."""

        async def stands() -> dict[str, Any] | None:
            job = await self.control.job(id)
            return job if job["status"] in status else None

        found: dict[str, Any] = await until(f"job {id} is {' or '.join(status)}", stands, 60)
        return found

    async def until_began(self, job: Job, step: str) -> None:
        """As soon as a step of a job is at work."""
        await until(f"{step} begins", lambda: step in self.service.journal.steps(job.id), 60)

    async def until_ended(self, job: Job, step: str, how: str) -> None:
        """As soon as an attempt at a step has ended so: done, waiting or failed."""

        def ended() -> bool:
            return any(
                (entry.what, entry.job_id, entry.step, entry.how) == ("ended", job.id, step, how)
                for entry in self.service.journal.entries
            )

        await until(f"{step} ends as {how}", ended, 60)

    async def refused(self, work: Any, **options: Any) -> HybridError:
        """The error that a job ends with, in its own class."""
        try:
            report = await self.service.run(work, **options)
        except JobFailed as failure:
            return failure
        except HybridError as refusal:
            return refusal
        raise AssertionError(f"the job was answered by {report.served_by!r}")

    async def recorded(self, job: Job) -> JobReport:
        """What the store has of a job that ended without an answer."""
        try:
            return await self.service.qurable.result(job.id)
        except (JobFailed, JobCancelled):
            return await self.service.qurable.read_report(job.id)

    async def rows(self, report: JobReport) -> tuple[SubmissionKey, list[ProviderJob]]:
        """The rows of the submission that answered a job."""
        (key,) = await self.service.database.read(submissions.of_job, report.id, report.served_by)
        return key, list(await StoreLedger(self.service.database).parts(key))


def save_account(file: Path, name: str, *, url: str, token: str, instance: str) -> None:
    """Add an account to a file of saved ones, as `QiskitRuntimeService.save_account` writes it.

    Args:
        file: Of the accounts.
        name: Of this one.
        url: Of the emulator; the client leaves it as it is for its last word.
        token: API key.
        instance: CRN.
    """
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    known[name] = {
        "channel": "ibm_quantum_platform",
        "url": f"{url}/experimental",
        "token": token,
        "instance": instance,
        "verify": True,
        "private_endpoint": False,
    }
    file.write_text(json.dumps(known), encoding="utf-8")


async def known_ids(control: Control) -> frozenset[str]:
    """Every job and session that the provider has."""
    state = await control.state()
    return frozenset(one["id"] for one in (*state["jobs"], *state["sessions"]))
