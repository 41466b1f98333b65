"""A GPU belongs to one machine of several: the others plan for it, and only that one runs on it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from backends.aer import GPU, AerBackend
from isolation.admission import Admission
from isolation.pool import ChildPool, Nursery
from isolation.runs import Engine
from qurable.contracts.jobs import Limits
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import BackendNotInstalled, JobFailed
from qurable.names import Queue
from settings import Settings
from store.shelf import StoreShelf
from tests.circuits_at_hand import BELL
from tests.conftest import MEMORY_MIB, Service, Stack
from worker import Hooks, workers


class _StandIn(AerBackend):
    """What a GPU worker offers, on a processor."""

    async def target(self) -> TargetSnapshot:
        return (await super().target()).model_copy(update={"run_queue": Queue.GPU})


@pytest.fixture
async def alone(stack: Stack) -> AsyncIterator[Service]:
    """A service whose one worker has no GPU."""
    async with stack(max_jobs_in_stage=4) as service:
        yield service


def _gpu_settings(service: Service) -> Settings:
    return service.settings.model_copy(update={"queues": (Queue.GPU,)})


def _hooks(service: Service, pool: ChildPool, nursery: Nursery, folder: Path) -> Hooks:
    engine = Engine(pool, Admission(MEMORY_MIB * 2**20, folder), StoreShelf(service.database), cores=1)
    return Hooks(
        journal=service.journal, backends={GPU: _StandIn(engine, GPU)}, sandboxed=True, nursery=nursery
    )


async def test_jobs_go_to_the_worker_that_has_it(
    alone: Service, pool: ChildPool, nursery: Nursery, tmp_path: Path
) -> None:
    """The worker that plans has no GPU, and need not."""
    hooks = _hooks(alone, pool, nursery, tmp_path)

    async with workers(_gpu_settings(alone), alone.temporal, hooks):
        report = await alone.run(BELL, shots=100, seed=3, backend=GPU)

    assert report.served_by == GPU
    assert sum(report.counts().values()) == 100


async def test_a_job_waits_for_it_as_long_as_its_queue_limit(
    alone: Service, pool: ChildPool, nursery: Nursery, tmp_path: Path
) -> None:
    """A GPU worker that was there once may come back; if it does not, the job says what it waited for."""
    async with workers(_gpu_settings(alone), alone.temporal, _hooks(alone, pool, nursery, tmp_path)):
        pass

    with pytest.raises(
        JobFailed, match=r"no worker took up await_done within .* start one for its task queue"
    ):
        await alone.run(BELL, shots=100, backend=GPU, limits=Limits(queue=timedelta(seconds=1)))


@pytest.mark.skipif("config.getoption('-m') == 'gpu'", reason="a GPU is here")
async def test_a_worker_without_a_gpu_does_not_serve_its_queue(alone: Service, nursery: Nursery) -> None:
    """It would take jobs and fail them; instead it names the missing piece and stops."""
    starting = workers(_gpu_settings(alone), alone.temporal, Hooks(nursery=nursery))

    with pytest.raises(BackendNotInstalled, match="qiskit-aer-gpu"):
        await starting.__aenter__()


@pytest.mark.skipif("config.getoption('-m') == 'gpu'", reason="a GPU is here")
async def test_where_no_worker_ever_had_one_the_missing_piece_is_named(alone: Service) -> None:
    """Waiting for what nobody has would be waiting for ever."""
    with pytest.raises(JobFailed, match="qiskit-aer-gpu") as failure:
        await alone.run(BELL, shots=100, backend=GPU)

    assert failure.value.error.code == "BackendNotInstalled"
