"""Objectives that packages register as entry points: found by name, called within a time, and known by their source."""

import difflib
import hashlib
import importlib
import inspect
import math
import numbers
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from qurable.contracts.objectives import KnownObjective, ObjectiveCall
from qurable.errors import OptimisationFailed, RequestRejected
from qurable.names import OBJECTIVES_GROUP

_SHOWN = 200


class ObjectiveBroke(Exception):
    """A registered objective gave no number; says why, and at which point."""


class _TimeIsUp(BaseException):
    """A call took too long; what the objective catches by itself is no `Exception` of ours."""


def known(name: str) -> KnownObjective:
    """What answers to a name here.

    Raises:
        RequestRejected: Nothing does, two packages do, or it cannot be loaded.
    """
    return _find(name)[1]


def _find(name: str) -> tuple[Callable[..., Any], KnownObjective]:
    found = {
        (entry.value, entry.dist.name if entry.dist else ""): entry
        for entry in entry_points(group=OBJECTIVES_GROUP, name=name)
    }
    if not found:
        names = sorted({entry.name for entry in entry_points(group=OBJECTIVES_GROUP)})
        near = difflib.get_close_matches(name, names, n=1)
        raise RequestRejected(
            f"no objective {name!r} is registered on this worker{f': did you mean {near[0]!r}?' if near else ''}; registered are "
            f"{', '.join(names) or 'none'} (entry points of the group {OBJECTIVES_GROUP!r})"
        )
    if len(found) > 1:
        raise RequestRejected(
            f"the objective {name!r} is registered by {' and '.join(sorted(value for value, _ in found))}: remove all but one"
        )
    entry = next(iter(found.values()))
    try:
        function = entry.load()
    except Exception as failure:  # noqa: BLE001  a stranger's module raises anything
        raise RequestRejected(
            f"the objective {name!r} cannot be loaded from {entry.value!r}: {type(failure).__name__}: {str(failure)[:_SHOWN]}"
        ) from None
    if not callable(function):
        raise RequestRejected(f"the objective {name!r} leads to {entry.value!r}, which is no function")
    return function, KnownObjective(
        name=name,
        function=entry.value,
        package=entry.dist.name if entry.dist else "",
        version=entry.dist.version if entry.dist else "",
        digest=_digest(entry.module),
    )


def _digest(module: str) -> str:
    try:
        path = inspect.getsourcefile(importlib.import_module(module))
    except TypeError:  # built in
        return ""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""


class CalledObjective:
    """A registered objective, ready to be called.

    Args:
        call: As the loop names it.
        before: What answered to the name when the loop was prepared.

    Raises:
        OptimisationFailed: Another one does now: two of them would mix two walks.
    """

    def __init__(self, call: ObjectiveCall, before: KnownObjective) -> None:
        self._call = call
        try:
            self._function, now = _find(call.name)
        except RequestRejected as failure:
            raise OptimisationFailed(failure.message) from None
        if now != before:
            raise OptimisationFailed(
                f"the objective {call.name!r} has changed since the loop began ({_told(before)} then, {_told(now)} now): put the old one "
                "back, or start the loop anew from its best point"
            )

    def value(self, expectations: Sequence[float], parameters: Sequence[float]) -> float:
        """Its value.

        Raises:
            ObjectiveBroke: It raised, took too long, or gave no finite number.
        """
        name, seconds = self._call.name, self._call.seconds
        try:
            with _limited(seconds):
                found = self._function(list(expectations), list(parameters), dict(self._call.data))
        except _TimeIsUp:
            raise ObjectiveBroke(f"the objective {name!r} took longer than its {seconds:g} s") from None
        except Exception as failure:  # noqa: BLE001  a stranger's function raises anything
            raise ObjectiveBroke(
                f"the objective {name!r} raised {type(failure).__name__}: {str(failure)[:_SHOWN]}"
            ) from None
        if isinstance(found, bool) or not isinstance(found, numbers.Real):
            raise ObjectiveBroke(
                f"the objective {name!r} gave {repr(found)[:_SHOWN]} of type {type(found).__name__}, and is to give a number"
            )
        value = float(found)
        if not math.isfinite(value):
            raise ObjectiveBroke(f"the objective {name!r} gave {value}")
        return value


def _told(objective: KnownObjective) -> str:
    return f"{objective.package} {objective.version} {objective.digest[:12]}".strip()


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise in the midst of whatever runs once the time is up; an alarm that somebody else has set goes on after it."""

    def ring(_signal: int, _frame: Any) -> None:
        raise _TimeIsUp

    handler = signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            signal.setitimer(signal.ITIMER_REAL, left, interval)
