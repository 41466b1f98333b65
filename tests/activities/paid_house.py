"""A store, a provider that costs money, and a reconciler between them, without Temporal."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

from sqlalchemy import Connection, delete
from temporalio.testing import ActivityEnvironment

from activities.places import Patience, Places
from activities.reconcile import Reconcile
from qurable.contracts.executions import Incident, JobRef, Submission, SubmissionKey
from qurable.contracts.stages import Reconciled
from store import incidents
from store.database import Database
from store.schema import provider_jobs as rows
from store.schema import submissions as wholes
from tests.fakes.paid import SETTLING, PaidScriptedBackend, Provider
from tests.store.ageing import pass_time

GRACE = timedelta(minutes=5)
KEY = SubmissionKey(job_id="lab-1", backend="qpu", digest="d")


@dataclass
class ScriptedOwners:
    """Knows what a test says; jobs it was not told of do not run."""

    says: dict[str, bool | None] = field(default_factory=dict)

    async def alive(self, job_id: str) -> bool | None:
        return self.says.get(job_id, False)


@dataclass
class House:
    """A store, a provider, and what is known of jobs."""

    database: Database
    qpu: PaidScriptedBackend
    owners: ScriptedOwners = field(default_factory=ScriptedOwners)

    @property
    def provider(self) -> Provider:
        return self.qpu.provider

    async def sent(self, key: SubmissionKey = KEY, *, alive: bool | None = False) -> JobRef:
        """A job at the provider, older than the grace."""
        self.owners.says[key.job_id] = alive
        job = await self.qpu.submit(Submission(key=key, kind="sample", pubs=()))
        await pass_time(self.database, GRACE)
        return job

    async def reconcile(self, database: Database | None = None) -> Reconciled:
        """One pass."""
        places = Places(lambda _: self.qpu, lambda: ["qpu"])
        work = Reconcile(
            database or self.database, self.owners, places, Patience(grace=GRACE, settling=SETTLING)
        )
        return cast("Reconciled", await ActivityEnvironment().run(work.reconcile))

    async def until_over(self) -> Reconciled:
        """Passes until nothing is left to do; gives back the last that looked at something."""
        last = Reconciled()
        for _ in range(10):
            report = await self.reconcile()
            if not report.looked:
                return last
            last = report
            await pass_time(self.database, GRACE)
        raise AssertionError(f"it never ends: {last}")

    async def incidents(self) -> tuple[Incident, ...]:
        return await self.database.read(incidents.of_job, KEY.job_id)


def forget(connection: Connection, /) -> None:
    """The store was restored from a copy that was made before anything was sent."""
    connection.execute(delete(rows))
    connection.execute(delete(wholes))
