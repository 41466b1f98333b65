"""A shelf in memory, for testing a backend without a store."""

import hashlib
from collections.abc import Sequence

from qurable.contracts.executions import Piece, Submission, SubmissionKey


class MemoryShelf:
    """A `Shelf` that forgets when its process ends."""

    def __init__(self) -> None:
        self._artifacts: dict[str, bytes] = {}
        self._handles: dict[str, str] = {}
        self._withdrawn: set[str] = set()
        self._pieces: dict[str, dict[tuple[int, int, int], Piece]] = {}

    async def artifact(self, key: str) -> bytes:
        """An artifact by its SHA-256."""
        return self._artifacts[key]

    async def keep_artifact(self, kind: str, body: bytes) -> str:  # noqa: ARG002  a store wants to know
        """Keep bytes; gives back their SHA-256."""
        key = hashlib.sha256(body).hexdigest()
        self._artifacts[key] = body
        return key

    async def handle(self, key: SubmissionKey) -> str | None:
        """The handle that a submission was given."""
        return self._handles.get(key.tag)

    async def keep_handle(self, key: SubmissionKey, handle: str) -> str:
        """Give a submission its handle unless it has one; gives back the one that stands."""
        return self._handles.setdefault(key.tag, handle)

    async def keep_submission(self, submission: Submission) -> str:
        """Keep a submission and give it its own hash as handle; gives back the one that stands."""
        handle = await self.keep_artifact("submission", submission.model_dump_json().encode())
        return await self.keep_handle(submission.key, handle)

    async def withdrawn(self, key: SubmissionKey) -> bool:
        """Whether the submission was withdrawn."""
        return key.tag in self._withdrawn

    async def withdraw(self, key: SubmissionKey) -> None:
        """Mark the submission as withdrawn."""
        self._withdrawn.add(key.tag)

    async def finished(self, key: SubmissionKey) -> set[tuple[int, int, int]]:
        """(pub, start, stop) of every piece that is kept."""
        return set(self._pieces.get(key.tag, {}))

    async def keep_pieces(self, key: SubmissionKey, pieces: Sequence[Piece]) -> None:
        """Keep pieces of the result; the first of a range stands."""
        kept = self._pieces.setdefault(key.tag, {})
        for piece in pieces:
            kept.setdefault((piece.pub, piece.start, piece.stop), piece)

    async def pieces(self, key: SubmissionKey) -> Sequence[Piece]:
        """Every piece that is kept, in order."""
        return [piece for _, piece in sorted(self._pieces.get(key.tag, {}).items())]
