"""Mitigate the counts of a job after its run, in a child, and never at the price of the counts themselves."""

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from activities.calibrating import Calibrations, Measured, Write
from activities.folding import refuse_unfoldable
from activities.reporting import Kept
from circuits.readout import LIBRARY, bits_of_words, readout_errors, refuse_unreadable, usable
from fallback.solvers.protocol import absent
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.arrays import size_of
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.contracts.mitigation import MitigatedPubs, Mitigation, MitigationRecord, QuasiDistributions
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.targets import AnswerKind, TargetDocument
from qurable.errors import ChildCrashed, InternalError, OutOfMemory, OutOfTime, RequestRejected
from store.artifacts import ArtifactKind
from store.database import now
from store.shelf import StoreShelf

_SECONDS = 300.0
"""For all pubs of a job; what takes longer is not mitigated."""

_MERGED_SECONDS = 40.0
"""The same where a small result is fetched, looked at and recorded in one stage."""

_MEMORY_BYTES = 2048 * MIB
_MISREAD = frozenset({AnswerKind.HARDWARE, AnswerKind.NOISY_SIMULATOR})
_MISSING = f"the library {LIBRARY!r} is not installed here: it comes with the dependency group `mitigation`"


class NotMitigated(Exception):
    """Why counts stay as they were read."""


@dataclass(frozen=True)
class Mitigated:
    """Results after mitigation.

    Attributes:
        results: Those that were given, with weights beside their counts where there are any.
        record: For the report; None where nobody asked.
        kept: Artifact hash of the weights, empty where there are none.
        warnings: For the report.
        writes: What gives a calibration that was measured to others.
    """

    results: list[SampleResult | EstimateResult]
    record: MitigationRecord | None = None
    kept: str = ""
    warnings: tuple[str, ...] = ()
    writes: tuple[Write, ...] = ()


def refuse_impossible(
    request: SampleJob | EstimateJob | SolveJob,
    circuits: Sequence[ParsedCircuit],
    circuit_of: Sequence[int],
) -> None:
    """See that what the job asks for can be done to its counts, before anything is paid for.

    Raises:
        RequestRejected: Naming the circuit or the library, and the way out.
    """
    refuse_unfoldable(request, circuits, circuit_of)
    if request.mitigation.readout == "none":
        return
    if absent([LIBRARY]):
        raise RequestRejected(f"mitigation.readout cannot be done: {_MISSING}; or leave it out")
    for number, at in enumerate(circuit_of):
        refuse_unreadable(number, circuits[at])


class Mitigating:
    """Mitigates.

    Args:
        shelf: Where ISA circuits and targets are, and weights go.
        pool: Children that compute.
        calibrations: Those that were measured.
    """

    def __init__(self, shelf: StoreShelf, pool: ChildPool, calibrations: Calibrations) -> None:
        self._shelf = shelf
        self._pool = pool
        self._calibrations = calibrations

    async def mitigate(
        self,
        job_id: str,
        request: SampleJob | EstimateJob | SolveJob,
        held: Kept,
        results: Sequence[SampleResult | EstimateResult],
    ) -> Mitigated:
        """Results with what mitigation makes of them, where the job asks for it; as they are where it cannot be done."""
        wish = request.mitigation
        if wish.readout == "none":
            return Mitigated(list(results))
        measured = None
        if wish.readout == "measured" and _reads_with_errors(held):
            measured = await self._calibrations.find(job_id, held, request)
        record, warnings = _record_of(request, held, measured)
        found = measured if isinstance(measured, Measured) else None
        within = _MERGED_SECONDS if held.submitted.small else _SECONDS
        try:
            _look_at(held, record, wish, found)
            mitigated = await self._corrected(held, results, record, within, found)
        except OutOfTime:
            mitigated = _skipped(record, f"it took longer than {within:g} s and was stopped", results)
        except (NotMitigated, OutOfMemory, ChildCrashed, InternalError) as failure:
            mitigated = _skipped(record, str(failure), results)
        # What was measured was paid for, and serves others whatever becomes of this job's counts.
        writes = () if found is None else found.writes
        return dataclasses.replace(mitigated, warnings=(*warnings, *mitigated.warnings), writes=writes)

    async def _corrected(
        self,
        held: Kept,
        results: Sequence[SampleResult | EstimateResult],
        record: MitigationRecord,
        within: float,
        measured: Measured | None,
    ) -> Mitigated:
        """Raises: NotMitigated."""
        circuits = held.compiled.circuits
        if measured is None:
            calibration = circuits[0].target
            document = TargetDocument.read(await self._shelf.artifact(calibration))
            errors = readout_errors(document, symmetric=record.symmetric)
        else:
            calibration = measured.artifact
            errors = usable(measured.errors.errors)
        if not errors:
            raise NotMitigated(f"{held.rung.name!r} reports no readout errors")
        clock = asyncio.get_running_loop().time
        until = clock() + within
        pubs, method = [], ""
        for number, result in enumerate(results):
            if not isinstance(result, SampleResult):  # its job was refused
                raise NotMitigated(f"pub {number} was estimated")
            at = held.validated.circuit_of[number]
            registers = held.validated.circuits[at].dress.registers
            payload = {
                "isa": await self._shelf.artifact(circuits[at].isa),
                "errors": errors,
                "bits": bits_of_words(registers),
                "counts": await asyncio.to_thread(_counts, result),
            }
            limits = Limits(_MEMORY_BYTES, wall_seconds=max(until - clock(), 0.0))
            answer: dict[str, Any] = await self._pool.call(
                "circuits.readout:mitigate", payload, limits, what="mitigating"
            )
            method = f"{LIBRARY} {answer.pop('version')}"
            pubs.append((result, await asyncio.to_thread(QuasiDistributions.model_validate, answer)))
        return await self._kept(
            pubs, record.model_copy(update={"method": method, "calibration": calibration})
        )

    async def _kept(
        self, pubs: Sequence[tuple[SampleResult, QuasiDistributions]], record: MitigationRecord
    ) -> Mitigated:
        """Keep the weights under their hash, and sum up what they cost."""
        body = await asyncio.to_thread(MitigatedPubs(pubs=tuple(quasi for _, quasi in pubs)).pack)
        left_out = tuple(sorted({qubit for _, quasi in pubs for qubit in quasi.left_out}))
        errors = [
            quasi.standard_error(element, result.shots)
            for result, quasi in pubs
            for element in range(len(quasi.overheads))
        ]
        overheads = [overhead for _, quasi in pubs for overhead in quasi.overheads]
        warning = (
            f"what was read from qubits {list(left_out[:10])} was not mitigated: no readout error below 0.5 is known of "
            "them"
        )
        return Mitigated(
            [result.model_copy(update={"mitigated": quasi}) for result, quasi in pubs],
            record.model_copy(
                update={
                    "overhead": max(overheads, default=None),
                    "standard_error": max(errors, default=None),
                    "left_out": left_out,
                }
            ),
            await self._shelf.keep_artifact(ArtifactKind.MITIGATED, body),
            (warning,) if left_out else (),
        )


def _counts(result: SampleResult) -> list[dict[str, int]]:
    return [result.counts(element) for element in range(size_of(result.shape))]


def _reads_with_errors(held: Kept) -> bool:
    """Whether the counts are of this job, and a place that misreads read them."""
    return (
        held.rung.earlier is None
        and held.rung.target.answer_kind in _MISREAD
        and bool(held.compiled.circuits)
    )


def _record_of(
    request: SampleJob | EstimateJob | SolveJob, held: Kept, measured: Measured | str | None
) -> tuple[MitigationRecord, tuple[str, ...]]:
    """What the report says of the calibration that is used, and warnings."""
    if isinstance(measured, Measured):
        found = measured.errors
        return (
            MitigationRecord(
                readout="measured",
                calibrated=found.measured_at,
                age_seconds=(now() - found.measured_at).total_seconds(),
                calibration_shots=found.shots,
                rode=measured.rode,
            ),
            (),
        )
    target, twirling = held.rung.target, request.ibm.twirling
    record = MitigationRecord(
        readout=request.mitigation.readout if measured is None else "reported",
        instead=measured or "",
        calibrated=target.calibrated,
        age_seconds=None if target.calibrated is None else (now() - target.calibrated).total_seconds(),
        symmetric=target.answer_kind is AnswerKind.HARDWARE and bool(twirling and twirling.enable_measure),
    )
    if measured is None or request.mitigation.otherwise == "skip":
        return record, ()
    return record, (f"no measured calibration could be had: {measured}; the reported one stands in",)


def _skipped(
    record: MitigationRecord, reason: str, results: Sequence[SampleResult | EstimateResult]
) -> Mitigated:
    skipped = record.model_copy(update={"skipped": reason})
    return Mitigated(list(results), skipped, warnings=(f"the counts were {skipped}",))


def _look_at(held: Kept, record: MitigationRecord, wish: Mitigation, measured: Measured | None) -> None:
    """See that the counts are of this job, were misread by a known amount, and that it is known from lately.

    Raises:
        NotMitigated: What is not so.
    """
    if held.rung.earlier is not None:
        raise NotMitigated("the answer of an earlier job is given again as it was read")
    if not _reads_with_errors(held):
        raise NotMitigated(f"{held.rung.name!r} reads without errors")
    if record.instead and wish.otherwise == "skip":
        raise NotMitigated(f"no measured calibration could be had: {record.instead}")
    age, limit = record.age_seconds, wish.max_age
    if measured is None and limit is not None:
        if age is None:
            raise NotMitigated(
                "nobody says how old the calibration is, and mitigation.max_age bounds its age"
            )
        if age > limit.total_seconds():
            allowed = limit.total_seconds() / 3600
            raise NotMitigated(
                f"the calibration is {age / 3600:,.1f} h old, and mitigation.max_age allows {allowed:g}"
            )
    if absent([LIBRARY]):
        raise NotMitigated(_MISSING)
