"""Readout calibrations: claimed once circuits are compiled, measured by circuits that ride with one job, used by all who asked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection

from activities.documents import Calibrating, CompiledCircuit, CompiledDocument
from activities.fold_rides import calibration_positions
from activities.reporting import Kept
from activities.twins import has_noise
from circuits.assembly import arrays_of, is_complete
from circuits.calibration_plan import errors_from, runs_for
from circuits.methods import choose_noisy
from circuits.runnable import pubs_of
from circuits.seeds import FOLD_STRIDE
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.bindings import Bindings
from qurable.contracts.calibrations import MeasuredErrors
from qurable.contracts.executions import IsaPub
from qurable.contracts.jobs import EstimateJob, SampleJob, SimulatorOptions, SolveJob
from qurable.contracts.mitigation import Mitigation
from qurable.contracts.pubs import shots_for
from qurable.contracts.routes import Rung
from qurable.errors import ChildCrashed, InternalError, OutOfMemory, OutOfTime
from store import calibrations
from store.artifacts import ArtifactKind
from store.calibrations import Ours, Wanted
from store.database import Database, now
from store.shelf import StoreShelf

_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=60.0)

Write = Callable[[Connection], None]


@dataclass(frozen=True)
class Measured:
    """A calibration that a job may use.

    Attributes:
        errors: What was found.
        artifact: Hash of the document.
        rode: Whether it was measured by circuits that rode with the job.
        writes: What gives it to others, in the transaction of the stage that found it.
    """

    errors: MeasuredErrors
    artifact: str
    rode: bool
    writes: tuple[Write, ...] = ()


class Calibrations:
    """Claims, and reads.

    Args:
        database: Where claims stand.
        shelf: Where circuits, targets and what was measured are.
        pool: Children that make circuits.
    """

    def __init__(self, database: Database, shelf: StoreShelf, pool: ChildPool) -> None:
        self._database = database
        self._shelf = shelf
        self._pool = pool

    async def plan(
        self,
        job_id: str,
        request: SampleJob | EstimateJob | SolveJob,
        rung: Rung,
        compiled: Sequence[CompiledCircuit],
    ) -> Calibrating | None:
        """Where the calibration comes from: another job that has it or is at it, or circuits that ride with this one.

        A claim is the job's, whatever attempt makes it, so that a second attempt finds it. What the job claimed for
        another rung is let go of.
        """
        wish = request.mitigation
        if wish.readout != "measured" or not has_noise(rung.target) or not compiled:
            await self._let_go(job_id, request)
            return None
        found = await self._circuits(compiled)
        if "because" in found:
            return Calibrating(because=found["because"])
        qubits = tuple(found["qubits"])
        widest = max(circuit.active for circuit in compiled)
        if rung.target.simulator and len(qubits) > widest:
            return Calibrating(
                because=f"together its pubs read {len(qubits)} qubits, and a simulation of them all takes more than any of its own"
            )
        wanted = Wanted(_place(rung, request), compiled[0].target, qubits, oldest(wish))
        patience = request.limits.queue + request.limits.run

        def claim(connection: Connection) -> calibrations.Ours | calibrations.Theirs:
            calibrations.release(connection, job_id, but=wanted.key)
            return calibrations.claim(connection, wanted, job_id, patience)

        claimed = await self._database.write(claim)
        if not isinstance(claimed, Ours):
            return Calibrating(key=claimed.key, awaited=claimed.measured is None)
        for entry in found["circuits"]:
            self._shelf.remember(entry["isa"], entry["qpy"])
        own_shots = max(map(shots_for, pubs_of(request)[1]))
        runs = runs_for(len(qubits), wish.calibration_shots, own_shots, at_provider=not rung.target.simulator)
        return Calibrating(
            key=claimed.key,
            qubits=qubits,
            circuits=tuple(entry["isa"] for entry in found["circuits"]),
            copies=runs.copies,
            shots=runs.shots,
        )

    async def _let_go(self, job_id: str, request: SampleJob | EstimateJob | SolveJob) -> None:
        if request.mitigation.readout == "measured":
            await self._database.write(calibrations.release, job_id)

    async def _circuits(self, compiled: Sequence[CompiledCircuit]) -> dict[str, Any]:
        payload = {
            "isas": [await self._shelf.artifact(circuit.isa) for circuit in compiled],
            "target": await self._shelf.artifact(compiled[0].target),
        }
        try:
            found: dict[str, Any] = await self._pool.call(
                "circuits.calibration:make_calibration", payload, _LIMITS, what="making calibration circuits"
            )
        except (OutOfTime, OutOfMemory, ChildCrashed, InternalError) as failure:
            return {"because": failure.message}  # the counts are worth having without it
        return found

    async def find(
        self, job_id: str, held: Kept, request: SampleJob | EstimateJob | SolveJob
    ) -> Measured | str:
        """The calibration of a job that ran, or why there is none."""
        plan = held.compiled.calibrating
        if plan is None or held.rung.earlier is not None:
            return "none was asked for where the answer comes from"
        if plan.because:
            return plan.because
        if plan.circuits:
            return await self._own(job_id, plan, held, request)
        artifact = await self._database.read(calibrations.find, plan.key, oldest(request.mitigation))
        if artifact is None:
            return "the job that was measuring it did not bring it in time"
        return Measured(MeasuredErrors.read(await self._shelf.artifact(artifact)), artifact, rode=False)

    async def _own(
        self, job_id: str, plan: Calibrating, held: Kept, request: SampleJob | EstimateJob | SolveJob
    ) -> Measured | str:
        outcomes = []
        width = (len(plan.qubits) + 7) // 8
        for place in calibration_positions(held.compiled, held.validated.circuit_of):
            pieces = [piece for piece in held.ridden if piece.pub == place]
            packed = [arrays_of(piece).get("bits") for piece in pieces]
            if not is_complete(pieces, plan.copies) or any(
                bits is None or bits.dtype != np.uint8 or bits.ndim != 3 or bits.shape[-1] != width
                for bits in packed
            ):
                return "its circuits did not come back whole"
            outcomes.append(np.concatenate([bits.reshape(-1, width) for bits in packed if bits is not None]))
        measured = MeasuredErrors(
            place=_place(held.rung, request),
            target=held.compiled.circuits[0].target,
            measured_at=now(),
            shots=sum(len(rows) for rows in outcomes),
            errors=errors_from(plan.qubits, outcomes),
        )
        artifact = await self._shelf.keep_artifact(
            ArtifactKind.CALIBRATION, measured.model_dump_json().encode()
        )

        def fill(connection: Connection) -> None:
            calibrations.fill(connection, plan.key, job_id, artifact, measured.measured_at)

        return Measured(measured, artifact, rode=True, writes=(fill,))


def oldest(wish: Mitigation, moment: datetime | None = None) -> datetime | None:
    """Before when a calibration is too old; None for any age."""
    return None if wish.max_age is None else (moment or now()) - wish.max_age


def _place(rung: Rung, request: SampleJob | EstimateJob | SolveJob) -> str:
    """Twirled readings have other errors than plain ones."""
    twirling = request.ibm.twirling
    twirled = not rung.target.simulator and twirling is not None and twirling.enable_measure
    return f"{rung.name} twirled" if twirled else rung.name


def beside(
    compiled: CompiledDocument, own: Sequence[IsaPub], options: SimulatorOptions, capacity_bytes: int | None
) -> Iterator[IsaPub]:
    """The pubs of the calibration circuits.

    Args:
        compiled: With the circuits.
        own: The job's own pubs.
        options: The caller's simulator options.
        capacity_bytes: What this machine can ever grant, for a simulator; None for a place of a provider's.
    """
    plan = compiled.calibrating
    if plan is None:
        return
    choice = (
        None
        if capacity_bytes is None or not plan.circuits
        else choose_noisy(len(plan.qubits), plan.shots, options, capacity_bytes, "calibration")
    )
    for number, isa in enumerate(plan.circuits, start=1):
        yield IsaPub(
            isa=isa,
            bindings=Bindings(parameters=(), shape=(plan.copies,)),
            shots=plan.shots,
            seed=own[0].seed + FOLD_STRIDE * number,
            num_clbits=len(plan.qubits),
            size=2 * len(plan.qubits),
            qubits=len(plan.qubits),
            **(
                {}
                if choice is None
                else {
                    "method": choice.method,
                    "memory_bytes": choice.memory_bytes,
                    "max_bond": choice.max_bond,
                }
            ),
        )
