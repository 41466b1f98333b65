"""`qurable rollout`: which jobs go to which place first, and which places are asked by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from qurable.cli.command import with_service
from qurable.cli.options import Json

if TYPE_CHECKING:
    from qurable.client import Qurable

rollout = typer.Typer(
    name="rollout",
    help="List, set and remove rules that send jobs to another place, run them there too, or switch a place off.",
    epilog="example: qurable rollout list --json",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="Of the rule: lower case letters, digits and dashes.")]
By = Annotated[
    Optional[str],  # noqa: UP045  typer reads it at run time
    typer.Option(help="Who makes the change; the name of whoever is logged in by default."),
]


@rollout.command("list", epilog="example: qurable rollout list --changes")
def list_rules(
    changes: Annotated[bool, typer.Option("--changes", help="Who changed what, and when.")] = False,
    json: Json = False,
) -> None:
    """List the rules that stand, and what shadows have shown of late."""
    from qurable.cli import show_rollout as show

    async def command(qurable: Qurable) -> int:
        show.rules(await qurable.rollout(), json=json, changes=changes)
        return 0

    with_service(command, json=json)


@rollout.command(
    "set", epilog="example: qurable rollout set canary ibm:fez --share 0.1 --asked ibm --by-user"
)
def set_rule(
    name: Name,
    backend: Annotated[
        str, typer.Argument(help="The place it is about; with --kill also a pattern, such as ibm:*.")
    ],
    share: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Of the jobs, 0 to 1: these go there first."),
    ] = None,
    by_user: Annotated[
        bool, typer.Option("--by-user", help="Draw the share over users instead of jobs.")
    ] = False,
    cohort: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Whose jobs go there first, as user:<name> or project:<name>; may be repeated."),
    ] = None,
    kill: Annotated[bool, typer.Option("--kill", help="Ask the place for nothing any more.")] = False,
    shadow: Annotated[
        bool,
        typer.Option(
            "--shadow",
            help="Answer the share or cohort as before, run it there too afterwards, and keep what differs.",
        ),
    ] = False,
    paid: Annotated[
        bool, typer.Option("--paid", help="Let shadows cost money, on their job's project.")
    ] = False,
    budget: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="The most that each shadow may cost, such as 60s or 25EUR; may be repeated."),
    ] = None,
    project: Annotated[str, typer.Option(help="Of jobs of this project, or a pattern.")] = "*",
    user: Annotated[str, typer.Option(help="Of jobs of this user, or a pattern.")] = "*",
    data_class: Annotated[
        str, typer.Option(help="Of jobs that say they are so confidential, or a pattern.")
    ] = "*",
    kind: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Of jobs that sample, estimate or solve; may be repeated."),
    ] = None,
    asks_for: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="Of jobs that ask for auto, hardware, simulator, classical or requirements; may be repeated."
        ),
    ] = None,
    asked: Annotated[
        str, typer.Option(help="Of jobs that ask by this name, or a pattern such as ibm:*.")
    ] = "*",
    label: Annotated[str, typer.Option(help="Of jobs with this mark, as name=value.")] = "",
    qubits_from: Annotated[int, typer.Option(help="Of jobs with so many qubits or more.")] = 0,
    qubits_to: Annotated[int, typer.Option(help="Of jobs with so many qubits or less.")] = 10_000,
    reason: Annotated[str, typer.Option(help="For whoever reads a report.")] = "",
    by: By = None,
    json: Json = False,
) -> None:
    """Set a rule in the place of the one of its name; from then on jobs are planned by it, and running ones left alone."""
    from qurable.cli import show_rollout as show
    from qurable.cli.limits import read_job_budget

    async def command(qurable: Qurable) -> int:
        change = show.read_change(
            by,
            rule={
                "name": name,
                "backend": backend,
                "share": share,
                "by": "user" if by_user else "job",
                "cohort": cohort or [],
                "kill": kill,
                "shadow": shadow,
                "paid": paid,
                "budget": read_job_budget(budget or []),
                "reason": reason,
                "when": {
                    "project": project,
                    "user": user,
                    "data_class": data_class,
                    "kind": kind or [],
                    "asks_for": asks_for or [],
                    "asked": asked,
                    "label": label,
                    "qubits_from": qubits_from,
                    "qubits_to": qubits_to,
                },
            },
        )
        show.rules(await qurable.set_rollout(change), json=json)
        return 0

    with_service(command, json=json)


@rollout.command(epilog="example: qurable rollout remove canary")
def remove(name: Name, by: By = None, json: Json = False) -> None:
    """Take a rule away."""
    from qurable.cli import show_rollout as show

    async def command(qurable: Qurable) -> int:
        show.rules(await qurable.set_rollout(show.read_change(by, remove=name)), json=json)
        return 0

    with_service(command, json=json)
