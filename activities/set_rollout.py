"""Change the rollout rules, for clients, who speak Temporal only."""

import asyncio
from collections.abc import Sequence

from temporalio import activity

from activities.boundary import speaks_temporal
from backends.registry import Registry
from fallback.rollout import flaws
from qurable.contracts.jobs import AUTO
from qurable.contracts.rollout import Rollout, RolloutChange, RolloutRule
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import HybridError, RequestRejected, UnknownBackend
from qurable.names import CACHE, CLASSICAL, Activity
from store import rollout
from store.database import Database

_MANY = frozenset({AUTO, CLASSICAL, "ibm"})
"""Names that stand for any of several places."""

_PATIENCE_SECONDS = 3.0
"""A place is switched off because it does not answer: the switch must not wait for it."""


class SetRollout:
    """Sets and removes rules.

    Args:
        database: The store.
        registry: Knows which places there are.
    """

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    @activity.defn(name=Activity.SET_ROLLOUT)
    @speaks_temporal
    async def set_rollout(self, change: RolloutChange) -> Rollout:
        """Make the change; gives back every rule as it stands then. A repeated attempt changes nothing more.

        Raises:
            UnknownBackend: The rule is about a place that there is none of.
            RequestRejected: It can match nothing, contradicts another, or is to be removed and does not stand.
        """
        if change.rule is not None:
            await self._check_backend(change.rule)
        await self._database.write(rollout.change, change, _check)
        activity.logger.info("rollout changed: %s", change.model_dump_json(exclude_none=True))
        return await self._database.read(rollout.look)

    async def _check_backend(self, rule: RolloutRule) -> None:
        many = rule.backend in _MANY or any(sign in rule.backend for sign in "*?[")
        if not many:
            found = await self._check_name(rule.backend)
            if rule.shadow and found is not None and found.paid and not rule.paid:
                raise RequestRejected(
                    f"{rule.backend!r} costs money: allow it for shadows with --paid, and limit each with --budget"
                )
        elif not rule.kill:
            raise RequestRejected(
                f"jobs are sent to one place, and {rule.backend!r} stands for many: name one"
            )
        if rule.backend == CACHE and not rule.kill:
            raise RequestRejected(f"jobs are sent to places that run them, and {rule.backend!r} runs none")

    async def _check_name(self, name: str) -> TargetSnapshot | None:
        """What there is of such a place; one that does not answer now may be there.

        Raises:
            UnknownBackend: There is none.
        """
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await self._registry.snapshot(name)
        except UnknownBackend:
            raise
        except (HybridError, TimeoutError) as failure:
            activity.logger.warning("%s is taken for a backend, and does not answer: %s", name, failure)
            return None


def _check(change: RolloutChange, rules: Sequence[RolloutRule]) -> None:
    """Whether a change can stand beside the rules that do.

    Raises:
        RequestRejected: Every reason.
    """
    if change.rule is None:
        names = [rule.name for rule in rules]
        if change.remove not in names:
            raise RequestRejected(
                f"there is no rollout rule {change.remove!r}; there are {', '.join(names) or 'none'}"
            )
        return
    rule = change.rule
    problems = list(flaws(rule, [other for other in rules if other.name != rule.name]))
    if problems:
        raise RequestRejected(
            f"rollout rule {rule.name!r} is not acceptable: {'; '.join(problems)}", problems=problems
        )
