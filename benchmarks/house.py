"""A service to measure: embedded server, worker, client, in a data folder of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from qurable.client import Qurable
from qurable.temporal.connect import connected
from qurable.temporal.embedded import embedded_server
from settings import Settings
from worker import workers

BELL = (
    'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0], q[1];\nmeasure q -> c;\n'
)


@asynccontextmanager
async def service(home: Path, **settings: Any) -> AsyncIterator[Qurable]:
    """A running service; a second one for the same folder shares server and store."""
    chosen = Settings(home=home, admission_folder=home / "admission", **settings)
    async with (
        embedded_server(home) as server,
        connected(address=server.target, home=home) as client,
        workers(chosen, client),
    ):
        yield Qurable(client)
