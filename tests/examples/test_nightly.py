"""The night's problem: solved once however often its night is fired, into the store and into a table."""

import csv
import itertools
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
from temporalio.worker import Worker

from examples.nightly import picture
from examples.nightly.problem import TASK_QUEUE, problem_of, tonight
from examples.nightly.schedule import NIGHTLY, schedule
from qurable.contracts.problems import MaxCut
from qurable.contracts.schedules import ScheduleSpec, ScheduleStatus
from tests.chaos.harness import until
from tests.conftest import Service

FIRST, LAST = datetime(2026, 11, 1, 1, tzinfo=UTC), datetime(2026, 11, 2, 1, tzinfo=UTC)


async def test_every_night_is_solved_once_and_lands_in_store_and_table(
    service: Service, tmp_path: Path
) -> None:
    """Two nights, the second of them twice: two jobs, two rows, each with the best cut of its own graph; and a picture."""
    schedules = service.qurable.schedules

    async def idle(fired: int) -> ScheduleStatus | None:
        status = await schedules.describe(NIGHTLY.name)
        return status if status.fired >= fired and not status.running else None

    async with Worker(service.temporal, task_queue=TASK_QUEUE, activities=[tonight]):
        created = await schedule(service.qurable)
        await schedules.backfill(NIGHTLY.name, FIRST, LAST)
        await until("two nights are solved", lambda: idle(2))
        await schedules.backfill(NIGHTLY.name, LAST, LAST)
        await until("the last was fired again", lambda: idle(3))
    jobs = await service.qurable.list(project=NIGHTLY.project)
    with (service.settings.exports_folder / NIGHTLY.export).open(newline="") as file:
        rows = list(csv.DictReader(file))
    picture.main(str(service.settings.exports_folder / NIGHTLY.export), str(tmp_path / "nightly.svg"))
    drawn = (tmp_path / "nightly.svg").read_text(encoding="utf-8")
    await schedules.delete(NIGHTLY.name)

    assert created.spec == NIGHTLY
    assert sorted(job.labels["night"] for job in jobs) == ["2026-11-01", "2026-11-02"]
    assert sorted(row["job_id"] for row in rows) == sorted(job.id for job in jobs)
    assert [float(row["objective"]) for row in rows] == [
        _best_cut(problem_of(row["scheduled"])) for row in rows
    ]
    for row in rows:
        problem = problem_of(row["scheduled"])
        assert f"{_best_cut(problem):g} of {sum(weight for *_, weight in problem.edges):g}<" in drawn
        assert f">{row['scheduled'][5:10]}<" in drawn


async def test_the_table_may_be_parquet(service: Service) -> None:
    """The night's row once, with types, though its night is fired twice."""
    schedules, name = service.qurable.schedules, "nightly-parquet"
    spec = ScheduleSpec.model_validate(
        {**NIGHTLY.model_dump(), "name": name, "project": name, "export": f"{name}/nightly.parquet"}
    )

    async def idle(fired: int) -> ScheduleStatus | None:
        status = await schedules.describe(name)
        return status if status.fired >= fired and not status.running else None

    async with Worker(service.temporal, task_queue=TASK_QUEUE, activities=[tonight]):
        await schedule(service.qurable, spec)
        for fired in (1, 2):
            await schedules.backfill(name, FIRST, FIRST)
            await until("the night was fired", partial(idle, fired))
    rows = pq.read_table(service.settings.exports_folder / spec.export).to_pylist()
    await schedules.delete(name)

    assert [row["schedule"] for row in rows] == [name]
    assert [row["objective"] for row in rows] == [_best_cut(problem_of(row["scheduled"])) for row in rows]


def _best_cut(problem: MaxCut) -> float:
    """By trying every side of every node."""
    sides = itertools.product((0, 1), repeat=problem.num_nodes)
    return max(sum(weight for u, v, weight in problem.edges if side[u] != side[v]) for side in sides)
