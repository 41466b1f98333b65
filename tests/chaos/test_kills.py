"""Kill -9 at every line that matters: the job completes, its counts are the same, no finished stage runs again."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from qiskit import QuantumCircuit

from qurable.client import Job
from qurable.contracts.reports import JobReport
from qurable.requests import AnyJob, sample
from tests.chaos.harness import (
    DEADLINE_SECONDS,
    House,
    StoreServer,
    family,
    house,
    is_alive,
    is_simulating,
    until,
)
from tests.chaos.paid_kills import LINES as PAID_LINES
from tests.chaos.test_kills_batches import LINES as BATCH_LINES
from tests.chaos.test_kills_comparisons import LINES as COMPARISON_LINES
from tests.chaos.test_kills_cut import LINES as CUT_LINES
from tests.chaos.test_kills_matrices import LINES as MATRIX_LINES
from tests.chaos.test_kills_sharing import LINES as SHARING_LINES
from tests.chaos.test_kills_sharing import OWN
from tests.chaos.test_kills_solving import LINES as SOLVING_LINES
from tests.circuits_at_hand import BELL
from tests.fallback.test_cache_backend import LINES as CACHE_LINES

SMALL_JOB = (
    "accept:begun",
    "accept:kept",
    "prepare:begun",
    "prepare:worked",
    "prepare:kept",
    "submit-0:begun",
    "submit-0:intended",
    "submit-0:submitted",
    "submit-0:worked",
    "submit-0:kept",
    "await_done-0:begun",
    "simulation:piece_kept",
    "await_done-0:worked",
    "await_done-0:kept",
    "finish-0:begun",
    "finish-0:worked",
    "finish-0:kept",
)
"""Failpoints of a job whose stages are merged."""

LARGE_JOB = (
    "prepare:kept",
    "plan_route:begun",
    "plan_route:kept",
    "transpile-0:begun",
    "transpile:compiled",
    "transpile-0:worked",
    "transpile-0:kept",
    "submit-0:submitted",
    "simulation:piece_kept",
    "await_done-0:kept",
    "fetch-0:begun",
    "fetch-0:worked",
    "fetch-0:kept",
    "post_process-0:begun",
    "post_process-0:worked",
    "post_process-0:kept",
    "record-0:begun",
    "record-0:kept",
)
"""Failpoints of a job that goes through its stages one by one."""

QUESTION = "read:asked"
"""Failpoint of a question to the store."""

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "5"))

SEED = int(os.environ.get("CHAOS_SEED", "7"))
"""`make chaos` sets both; the first round of each kill belongs to `make test`."""


def small_job(seed: int = SEED) -> AnyJob:
    """A Bell circuit."""
    return sample(BELL, shots=500, seed=seed, backend="aer")


def large_job(seed: int = SEED, *, transpiler_seed: int | None = None) -> AnyJob:
    """Two circuits of 1,200 gates each, with results too large to be merged.

    Without a coupling map the transpiler's seed changes no circuit; a new one keeps the cache out of it.
    """
    return sample(
        *(_brickwork(12, 100, offset) for offset in (0, 1)),
        shots=150_000,
        seed=seed,
        backend="aer",
        transpile={"seed": transpiler_seed},
    )


def _brickwork(qubits: int, layers: int, offset: int) -> QuantumCircuit:
    circuit = QuantumCircuit(qubits)
    for layer in range(layers):
        for qubit in range(qubits):
            circuit.rx(0.1 * (layer + qubit + 1), qubit)
        for qubit in range((layer + offset) % 2, qubits - 1, 2):
            circuit.cz(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


@pytest.fixture(scope="module")
async def chaos(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Two workers that are started again whenever they die."""
    async with house(tmp_path_factory.mktemp("chaos")) as chaos:
        yield chaos


@pytest.fixture(scope="module")
async def calm(chaos: House) -> dict[str, JobReport]:
    """What the jobs answer when nobody is killed."""
    small, large = await asyncio.gather(_report(chaos, small_job()), _report(chaos, large_job()))
    return {"small": small, "large": large}


async def _report(chaos: House, job: AnyJob) -> JobReport:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await chaos.qurable.run(job)


async def _survives(chaos: House, failpoint: str, job: AnyJob, calm: JobReport) -> None:
    chaos.arm(failpoint)
    report = await _report(chaos, job)

    assert chaos.was_reached(failpoint), f"no worker ever came to {failpoint}"
    assert report.results == calm.results
    assert chaos.repeated(report.id) == []


@pytest.mark.parametrize(
    "failpoint",
    [
        pytest.param(failpoint, marks=[] if number % 4 == 0 else pytest.mark.long)
        for number, failpoint in enumerate(SMALL_JOB)
    ],
)
async def test_a_small_job_survives_a_killed_worker(
    chaos: House, calm: dict[str, JobReport], failpoint: str
) -> None:
    """Merged stages are one checkpoint each."""
    await _survives(chaos, failpoint, small_job(), calm["small"])


@pytest.mark.long
@pytest.mark.parametrize("turn", range(ROUNDS - 1))
@pytest.mark.parametrize("failpoint", SMALL_JOB)
async def test_a_small_job_survives_again(
    chaos: House, calm: dict[str, JobReport], failpoint: str, turn: int
) -> None:
    """What worked once may have been luck."""
    await _survives(chaos, failpoint, small_job(), calm["small"])


@pytest.mark.long
@pytest.mark.parametrize("turn", range(ROUNDS))
@pytest.mark.parametrize("failpoint", LARGE_JOB)
async def test_a_large_job_survives_a_killed_worker(
    chaos: House, calm: dict[str, JobReport], failpoint: str, turn: int
) -> None:
    """Each stage on its own is a checkpoint."""
    unseen = turn + 1 if failpoint == "transpile:compiled" else None
    await _survives(chaos, failpoint, large_job(transpiler_seed=unseen), calm["large"])


async def test_a_question_is_answered_though_the_worker_it_was_put_to_dies(chaos: House) -> None:
    """Another is asked as soon as the first is missed, long before whoever asked gives up."""
    chaos.arm(QUESTION)
    async with asyncio.timeout(DEADLINE_SECONDS):
        await chaos.qurable.budgets()

    assert chaos.was_reached(QUESTION)


def test_every_failpoint_of_the_code_is_in_the_matrix() -> None:
    """A line that nobody is killed at is a line that nobody has tried."""
    root = Path(__file__).parents[2]
    named = {
        part
        for folder in ("activities", "backends", "fallback", "isolation")
        for file in root.glob(f"{folder}/*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if "failpoint(" in line and '"' in line
        for part in [line.split('"')[1].rsplit("}", 1)[-1].lstrip(":").split(":")[-1]]
    }

    here = {failpoint.split(":")[1] for failpoint in (*SMALL_JOB, *LARGE_JOB, QUESTION)}
    paid = {failpoint.split(":")[1] for failpoint in PAID_LINES}
    solving = {failpoint.split(":")[1] for failpoint in SOLVING_LINES}
    cached = {failpoint.split(":")[1] for failpoint in CACHE_LINES}
    batched = {failpoint.split(":")[1] for failpoint in BATCH_LINES}
    shared = {failpoint.split(":")[1] for failpoint in SHARING_LINES if failpoint.startswith(OWN)}
    compared = {failpoint.split(":")[1] for failpoint in COMPARISON_LINES}
    patterns = {failpoint.split(":")[1] for failpoint in (*MATRIX_LINES, *CUT_LINES)}
    others = solving | cached | batched | shared | compared | patterns
    assert here | others <= named <= here | others | paid


async def _once_begun(chaos: House, job: AnyJob, step: str) -> Job:
    """Start a job and wait until one of its stages is at work."""
    started = await chaos.qurable.submit(job)
    await until(f"{step} of {started.id} begins", lambda: chaos.began(step, started.id))
    return started


async def _outcome(chaos: House, job: Job) -> JobReport:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await job.result()


def busy_job(seed: int = SEED) -> AnyJob:
    """Some seconds of simulation in a single piece."""
    return sample(_brickwork(21, 60, 0), shots=1000, seed=seed, backend="aer")


@pytest.fixture(scope="module")
async def busy(chaos: House) -> JobReport:
    """What the busy job answers when nobody is killed."""
    return await _report(chaos, busy_job())


def _simulations(chaos: House) -> list[int]:
    workers = set(chaos.fleet.pids)
    zygotes = {child for pid in workers for child in family(pid)} - workers
    return [pid for pid in zygotes if is_simulating(pid)]


@pytest.mark.long
async def test_a_killed_simulation_is_run_again(chaos: House, busy: JobReport) -> None:
    """The child dies, the worker lives, and the answer is what it would have been."""
    deaths = chaos.fleet.deaths
    job = await _once_begun(chaos, busy_job(), "await_done-0")
    (simulation, *_) = await until("a simulation runs", lambda: _simulations(chaos))
    os.kill(simulation, signal.SIGKILL)
    report = await _outcome(chaos, job)

    assert report.results == busy.results
    assert chaos.fleet.deaths == deaths
    assert chaos.repeated(report.id) == []


@pytest.mark.long
async def test_a_simulation_dies_with_its_worker(chaos: House, busy: JobReport) -> None:
    """Aer holds its process for the whole run; the kernel ends it all the same."""
    job = await _once_begun(chaos, busy_job(), "await_done-0")
    (simulation, *_) = await until("a simulation runs", lambda: _simulations(chaos))
    owner = next(pid for pid in chaos.fleet.pids if simulation in family(pid))
    os.kill(owner, signal.SIGKILL)

    await until("the simulation is gone", lambda: not is_alive(simulation), 5)
    report = await _outcome(chaos, job)
    assert report.results == busy.results
    assert chaos.repeated(report.id) == []


MOMENTS = ("accept", "prepare", "transpile-0", "await_done-0", "post_process-0")


async def _survives_a_dead_server(chaos: House, moment: str, calm: JobReport) -> None:
    job = await _once_begun(chaos, large_job(), moment)
    chaos.server.kill()
    chaos.server.start()
    report = await _outcome(chaos, job)

    assert report.results == calm.results
    assert chaos.repeated(report.id) == []


async def test_a_job_survives_a_killed_temporal_server(chaos: House, calm: dict[str, JobReport]) -> None:
    """The server comes back on its database file, and the job goes on where it was."""
    await _survives_a_dead_server(chaos, "await_done-0", calm["large"])


@pytest.mark.long
@pytest.mark.parametrize("turn", range(ROUNDS))
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_job_survives_a_killed_temporal_server_at_any_moment(
    chaos: House, calm: dict[str, JobReport], moment: str, turn: int
) -> None:
    """During any stage, and again."""
    await _survives_a_dead_server(chaos, moment, calm["large"])


async def test_a_job_survives_a_restored_temporal_server(
    chaos: House, calm: dict[str, JobReport], tmp_path: Path
) -> None:
    """Its backup has the job half done, and the store knows better: no stage runs again."""
    job = await _once_begun(chaos, large_job(), "await_done-0")
    chaos.server.kill()
    chaos.server.back_up(tmp_path / "backup")
    chaos.server.start()
    before = await _outcome(chaos, job)
    chaos.server.kill()
    chaos.server.restore(tmp_path / "backup")
    chaos.server.start()
    after = await _outcome(chaos, job)

    assert after.results == before.results == calm["large"].results
    assert chaos.repeated(job.id) == []


@pytest.fixture(scope="module")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """A PostgreSQL server that may be killed."""
    server = StoreServer(tmp_path_factory.mktemp("killable-postgresql"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
async def on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, store_server: StoreServer
) -> AsyncIterator[House]:
    """Workers whose store is on that server."""
    async with house(tmp_path_factory.mktemp("chaos-postgresql"), database_url=store_server.url) as chaos:
        yield chaos


async def _survives_a_dead_store(
    chaos: House, store_server: StoreServer, moment: str, calm: JobReport
) -> None:
    job = await _once_begun(chaos, large_job(), moment)
    store_server.kill()
    store_server.start()
    report = await _outcome(chaos, job)

    assert report.results == calm.results
    assert chaos.repeated(report.id) == []


async def test_a_job_survives_a_killed_store(
    on_postgresql: House, store_server: StoreServer, calm: dict[str, JobReport]
) -> None:
    """The stage waits for the store, which comes back with everything it had."""
    await _survives_a_dead_store(on_postgresql, store_server, "await_done-0", calm["large"])


@pytest.mark.long
@pytest.mark.parametrize("turn", range(ROUNDS))
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_job_survives_a_killed_store_at_any_moment(
    on_postgresql: House, store_server: StoreServer, calm: dict[str, JobReport], moment: str, turn: int
) -> None:
    """During any stage, and again."""
    await _survives_a_dead_store(on_postgresql, store_server, moment, calm["large"])


@pytest.mark.long
@pytest.mark.parametrize("turn", range(ROUNDS - 1))
async def test_a_killed_simulation_is_run_again_and_again(chaos: House, busy: JobReport, turn: int) -> None:
    """What worked once may have been luck."""
    await test_a_killed_simulation_is_run_again(chaos, busy)
