"""Reconcile: what paid places have of this house, and nobody looks after any more.

Terminating, resetting or deleting a workflow skips its own clean-up, and a store or a Temporal that was restored
knows less than the provider. One pass finds what is left, cancels or adopts it, and asks for the bill.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import activity

from activities.boundary import speaks_temporal
from activities.caretaker import Caretaker
from activities.orphans import Orphans
from activities.owners import Owners
from activities.places import Patience, Places, Unwanted, report
from activities.tally import Tally
from qurable.backend import StillWaiting
from qurable.contracts.executions import Incident
from qurable.contracts.stages import Reconciled
from qurable.errors import HybridError, StoreUnavailable
from qurable.names import Activity
from store import incidents, provider_jobs, sessions
from store.database import Database
from store.provider_jobs import OpenSubmission
from store.sessions import Session

T = TypeVar("T")

_AT_ONCE = 8
"""Submissions looked after at a time: a provider that is slow to say nothing must not make a pass last for hours."""


class Reconcile:
    """Reconciles.

    Args:
        database: The store.
        owners: Know which jobs run.
        places: The paid backends.
        patience: How long things are left alone.
    """

    def __init__(
        self, database: Database, owners: Owners, places: Places, patience: Patience | None = None
    ) -> None:
        self._database = database
        self._owners = owners
        self._places = places
        self._patience = patience or Patience()
        self._caretaker = Caretaker(database, owners, places, self._patience)
        self._orphans = Orphans(database, places, self._patience)

    @activity.defn(name=Activity.RECONCILE)
    @speaks_temporal
    async def reconcile(self) -> Reconciled:
        """Look once at every submission, session and incident that is not over, and for jobs nobody knows.

        Trouble with one of them is not another's: it is logged, counted and left for the next pass.

        Raises:
            StoreUnavailable: The store is down; nothing can be decided.
        """
        tally = Tally()
        stories = await self._database.read(provider_jobs.open_submissions)
        places = asyncio.Semaphore(_AT_ONCE)

        async def look_after(story: OpenSubmission) -> None:
            async with places:
                await _alone(self._caretaker.look_after, story, tally, f"submission {story.key.tag}")

        ends = await asyncio.gather(*map(look_after, stories), return_exceptions=True)
        for failure in filter(None, ends):
            raise failure
        for name in self._places.accounts():
            await _alone(self._orphans.gather, name, tally, f"strays at {name!r}")
        for incident in await self._database.read(incidents.unsettled):
            await _alone(self._settle, incident, tally, f"incident {incident.id!r}")
        for session in await self._database.read(sessions.left_open, self._patience.grace):
            await _alone(self._close, session, tally, f"session {session.id!r}")
        return tally.report()

    async def _settle(self, incident: Incident, tally: Tally) -> None:
        """Ask for the bill of a job that nobody wanted; one that still runs is cancelled again."""
        facts = await self._places.paid(incident.backend).cancel_job(incident.id)
        tally.settled += facts.usage_complete
        await report(
            self._database, Unwanted(incident.kind, incident.backend, incident.tag).incident(facts), tally
        )

    async def _close(self, session: Session, tally: Tally) -> None:
        """Close a session whose job does not run."""
        alive = await self._owners.alive(session.job_id)
        if alive is None:
            tally.unknown += 1
        elif not alive:
            await self._places.paid(session.backend).close_session(session.id)
            await self._database.write(sessions.closed, session.backend, session.id)
            tally.closed += 1


async def _alone(work: Callable[[T, Tally], Awaitable[None]], thing: T, tally: Tally, name: str) -> None:
    try:
        await work(thing, tally)
    except StoreUnavailable:
        raise
    except (HybridError, StillWaiting) as failure:
        tally.unreached += 1
        activity.logger.warning("%s is left for the next pass: %s", name, failure)
    except Exception:  # noqa: BLE001  a defect in one must not leave all others alone
        tally.unreached += 1
        activity.logger.exception("%s is left for the next pass", name)
