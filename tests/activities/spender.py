"""A process that spends: it reserves, sends, and hears what was billed, or is killed at a line on the way.

    python -m tests.activities.spender STORE_URL PROVIDER_FOLDER JOB_ID SECONDS LINE

The provider's memory is a folder: a file for each job it took. The process ends with 3 where there is no room.
"""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from qurable.contracts.budgets import Payer
from qurable.contracts.executions import PartIntent, Phase, ProviderFacts, Slice, Submission, SubmissionKey
from qurable.errors import BudgetExceeded
from qurable.ledger import Claimed, Sending
from store import reservations
from store.database import Database
from store.ledger import StoreLedger

LINES = ("reserving", "reserved", "claimed", "posted", "kept", "billing", "billed")
"""Where it may be killed: `reserving` and `billing` are inside a transaction, after its writes and before its end."""

REFUSED = 3
BILLED_SECONDS = 3.0
SETTLING = timedelta(seconds=30)


def key_of(job_id: str) -> SubmissionKey:
    """The only submission of a job."""
    return SubmissionKey(job_id=job_id, backend="qpu", digest="d")


def _dying_in(name: str, line: str, at: str) -> None:
    """Have a function of the reservations' end with the process, where that is the line."""
    function = getattr(reservations, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        function(*args, **kwargs)
        _die(line, at)

    setattr(reservations, name, dying)


def _die(line: str, at: str) -> None:
    if line == at:
        os.kill(os.getpid(), signal.SIGKILL)


async def spend(url: str, provider: Path, job_id: str, seconds: int, at: str) -> int:
    """Spend; gives back the exit code."""
    key = key_of(job_id)
    submission = Submission(key=key, kind="sample", pubs=(), payer=Payer(project="chemistry"))
    part = PartIntent(slices=(Slice(pub=0, start=0, stop=1),), reserve=seconds)
    async with Database(url) as database:
        ledger = StoreLedger(database)
        house = await ledger.house()
        _dying_in("reserve", "reserving", at)
        try:
            await ledger.intend(submission, "lab", [part])
        except BudgetExceeded:
            return REFUSED
        _die("reserved", at)
        assert isinstance(await ledger.claim(key.tag, Sending("user", None, SETTLING)), Claimed)
        _die("claimed", at)
        (provider / key.tag).write_text(house)
        _die("posted", at)
        await ledger.keep(key.tag, key.tag)
        _die("kept", at)
        _dying_in("settle", "billing", at)
        facts = ProviderFacts(id=key.tag, phase=Phase.DONE, qpu_seconds=BILLED_SECONDS, usage_complete=True)
        await ledger.observe(key.tag, facts)
        _die("billed", at)
    return 0


if __name__ == "__main__":
    raise SystemExit(
        asyncio.run(spend(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]))
    )
