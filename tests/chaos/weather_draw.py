"""Draws rounds of weather from a seed. Pure: a round is decided by the seed and its number alone."""

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from qurable.contracts.budgets import JobBudget
from qurable.contracts.checks import Action, Checks, ExpectedDistribution
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.fallback import ConfidenceFloor, Fallback
from qurable.contracts.jobs import Limits
from qurable.contracts.targets import AnswerKind
from qurable.requests import AnyJob, estimate, sample
from tests.chaos.weather import (
    CIRCUITS,
    DEVICES,
    OBSERVABLES,
    POOR,
    PROBABILITIES,
    STATES,
    THRIFTY,
    UNDER_ONE_SKY,
    USUAL,
    Asked,
    Piece,
    Round,
    Sky,
)


def drawn(seed: int, number: int) -> Round:
    """A round, by its number."""
    draw = random.Random(f"{seed}-round-{number}")
    device = DEVICES[number % len(DEVICES)]
    pieces = tuple(_piece(draw) for _ in range(draw.choice((0, 1, 1, 1, 2, 2, 3))))
    jobs = tuple(_asked(draw, device) for _ in range(draw.choice((1, 1, 1, 1, 2))))
    return Round(number, device, sky(seed, number // UNDER_ONE_SKY), pieces, jobs)


def sky(seed: int, number: int) -> Sky:
    """What the rounds of one sky have in common."""
    draw = random.Random(f"{seed}-sky-{number}")
    kinds = draw.sample(_SKIES, draw.choice((0, 1, 1, 2)))
    settings: dict[str, Any] = {"prepare_seconds": draw.choice((0.0, 2.0, 10.0))}
    for kind in kinds:
        settings |= _SETTINGS.get(kind, {})
    return Sky(
        kinds=tuple(kinds),
        settings=settings,
        tokens={"revoke": True} if "expired tokens" in kinds else {},
        faults=_SIGN_IN_DOWN if "sign-in down" in kinds else (),
        jump=draw.uniform(60, 7200) if "clock jump" in kinds else 0.0,
        kill=draw.uniform(1, 6) if "worker killed" in kinds else None,
    )


_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "noise": {"noise": True},
    "slow index": {"tag_lag_seconds": 12.0},
    "late bills": {"usage_lag_seconds": 60.0},
    "usage limit": {"usage_limit_seconds": 0.0},
    "long runs": {"run_factor": 4.0},
}

_SKIES = (
    *("noise", "slow index", "late bills", "usage limit", "long runs"),
    *("expired tokens", "sign-in down", "clock jump", "worker killed"),
)
_SIGN_IN_DOWN = ({"route": "POST /identity/token", "mode": "status", "status": 503, "times": 4},)

_ROUTES = (
    *("POST /jobs", "POST /jobs", "GET /jobs/{id}", "GET /jobs/{id}/results", "GET /jobs/{id}/metrics"),
    *("POST /jobs/{id}/cancel", "GET /backends/{name}/[a-z]+", ".*"),
)
_BROKEN = ("{}", "[]", "null", '{"results": 7}', "<html>502</html>", "")


def _piece(draw: random.Random) -> Piece:
    kind = draw.choice(PIECES)
    at = draw.choice((0.0, 0.0, draw.uniform(0, 5)))
    return Piece(kind, at, **_details(kind, draw))


def _details(kind: str, draw: random.Random) -> dict[str, Any]:
    """What a kind of weather is made of."""
    few = draw.choice((1, 1, 2, 4, None))
    match kind:
        case "outage":
            return {"faults": ({"mode": "outage"},)}
        case "errors":
            status = draw.choice((500, 502, 503, 504))
            return {"faults": (_fault(draw, "status", few, status=status, after=draw.random() < 0.3),)}
        case "rate limit":
            limited: dict[str, Any] = {"status": 429, "code": 1429, "headers": {"Retry-After": "1"}}
            return {"faults": (_fault(draw, "status", draw.choice((1, 3)), **limited),)}
        case "dropped":
            return {"faults": (_fault(draw, "drop", few, after=draw.random() < 0.5),)}
        case "slow":
            return {"faults": (_fault(draw, "hang", few, seconds=draw.uniform(1, 12)),)}
        case "broken result":
            broken = {"body": draw.choice(_BROKEN)} if draw.random() < 0.6 else {}
            mode = "body" if broken else "truncate"
            return {"faults": ({"route": "GET /jobs/{id}/results", "mode": mode, "times": few, **broken},)}
        case "broken state":
            body = {"mode": "body", "body": draw.choice(_BROKEN), "times": draw.choice((1, 2, None))}
            return {"faults": ({"route": "GET /jobs/{id}", **body},)}
        case "closed":
            closed = draw.choice(("paused", "internal", "maintenance", "offline", "reserved"))
            return {"device": {"status": closed, "reason": "drawn"}}
        case "long queue":
            return {"device": {"queue_length": draw.choice((1, 3, 10, 40))}}
        case "bad calibration":
            return {"device": {"error_factor": 1e6}}
        case "failed there":
            return {
                "job": {"status": "Failed", "reason": "drawn", "reason_code": draw.choice((1517, 9999, 6000))}
            }
        case "cancelled there":
            return {"job": {"status": "Cancelled"}}
        case "vanished":
            return {"job": {"vanish": True}}
    raise AssertionError(kind)


PIECES = (
    *(
        "outage",
        "errors",
        "errors",
        "rate limit",
        "dropped",
        "dropped",
        "slow",
        "broken result",
        "broken result",
    ),
    *("broken state", "closed", "long queue", "long queue", "bad calibration"),
    *("failed there", "cancelled there", "vanished"),
)
KINDS = frozenset({*PIECES, *_SKIES, "cancelled", "terminated"})
"""Every kind of weather and action there is."""


def _fault(draw: random.Random, mode: str, times: int | None, **details: Any) -> Mapping[str, Any]:
    return {"route": draw.choice(_ROUTES), "mode": mode, "times": times, **details}


def _asked(draw: random.Random, device: str) -> Asked:
    circuits = _circuits(draw)
    backend = draw.choices((f"ibm:{device}", f"fake_{device}", "aer", "auto"), (20, 1, 1, 1))[0]
    fallback = _fallback(draw)
    options: dict[str, Any] = {
        "backend": backend,
        "fallback": fallback,
        "limits": _limits(draw),
        "budget": _budget(draw),
        "project": draw.choices((USUAL, THRIFTY, POOR), (14, 3, 1))[0],
        "seed": draw.randrange(2**31),
    }
    if draw.random() < 0.3 and "wide" not in circuits:
        pubs = [(STATES[name], OBSERVABLES[name]) for name in circuits]
        work: AnyJob = estimate(*pubs, precision=draw.choice((0.05, 0.1)), **options)
    else:
        shots = draw.choice((200, 400, 1000))
        options["checks"] = _checks(draw, circuits[0])
        work = sample(*(CIRCUITS[name] for name in circuits), shots=shots, **options)
    action = draw.choices(("", "cancelled", "terminated"), (17, 2, 1))[0]
    return Asked(work, circuits, action, draw.uniform(0, 6))


def _checks(draw: random.Random, first: str) -> Checks:
    """Sometimes what the first pub's outcomes should come from, which a noisy simulator does not quite meet."""
    if first not in PROBABILITIES or draw.random() >= 0.15:
        return Checks()
    then = draw.choice((Action.REFUSE, Action.DOWN_RANK))
    return Checks(items=(ExpectedDistribution(probabilities=PROBABILITIES[first], within=0.01, then=then),))


def _circuits(draw: random.Random) -> tuple[str, ...]:
    if draw.random() < 0.04:
        return ("wide",)
    return tuple(draw.sample(tuple(OBSERVABLES), draw.choice((1, 1, 1, 2, 3))))


def _fallback(draw: random.Random) -> Fallback:
    floors: Sequence[ConfidenceFloor | None] = (
        None,
        ConfidenceFloor(kind=ConfidenceKind.SURVIVAL_ESTIMATE, value=0.5),
        ConfidenceFloor(kind=ConfidenceKind.STANDARD_ERROR, value=0.2),
        ConfidenceFloor(kind=ConfidenceKind.STANDARD_ERROR, value=1e-6),
    )
    kinds = draw.choices(
        ((), (AnswerKind.HARDWARE,), (AnswerKind.HARDWARE, AnswerKind.SIMULATOR), (AnswerKind.CLASSICAL,)),
        (20, 1, 1, 1),
    )[0]
    return Fallback(
        policy="none" if draw.random() < 0.15 else "table",
        kinds=kinds,
        other_devices=draw.random() < 0.03,
        leave_house=draw.random() >= 0.04,
        floor=draw.choices(floors, (20, 1, 1, 1))[0],
    )


def _limits(draw: random.Random) -> Limits:
    total = draw.choices((None, 30.0, 45.0), (3, 5, 2))[0]
    queue = draw.choices((None, 4.0, 10.0), (6, 2, 2))[0]
    chosen: dict[str, Any] = {} if total is None else {"total": timedelta(seconds=total)}
    return Limits(**chosen, **({} if queue is None else {"queue": timedelta(seconds=queue)}))


def _budget(draw: random.Random) -> JobBudget:
    return draw.choices(
        (
            JobBudget(),
            JobBudget(qpu_seconds=0.5),
            JobBudget(price=1.0),
            JobBudget(qpu_seconds=100, price=500),
        ),
        (20, 1, 1, 1),
    )[0]
