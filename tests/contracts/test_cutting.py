"""What may be asked of a cut is known before anything is sent."""

from typing import Any

import pytest

from qurable.contracts.cutting import CutJob
from qurable.cutting import as_cut
from qurable.errors import RequestRejected
from tests.circuits_at_hand import BELL


@pytest.mark.parametrize(
    ("work", "options", "words"),
    [
        ((BELL, []), {}, "nothing is asked"),
        ((BELL, ["ZZ"]), {"precision": 0.0}, "precision 0 asks for the exact value"),
        ((BELL, ["ZZ"], {"a": [0.1, 0.2]}), {}, r"an array of shape \(2,\): start a cut for each binding"),
        ((BELL, ["ZZ"]), {"marginals": [range(9)]}, "1 to 8 different qubits"),
        ((BELL, ["ZZ"]), {"marginals": [(0, 0)]}, "1 to 8 different qubits"),
        (
            (BELL, ["ZZ"]),
            {"cut": {"gates": False, "wires": False}},
            "allow cuts of gates, of wires, or of both",
        ),
        ((BELL, ["ZZ"]), {"cut": {"max_overhead": 0}}, "max_overhead"),
        ((BELL, ["ZZ"]), {"cut": {"widht": 2}}, "widht"),
        ((BELL, ["ZZ"]), {"checks": {"twin": {"shots": 1000}}}, "checks look at a whole job.s answer"),
        ((BELL, ["ZZ"]), {"seeds": (1,)}, "each fragment's seeds are made from it"),
    ],
)
def test_what_a_cut_cannot_do_is_refused_by_its_name(work: Any, options: dict[str, Any], words: str) -> None:
    """At the client, with the way out."""
    with pytest.raises(RequestRejected, match=words):
        as_cut(work, **options)


def test_key_and_body_are_told_apart() -> None:
    """Equal keys of a project are one cut; what is asked, and how it may be cut, make its body."""
    one = as_cut((BELL, ["ZZ"]), key="a", cut={"qubits": 1})
    same = CutJob.model_validate_json(one.model_dump_json())
    wider = as_cut((BELL, ["ZZ"]), key="a", cut={"qubits": 2})

    assert (same.cut_id, same.body_hash) == (one.cut_id, one.body_hash)
    assert wider.cut_id == one.cut_id
    assert wider.body_hash != one.body_hash
    assert as_cut((BELL, ["ZZ"]), key="b").cut_id != one.cut_id
