"""What `qurable rollout` is told, and what it prints."""

import getpass
from typing import Any

from pydantic import ValidationError
from rich.table import Table

from qurable.cli import show_shadows
from qurable.cli.printing import out, print_json, print_table
from qurable.contracts.base import explain
from qurable.contracts.rollout import Rollout, RolloutChange, RolloutWhen
from qurable.errors import RequestRejected


def read_change(by: str | None, **change: Any) -> RolloutChange:
    """A change of the rules, in the name of whoever is logged in unless another is given.

    Raises:
        RequestRejected: Naming the option.
    """
    try:
        return RolloutChange.model_validate({"by": by or _whoever_is_here(), **change})
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the rollout rule")) from None


def _whoever_is_here() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        raise RequestRejected(
            "nobody is logged in here by a name: say who makes the change with --by"
        ) from None


def rules(found: Rollout, *, json: bool, changes: bool = False) -> None:
    """Every rule with who set it, and what shadows have shown; by option, what was changed of late, the newest first."""
    if json:
        print_json(found.model_dump(mode="json"))
        return
    if changes:
        table = Table("at (UTC)", "by", "rule", "what", box=None)
        for change in found.changes:
            what = "removed" if change.rule is None else f"{change.rule.effect}, {_about(change.rule.when)}"
            table.add_row(f"{change.at:%Y-%m-%d %H:%M:%S}", change.by, change.name, what)
        print_table(table)
        return
    if not found.rules:
        out.print("no rollout rules: jobs go where they ask; set one with `qurable rollout set`")
    else:
        _rules(found)
    for summary in found.shadows:
        show_shadows.summary(summary)


def _rules(found: Rollout) -> None:
    table = Table("rule", "what", "of which jobs", "set by", "at (UTC)", "because", box=None)
    for entry in found.rules:
        rule = entry.rule
        table.add_row(
            rule.name, rule.effect, _about(rule.when), entry.by, f"{entry.at:%Y-%m-%d %H:%M:%S}", rule.reason
        )
    print_table(table)


def _about(when: RolloutWhen) -> str:
    """The conditions that are not met by every job."""
    said = [
        f"{name} {value if isinstance(value, str | int) else ' or '.join(value)}"
        for name, value in when.model_dump(exclude_defaults=True).items()
    ]
    return ", ".join(said).replace("_", " ") or "all jobs"
