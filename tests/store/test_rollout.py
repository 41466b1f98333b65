"""Rules are changed one at a time by whoever comes first, every change is written down, and a repeated one is one."""

import asyncio
from collections.abc import Sequence

from qurable.contracts.rollout import RolloutChange, RolloutRule
from qurable.errors import RequestRejected
from store import rollout
from store.database import Database


def _set(name: str, share: float, by: str = "ada") -> RolloutChange:
    return RolloutChange(rule=RolloutRule(name=name, backend="aer", share=share), by=by)


def _anything(_: RolloutChange, __: Sequence[RolloutRule]) -> None:
    """Every change may stand."""


def _one_at_most(change: RolloutChange, rules: Sequence[RolloutRule]) -> None:
    if change.rule is not None and rules:
        raise RequestRejected("there is one")


async def test_who_set_what_and_when(database: Database) -> None:
    """A rule takes the place of the one of its name; what was changed is all there, the newest first."""
    first, second = _set("a", 0.1), _set("a", 0.2, "grace")
    for change in (first, _set("b", 1.0), second, first, RolloutChange(remove="b", by="ada")):
        await database.write(rollout.change, change, _anything)
    found = await database.read(rollout.look)

    (entry,) = found.rules
    assert (entry.rule, entry.by) == (second.rule, "grace")
    assert entry.at.tzinfo is not None
    assert entry.at in [change.at for change in found.changes]
    assert [(change.name, change.by, change.rule is None) for change in found.changes] == [
        ("b", "ada", True),
        ("a", "grace", False),
        ("b", "ada", False),
        ("a", "ada", False),
    ]


async def test_two_that_contradict_do_not_pass_each_other(database: Database) -> None:
    """Whoever comes second sees what the first has set, also where both come at once."""
    changes = [database.write(rollout.change, _set(f"r{n}", 0.5), _one_at_most) for n in range(8)]
    ended = await asyncio.gather(*changes, return_exceptions=True)
    found = await database.read(rollout.look)

    assert sum(isinstance(one, RequestRejected) for one in ended) == 7
    assert len(found.rules) == len(found.changes) == 1
