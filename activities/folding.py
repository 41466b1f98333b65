"""Folded circuits that ride with a job: made once its circuits are compiled, and fitted at the end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from activities import twins
from activities.documents import CompiledCircuit, FoldedCircuit, ValidatedDocument
from activities.fold_rides import positions, rides
from activities.reporting import Kept, with_values
from circuits.assembly import assemble, is_complete
from circuits.extrapolation import MISFIT, Limit, zero_noise_limit
from circuits.runnable import pubs_of
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.arrays import FloatArray
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.extrapolation import ExtrapolatedPubs, ExtrapolatedValues, ExtrapolationRecord
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.contracts.mitigation import ZeroNoise
from qurable.contracts.pubs import EstimatePub
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.routes import Rung
from qurable.errors import ChildCrashed, InternalError, OutOfMemory, OutOfTime, RequestRejected, ResultRefused
from store.artifacts import ArtifactKind
from store.shelf import StoreShelf

_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=60.0)
"""Of all factors of one circuit; what takes more is not folded."""

MOST_OPERATIONS = 1_000_000
"""Of all factors of one circuit together: folded circuits are written out, sent and kept."""


@dataclass(frozen=True)
class Extrapolated:
    """Results after extrapolation.

    Attributes:
        results: Those that were given, with values at zero noise beside their own where there are any.
        record: For the report; None where nobody asked.
        kept: Artifact hash of the values; empty where there are none.
        warnings: For the report.
    """

    results: list[SampleResult | EstimateResult]
    record: ExtrapolationRecord | None = None
    kept: str = ""
    warnings: tuple[str, ...] = ()


def refuse_unfoldable(
    request: SampleJob | EstimateJob | SolveJob,
    circuits: Sequence[ParsedCircuit],
    circuit_of: Sequence[int],
) -> None:
    """See that every circuit has an inverse, before anything is paid for.

    Raises:
        RequestRejected: Naming the circuit, and the way out.
    """
    if request.mitigation.zne is None:
        return
    for number, at in enumerate(circuit_of):
        if circuits[at].traits.is_dynamic:
            raise RequestRejected(
                f"mitigation.zne runs circuits backwards, and circuit {circuits[at].dress.name!r} of pub {number} measures or resets "
                "on its way, or branches: leave it out"
            )


class Folding:
    """Makes them.

    Args:
        shelf: Where circuits and targets are.
        pool: Children that fold.
    """

    def __init__(self, shelf: StoreShelf, pool: ChildPool) -> None:
        self._shelf = shelf
        self._pool = pool

    async def make(
        self,
        request: SampleJob | EstimateJob | SolveJob,
        validated: ValidatedDocument,
        rung: Rung,
        compiled: Sequence[CompiledCircuit],
    ) -> tuple[tuple[FoldedCircuit, ...], dict[int, str]]:
        """The folded circuits that the job asks for, and by circuit why there are none; nothing where there is no noise."""
        wish = request.mitigation.zne
        if wish is None or not twins.has_noise(rung.target):
            return (), {}
        folded: list[FoldedCircuit] = []
        unfolded: dict[int, str] = {}
        for at in sorted(set(validated.circuit_of)):
            found, because = await self._one(at, compiled[at], wish)
            folded += found
            if because:
                unfolded[at] = because
        return tuple(folded), unfolded

    async def _one(
        self, at: int, compiled: CompiledCircuit, wish: ZeroNoise
    ) -> tuple[list[FoldedCircuit], str]:
        if compiled.size * sum(wish.factors) > MOST_OPERATIONS:
            return [], (
                f"its ISA circuit has {compiled.size:,} operations, and all factors together would have more than "
                f"{MOST_OPERATIONS:,}"
            )
        payload: dict[str, Any] = {
            "qpy": await self._shelf.artifact(compiled.isa),
            "target": await self._shelf.artifact(compiled.target),
            "factors": [factor for factor in wish.factors if factor > 1],
            "folding": wish.folding,
        }
        try:
            answer = await self._pool.call("circuits.folding:fold_circuit", payload, _LIMITS, what="folding")
        except (OutOfTime, OutOfMemory, ChildCrashed, InternalError) as failure:
            return [], failure.message  # the raw answer is worth having without it
        if "because" in answer:
            return [], answer["because"]
        found = []
        for entry in answer["folded"]:
            self._shelf.remember(entry["isa"], entry.pop("qpy"))
            found.append(FoldedCircuit(circuit=at, **entry))
        if len(found) + 1 < wish.least_points:
            factors = ", ".join(f"{factor:g}" for factor in (1.0, *(entry.factor for entry in found)))
            return [], (
                f"it has so few gates to fold that the noise factors come out as {factors} alone, and a {wish.extrapolator} fit takes "
                f"{wish.least_points}: ask for odd whole factors"
            )
        return found, ""


async def extrapolate(
    request: SampleJob | EstimateJob | SolveJob,
    held: Kept,
    results: Sequence[SampleResult | EstimateResult],
    shelf: StoreShelf,
) -> Extrapolated:
    """Results with their values at zero noise, where the job asks for them; as they are where there are none."""
    wish = request.mitigation.zne
    if wish is None:
        return Extrapolated(list(results))
    record = ExtrapolationRecord(
        extrapolator=wish.extrapolator, folding=wish.folding, asked=wish.factors, factors=_came_out(held)
    )
    _, pubs = pubs_of(request)
    answers = [
        _one_pub(number, pub, held, result, wish)
        for number, (pub, result) in enumerate(zip(pubs, results, strict=True))
        if isinstance(pub, EstimatePub) and isinstance(result, EstimateResult)
    ]
    found = [answer for answer in answers if isinstance(answer, ExtrapolatedValues)]
    missing = {reason: None for reason in answers if isinstance(reason, str)}
    if not found:
        record = record.model_copy(update={"skipped": "; ".join(missing)})
        return Extrapolated(list(results), record, warnings=(f"the values were {record}",))
    record = record.model_copy(update=_summed_up(found, held))
    values = tuple(answer if isinstance(answer, ExtrapolatedValues) else None for answer in answers)
    return Extrapolated(
        with_values(results, ExtrapolatedPubs(pubs=values)),
        record,
        await shelf.keep_artifact(ArtifactKind.MITIGATED, ExtrapolatedPubs(pubs=values).pack()),
        (
            *(f"some values were not extrapolated to zero noise: {reason}" for reason in missing),
            *_warnings(record, found),
        ),
    )


def _came_out(held: Kept) -> dict[str, tuple[float, ...]]:
    factors: dict[str, tuple[float, ...]] = {}
    for entry in held.compiled.folded:
        name = held.validated.circuits[entry.circuit].dress.name
        factors[name] = (*factors.get(name, (1.0,)), entry.factor)
    return factors


def _one_pub(
    number: int, pub: EstimatePub, held: Kept, result: EstimateResult, wish: ZeroNoise
) -> ExtrapolatedValues | str:
    """The values at zero noise of one pub, or why there are none."""
    if held.rung.earlier is not None:
        return "the answer of an earlier job is given again as it was measured"
    if not twins.has_noise(held.rung.target):
        return f"{held.rung.name!r} ran no circuit for this job, or runs them without noise"
    at = held.validated.circuit_of[number]
    name = held.validated.circuits[at].dress.name
    if at in held.compiled.unfolded:
        return f"circuit {name!r} was not folded: {held.compiled.unfolded[at]}"
    circuit = held.validated.circuits[at]
    factors, runs = [1.0], [result]
    first = positions(held.compiled, held.validated.circuit_of).start
    for place, (owner, entry) in enumerate(rides(held.compiled, held.validated.circuit_of), start=first):
        if owner != number:
            continue
        pieces = [piece for piece in held.ridden if piece.pub == place]
        if not is_complete(pieces, pub.bindings.size):
            return f"circuit {name!r} at noise factor {entry.factor:g} did not come back whole"
        try:
            run = assemble(pub, circuit.dress, circuit.traits.num_clbits, pieces)
        except ResultRefused as failure:
            return failure.message
        assert isinstance(run, EstimateResult)  # noqa: S101  its pub estimates
        factors.append(entry.factor)
        runs.append(run)
    return _fitted(pub, factors, runs, wish)


def _fitted(
    pub: EstimatePub, factors: Sequence[float], runs: Sequence[EstimateResult], wish: ZeroNoise
) -> ExtrapolatedValues:
    measured = tuple(zip(*(run.evs.values for run in runs), strict=True))
    errors = tuple(zip(*(run.stds.values for run in runs), strict=True))
    limits: list[Limit] = []
    for (mixed, reach), values, stds in zip(_ranges(pub), measured, errors, strict=True):
        limits.append(
            zero_noise_limit(factors, values, stds, extrapolator=wish.extrapolator, mixed=mixed, reach=reach)
        )
    return ExtrapolatedValues(
        factors=tuple(factors),
        measured=measured,
        errors=errors,
        evs=FloatArray(shape=pub.shape, values=tuple(limit.value for limit in limits)),
        stds=FloatArray(shape=pub.shape, values=tuple(limit.std for limit in limits)),
        inflation=tuple(limit.inflation for limit in limits),
        misfit=tuple(limit.misfit for limit in limits),
        worthless={at: limit.worthless for at, limit in enumerate(limits) if limit.worthless},
    )


def _ranges(pub: EstimatePub) -> Iterator[tuple[float, float]]:
    """Of each element, the value of the fully mixed state, and how far from it a value can be."""
    paulis = [observable.paulis() for observable in pub.observables.items]
    ranges = [
        (terms.get((), 0.0), sum(abs(factor) for product, factor in terms.items() if product))
        for terms in paulis
    ]
    places = np.arange(len(ranges)).reshape(pub.observables.shape)
    for at in np.broadcast_to(places, pub.shape).ravel():
        yield ranges[at]


def _summed_up(found: Sequence[ExtrapolatedValues], held: Kept) -> dict[str, Any]:
    own = sum(piece.stop - piece.start for piece in held.pieces)
    rode = set(positions(held.compiled, held.validated.circuit_of))
    folded = sum(piece.stop - piece.start for piece in held.ridden if piece.pub in rode)
    used = [
        inflation
        for values in found
        for at, inflation in enumerate(values.inflation)
        if at not in values.worthless
    ]
    return {
        "executions": 1 + folded / own,
        "inflation": max(used, default=None),
        "values": sum(len(values.evs.values) for values in found),
        "worthless": sum(len(values.worthless) for values in found),
        "misfits": sum(
            misfit < MISFIT and at not in values.worthless
            for values in found
            for at, misfit in enumerate(values.misfit)
        ),
    }


def _warnings(record: ExtrapolationRecord, found: Sequence[ExtrapolatedValues]) -> Iterator[str]:
    if record.worthless:
        reason = next(reason for values in found for reason in values.worthless.values())
        yield (
            f"{record.worthless} of {record.values} values were left as they were measured, since their extrapolation to zero noise "
            f"is worthless; of the first: {reason}"
        )
    if record.misfits:
        yield (
            f"{record.misfits} of {record.values} values lie off their {record.extrapolator} fit as they would by chance in fewer than "
            "one of a thousand: their error bars are too small; ask for another extrapolator, or smaller noise factors"
        )
