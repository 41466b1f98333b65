"""What a paid place keeps of its jobs, kept in the store."""

from collections.abc import Sequence
from datetime import timedelta

from qurable.contracts.executions import (
    Incident,
    PartIntent,
    ProviderFacts,
    ProviderJob,
    Submission,
    SubmissionKey,
)
from qurable.ledger import CalledOff, Claimed, NotYet, Sending, Taken
from store import house, incidents, permits, provider_jobs, submissions
from store.database import Database


class StoreLedger:
    """The `Ledger` that workers give to paid backends; each method is one transaction, on the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._house = ""

    async def house(self) -> str:
        """Short id of this store; a restored copy has the same."""
        if not self._house:
            self._house = await self._database.write(house.name)
        return self._house

    async def intend(
        self, submission: Submission, account: str, parts: Sequence[PartIntent]
    ) -> Sequence[ProviderJob]:
        """Write down the parts of a submission unless they are there; gives back the rows that stand, in order."""
        return await self._database.write(provider_jobs.intend, submission, account, parts)

    async def submission(self, key: SubmissionKey) -> bytes:
        """The submission whose parts were written down, as JSON.

        Raises:
            InternalError: None were.
        """
        return await self._database.read(provider_jobs.document, key)

    async def parts(self, key: SubmissionKey) -> Sequence[ProviderJob]:
        """The rows of a submission, in order; empty where none was meant."""
        return await self._database.read(provider_jobs.of_submission, key.tag)

    async def claim(self, tag: str, sending: Sending) -> Claimed | NotYet | Taken | CalledOff:
        """Take the right to send a part, and note that an attempt begins now.

        Raises:
            InternalError: The part was never meant.
        """
        return await self._database.write(provider_jobs.claim, tag, sending)

    async def release(self, tag: str, attempt: int) -> None:
        """The attempt was refused and made no job: it does not count here, and another may be made at once."""
        await self._database.write(provider_jobs.release, tag, attempt)

    async def never_sent(self, tag: str, attempt: int) -> None:
        """Nothing of the attempt ever left: it is not counted, and another may be made at once."""
        await self._database.write(provider_jobs.never_sent, tag, attempt)

    async def held_up(self, sending: Sending, again_in: timedelta) -> None:
        """The provider said that the account sends too fast: no claim is given for this long."""
        await self._database.write(permits.hold, sending.user, again_in)

    async def keep(self, tag: str, id: str) -> str:  # noqa: A002  the provider's word
        """Give a part its job unless it has one; gives back the id that stands.

        Raises:
            InternalError: The part was never meant.
        """
        return await self._database.write(provider_jobs.keep, tag, id)

    async def lose(self, tag: str, id: str) -> None:  # noqa: A002
        """The provider no longer knows this job of the part."""
        await self._database.write(provider_jobs.lose, tag, id)

    async def observe(self, tag: str, facts: ProviderFacts) -> None:
        """Keep what the provider says of the part's job."""
        await self._database.write(provider_jobs.observe, tag, facts)

    async def report(self, incident: Incident) -> None:
        """Keep an incident; the latest word on the same provider's job stands."""
        await self._database.write(incidents.report, incident)

    async def withdrawn(self, key: SubmissionKey) -> bool:
        """Whether the submission was withdrawn."""
        return await self._database.read(submissions.is_withdrawn, key.tag)

    async def withdraw(self, key: SubmissionKey) -> None:
        """Withdraw the submission: whoever sends one of its parts all the same learns it at `keep`."""
        await self._database.write(submissions.withdraw, key)
