"""How every command talks to the service; what that needs is imported when a command runs, not for its `--help`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from qurable.client import Qurable


def with_service(command: Callable[[Qurable], Awaitable[int]], *, json: bool, start: bool = False) -> None:
    """Run a command against the service, turn errors into exit codes, and leave.

    Args:
        command: Gives back the exit code.
        json: Errors are printed as JSON documents.
        start: Start a local service where none runs.
    """
    from qurable.cli.service import run_command

    raise typer.Exit(run_command(command, json=json, start=start))
