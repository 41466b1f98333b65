"""The rungs of one job's ladder: the strategy table's, and before them where a rollout rule sends it."""

from fallback.rollout import Applied
from fallback.table import AsksFor, StrategyTable, TableRung
from fallback.wish import Wish
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import UnsupportedCircuit

ROLLOUT = "rollout"
"""Name of the rung that a rollout rule puts first."""


def ladder_of(wish: Wish, table: StrategyTable, rollout: Applied) -> list[tuple[str, TableRung]]:
    """The rungs for a job: the table's, and before them the place that a rollout rule sends it to.

    Whoever lets no other place answer is sent nowhere else.
    """
    ladder = table.ladder(wish.conditions)
    if wish.fallback.policy == "none":
        return ladder[:1]
    if rollout.sends is None or rollout.sends.rule.backend == wish.asked:
        return ladder
    return [(ROLLOUT, TableRung(places=(rollout.sends.rule.backend,), most=1)), *ladder]


def check_sent(rung: str, target: TargetSnapshot, wish: Wish) -> None:
    """Whether a rule may send a job where it costs money: only one that asks for hardware, and for none by its name.

    Raises:
        UnsupportedCircuit: The caller has not allowed it.
    """
    allowed = wish.any_device or wish.fallback.other_devices
    if rung == ROLLOUT and target.paid and not (wish.asks_for is AsksFor.HARDWARE and allowed):
        raise UnsupportedCircuit(
            f"a rollout rule would send the job to {target.name!r}, which costs money: a job that asks for hardware allows it with "
            "fallback.other_devices, any other never does"
        )
