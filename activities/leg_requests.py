"""The jobs of a comparison: the same request, once for each place."""

from collections.abc import Collection

from backends.registry import Registry
from qurable.contracts.base import digest
from qurable.contracts.budgets import JobBudget
from qurable.contracts.comparisons import Comparison
from qurable.contracts.fallback import Fallback
from qurable.contracts.jobs import MAX_SEED, EstimateJob, SampleJob, SolveJob
from qurable.errors import HybridError, UnknownBackend

LABEL = "comparison"
"""Of a leg's job: the id of the comparison that it belongs to."""

_MOST_LABELS = 31

Request = SampleJob | EstimateJob | SolveJob


async def paid_places(registry: Registry, comparison: Comparison) -> frozenset[str]:
    """The places among which a budget is shared out: those that may cost money, as far as is known.

    Raises:
        UnknownBackend: There is no place of that name.
    """
    paid, limited = set(), comparison.job.budget != JobBudget()
    for place in comparison.places:
        try:
            for name in await registry.candidates(place, comparison.job.project, 1):
                registry.get(name)
            if (
                registry.is_device(place)
                or comparison.fallback
                or (limited and await _costs(registry, place))
            ):
                paid.add(place)
        except UnknownBackend:
            raise
        except HybridError:
            paid.add(place)  # whatever is wrong with it is its own row's to say
    return frozenset(paid)


async def _costs(registry: Registry, place: str) -> bool:
    if place not in registry.names():  # `classical`, and devices that are simulated: nobody is paid
        return False
    return (await registry.snapshot(place)).paid


def leg_job(comparison: Comparison, place: str, paid: Collection[str]) -> Request:
    """The job of one place, under a key of its own that follows from the comparison's.

    What the whole may cost is shared out evenly among the places that may cost money. In a comparison each place's seed
    is its own, so that the runs are independent; of a hedged run one answer is kept, which is the one that the job asks
    for.
    """
    job, identity = comparison.job, comparison.comparison_id
    changes = {
        "key": f"{identity}/{place}",
        "backend": place,
        "fallback": job.fallback if comparison.fallback else _alone(job.fallback),
        "budget": _share(job.budget, len(paid)),
        "labels": {**dict(list(job.labels.items())[:_MOST_LABELS]), LABEL: identity},
    }
    if not comparison.hedged:
        changes["seed"] = None if job.seed is None else _own_seed(job.seed, place)
        changes["seeds"] = tuple(_own_seed(seed, place) for seed in job.seeds)
    return job.model_copy(update=changes)


def _alone(fallback: Fallback) -> Fallback:
    """No other place answers, so that a row is really of its place."""
    return fallback.model_copy(update={"policy": "none"})


def _share(budget: JobBudget, number: int) -> JobBudget:
    if number < 2:
        return budget
    return budget.model_copy(
        update={
            "qpu_seconds": None if budget.qpu_seconds is None else budget.qpu_seconds / number,
            "price": None if budget.price is None else budget.price / number,
        }
    )


def _own_seed(seed: int, place: str) -> int:
    return int(digest(f"{seed}\0{place}")[:8], 16) % (MAX_SEED + 1)
