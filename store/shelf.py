"""What backends keep, kept in the store."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from sqlalchemy import Connection

from qurable.contracts.executions import Piece, Submission, SubmissionKey
from store import artifacts, results, submissions
from store.artifacts import ArtifactKind
from store.database import Database

_MEMORY_BYTES = 64 * 2**20
_AT_LEAST = 64
"""The newest stay whatever their size: a stage may count on what it has just been given."""


class StoreShelf:
    """The `Shelf` that workers give to backends; artifacts that are asked again come from memory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent: OrderedDict[str, bytes] = OrderedDict()
        self._recent_bytes = 0

    async def artifact(self, key: str) -> bytes:
        """An artifact by its SHA-256.

        Raises:
            InternalError: It is not there.
        """
        if key in self._recent:
            self._recent.move_to_end(key)
            return self._recent[key]
        body = (await self._database.read(artifacts.get, [key]))[key]
        self.remember(key, body)
        return body

    def remember(self, key: str, body: bytes) -> None:
        """Have an artifact at hand that was just kept."""
        if key in self._recent:
            return
        self._recent[key] = body
        self._recent_bytes += len(body)
        while self._recent_bytes > _MEMORY_BYTES and len(self._recent) > _AT_LEAST:
            self._recent_bytes -= len(self._recent.popitem(last=False)[1])

    async def keep_artifact(self, kind: str, body: bytes) -> str:
        """Keep bytes; gives back their SHA-256."""
        (key,) = await self._database.write(artifacts.put, ArtifactKind(kind), [body])
        self.remember(key, body)
        return key

    async def handle(self, key: SubmissionKey) -> str | None:
        """The handle that a submission was given."""
        return await self._database.read(submissions.handle, key.tag)

    async def keep_handle(self, key: SubmissionKey, handle: str) -> str:
        """Give a submission its handle unless it has one; gives back the one that stands."""
        return await self._database.write(submissions.settle_handle, key, handle)

    async def keep_submission(self, submission: Submission) -> str:
        """Keep a submission and give it its own hash as handle, in one transaction."""
        body = submission.model_dump_json().encode()

        def keep(connection: Connection) -> str:
            (key,) = artifacts.put(connection, ArtifactKind.SUBMISSION, [body])
            self.remember(key, body)
            return submissions.settle_handle(connection, submission.key, key)

        return await self._database.write(keep)

    async def withdrawn(self, key: SubmissionKey) -> bool:
        """Whether the submission was withdrawn."""
        return await self._database.read(submissions.is_withdrawn, key.tag)

    async def withdraw(self, key: SubmissionKey) -> None:
        """Mark the submission as withdrawn."""
        await self._database.write(submissions.withdraw, key)

    async def finished(self, key: SubmissionKey) -> set[tuple[int, int, int]]:
        """(pub, start, stop) of every piece that is kept."""
        return await self._database.read(results.ranges, key.tag)

    async def keep_pieces(self, key: SubmissionKey, pieces: Sequence[Piece]) -> None:
        """Keep pieces of the result, also when the caller is being cancelled."""
        if pieces:
            await asyncio.shield(self._database.write(results.put, key.tag, pieces))

    async def pieces(self, key: SubmissionKey) -> Sequence[Piece]:
        """Every piece that is kept, in order."""
        return await self._database.read(results.get, key.tag)
