"""The Protocol of the ledger: what a paid place keeps of its jobs, so that none is paid for twice.

A backend that costs money is given one in its `BackendContext`, and asks it before and after whatever it sends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from qurable.contracts.executions import (
    Incident,
    PartIntent,
    ProviderFacts,
    ProviderJob,
    Submission,
    SubmissionKey,
)


@dataclass(frozen=True)
class Claimed:
    """The right to send one part once.

    Attributes:
        attempt: Which attempt this is, from 1.
    """

    attempt: int


@dataclass(frozen=True)
class NotYet:
    """No sending now.

    Attributes:
        again_in: When to ask again.
        because: Why, in a few words: an earlier attempt may still show up, or the account's rate.
    """

    again_in: timedelta
    because: str


@dataclass(frozen=True)
class Taken:
    """The part has its job; nothing is to be sent.

    Attributes:
        id: The provider's id of it.
    """

    id: str


@dataclass(frozen=True)
class CalledOff:
    """The submission was withdrawn; nothing is to be sent."""


@dataclass(frozen=True)
class Sending:
    """Rules of sending to one account.

    Attributes:
        user: Who the provider counts, as a digest.
        per_minute: Most submissions in any 60 seconds, None for no limit.
        settling: How long after an attempt began its job may still show up: the longest a request may take and
            the provider's tag index may lag.
    """

    user: str
    per_minute: int | None
    settling: timedelta


class Ledger(Protocol):
    """What a paid place keeps of its jobs, so that none is paid for twice.

    Every method is one transaction. Times are the database's own, so that workers' clocks do not matter.
    """

    async def house(self) -> str:
        """Short id of this store, a tag of everything it sends; a restored copy has the same."""
        ...

    async def intend(
        self, submission: Submission, account: str, parts: Sequence[PartIntent]
    ) -> Sequence[ProviderJob]:
        """Write down the parts of a submission unless they are there; gives back the rows that stand, in order."""
        ...

    async def submission(self, key: SubmissionKey) -> bytes:
        """The submission whose parts were written down, as JSON."""
        ...

    async def parts(self, key: SubmissionKey) -> Sequence[ProviderJob]:
        """The rows of a submission, in order; empty where none was meant."""
        ...

    async def claim(self, tag: str, sending: Sending) -> Claimed | NotYet | Taken | CalledOff:
        """Take the right to send a part, and note that an attempt begins now.

        Nobody gets it while another attempt may be under way, nor beyond the account's rate.
        """
        ...

    async def release(self, tag: str, attempt: int) -> None:
        """The attempt was refused and made no job: it does not count here, and another may be made at once.

        One that is not the latest any more changes nothing: the latest may be under way.
        """
        ...

    async def never_sent(self, tag: str, attempt: int) -> None:
        """Nothing of the attempt ever left: it is not counted, and another may be made at once.

        One that is not the latest any more changes nothing: the latest may be under way.
        """
        ...

    async def held_up(self, sending: Sending, again_in: timedelta) -> None:
        """The provider said that the account sends too fast: no claim is given for this long."""
        ...

    async def keep(self, tag: str, id: str) -> str:  # noqa: A002  the provider's word
        """Give a part its job unless it has one; gives back the id that stands."""
        ...

    async def lose(self, tag: str, id: str) -> None:  # noqa: A002
        """The provider no longer knows this job of the part."""
        ...

    async def observe(self, tag: str, facts: ProviderFacts) -> None:
        """Keep what the provider says of the part's job."""
        ...

    async def report(self, incident: Incident) -> None:
        """Keep an incident; the latest word on the same provider's job stands."""
        ...

    async def withdrawn(self, key: SubmissionKey) -> bool:
        """Whether the submission was withdrawn."""
        ...

    async def withdraw(self, key: SubmissionKey) -> None:
        """Withdraw the submission: whoever sends one of its parts all the same learns it at `keep`."""
        ...
