"""Groups: jobs that have waited for each other run as one, once the account may send.

Who is in one is decided by seats (`store/groups.py`); collectors only say when.
"""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection
from temporalio import activity
from temporalio.client import Client

from activities import joining
from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints, Documents, read_documents
from activities.joining import member_of
from backends.registry import Registry
from qurable.backend import StillWaiting, TakesTurns
from qurable.client import Qurable
from qurable.contracts.base import digest
from qurable.contracts.jobs import job_id, read_request
from qurable.contracts.sharing import CollectorHead, Composed, GroupCall
from qurable.contracts.stages import Waited
from qurable.errors import HybridError, KeyReused, ServiceUnreachable, StoreUnavailable
from qurable.ledger import Sending
from qurable.names import Activity
from store import groups
from store.groups import Group, Seat
from store.shelf import StoreShelf

_AGAIN = timedelta(seconds=1)
_ASK_TURN_AGAIN = timedelta(seconds=5)


class Groups:
    """Makes and starts them.

    Args:
        checkpoints: Where the store is.
        shelf: Where requests are.
        registry: The backends.
        client: Of Temporal.
    """

    def __init__(
        self, checkpoints: Checkpoints, shelf: StoreShelf, registry: Registry, client: Client
    ) -> None:
        self._database = checkpoints.database
        self._failpoint = checkpoints.failpoint
        self._shelf = shelf
        self._registry = registry
        self._qurable = Qurable(client)

    @activity.defn(name=Activity.AWAIT_TURN)
    @speaks_temporal
    async def await_turn(self, head: CollectorHead) -> Waited:
        """Return once the account may send one more job; where nobody can say, whoever sends finds out.

        Raises:
            StillWaiting: It may not.
        """
        sending = await self._sending(head.backend)
        wait = timedelta(0) if sending is None else await self._database.read(groups.turn, sending)
        if wait > timedelta(0):
            raise StillWaiting(
                f"the account of {head.backend!r} may not send yet", min(wait, _ASK_TURN_AGAIN)
            )
        return Waited()

    async def _sending(self, name: str) -> Sending | None:
        try:
            backend = self._registry.get(name)
            return await backend.sending() if isinstance(backend, TakesTurns) else None
        except StoreUnavailable:
            raise
        except HybridError as failure:
            activity.logger.warning("nobody says how often %r may be sent to: %s", name, failure)
            return None

    @activity.defn(name=Activity.START_GROUP)
    @speaks_temporal
    async def start_group(self, call: GroupCall) -> Composed:
        """Make a group of those who still wait, and start its job; or find the one that was made before."""
        name = digest("\0".join((call.collector, *call.members)))
        group = await self._database.read(groups.named, name)
        while group is None:
            seats = await self._database.read(groups.waiting, call.members)
            if not seats:
                return Composed()
            await self._make(call, name, seats)
            group = await self._database.read(groups.named, name)  # None where somebody left meanwhile
        self._failpoint("group:made")
        if group.error is None:
            await self.start(group)
        self._failpoint("group:started")
        left = await self._database.read(groups.waiting, call.members)
        return Composed(group=group.id, left_over=tuple(seat.tag for seat in left))

    async def _make(self, call: GroupCall, name: str, seats: Sequence[Seat]) -> None:
        """Make the group as a whole; what cannot be put together is written down as that, and its members go alone."""
        found = await self._database.read(_documents_of, seats)
        members = [await member_of(self._shelf, documents) for documents in found]
        # No caller can name this key, which belongs to no request of theirs.
        key = f"shared-{name[:16]}-{secrets.token_hex(16)}"
        identity = job_id(members[0].request.project, key)
        request, error = None, None
        try:
            request = joining.group_job(members, key, call.backend).model_dump_json().encode()
        except ValueError as failure:
            error = HybridError(f"the jobs cannot be put together: {failure}").document()
        sending = await self._sending(call.backend)
        sender = "" if sending is None else sending.user
        self._failpoint("group:composed")
        await self._database.write(groups.make, name, identity, call.backend, seats, request, error, sender)

    async def start(self, group: Group) -> None:
        """Start the group's job unless it is there.

        Raises:
            StillWaiting: Temporal does not answer.
        """
        try:
            await self._qurable.submit(read_request(await self._shelf.artifact(group.request)))
        except ServiceUnreachable as failure:
            raise StillWaiting(failure.message, _AGAIN) from None
        except (
            KeyReused
        ):  # another version of this code wrote the request otherwise: its id says that it is this group
            activity.logger.warning("group %s is there already", group.id)


def _documents_of(connection: Connection, seats: Sequence[Seat]) -> list[Documents]:
    return [read_documents(connection, seat.job_id) for seat in seats]
