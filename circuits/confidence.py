"""From what pieces say of themselves to a confidence record for each pub."""

from collections.abc import Iterable

from pydantic import ValidationError

from qurable.contracts.confidence import Confidence
from qurable.contracts.executions import Piece
from qurable.errors import ResultRefused

NOTE = "confidence"
"""Where a piece's notes keep how far its least certain value can be trusted."""


def note_of(confidence: Confidence) -> dict[str, object]:
    """A record as a piece's notes keep it."""
    return confidence.model_dump(mode="json", exclude={"pub"})


def confidence_of(pieces: Iterable[Piece]) -> tuple[Confidence, ...]:
    """The record of each pub whose pieces have any, that of its least certain value, in the order of the pubs.

    Raises:
        ResultRefused: A piece's note is no confidence record.
    """
    worst: dict[int, Confidence] = {}
    for piece in pieces:
        if NOTE not in piece.notes:
            continue
        try:
            found = Confidence.model_validate({**piece.notes[NOTE], "pub": piece.pub})
        except (ValidationError, TypeError) as error:
            raise ResultRefused(f"how far pub {piece.pub} can be trusted is not readable: {error}") from None
        if piece.pub not in worst or found.value > worst[piece.pub].value:
            worst[piece.pub] = found
    return tuple(worst[pub] for pub in sorted(worst))
