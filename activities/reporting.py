"""From what the stages kept to results and a report; used by the last stages and by readers."""

import asyncio
import functools
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from sqlalchemy import Connection

from activities import steps
from activities.checkpoint import Documents, read_documents
from activities.documents import CompiledDocument, ProcessedDocument, SubmittedDocument, ValidatedDocument
from backends.aer import aer_version
from circuits.assembly import assemble, is_complete
from circuits.runnable import pubs_of
from qurable.contracts.executions import Piece
from qurable.contracts.jobs import read_request
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.contracts.reports import (
    CircuitProvenance,
    Durations,
    JobEvent,
    JobReport,
    Provenance,
    StageRecord,
    State,
)
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.routes import Route, Rung
from qurable.names import Activity
from store import jobs, results
from store.database import Database
from store.shelf import StoreShelf


@dataclass(frozen=True)
class Kept:
    """Everything the store has of a rung that was submitted."""

    validated: ValidatedDocument
    rung: Rung
    route: Route
    compiled: CompiledDocument
    submitted: SubmittedDocument
    pieces: Sequence[Piece]


def find_kept(connection: Connection, documents: Documents, rung: int) -> Kept | None:
    """What the stages of a rung kept; None before it was submitted."""
    submitted = documents.find(steps.submit(rung), SubmittedDocument)
    if submitted is None:
        return None
    return Kept(
        documents.need(steps.VALIDATE, ValidatedDocument),
        documents.need(steps.PLAN_ROUTE, Route).rungs[rung],
        documents.need(steps.PLAN_ROUTE, Route),
        documents.need(steps.transpile(rung), CompiledDocument),
        submitted,
        results.get(connection, submitted.job.key.tag),
    )


def read_kept(connection: Connection, job_id: str, rung: int) -> Kept | None:
    """What the store has of a rung; None before it was submitted."""
    return find_kept(connection, read_documents(connection, job_id), rung)


async def assemble_results(shelf: StoreShelf, kept: Kept) -> list[SampleResult | EstimateResult | None]:
    """Results in the order of the pubs; None for one that is not complete."""
    _, pubs = pubs_of(read_request(await shelf.artifact(kept.validated.request)))
    return await asyncio.to_thread(_assemble, kept, pubs)


def _assemble(
    kept: Kept, pubs: Sequence[SamplePub | EstimatePub]
) -> list[SampleResult | EstimateResult | None]:
    pieces_of: dict[int, list[Piece]] = {}
    for piece in kept.pieces:
        pieces_of.setdefault(piece.pub, []).append(piece)
    assembled: list[SampleResult | EstimateResult | None] = []
    for number, pub in enumerate(pubs):
        circuit = kept.validated.circuits[kept.validated.circuit_of[number]]
        pieces = pieces_of.get(number, [])
        complete = is_complete(pieces, pub.bindings.size)
        assembled.append(
            assemble(pub, circuit.dress, circuit.traits.num_clbits, pieces) if complete else None
        )
    return assembled


async def results_of(
    database: Database, shelf: StoreShelf, job_id: str, rung: int = 0
) -> list[SampleResult | EstimateResult | None]:
    """Results of a job as far as they are there."""
    kept = await database.read(read_kept, job_id, rung)
    return [] if kept is None else await assemble_results(shelf, kept)


def provenance(kept: Kept) -> Provenance:
    """What is needed to run the job again."""
    rung = kept.rung
    methods = kept.submitted.methods
    notes: dict[int, dict[str, Any]] = {}
    for piece in kept.pieces:
        notes.setdefault(piece.pub, {}).update(piece.notes)
    kinds = sorted({(str(choice.method), choice.because) for choice in methods})
    circuits = []
    for number, at in enumerate(kept.validated.circuit_of):
        parsed, compiled = kept.validated.circuits[at], kept.compiled.circuits[at]
        circuits.append(
            CircuitProvenance(
                name=parsed.dress.name,
                source=parsed.source,
                canonical=parsed.canonical,
                isa=compiled.isa,
                layout=compiled.layout,
                depth=parsed.traits.depth,
                isa_depth=compiled.depth,
                two_qubit_gates=parsed.traits.two_qubit_gates,
                isa_two_qubit_gates=compiled.two_qubit_gates,
                transpile_level=compiled.level,
                transpile_seed=compiled.seed,
                cache=compiled.cache,
                saved_seconds=compiled.saved_seconds,
                seed=kept.submitted.seeds[number] if kept.submitted.seeds else None,
                notes=notes.get(number, {}),
            )
        )
    return Provenance(
        request=kept.validated.request,
        seed=kept.validated.seed if kept.submitted.seeds else None,
        seed_minted=kept.validated.seed_minted,
        method=", ".join(dict.fromkeys(method for method, _ in kinds)),
        method_because="; ".join(dict.fromkeys(because for _, because in kinds)),
        precision=kept.submitted.precision,
        target=kept.compiled.circuits[0].target if kept.compiled.circuits else None,
        target_version=rung.target.version,
        calibrated=rung.target.calibrated,
        noise=kept.submitted.noise,
        submission=kept.submitted.job.key.tag,
        provider_job="" if rung.target.simulator else kept.submitted.job.handle,
        versions=versions(),
        circuits=tuple(circuits),
    )


@functools.cache
def versions() -> dict[str, str]:
    """Versions of everything that decides an answer."""
    return {
        "python": platform.python_version(),
        "qiskit-aer": aer_version(),
        **{name: version(name) for name in ("qurable", "qiskit", "numpy")},
    }


def durations(events: Sequence[JobEvent], stages: Sequence[StageRecord], ended: datetime) -> Durations:
    """Where the time went, from stages and events."""

    def took(*names: str) -> float:
        return sum(record.took.total_seconds() for record in stages if record.stage in names)

    at = {event.state: event.at for event in reversed(events)}
    submitted, running = at.get(State.SUBMITTED), at.get(State.RUNNING)
    accepted = at.get(State.ACCEPTED, ended)
    waits = [record for record in stages if record.stage == Activity.AWAIT_DONE]
    run_ended = max((record.ended for record in waits), default=None)
    return Durations(
        compile=took(Activity.VALIDATE, Activity.PLAN_ROUTE, Activity.TRANSPILE),
        queue=(running - submitted).total_seconds() if submitted and running else 0.0,
        run=(run_ended - running).total_seconds() if running and run_ended else 0.0,
        post_processing=(ended - run_ended).total_seconds() if run_ended else 0.0,
        total=(ended - accepted).total_seconds(),
    )


def build_report(
    connection: Connection, job_id: str, kept: Kept, processed: ProcessedDocument, ended: datetime
) -> JobReport:
    """The report of a job that was answered, without its results."""
    job = jobs.need(connection, job_id)
    events, stages = jobs.events_of(connection, job_id), jobs.stages_of(connection, job_id)
    return JobReport(
        id=job.id,
        project=job.project,
        kind=job.kind,
        state=State.COMPLETED,
        asked=job.asked,
        served_by=kept.rung.name,
        answer_kind=kept.rung.target.answer_kind,
        because=kept.rung.because,
        results_in_store=processed.size,
        answer=processed.answer,
        route=kept.route,
        events=(*events, JobEvent(state=State.COMPLETED, at=ended, backend=kept.rung.name)),
        stages=stages,
        durations=durations(events, stages, ended),
        provenance=processed.provenance.model_copy(update={"request": job.body_hash}),
        warnings=processed.warnings,
        labels=jobs.labels_of(job),
    )
