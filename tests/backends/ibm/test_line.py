"""The line to the provider: what becomes of a question whose child does not come back, and how many one question is about."""

from pathlib import Path
from typing import Any, cast

import pytest

from backends.ibm.accounts import Accounts
from backends.ibm.provider import Line, Provider
from isolation.pool import ChildPool
from qurable.backend import Shelf
from qurable.contracts.executions import Phase, ProviderFacts
from qurable.errors import ChildCrashed, HybridError, OutOfTime, TargetUnavailable
from qurable.ledger import Ledger


class Children:
    """Children that answer what a look asks, or end as they are told.

    Args:
        failure: How each of them ends; None where they answer.
    """

    def __init__(self, failure: HybridError | None = None) -> None:
        self.failure = failure
        self.asked: list[list[str]] = []

    async def call(self, _task: str, payload: dict[str, Any], *_: Any, **__: Any) -> Any:
        """What the provider says."""
        if self.failure is not None:
            raise self.failure
        self.asked.append(payload["ids"])
        return [ProviderFacts(id=name, phase=Phase.QUEUED).model_dump_json() for name in payload["ids"]]


def line(children: Children) -> Line:
    """A line whose questions these children put."""
    pool, nothing = cast("ChildPool", children), cast("Any", None)
    accounts = Accounts(environment={"QISKIT_IBM_TOKEN": "t", "QISKIT_IBM_INSTANCE": "i"}, home=Path("none"))
    provider = Provider(
        asking=pool,
        sending=pool,
        shelf=cast("Shelf", nothing),
        ledger=cast("Ledger", nothing),
        accounts=accounts,
    )
    return Line(provider, "default")


@pytest.mark.parametrize(
    "failure",
    [OutOfTime("asking IBM (look) passed its limit of 60 s", limit_seconds=60.0), ChildCrashed("it died")],
)
async def test_a_child_that_does_not_come_back_says_nothing_of_the_job(failure: HybridError) -> None:
    """A slow provider is one that is asked again: the job is alive, and paid for."""
    with pytest.raises(TargetUnavailable, match="gave no answer"):
        await line(Children(failure)).look(["a"])
    with pytest.raises(TargetUnavailable, match="gave no answer"):
        await line(Children(failure)).fetch(lambda _: None, id="a")


async def test_a_job_that_ran_too_long_is_no_slow_provider() -> None:
    """The same class, said by the provider of the job."""
    with pytest.raises(OutOfTime):
        await line(Children(OutOfTime("ran too long", reason_code=1305))).look(["a"])


async def test_a_look_at_many_jobs_is_several_questions() -> None:
    """Each has to be answered within its limit; all come in order."""
    children, ids = Children(), [str(number) for number in range(23)]

    found = await line(children).look(ids)

    assert [facts.id for facts in found] == ids
    assert max(map(len, children.asked)) == 10
