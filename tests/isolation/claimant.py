"""Another worker on the machine, which asks for memory.

    python -m tests.isolation.claimant FOLDER CAPACITY hold SIZE
    python -m tests.isolation.claimant FOLDER CAPACITY churn SIZE...

`hold` keeps its bytes until a line comes on standard input. `churn` takes and gives back one size after the
other, and notes both in a journal while it holds them.
"""

import asyncio
import os
import sys
from pathlib import Path

from isolation.admission import Admission, Lease

LOOK_AGAIN_SECONDS = 0.001


async def hold(shared: Admission, size: int) -> None:
    lease = await taken(shared, size)
    print("granted", flush=True)
    sys.stdin.readline()
    lease.release()


async def churn(shared: Admission, sizes: list[int], journal: Path) -> None:
    file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for size in sizes:
        lease = await taken(shared, size)
        os.write(file, f"{size}\n".encode())
        os.write(file, f"{-size}\n".encode())
        lease.release()


async def taken(shared: Admission, size: int) -> Lease:
    while True:
        answer = await shared.take(f"claimant-{os.getpid()}", size)
        if isinstance(answer, Lease):
            return answer
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


if __name__ == "__main__":
    folder, capacity, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    shared, sizes = Admission(capacity, folder), [int(word) for word in sys.argv[4:]]
    asyncio.run(hold(shared, sizes[0]) if what == "hold" else churn(shared, sizes, folder / "journal"))
