"""Rows of the matrix of an account by name: Global Search and Global Catalog, which tell its instance, go wrong."""

from collections.abc import Iterator

from tests.chaos.harness import until
from tests.chaos.paid import Play, Round, Row, bell
from tests.chaos.paid_faults import Trouble, answer, refusal
from tests.chaos.paid_house import BY_NAME, READ_SECONDS, Kind

_SEARCH = "POST /v3/resources/search"
_CATALOG = "GET /api/v1/{plan}"
_ROUTES = {_SEARCH: "/v3/resources/search", _CATALOG: "/api/v1/emulator-plan"}
"""Paths, by the names that routes have in the table."""

_STRUCK = {_SEARCH: _SEARCH, _CATALOG: "GET /emulator-plan"}
"""What the emulator calls them, which takes one prefix for another's."""

_NO_ANSWER = (
    Trouble("dropped before", {"mode": "drop"}),
    Trouble("dropped after", {"mode": "drop", "after": True}),
)
_HANGS = Trouble("hangs", {"mode": "hang", "seconds": READ_SECONDS + 1})
_FAILS = {
    _SEARCH: (
        Trouble("500", refusal(500)),
        Trouble("401", refusal(401), "AccountRefused"),
        Trouble("403", refusal(403), "AccountRefused"),
        Trouble("429", refusal(429)),
        Trouble("no JSON", answer("<html>")),
        Trouble("null", answer("null")),
        Trouble("no instance", answer('{"items": []}'), "AccountRefused"),
        Trouble("truncated", {"mode": "truncate"}),
        *_NO_ANSWER,
    ),
    _CATALOG: (Trouble("null", answer("null")), *_NO_ANSWER),
}
"""Faults that nobody can sign in with."""

_LATER = {
    "submit-0": (*_FAILS[_SEARCH][:2], _HANGS),
    "await_start-0": _FAILS[_SEARCH][:2],
    "fetch-0": _FAILS[_SEARCH][:2],
}
"""Those of the search that stages after the first meet; only a submission does not wait for an answer that hangs."""

_BORNE = (
    Trouble("500", refusal(500)),
    Trouble("401", refusal(401)),
    Trouble("429", refusal(429)),
    Trouble("no JSON", answer("<html>")),
    Trouble("{}", answer("{}")),
    Trouble("truncated", {"mode": "truncate"}),
)
"""Faults of the catalogue that the client gets over: the price plan is then not known."""


def cloud_rows() -> Iterator[Row]:
    """Every fault of both routes when a job is prepared, and the search's at later stages too."""
    for route, troubles in _FAILS.items():
        for trouble in troubles:
            yield _row(f"{route}: {trouble.name}", _fails(route, trouble, "prepare"), trouble.ends)
    for trouble in _BORNE:
        yield _row(f"{_CATALOG}: {trouble.name}", _is_borne(_CATALOG, trouble))
    for step, troubles in _LATER.items():
        for trouble in troubles:
            ends = trouble.ends if step == "submit-0" else ""
            yield _row(f"{_SEARCH} at {step}: {trouble.name}", _fails(_SEARCH, trouble, step), ends)
    name = f"{_CATALOG} at submit-0: {_HANGS.name}"
    yield _row(name, _fails(_CATALOG, _HANGS, "submit-0"))


def _row(name: str, play: Play, ends: str = "") -> Row:
    return Row("look-up", name, play, ends, house=Kind.BY_NAME)


async def _strike(round_: Round, route: str, trouble: Trouble) -> None:
    """Have every child look the instance up anew, since its token is no good any more, and fail at that."""
    await round_.home.control.forget_log()
    await round_.home.control.call(
        "POST", "/faults", {**trouble.fault, "route": _STRUCK[route], "times": None}
    )
    await round_.home.control.tokens(revoke=True)


async def _until_asked(round_: Round, route: str) -> None:
    async def asked() -> bool:
        return any(entry["path"] == _ROUTES[route] for entry in await round_.home.control.log())

    await until(f"{route} is asked", asked)


def _fails(route: str, trouble: Trouble, step: str) -> Play:
    """It lasts until an attempt at the step has failed of it."""

    async def play(round_: Round) -> None:
        work = bell(project=BY_NAME)
        if step == "prepare":
            await _strike(round_, route, trouble)
            await round_.start(work)
        else:
            await round_.stop_at(f"{step}:begun", work)
            await _strike(round_, route, trouble)
            round_.house.release(f"{step}:begun")
        await _until_asked(round_, route)
        await round_.until_ended(step, "failed")
        await round_.home.control.clear()

    return play


def _is_borne(route: str, trouble: Trouble) -> Play:
    """It lasts for as long as the job does."""

    async def play(round_: Round) -> None:
        await _strike(round_, route, trouble)
        await round_.start(bell(project=BY_NAME))
        await round_.finish()
        await _until_asked(round_, route)
        await round_.home.control.clear()

    return play
