"""Whoever is killed between a reservation and its bill leaves nothing stranded, and no budget is ever passed."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from qurable.contracts.budgets import Budget, BudgetChange, Scope
from qurable.contracts.executions import Phase, ProviderFacts
from store import budgets, provider_jobs, standings
from store.database import Database
from store.ledger import StoreLedger
from store.schema import reservations
from tests.activities.paid_house import GRACE, House
from tests.activities.spender import BILLED_SECONDS, LINES, REFUSED, key_of
from tests.fakes.paid import PaidScriptedBackend, Provider
from tests.store.ageing import pass_time

LIMIT = 58
SECONDS = 12
WAVES, AT_ONCE = 7, 4


@pytest.fixture
def house(database: Database) -> House:
    return House(database, PaidScriptedBackend("qpu", Provider(), StoreLedger(database)))


@pytest.mark.long
async def test_twenty_and_more_who_are_killed_strand_nothing_and_pass_no_budget(
    house: House, tmp_path: Path
) -> None:
    """Four of twelve seconds have room at first, fewer as bills come in; the reconciler gives back what the dead have reserved.

    What it finds at the provider it cancels, and what those jobs cost stays spent.
    """
    folder = tmp_path / "provider"
    folder.mkdir()
    limit = Budget(scope=Scope.PROJECT, name="chemistry", qpu_seconds=LIMIT)
    await house.database.write(budgets.change, BudgetChange(budget=limit))
    ends: list[int] = []
    for wave in range(WAVES):
        numbers = range(wave * AT_ONCE, (wave + 1) * AT_ONCE)
        ends += await asyncio.gather(*(_spend(house.database, folder, number) for number in numbers))
        assert await _taken(house.database) <= LIMIT
        _take_over(house.provider, folder)
        await pass_time(house.database, GRACE)
        await house.until_over()
        assert await _taken(house.database) <= LIMIT

    spent = sum(facts.qpu_seconds or 0.0 for facts in house.provider.jobs.values())
    held, booked = await house.database.read(_sums)
    (standing,) = (await house.database.read(standings.look)).standings
    assert set(ends) <= {-signal.SIGKILL, REFUSED}
    assert ends.count(-signal.SIGKILL) >= 20
    assert REFUSED in ends
    assert await house.database.read(provider_jobs.open_submissions) == []
    assert house.provider.alive() == []
    assert (held, booked) == (0.0, spent)
    assert standing.left_seconds == LIMIT - spent


async def _spend(database: Database, folder: Path, number: int) -> int:
    """Run a process that spends until it is killed; gives back how it ended."""
    url = database._engine.url.render_as_string(hide_password=False)
    line = LINES[number % len(LINES)]
    words = [url, str(folder), f"job-{number}", str(SECONDS), line]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-m", "tests.activities.spender", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not process.stderr, process.stderr
    return process.returncode


def _take_over(provider: Provider, folder: Path) -> None:
    """What the processes have sent is at the provider; a job whose bill was heard of has ended, others run on."""
    for number in range(WAVES * AT_ONCE):
        tag, line = key_of(f"job-{number}").tag, LINES[number % len(LINES)]
        file = folder / tag
        if not file.exists() or tag in provider.jobs:
            continue
        ended = line in {"billing", "billed"}
        provider.jobs[tag] = ProviderFacts(
            id=tag,
            phase=Phase.DONE if ended else Phase.QUEUED,
            created=datetime.now(UTC),
            qpu_seconds=BILLED_SECONDS if ended else None,
            usage_complete=ended,
            tags=(tag, file.read_text()),
        )


async def _taken(database: Database) -> float:
    """QPU seconds reserved and spent."""
    return sum(await database.read(_sums))


def _sums(connection: Connection, /) -> tuple[float, float]:
    query = select(func.sum(reservations.c.held), func.sum(reservations.c.spent))
    held, spent = connection.execute(query).one()
    return held or 0.0, spent or 0.0
