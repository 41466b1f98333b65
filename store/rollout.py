"""Rollout rules: which stand, and who changed what when."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, select, text

from qurable.contracts.rollout import Rollout, RolloutChange, RolloutEntry, RolloutEvent, RolloutRule
from store import shadows
from store.clock import moment
from store.database import insert_once, put_all, utc
from store.schema import rollout_changes, rollout_rules

_SHOWN = 100
"""Changes that are shown; all of them are kept."""

Check = Callable[[RolloutChange, Sequence[RolloutRule]], None]


def standing(connection: Connection) -> tuple[RolloutEntry, ...]:
    """Every rule that stands, by name."""
    query = select(rollout_rules).order_by(rollout_rules.c.name)
    return tuple(map(_entry, connection.execute(query).mappings()))


def look(connection: Connection) -> Rollout:
    """Every rule, what was changed of late, and what shadows have shown."""
    query = select(rollout_changes).order_by(rollout_changes.c.at.desc(), rollout_changes.c.id).limit(_SHOWN)
    changes = tuple(
        RolloutEvent(
            name=row["name"],
            rule=None if row["rule"] is None else RolloutRule.read(row["rule"]),
            by=row["by"],
            at=utc(row["at"]),
        )
        for row in connection.execute(query).mappings()
    )
    return Rollout(rules=standing(connection), changes=changes, shadows=shadows.look(connection))


def change(connection: Connection, wanted: RolloutChange, check: Check) -> None:
    """Make a change and write it down; a repeated one changes nothing more.

    Args:
        connection: As everywhere.
        wanted: The change.
        check: Raises where the change cannot stand beside the rules that do; nobody changes any meanwhile.
    """
    _lock(connection)
    known = connection.execute(select(rollout_changes.c.id).where(rollout_changes.c.id == wanted.id)).scalar()
    if known is not None:
        return
    check(wanted, [entry.rule for entry in standing(connection)])
    at, rule = moment(connection), wanted.rule
    name = wanted.remove if rule is None else rule.name
    if rule is None:
        connection.execute(delete(rollout_rules).where(rollout_rules.c.name == name))
    else:
        put_all(connection, rollout_rules, [_row(rule, wanted.by, at)])
    body = None if rule is None else rule.model_dump_json()
    insert_once(
        connection, rollout_changes, {"id": wanted.id, "name": name, "rule": body, "by": wanted.by, "at": at}
    )


def _lock(connection: Connection) -> None:
    """Let nobody else change a rule until the transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE rollout_rules IN EXCLUSIVE MODE"))


def _row(rule: RolloutRule, by: str, at: datetime) -> dict[str, object]:
    return {"name": rule.name, "rule": rule.model_dump_json(), "by": by, "at": at}


def _entry(row: RowMapping) -> RolloutEntry:
    return RolloutEntry(rule=RolloutRule.read(row["rule"]), by=row["by"], at=utc(row["at"]))
