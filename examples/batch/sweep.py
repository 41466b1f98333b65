"""A batch from a file of JSON lines, its items as they end, and the sum.

make up                          # in one shell
python examples/batch/sweep.py   # in another
"""

import asyncio
from pathlib import Path

from qurable import Qurable

JOBS = Path(__file__).parent / "jobs.jsonl"


async def main() -> None:
    """Four angles, one job."""
    async with Qurable.connect() as qurable:
        batch = await qurable.batch(JOBS)
        async for item in batch.results():
            print(f"{item.key:>5}  {item.state}  {item.counts()}")
        report = await batch.report()
        print(f"{report.items} items in {report.chunks} job: {report.state}")


if __name__ == "__main__":
    asyncio.run(main())
