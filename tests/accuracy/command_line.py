"""The real command line, in a process of its own."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any


async def qurable(*words: object, target: str, home: Path) -> dict[str, Any]:
    """Run `qurable` against a server, and give back the document it prints.

    Args:
        *words: Command and options.
        target: Address of the Temporal server.
        home: Data folder.

    Raises:
        AssertionError: It ended with another code than 0.
    """
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("qurable"),
        *map(str, words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"TEMPORAL_ADDRESS": target, "QURABLE_HOME": str(home)},
    )
    answer, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    document: dict[str, Any] = json.loads(answer)
    return document
