"""A process that keeps a child busy until it is killed.

python -m tests.isolation.keeper FOLDER spin|idle
"""

import asyncio
import sys
from pathlib import Path

from isolation.limits import MIB, Limits
from isolation.pool import ChildPool, Nursery
from qurable.temporal.run_main import run_main

LIMITS = Limits(memory_bytes=512 * MIB, wall_seconds=300.0)


async def keep(folder: Path, how: str) -> None:
    async with Nursery() as nursery, ChildPool(nursery, 1) as pool:
        await pool.call("isolation.child:crash", None, LIMITS)
        (folder / "at-work").touch()
        if how == "spin":
            await pool.call("isolation.child:crash", ["spin"], LIMITS)
        await asyncio.Event().wait()


if __name__ == "__main__":
    run_main(keep(Path(sys.argv[1]), sys.argv[2]))
