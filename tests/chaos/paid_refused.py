"""Rows of the matrix where the account is refused from some moment on, and works again only after the job has ended."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from qurable.contracts.fallback import Fallback
from qurable.contracts.jobs import Limits
from tests.chaos.harness import until
from tests.chaos.paid import ALONE, LONG, Play, Round, Row, bell
from tests.chaos.paid_house import SETTLING_SECONDS

_SHORT = timedelta(seconds=8)
"""A limit that a job comes to while the account is refused, and not before."""

_AMPLE = timedelta(seconds=3 * SETTLING_SECONDS)
"""The same for a job that another place answers at its limit, which counts the submission too: a POST that a busy machine
answers late settles first, and is then sent again."""

_IN_ALL = timedelta(seconds=30)
"""As long a job may take whose result cannot be fetched."""

_Deed = Callable[[Round], Awaitable[None]]


@dataclass(frozen=True)
class _Moment:
    """When it begins.

    Attributes:
        name: In the table.
        reach: Brings a job there.
        step: That is refused first.
        ends: Class of the error that the job rightly ends with.
        go_on: Name of the failpoint that a worker stands at.
        paid: Whether its job runs, or has run, and is paid for whatever anybody does.
    """

    name: str
    reach: _Deed
    step: str
    ends: str
    go_on: str = ""
    paid: bool = False


def refused_rows() -> Iterator[Row]:
    """Every way to be refused at every moment."""
    for way, refuse in _WAYS.items():
        for moment in _MOMENTS:
            name = f"account refused for good {moment.name}: {way}"
            yield Row("account refused", name, _refused(moment, refuse), moment.ends)
    name = "account refused for good in the queue, and a simulator may answer"
    yield Row("account refused", name, _refused(_WITH_A_LADDER, _without_key), elsewhere=True)


async def _unauthorised(round_: Round) -> None:
    await round_.home.control.fault(".*", "status", status=401, times=None)


async def _without_key(round_: Round) -> None:
    await round_.home.control.tokens(accept=["the key of another"], revoke=True)


_WAYS: dict[str, _Deed] = {"401 on every route": _unauthorised, "its key is withdrawn": _without_key}


async def _works_again(round_: Round) -> None:
    await round_.home.control.clear()
    await round_.home.control.tokens(accept=None, revoke=False)


def _refused(moment: _Moment, refuse: _Deed) -> Play:
    """The job ends although nobody can be asked about it; what it has left alive is called off later, by the reconciler."""

    async def play(round_: Round) -> None:
        await moment.reach(round_)
        round_.wanted = not moment.paid
        await refuse(round_)
        if moment.go_on:
            round_.house.release(moment.go_on)
        await until(
            f"{moment.step} is refused",
            lambda: any(
                line.job_id == round_.job_id and line.step == moment.step and "refuse" in line.failure
                for line in round_.house.journal()
            ),
        )
        await round_.finish()
        await _works_again(round_)
        await round_.until_settled()

    return play


async def _before_submit(round_: Round) -> None:
    await round_.stop_at("ibm:claimed")


async def _answer_lost(round_: Round) -> None:
    await round_.home.control.settings(hold=True)
    await round_.home.control.fault("POST /jobs", "drop", after=True)
    await round_.stop_at("ibm:unclear")


def _in_the_queue(fallback: Fallback, queue: timedelta) -> _Deed:
    async def reach(round_: Round) -> None:
        await round_.home.control.settings(hold=True)
        await round_.start(bell(limits=Limits(queue=queue), fallback=fallback))
        await round_.until_ended("await_start-0", "waiting")

    return reach


async def _running(round_: Round) -> None:
    await round_.home.control.settings(run_factor=200.0)
    await round_.start(bell(limits=Limits(run=_SHORT), ibm=LONG))
    await round_.until_ended("await_done-0", "waiting")


async def _at_fetch(round_: Round) -> None:
    await round_.home.control.settings(usage_lag_seconds=20.0)
    await round_.stop_at("fetch-0:begun", bell(limits=Limits(total=_IN_ALL)))


_MOMENTS = (
    _Moment("before submit", _before_submit, "submit-0", "AccountRefused", go_on="ibm:claimed"),
    _Moment("while its answer is lost", _answer_lost, "submit-0", "AccountRefused", go_on="ibm:unclear"),
    _Moment("in the queue", _in_the_queue(ALONE, _SHORT), "await_start-0", "QueueLimitReached"),
    _Moment("on the QPU", _running, "await_done-0", "RunLimitReached", paid=True),
    _Moment("at fetch", _at_fetch, "fetch-0", "DeadlineReached", go_on="fetch-0:begun", paid=True),
)

_WITH_A_LADDER = _Moment("", _in_the_queue(Fallback(), _AMPLE), "await_start-0", "")
