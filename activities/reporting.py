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

from activities import shares, steps
from activities.bills import bill_of, with_calibration_price, with_costs, with_price, with_shares
from activities.changes_made import changes_on, compiled_with, every_change
from activities.checkpoint import Documents, read_documents
from activities.documents import CompiledDocument, ProcessedDocument, SubmittedDocument, ValidatedDocument
from activities.fold_rides import calibration_positions, positions
from backends.aer import aer_version
from circuits.assembly import assemble, is_complete
from circuits.runnable import pubs_of
from fallback.changes import Request, as_changed
from fallback.problem_backend import solution_of
from fallback.solvers.protocol import Solution
from qurable.contracts.changes import Change
from qurable.contracts.checks import Ruling, Verdict
from qurable.contracts.executions import EarlierAnswer, Piece
from qurable.contracts.extrapolation import ExtrapolatedPubs
from qurable.contracts.jobs import read_request
from qurable.contracts.mitigation import MitigatedPubs
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.contracts.reports import (
    Attempt,
    CircuitProvenance,
    Durations,
    JobEvent,
    JobReport,
    Provenance,
    ProviderRecord,
    StageRecord,
    State,
)
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.routes import Route, Rung
from qurable.names import Activity
from store import approvals, jobs, results, shadows
from store.database import Database
from store.shelf import StoreShelf


@dataclass(frozen=True)
class Kept:
    """Everything the store has of a rung that was submitted.

    Attributes:
        validated: What validation found.
        rung: Which it is.
        route: That it is on.
        compiled: For it.
        submitted: To it.
        pieces: What it brought for the job's own pubs, or of a problem's answer.
        mitigated: Artifact hash of what mitigation made of them; empty for nothing.
        extrapolated: The same of values at zero noise.
        changes: That were made by then.
        ridden: What it brought for twins and folded circuits, which is in nobody's results.
    """

    validated: ValidatedDocument
    rung: Rung
    route: Route
    compiled: CompiledDocument
    submitted: SubmittedDocument
    pieces: Sequence[Piece]
    mitigated: str = ""
    extrapolated: str = ""
    changes: Sequence[Change] = ()
    ridden: Sequence[Piece] = ()

    async def request(self, shelf: StoreShelf) -> Request:
        """The request that was submitted: as it was asked, with the changes that were made by then."""
        return as_changed(read_request(await shelf.artifact(self.validated.request)), self.changes)


def find_kept(connection: Connection, documents: Documents, rung: int) -> Kept | None:
    """What the stages of a rung kept; None before it was submitted."""
    submitted = last_submitted(documents, rung)
    if submitted is None:
        return None
    processed = documents.find(steps.post_process(rung), ProcessedDocument)
    validated, route = (
        documents.need(steps.VALIDATE, ValidatedDocument),
        documents.need(steps.PLAN_ROUTE, Route),
    )
    found = results.get(connection, submitted.job.key.tag)
    compiled = compiled_with(documents, rung, submitted.changes)
    if submitted.compiled:
        compiled = compiled.model_copy(update={"circuits": submitted.compiled})
    own = max(1, len(validated.circuit_of))  # a problem without a circuit is answered in one piece
    return Kept(
        validated,
        route.rungs[rung],
        route,
        compiled,
        submitted,
        [piece for piece in found if piece.pub < own],
        "" if processed is None else processed.mitigated,
        "" if processed is None else processed.extrapolated,
        changes_on(documents, rung, submitted.changes),
        [piece for piece in found if piece.pub >= own],
    )


def last_submitted(documents: Documents, rung: int) -> SubmittedDocument | None:
    """What was submitted to a rung last: a job that its provider lost is submitted again, and an attempt may have failed."""
    again = f"{steps.submit(rung)}."
    ordinals = [int(step.removeprefix(again)) for step in documents.steps if step.startswith(again)]
    return documents.find(steps.submit(rung, max(ordinals, default=0)), SubmittedDocument)


def read_kept(connection: Connection, job_id: str, rung: int | None) -> Kept | None:
    """What the store has of a rung; None before it was submitted.

    Without a rung, of the last that was submitted to: it is the one that answered, if one did.
    """
    documents = read_documents(connection, job_id)
    if rung is not None:
        return find_kept(connection, documents, rung)
    route = documents.find(steps.PLAN_ROUTE, Route)
    rungs = range(len(route.rungs)) if route else range(0)
    found = (find_kept(connection, documents, number) for number in reversed(rungs))
    return next((kept for kept in found if kept is not None), None)


async def assemble_results(shelf: StoreShelf, kept: Kept) -> list[SampleResult | EstimateResult | None]:
    """Results in the order of the pubs; None for one that is not complete. A problem's answer is no result of a pub."""
    if kept.rung.target.solves_problems:
        return []
    _, pubs = pubs_of(await kept.request(shelf))
    assembled = await asyncio.to_thread(_assemble, kept, pubs)
    if kept.extrapolated:
        body = await shelf.artifact(kept.extrapolated)
        assembled = with_values(assembled, await asyncio.to_thread(ExtrapolatedPubs.unpack, body))
    if not kept.mitigated:
        return assembled
    mitigated = await asyncio.to_thread(MitigatedPubs.unpack, await shelf.artifact(kept.mitigated))
    return [
        result.model_copy(update={"mitigated": quasi}) if result is not None else None
        for result, quasi in zip(assembled, mitigated.pubs, strict=True)
    ]


def with_values(
    results: Sequence[SampleResult | EstimateResult | None], found: ExtrapolatedPubs
) -> list[Any]:
    """Results with their values at zero noise; None stays None."""
    return [
        result if result is None or values is None else result.model_copy(update={"extrapolated": values})
        for result, values in zip(results, found.pubs, strict=True)
    ]


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
    database: Database, shelf: StoreShelf, job_id: str, rung: int | None = None
) -> list[SampleResult | EstimateResult | None]:
    """Results of a job as far as they are there, from the rung that was submitted to last unless another is named."""
    kept = await database.read(read_kept, job_id, rung)
    return [] if kept is None else await assemble_results(shelf, kept)


def provenance(kept: Kept) -> Provenance:
    """What is needed to run the job again."""
    rung = kept.rung
    if rung.target.solves_problems:
        return _of_solver(kept, solution_of(kept.pieces))
    if rung.earlier is not None:
        return _of_earlier(kept, rung.earlier)
    methods = kept.submitted.methods
    notes: dict[int, dict[str, Any]] = {}
    for piece in kept.pieces:
        notes.setdefault(piece.pub, {}).update(piece.notes)
    kinds = sorted({(choice.solver or str(choice.method), choice.because) for choice in methods})
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
                survival=compiled.survival,
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


def _of_earlier(kept: Kept, earlier: EarlierAnswer) -> Provenance:
    """Where an answer came from that was given again; its own job's report has the circuits that ran."""
    return Provenance(
        request=kept.validated.request,
        target=earlier.target,
        target_version=earlier.target_version,
        calibrated=earlier.calibrated,
        submission=earlier.key.tag,
        provider_job=earlier.provider_job,
        versions=versions(),
        earlier=earlier,
    )


def _of_solver(kept: Kept, solution: Solution) -> Provenance:
    return Provenance(
        request=kept.validated.request,
        seed=kept.validated.seed,
        seed_minted=kept.validated.seed_minted,
        method=solution.method,
        method_because=solution.because,
        target_version=kept.rung.target.version,
        submission=kept.submitted.job.key.tag,
        versions={**versions(), **solution.versions},
    )


@functools.cache
def versions() -> dict[str, str]:
    """Versions of everything that decides an answer."""
    return {
        "python": platform.python_version(),
        "qiskit-aer": aer_version(),
        **{name: version(name) for name in ("qurable", "qiskit", "qiskit-ibm-runtime", "numpy")},
    }


def durations(
    events: Sequence[JobEvent],
    stages: Sequence[StageRecord],
    ended: datetime,
    paid: Sequence[ProviderRecord] = (),
) -> Durations:
    """Where the time went, from stages and events; a provider's own times stand before what was seen from here."""

    def took(*names: str) -> float:
        return sum(record.took.total_seconds() for record in stages if record.stage in names)

    at = {event.state: event.at for event in reversed(events)}
    submitted, running = at.get(State.SUBMITTED), at.get(State.RUNNING)
    accepted = at.get(State.ACCEPTED, ended)
    waits = [record for record in stages if record.stage in (Activity.AWAIT_DONE, Activity.AWAIT_GROUP)]
    fetched_from = finished = max((record.ended for record in waits), default=None)
    ran = [record for record in paid if record.created and record.started and record.finished]
    if ran and len(ran) == len(paid):
        submitted = min(record.created for record in ran if record.created)
        running = min(record.started for record in ran if record.started)
        finished = max(record.finished for record in ran if record.finished)
    return Durations(
        compile=took(Activity.VALIDATE, Activity.PLAN_ROUTE, Activity.TRANSPILE),
        queue=(running - submitted).total_seconds() if submitted and running else 0.0,
        run=(finished - running).total_seconds() if running and finished else 0.0,
        post_processing=(ended - fetched_from).total_seconds() if fetched_from else 0.0,
        total=(ended - accepted).total_seconds(),
    )


def build_report(
    connection: Connection,
    job_id: str,
    kept: Kept,
    processed: ProcessedDocument,
    tried: Sequence[Attempt],
    ended: datetime,
) -> JobReport:
    """The report of a job that was answered, without its results."""
    job = jobs.need(connection, job_id)
    events, stages = jobs.events_of(connection, job_id), jobs.stages_of(connection, job_id)
    documents = read_documents(connection, job_id)
    bill = bill_of(connection, job_id, kept.route)
    served_by = kept.rung.name
    down_ranked = processed.verdict is not None and processed.verdict.ruling is Ruling.DOWN_RANK
    degraded = kept.rung.degraded or down_ranked
    state = State.DEGRADED if degraded else State.COMPLETED
    took = durations(
        _of_rung(events, served_by),
        stages,
        ended,
        [record for record in (*bill.records, *bill.shared) if record.backend == served_by],
    )
    return JobReport(
        id=job.id,
        project=job.project,
        kind=job.kind,
        state=state,
        asked=job.asked,
        served_by=served_by,
        answer_kind=kept.rung.target.answer_kind,
        degraded=degraded,
        because=_because(job.asked, kept, tried, processed.verdict if down_ranked else None),
        results_in_store=processed.size,
        answer=processed.answer,
        confidence=processed.confidence,
        twins=with_shares(
            connection,
            processed.twins,
            kept.rung.target,
            kept.submitted.job.key,
            len(kept.validated.circuit_of),
        ),
        mitigation=with_calibration_price(
            connection,
            processed.mitigation,
            kept.rung.target,
            kept.submitted.job.key,
            calibration_positions(kept.compiled, kept.validated.circuit_of),
        ),
        extrapolation=with_price(
            connection,
            processed.extrapolation,
            kept.rung.target,
            kept.submitted.job.key,
            positions(kept.compiled, kept.validated.circuit_of),
        ),
        verdict=processed.verdict,
        explanation=processed.explanation,
        error_budget=processed.error_budget,
        against=with_costs(processed.against, took.queue + took.run, bill),
        route=kept.route,
        tried=tuple(tried),
        changes=every_change(documents),
        events=(*events, JobEvent(state=state, at=ended, backend=served_by)),
        stages=stages,
        durations=took,
        **bill.fields(),
        approvals=approvals.of_job(connection, job_id),
        provenance=processed.provenance.model_copy(update={"request": job.body_hash}),
        warnings=(*processed.warnings, *shares.warnings(documents, len(kept.route.rungs))),
        labels=jobs.labels_of(job),
        shadow_of=shadows.answered_for(connection, job_id),
    )


def _because(asked: str, kept: Kept, tried: Sequence[Attempt], verdict: Verdict | None) -> str:
    """Who was asked, why that did not answer, who did, and what made the answer less, in one sentence."""
    less = "" if verdict is None else f"; down-ranked by its check {verdict.because}"
    if not (tried or kept.rung.degraded):
        return f"{kept.rung.because}{less}"
    reasons = [f"{attempt.backend!r} did not answer: {attempt.error.message}" for attempt in tried]
    if not reasons:
        reasons = [kept.route.considered[0].because]
    return (
        f"asked was {asked!r}; {'; '.join(reasons)}; {kept.rung.name!r} answered, {kept.rung.because}{less}"
    )


def _of_rung(events: Sequence[JobEvent], backend: str) -> list[JobEvent]:
    """Events without those of other rungs: the time that a job spent there is no part of its run here."""
    run = {State.SUBMITTED, State.QUEUED, State.RUNNING}
    return [event for event in events if event.state not in run or event.backend in ("", backend)]
