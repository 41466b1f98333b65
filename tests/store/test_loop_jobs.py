"""The jobs of a loop: the first word about one stands, and what they cost is added up."""

from qurable.contracts.budgets import JobBudget
from qurable.contracts.loop_places import LoopJob
from store import loop_jobs, optimisations
from store.database import Database
from store.loop_jobs import Meant
from tests.store.test_optimisations import _loop


def _meant(loop_id: str, iteration: int, ordinal: int = 0, *, shots: int = 10, backend: str = "qpu") -> Meant:
    job = LoopJob(id=f"lab-{iteration}-{ordinal}", backend=backend, iteration=iteration, ordinal=ordinal)
    return Meant(job, loop_id, shots, JobBudget(qpu_seconds=5))


async def test_whoever_means_a_job_again_is_given_the_first_word(database: Database) -> None:
    """The key is the same, and so has to be the body."""
    prepared = _loop()
    loop_id = prepared.loop.id
    await database.write(optimisations.begin, prepared, "hash", "owner")
    first = await database.write(loop_jobs.intend, _meant(loop_id, 0))
    again = await database.write(loop_jobs.intend, _meant(loop_id, 0, shots=99, backend="other"))
    await database.write(loop_jobs.intend, _meant(loop_id, 0, 1))
    await database.write(loop_jobs.intend, _meant(loop_id, 1))

    assert again == first == await database.read(loop_jobs.find, "lab-0-0")
    assert await database.read(loop_jobs.find, "lab-9-9") is None
    assert [job.id for job in await database.read(loop_jobs.of_loop, loop_id)] == [
        "lab-0-0",
        "lab-0-1",
        "lab-1-0",
    ]
    last = await database.read(loop_jobs.last, loop_id, "iteration")
    assert last is not None
    assert last.job.id == "lab-1-0"
    cost = await database.read(loop_jobs.cost, loop_id)
    assert (cost.jobs, cost.qpu_seconds, cost.prices) == (3, 0.0, {})
