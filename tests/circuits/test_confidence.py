"""From pieces to one record of confidence for each pub."""

import pytest

from circuits.confidence import NOTE, confidence_of, note_of
from qurable.contracts.confidence import Confidence, ConfidenceKind
from qurable.contracts.executions import Piece
from qurable.errors import ResultRefused


def _piece(pub: int, value: float | None, start: int = 0) -> Piece:
    record = Confidence(
        kind=ConfidenceKind.TRUNCATION_BOUND, value=value or 0.0, basis="a test", element=start
    )
    notes = {} if value is None else {NOTE: note_of(record)}
    return Piece(pub=pub, start=start, stop=start + 1, data=b"", notes=notes)


def test_the_least_certain_piece_speaks_for_its_pub() -> None:
    """In the order of the pubs, whatever the order of the pieces."""
    pieces = [_piece(2, 0.1), _piece(0, 0.3, 1), _piece(0, 0.2), _piece(1, None)]

    found = confidence_of(pieces)

    assert [(record.pub, record.value, record.element) for record in found] == [(0, 0.3, 1), (2, 0.1, 0)]


@pytest.mark.parametrize("note", [{"kind": "guess", "value": 1.0, "basis": "x"}, "certainly", {"value": 1.0}])
def test_a_note_that_is_no_record_is_refused(note: object) -> None:
    """A made-up number is no confidence."""
    piece = Piece(pub=3, start=0, stop=1, data=b"", notes={NOTE: note})

    with pytest.raises(ResultRefused, match="pub 3"):
        confidence_of([piece])
