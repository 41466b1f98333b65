"""What a mitigation cannot do costs no counts: they are the answer, and the report says why."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from activities import mitigating
from activities.calibrating import Calibrations
from activities.mitigating import Mitigating, refuse_impossible
from isolation.pool import ChildPool
from qurable.contracts.arrays import BitArrays
from qurable.contracts.mitigation import Mitigation
from qurable.contracts.results import RegisterResult, SampleResult
from qurable.contracts.targets import AnswerKind, TargetDocument, TargetOperation, TargetSnapshot
from qurable.errors import ChildCrashed, HybridError, InternalError, OutOfMemory, OutOfTime, RequestRejected
from qurable.requests import sample
from store.shelf import StoreShelf
from tests.circuits_at_hand import BELL

_RESULT = SampleResult(
    shots=4,
    registers=(
        RegisterResult(name="c", bits=BitArrays.pack(bytes([0, 3, 3, 1]), shape=(), num_shots=4, num_bits=2)),
    ),
)


class _Shelf:
    """Has a target, and nothing to say of circuits."""

    def __init__(self, errors: tuple[float | None, ...]) -> None:
        measure = TargetOperation(name="measure", qargs=((0,), (1,)), errors=errors)
        self._target = TargetDocument(operations=(measure,)).model_dump_json().encode()

    async def artifact(self, key: str) -> bytes:
        return self._target if key == "target" else b""


class _Pool:
    """Every task fails in one way."""

    def __init__(self, failure: HybridError) -> None:
        self._failure = failure

    async def call(self, *_: Any, **__: Any) -> Any:
        raise self._failure


class _Calibrations:
    """Has none, and says why."""

    async def find(self, *_: Any) -> str:
        return "its circuits did not come back whole"


def _held(kind: AnswerKind, calibrated: datetime | None, **rung: Any) -> Any:
    target = TargetSnapshot(name="a_device", answer_kind=kind, calibrated=calibrated)
    dress = SimpleNamespace(registers=())
    return SimpleNamespace(
        rung=SimpleNamespace(**{"name": "a_device", "target": target, "earlier": None, **rung}),
        submitted=SimpleNamespace(small=True),
        compiled=SimpleNamespace(circuits=(SimpleNamespace(target="target", isa="isa"),)),
        validated=SimpleNamespace(circuit_of=(0,), circuits=(SimpleNamespace(dress=dress),)),
    )


async def _why_not(
    failure: HybridError | None = None,
    *,
    kind: AnswerKind = AnswerKind.HARDWARE,
    errors: tuple[float | None, ...] = (0.1, 0.1),
    calibrated: datetime | None = None,
    max_age: timedelta | None = None,
    wish: dict[str, Any] | None = None,
    instead: tuple[str, ...] = (),
    **rung: Any,
) -> str:
    stage = Mitigating(
        cast("StoreShelf", _Shelf(errors)),
        cast("ChildPool", _Pool(failure or InternalError("nobody asks for this"))),
        cast("Calibrations", _Calibrations()),
    )
    asked = Mitigation.model_validate({"readout": "reported", "max_age": max_age} | (wish or {}))
    request = sample(BELL, mitigation=asked)
    done = await stage.mitigate("job", request, _held(kind, calibrated, **rung), [_RESULT])

    assert done.results == [_RESULT]
    assert done.kept == ""
    assert done.record is not None
    assert done.warnings == (*instead, f"the counts were not mitigated: {done.record.skipped}")
    return done.record.skipped


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mitigating, "absent", lambda _: [])


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (OutOfTime("passed its limit"), "it took longer than 40 s and was stopped"),
        (OutOfMemory("needed more memory"), "needed more memory"),
        (ChildCrashed("crashed its process", status=-11), "crashed its process"),
        (InternalError("GMRES did not converge"), "GMRES did not converge"),
    ],
)
async def test_a_computation_that_fails_leaves_the_counts(failure: HybridError, words: str) -> None:
    """They may have been paid for."""
    assert await _why_not(failure) == words


async def test_counts_stay_where_there_is_nothing_to_correct_them_by() -> None:
    """No errors, none that are known, none that are new enough, or none of this job's."""
    yesterday, day = datetime.now(UTC) - timedelta(days=1), timedelta(days=1)

    assert await _why_not(kind=AnswerKind.SIMULATOR) == "'a_device' reads without errors"
    assert await _why_not(errors=(None, 0.5)) == "'a_device' reports no readout errors"
    assert "nobody says how old" in await _why_not(max_age=day)
    assert "24.0 h old, and mitigation.max_age allows 12" in await _why_not(
        calibrated=yesterday, max_age=day / 2
    )
    assert "nobody asks" in await _why_not(calibrated=yesterday, max_age=2 * day)
    assert "an earlier job" in await _why_not(earlier=object())


async def test_without_a_measured_calibration_the_reported_one_stands_in_by_rule() -> None:
    """Or nothing is corrected, where the job says so; what is old by its own word is not used either."""
    because = "no measured calibration could be had: its circuits did not come back whole"
    stands_in = (f"{because}; the reported one stands in",)
    yesterday, hour = datetime.now(UTC) - timedelta(days=1), timedelta(hours=1)
    measured = {"readout": "measured"}

    assert await _why_not(wish={**measured, "otherwise": "skip"}) == because
    assert "nobody asks" in await _why_not(wish=measured, instead=stands_in)
    assert "24.0 h old" in await _why_not(
        wish=measured, max_age=hour, calibrated=yesterday, instead=stands_in
    )


async def test_without_the_library_the_option_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything runs; and what ran on a worker that had it keeps its counts on one that has not."""
    monkeypatch.setattr(mitigating, "absent", list)

    refuse_impossible(sample(BELL), [], [])
    with pytest.raises(RequestRejected, match=r"'mthree' is not installed here: .* group `mitigation`"):
        refuse_impossible(sample(BELL, mitigation="readout"), [], [])
    assert "'mthree' is not installed here" in await _why_not()
