"""Twins that ride with a job: made once its circuits are compiled, sent beside its own pubs, and read at the end."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from activities.documents import CompiledCircuit, CompiledDocument, Twin, ValidatedDocument
from activities.questions import canonical_bindings
from activities.reporting import Kept
from circuits.assembly import arrays_of, is_complete
from circuits.runnable import pubs_of
from circuits.seeds import STRIDE
from circuits.twin_answers import Agreement, agreement
from circuits.twin_rides import MOST_TWINS, Ride, rides_of
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.bindings import Bindings
from qurable.contracts.confidence import Confidence, ConfidenceKind
from qurable.contracts.executions import IsaPub
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.contracts.routes import Rung
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from qurable.contracts.twins import TwinRecord
from qurable.errors import ChildCrashed, InternalError, OutOfMemory, OutOfTime
from store.shelf import StoreShelf

_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=60.0)
"""Of one twin; what takes more rides without one."""

_WITH_NOISE = frozenset({AnswerKind.HARDWARE, AnswerKind.NOISY_SIMULATOR})


class Twins:
    """Makes them.

    Args:
        shelf: Where circuits are.
        pool: Children that look for them.
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
    ) -> tuple[Twin, ...]:
        """A twin for each ride of the job, or why there is none; nothing where the place has no noise."""
        if not has_noise(rung.target) or not compiled:
            return ()
        pubs = pubs_of(request)[1]
        rides = rides_of(request.checks.twin, pubs, validated.circuits, validated.circuit_of)
        return tuple([await self._one(ride, pubs[ride.pub], validated, compiled) for ride in rides])

    async def _one(
        self,
        ride: Ride,
        pub: SamplePub | EstimatePub,
        validated: ValidatedDocument,
        compiled: Sequence[CompiledCircuit],
    ) -> Twin:
        parsed = validated.circuits[ride.circuit]
        bindings = canonical_bindings(pub.bindings, parsed.dress.parameters)
        payload: dict[str, Any] = {
            "qpy": await self._shelf.artifact(compiled[ride.circuit].isa),
            "values": list(bindings.values[: len(bindings.parameters)]),
        }
        try:
            found = await self._pool.call("circuits.twins:make_twin", payload, _LIMITS, what="making a twin")
        except (OutOfTime, OutOfMemory, ChildCrashed, InternalError) as failure:
            found = {"because": failure.message}  # a twin that cannot be had is no reason to send nothing
        else:
            if "qpy" in found:
                self._shelf.remember(found["isa"], found.pop("qpy"))
        return Twin(circuit=ride.circuit, pub=ride.pub, copies=ride.copies, **found)


def has_noise(target: TargetSnapshot) -> bool:
    """Whether a twin has anything to say of a place: elsewhere it would always be right."""
    return target.reads_circuits and target.answer_kind in _WITH_NOISE


def riding(compiled: CompiledDocument) -> list[Twin]:
    """Those that there are, in the order in which they follow the job's own pubs."""
    return [twin for twin in compiled.twins if twin.isa]


def beside(compiled: CompiledDocument, own: Sequence[IsaPub], seed: int) -> Iterator[IsaPub]:
    """The pubs of the twins, each with the shots and the method of its circuit's own.

    Args:
        compiled: With the twins.
        own: The job's own pubs; none of them changes.
        seed: Of the first binding behind them.
    """
    for twin in riding(compiled):
        copies = Bindings(parameters=(), shape=(twin.copies,))
        yield own[twin.pub].model_copy(
            update={"isa": twin.isa, "bindings": copies, "seed": seed, "seeds": ()}
        )
        seed += STRIDE * twin.copies


def warnings(held: Kept, request: SampleJob | EstimateJob | SolveJob) -> Iterator[str]:
    """Why a twin that was asked for did not ride."""
    if request.checks.twin is None:
        return
    if not has_noise(held.rung.target):
        yield f"no twin was run: {held.rung.name!r} ran no circuit for this job, or runs them without noise, where a twin is always right"
    for twin in held.compiled.twins:
        if twin.because:
            name = held.validated.circuits[twin.circuit].dress.name
            yield f"no twin of circuit {name!r} was run: {twin.because}"
    if held.compiled.twins and len(held.validated.circuits) > MOST_TWINS:
        yield (
            f"twins were looked for of {MOST_TWINS} of the job's {len(held.validated.circuits)} circuits, those with the most "
            "two-qubit gates"
        )


def read(held: Kept) -> tuple[tuple[TwinRecord, ...], tuple[Confidence, ...]]:
    """What the twins of a rung showed, and the records of confidence that this makes."""
    records, confidences = [], []
    number = len(held.validated.circuit_of)
    for twin in held.compiled.twins:
        name = held.validated.circuits[twin.circuit].dress.name
        record = TwinRecord(circuit=name, pub=twin.pub, because=twin.because, isa=twin.isa)
        if twin.isa:
            found = _agreement(held, twin, number)
            number += 1
            if found is None:
                record = record.model_copy(update={"because": "its result did not come back whole"})
            else:
                record = record.model_copy(
                    update={
                        "shots": found.shots,
                        "bits": twin.bits,
                        "checks": len(twin.checks),
                        "noticed": twin.noticed,
                        "right": found.right,
                    }
                )
                confidences.append(_confidence(record, found))
        records.append(record)
    return tuple(records), tuple(confidences)


def _agreement(held: Kept, twin: Twin, number: int) -> Agreement | None:
    pieces = [piece for piece in held.ridden if piece.pub == number]
    if not is_complete(pieces, twin.copies):
        return None
    packed = [arrays_of(piece).get("bits") for piece in pieces]
    width = (held.validated.circuits[twin.circuit].traits.num_clbits + 7) // 8
    if any(
        bits is None or bits.dtype != np.uint8 or bits.ndim != 3 or bits.shape[-1] != width for bits in packed
    ):
        return None
    outcomes = np.concatenate([bits.reshape(-1, width) for bits in packed if bits is not None])
    return agreement(outcomes, twin.checks, twin.odd) if len(outcomes) else None


def _confidence(record: TwinRecord, found: Agreement) -> Confidence:
    return Confidence(
        kind=ConfidenceKind.TWIN_CHECK,
        value=found.value,
        interval=found.interval,
        basis=(
            f"measured on a Clifford twin of circuit {record.circuit!r}, not on the circuit itself: in {found.right:,} of "
            f"{found.shots:,} shots every one of {record.checks} parities of its {record.bits} bits held ({found.chance:.2g} by "
            f"chance alone, which is taken off); they notice {record.noticed:.0%} of single errors of two-qubit gates; before any "
            "mitigation, with a 95 % interval by the binomial law"
        ),
        pub=record.pub,
    )
