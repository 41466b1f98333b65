"""Twins stand behind the job's own pubs, and what does not come back of them costs no answer."""

import io
from dataclasses import replace
from typing import Any

import numpy as np

from activities import twins
from activities.documents import CompiledCircuit, CompiledDocument, SubmittedDocument, Twin, ValidatedDocument
from activities.questions import logical_digest
from activities.reporting import Kept
from circuits.seeds import STRIDE
from qurable.contracts.bindings import Bindings
from qurable.contracts.checks import Checks, TwinRide
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.executions import IsaPub, JobRef, Piece, SubmissionKey
from qurable.contracts.routes import Route, Rung
from qurable.contracts.targets import TargetSnapshot
from qurable.requests import sample
from tests.fallback.places import aer, device, parsed

_TWO = "OPENQASM 2.0; qreg q[2]; creg c[2]; measure q -> c;"
_VALIDATED = ValidatedDocument(
    request="r", circuits=(parsed("two"),), circuit_of=(0,), seed=1, seed_minted=True
)
_COMPILED = CompiledCircuit(
    isa="i", layout=None, depth=9, two_qubit_gates=7, size=9, active=2, level=2, seed=0, target="t"
)
_RIDING = Twin(circuit=0, pub=0, copies=2, isa="twin", bits=2, checks=("3",), odd=(0,), noticed=0.8)


def _kept(place: TargetSnapshot, *twins_of: Twin, ridden: tuple[Piece, ...] = ()) -> Kept:
    key = SubmissionKey(job_id="lab-1", backend=place.name, digest="d")
    rung = Rung(target=place, because="asked for")
    return Kept(
        _VALIDATED,
        rung,
        Route(rungs=(rung,)),
        CompiledDocument(circuits=(_COMPILED,), twins=twins_of),
        SubmittedDocument(job=JobRef(backend=place.name, key=key, handle="h"), small=True),
        (),
        ridden=ridden,
    )


def _piece(outcomes: list[int], start: int) -> Piece:
    body = io.BytesIO()
    np.savez(body, bits=np.array(outcomes, dtype=np.uint8).reshape(1, -1, 1))
    return Piece(pub=1, start=start, stop=start + 1, data=body.getvalue())


def test_a_twin_is_one_more_pub_behind_those_of_the_job() -> None:
    """With its circuit's shots and method, and with seeds that no binding of the job has."""
    own = IsaPub(
        isa="i",
        bindings=Bindings(parameters=("p0",), shape=(3,), values=(1, 2, 3)),
        shots=50,
        seed=7,
        num_clbits=2,
    )
    compiled = CompiledDocument(
        circuits=(_COMPILED,), twins=(_RIDING, _RIDING.model_copy(update={"copies": 4}))
    )

    first, second = twins.beside(compiled, [own], 7 + 3 * STRIDE)

    assert first == own.model_copy(
        update={"isa": "twin", "bindings": Bindings(parameters=(), shape=(2,)), "seed": 7 + 3 * STRIDE}
    )
    assert (second.bindings.size, second.seed) == (4, 7 + 5 * STRIDE)


def test_a_job_with_a_twin_is_another_submission() -> None:
    """What was sent without it is never taken for one with it, nor the other way round."""
    pubs = sample(_TWO, shots=10).pubs

    wishes = (None, TwinRide(), TwinRide(shots=10))
    assert len({logical_digest("sample", pubs, _VALIDATED, wanted) for wanted in wishes}) == 3


def test_the_record_says_what_it_was_measured_on() -> None:
    """Six of eight shots have equal bits, of which half would have them by chance."""
    pieces = (_piece([0, 3, 3, 1], 0), _piece([0, 0, 2, 3], 1))

    (record,), (confidence,) = twins.read(_kept(device(), _RIDING, ridden=pieces))

    assert (record.shots, record.right, record.checks) == (8, 6, 1)
    assert (confidence.kind, confidence.pub, confidence.value) == (ConfidenceKind.TWIN_CHECK, 0, 0.5)
    assert "6 of 8 shots" in confidence.basis
    assert "80%" in confidence.basis


def test_a_twin_that_does_not_come_back_costs_no_answer() -> None:
    """The job's own results are whole; that there is no record is said."""
    broken: dict[str, Any] = {"pub": 1, "start": 0, "stop": 2}
    body = io.BytesIO()
    np.savez(body, bits=np.zeros((2, 4, 3), dtype=np.uint8))
    for ridden in ((), (_piece([0, 3], 0),), (Piece(**broken, data=body.getvalue()),)):
        (record,), confidences = twins.read(replace(_kept(device(), _RIDING), ridden=ridden))

        assert (record.because, record.isa) == ("its result did not come back whole", "twin")
        assert not confidences


def test_what_did_not_ride_is_told_to_whoever_asked() -> None:
    """Why there is no twin, and nothing where nobody wanted one."""
    asked, unasked = (sample(_TWO, shots=10, checks=checks) for checks in (Checks(twin=TwinRide()), Checks()))
    refused = Twin(circuit=0, pub=0, copies=2, because="it measures nothing")

    assert [
        [sentence.partition(":")[2] for sentence in twins.warnings(kept, asked)]
        for kept in (_kept(device(), refused), _kept(device(), _RIDING))
    ] == [[" it measures nothing"], []]
    assert len(list(twins.warnings(_kept(aer()), asked))) == 1
    assert not list(twins.warnings(_kept(aer()), unasked))
