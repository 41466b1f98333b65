"""How many shots a budget has room for, and parts that are smaller than they have to be."""

import math
from dataclasses import replace

import pytest

from backends.ibm.fitting import divided_parts, with_shots_that_fit
from backends.ibm.split import DeviceLimits, parts
from qurable.contracts.bindings import Bindings
from qurable.contracts.executions import IsaPub, PartIntent, Submission
from qurable.contracts.ibm import IbmOptions
from qurable.errors import BudgetExceeded
from tests.backends.ibm.submissions import submission

LIMITS = DeviceLimits(rep_delay=250e-6)


def pub(bindings: int = 1, shots: int = 20_000) -> IsaPub:
    """Some bindings of a small circuit."""
    values = tuple(map(float, range(bindings)))
    return IsaPub(
        isa="f" * 64,
        bindings=Bindings(parameters=("p0",), shape=(bindings,), values=values),
        shots=shots,
        seed=1,
        num_clbits=2,
        size=10,
        qubits=2,
    )


def reserved(asked: Submission, shots: int) -> int:
    """QPU seconds for a submission whose pubs have so many shots at most."""
    cut = tuple(one.model_copy(update={"shots": min(one.shots, shots)}) for one in asked.pubs)
    return sum(part.reserve or 0 for part in parts(asked.model_copy(update={"pubs": cut}), LIMITS))


def refusal(limit: float, unit: str = "QPU seconds", *, asked: float | None = 99.0) -> BudgetExceeded:
    """Of a budget of which nothing is taken."""
    return BudgetExceeded("too dear", limit=limit, reserved=0.0, spent=0.0, unit=unit, asked=asked)


def told(asked: Submission, refused: BudgetExceeded, price: float | None = None) -> BudgetExceeded:
    """The refusal with what fits."""
    terms = {"price_per_second": price, "currency": "" if price is None else "USD"}
    priced = [intent.model_copy(update=terms) for intent in parts(asked, LIMITS)]
    return with_shots_that_fit(refused, asked, LIMITS, priced)


@pytest.mark.parametrize("asked", [submission(pub()), submission(pub(3, 8000), pub(2, 500))])
@pytest.mark.parametrize("room", [5, 7, 10])
def test_the_most_shots_that_fit_are_found(asked: Submission, room: int) -> None:
    """They fit, and one more does not."""
    found = told(asked, refusal(room))
    shots = found.details["shots_that_fit"]

    assert 0 < shots < max(one.shots for one in asked.pubs)
    assert reserved(asked, shots) <= room < reserved(asked, shots + 1)
    assert found.details["limit"] == room
    assert found.message == f"too dear; with {shots:,} shots a circuit it would fit"


def test_money_is_seconds_times_their_price() -> None:
    """The same room in another unit."""
    seconds = told(submission(pub()), refusal(7))
    money = told(submission(pub()), refusal(14, "USD"), price=2.0)

    assert money.details["shots_that_fit"] == seconds.details["shots_that_fit"]


def test_where_shots_decide_nothing_none_fit() -> None:
    """A room below what one shot takes, a limit of the caller's own that is reserved whatever is run, an unknown cost."""
    limited = submission(pub(), options=IbmOptions(max_execution_time=60))
    unknown = refusal(7, asked=None)

    assert told(submission(pub()), refusal(1)).details["shots_that_fit"] == 0
    assert told(limited, refusal(7)).details["shots_that_fit"] == 0
    assert told(submission(pub()), refusal(1)).message == "too dear"
    assert told(submission(pub()), unknown) is unknown


def bindings_of(part: PartIntent) -> int:
    """How many a part runs."""
    return sum(piece.stop - piece.start for piece in part.slices)


@pytest.mark.parametrize("divided", [2, 3, 8])
def test_a_submission_is_divided_further(divided: int) -> None:
    """Into parts of an nth of what one took; every binding is run once."""
    asked = submission(pub(7, 100), pub(4, 100), pub(1, 100))
    whole = divided_parts(asked, LIMITS)
    smaller = divided_parts(asked.model_copy(update={"divided": divided}), LIMITS)
    most = math.ceil(12 / divided)

    assert whole == parts(asked, LIMITS)
    assert len(whole) == 1
    assert max(map(bindings_of, smaller)) <= most
    assert len(smaller) == math.ceil(12 / most)
    assert sum(map(bindings_of, smaller)) == 12
    ran = [(one.pub, at) for part in smaller for one in part.slices for at in range(one.start, one.stop)]
    assert sorted(ran) == [(0, at) for at in range(7)] + [(1, at) for at in range(4)] + [(2, 0)]


def test_what_is_divided_already_is_divided_further() -> None:
    """What the limits part it into is what the nth is taken of."""
    asked = submission(pub(12, 100))
    limits = replace(LIMITS, max_executions=600)

    assert [bindings_of(part) for part in divided_parts(asked, limits)] == [6, 6]
    halves = divided_parts(asked.model_copy(update={"divided": 2}), limits)
    assert [bindings_of(part) for part in halves] == [3, 3, 3, 3]
