"""Rows of the matrix where something is killed: at every line between two effects, and while a request is held."""

from collections.abc import Iterator

from tests.chaos.harness import until
from tests.chaos.paid import Play, Round, Row, batched_bell, long_bell
from tests.chaos.paid_house import Part

BEFORE_SUBMIT = ("accept:begun", "accept:kept", "prepare:begun", "prepare:worked", "prepare:kept")

UNMERGED = (
    "plan_route:begun",
    "plan_route:worked",
    "plan_route:kept",
    "transpile-0:begun",
    "transpile:compiled",
    "transpile-0:worked",
    "transpile-0:kept",
)
"""Lines that only a job comes to whose stages are not merged."""

BATCHED = ("open_session-0:begun", "open_session-0:opened", "open_session-0:worked", "open_session-0:kept")
"""Lines that only a job in a batch comes to."""

SUBMIT = (
    "submit-0:begun",
    "submit-0:intended",
    "ibm:intended",
    "ibm:claimed",
    "ibm:looked",
    "ibm:posted",
    "ibm:kept",
    "submit-0:submitted",
    "submit-0:worked",
    "submit-0:kept",
)

UNCLEAR = "ibm:unclear"
"""Where a worker is whose submission has lost its answer."""

WITHDRAWN = "ibm:withdrawn"
"""Where a worker is that has noted a withdrawal and not told the provider."""

REPORTED = "ibm:reported"
"""Where a worker is that has reported a duplicate and not cancelled it."""

AFTERWARDS = (
    *(
        f"{step}-0:{line}"
        for step in ("await_start", "await_done", "fetch", "post_process")
        for line in ("begun", "worked", "kept")
    ),
    "record-0:begun",
    "record-0:kept",
)

LINES = (*BEFORE_SUBMIT, *UNMERGED, *BATCHED, *SUBMIT, UNCLEAR, WITHDRAWN, REPORTED, *AFTERWARDS)
"""Every failpoint of a paid job."""

_FOR_SERVERS = (
    "accept:begun",
    "prepare:begun",
    "prepare:worked",
    "plan_route:begun",
    "transpile-0:worked",
    "submit-0:begun",
    "ibm:intended",
    "ibm:claimed",
    "ibm:looked",
    "ibm:posted",
    "ibm:kept",
    "submit-0:worked",
    "await_start-0:begun",
    "await_done-0:begun",
    "await_done-0:worked",
    "fetch-0:begun",
    "fetch-0:worked",
    "post_process-0:begun",
    "record-0:begun",
    "record-0:kept",
)
_QUICK = frozenset({"submit-0:kept", "fetch-0:begun"})


def kill_rows() -> Iterator[Row]:
    """Every target at every line."""
    for line in LINES:
        if line not in (WITHDRAWN, REPORTED):
            yield Row("kill worker", f"worker killed at {line}", _worker_at(line), quick=line in _QUICK)
    yield Row("kill worker", f"worker killed at {WITHDRAWN}", _worker_while_withdrawing, ends="JobCancelled")
    name = f"frozen between look and POST, worker killed at {REPORTED}"
    yield Row("frozen", name, _worker_with_a_duplicate, excused=True)
    for place in ("before", "after"):
        yield Row("kill worker", f"worker killed, POST held {place} accept", _while_held(place, Part.WORKER))
        yield Row(
            "kill emulator", f"emulator killed, POST held {place} accept", _while_held(place, Part.EMULATOR)
        )
    for part in (Part.TEMPORAL, Part.STORE, Part.EMULATOR):
        for line in (*_FOR_SERVERS, UNCLEAR):
            yield Row(
                f"kill {part}",
                f"{part} killed at {line}",
                _server_at(part, line),
                quick=line == "fetch-0:begun" and part is not Part.EMULATOR,
            )


async def _start(round_: Round, line: str) -> None:
    if line == UNCLEAR:
        await round_.home.control.fault("POST /jobs", "drop", after=True)
    if line == "transpile:compiled":
        await round_.start(long_bell(seed=round_.random.randrange(2**31)))  # or the circuit would be at hand
    else:
        await round_.start(long_bell() if line in UNMERGED else batched_bell() if line in BATCHED else None)


def _worker_at(line: str) -> Play:
    async def play(round_: Round) -> None:
        round_.house.arm(line)
        await _start(round_, line)

    return play


async def _worker_while_withdrawing(round_: Round) -> None:
    await round_.home.control.settings(hold=True)
    round_.house.arm(WITHDRAWN)
    await round_.start()
    await round_.until_began("await_start-0")
    round_.wanted = False
    await round_.house.qurable.cancel(round_.job_id)


async def _worker_with_a_duplicate(round_: Round) -> None:
    """A request is held up until another was sent; who fetches finds that there are two jobs."""
    control = round_.home.control
    await control.fault("POST /jobs", "hold")
    await round_.start()
    await control.until_held()
    await control.settings(hold=True)
    await round_.until_began("await_start-0")
    round_.house.arm(REPORTED)
    await control.release()

    async def both() -> bool:
        return len(await round_.jobs_of()) == 2

    await until("the provider has both jobs", both)
    await control.settings(hold=False)


def _server_at(part: Part, line: str) -> Play:
    """A worker stops at the line, the server is killed, and comes back before or after the worker goes on."""

    async def play(round_: Round) -> None:
        round_.house.arm_stop(line)
        await _start(round_, line)
        await round_.house.stopped_at(line)
        round_.home.kill(part)
        if round_.random.random() < 0.5:
            round_.house.release(line)
            await round_.home.start(part)
        else:
            await round_.home.start(part)
            round_.house.release(line)

    return play


def _while_held(place: str, part: Part) -> Play:
    """The submission is at the provider, before or after it has taken it, when somebody dies."""

    async def play(round_: Round) -> None:
        await round_.home.control.fault("POST /jobs", "hold", after=place == "after")
        await round_.start()
        await round_.home.control.until_held()
        round_.home.kill(part)
        if part is Part.EMULATOR:
            await round_.home.start(part)
        else:
            await round_.home.control.release()

    return play
