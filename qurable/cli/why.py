"""`qurable why`: why a job's answer came from where it came, and how far it can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qurable.cli.command import with_service
from qurable.cli.options import JobId, Json

if TYPE_CHECKING:
    from qurable.client import Qurable


def why(job_id: JobId, json: Json = False) -> None:
    """Show on one page why a job ended as it did: its route, checks, error budget, and the best other answer."""
    from qurable.cli import show_why

    async def command(qurable: Qurable) -> int:
        show_why.page(await qurable.why(job_id), json=json)
        return 0

    with_service(command, json=json, start=True)
