"""Post-process: put results together, check them, and answer in the problem's terms."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import Connection
from temporalio import activity

from activities import folding, preflight, steps, survival_gate, twins
from activities.boundary import speaks_temporal
from activities.calibrating import Calibrations
from activities.checkpoint import Checkpoints, Documents, Outcome, read_documents, timed
from activities.documents import ProcessedDocument
from activities.judging import Judge
from activities.mitigating import Mitigating
from activities.references import References
from activities.reporting import Kept, assemble_results, build_report, provenance, read_kept
from circuits.confidence import confidence_of
from circuits.problems import best_answer
from fallback.problem_backend import solution_of
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.confidence import Confidence, ConfidenceKind
from qurable.contracts.fallback import ConfidenceFloor
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.contracts.problems import Ising, LinearProgram, MaxCut, ProblemAnswer, Qubo
from qurable.contracts.reports import Attempt, JobReport, State
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.stages import FinishCall, StageCall, Waited
from qurable.errors import ConfidenceTooLow, ResultRefused, StageForgotten
from qurable.names import Activity
from store.database import now
from store.shelf import StoreShelf

_SCORE_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=300.0)


class PostProcess:
    """Post-processes.

    Args:
        checkpoints: Where rows go.
        shelf: Where artifacts are.
        pool: Children that score programs.
    """

    def __init__(self, checkpoints: Checkpoints, shelf: StoreShelf, pool: ChildPool) -> None:
        self._checkpoints = checkpoints
        self._shelf = shelf
        self._pool = pool
        self._mitigating = Mitigating(shelf, pool, Calibrations(checkpoints.database, shelf, pool))
        self._judge = Judge(References(checkpoints.database, shelf, pool))

    @activity.defn(name=Activity.POST_PROCESS)
    @speaks_temporal
    async def post_process(self, finish: FinishCall, draft: bool = False) -> JobReport | None:
        """Check that every pub has its result, and work out what the report says of it.

        Args:
            finish: The job and its answer.
            draft: Give back the report as it will be, for the caller's own stage.

        Raises:
            ResultRefused: A pub's result is missing or has another shape.
            ConfidenceTooLow: The answer is less certain than the job asks for.
            AnswerRefused: One of its checks refuses it.
        """
        call = finish.call

        def kept(documents: Documents) -> Waited | None:
            processed = documents.find(steps.post_process(call.rung), ProcessedDocument)
            return None if processed is None else Waited()

        async def work(_: Documents) -> Outcome[Waited]:
            outcome, _results = await self.work(call, await self._held(call))
            return Outcome(Waited(), outcome.rows, outcome.events, outcome.writes)

        await self._checkpoints.once(call, kept, work)
        return await self._draft(call, finish.tried) if draft else None

    async def _held(self, call: StageCall) -> Kept:
        held = await self._checkpoints.database.read(read_kept, call.job_id, call.rung)
        if held is None:
            raise StageForgotten(
                f"the store has nothing to post-process of job {call.job_id!r}: it was restored from a backup"
            )
        return held

    async def _draft(self, call: StageCall, tried: Sequence[Attempt]) -> JobReport:
        held = await self._held(call)

        def read(connection: Connection) -> JobReport:
            documents = read_documents(connection, call.job_id)
            processed = documents.need(steps.post_process(call.rung), ProcessedDocument)
            return build_report(connection, call.job_id, held, processed, tried, now())

        report = await self._checkpoints.database.read(read)
        results = [result for result in await assemble_results(self._shelf, held) if result is not None]
        return report.model_copy(update={"results": tuple(results), "results_in_store": 0})

    async def work(
        self, call: StageCall, held: Kept
    ) -> tuple[Outcome[ProcessedDocument], list[SampleResult | EstimateResult]]:
        """The stage itself, and the results, for its own activity and for the merged one."""
        began = now()
        request = await held.request(self._shelf)
        assembled = await assemble_results(self._shelf, held)
        complete = [result for result in assembled if result is not None]
        if len(complete) != len(assembled):
            missing = [number for number, result in enumerate(assembled) if result is None]
            raise ResultRefused(f"pubs {missing[:10]} came back without a complete result")
        mitigated = await self._mitigating.mitigate(call.job_id, request, held, complete)
        extrapolated = await folding.extrapolate(request, held, mitigated.results, self._shelf)
        complete = extrapolated.results
        rode, measured = await asyncio.to_thread(twins.read, held)
        document = (
            _solved(held)
            if held.rung.target.solves_problems
            else ProcessedDocument(
                answer=await self._answer(request, held, complete),
                provenance=provenance(held),
                warnings=(*held.validated.warnings, *_warnings(held)),
                size=sum(_size(result) for result in complete),
                confidence=(
                    *confidence_of(held.pieces),
                    *measured,
                    *survival_gate.records(held.validated.circuit_of, held.compiled),
                ),
                twins=rode,
            )
        )
        document = document.model_copy(
            update={
                "mitigation": mitigated.record,
                "mitigated": mitigated.kept,
                "extrapolation": extrapolated.record,
                "extrapolated": extrapolated.kept,
                "warnings": (
                    *document.warnings,
                    *mitigated.warnings,
                    *extrapolated.warnings,
                    *twins.warnings(held, request),
                ),
            }
        )
        known = (*document.confidence, *_standard_errors(complete))
        _check_floor(request.fallback.floor, known, held.rung.name)
        judged = await self._judge.judge(
            request, held, complete, document.answer, document.provenance, document.confidence, rode
        )
        document = document.model_copy(update=vars(judged))
        row = timed(steps.post_process(call.rung), Activity.POST_PROCESS, began, document)
        return (
            Outcome(document, [row], [(State.POST_PROCESSING, began, "")], list(mitigated.writes)),
            complete,
        )

    async def _answer(
        self,
        request: SampleJob | EstimateJob | SolveJob,
        held: Kept,
        complete: Sequence[SampleResult | EstimateResult],
    ) -> ProblemAnswer | None:
        problem = None if isinstance(request, EstimateJob) else request.problem
        first = complete[0]
        if problem is None:
            return None
        if isinstance(first, EstimateResult):
            best = min(zip(first.evs.values, first.stds.values, strict=True))
            return ProblemAnswer(
                kind=problem.kind,
                sense=getattr(problem, "sense", None),
                objective=best[0],
                standard_error=best[1],
                feasible=None,
            )
        counts = _all_bits(first, held)
        if isinstance(problem, Qubo | Ising | MaxCut):
            return best_answer(problem, counts, held.validated.bit_of_variable)
        if isinstance(problem, LinearProgram):
            payload = {
                "format": problem.format,
                "text": problem.text,
                "variables": problem.variables,
                "bitstrings": list(counts),
                "bit_of_variable": list(held.validated.bit_of_variable),
            }
            answer = await self._pool.call(
                "circuits.programs:best_assignment", payload, _SCORE_LIMITS, what="scoring the program"
            )
            return ProblemAnswer.read(answer)
        return None


def _solved(held: Kept) -> ProcessedDocument:
    """What the report says of a problem that a solver answered."""
    solution = solution_of(held.pieces)
    return ProcessedDocument(
        answer=solution.answer,
        provenance=provenance(held),
        warnings=(*held.validated.warnings, *solution.warnings),
        confidence=() if solution.confidence is None else (solution.confidence,),
    )


def _standard_errors(complete: Sequence[SampleResult | EstimateResult]) -> list[Confidence]:
    """The largest standard error of each pub that was estimated."""
    return [
        Confidence(
            kind=ConfidenceKind.STANDARD_ERROR,
            value=max(result.stds.values, default=0.0),
            basis="the largest of the pub's results",
            pub=number,
        )
        for number, result in enumerate(complete)
        if isinstance(result, EstimateResult)
    ]


def _check_floor(floor: ConfidenceFloor | None, records: Sequence[Confidence], backend: str) -> None:
    """Refuse an answer that says itself that it is not certain enough; one that says nothing passes.

    Raises:
        ConfidenceTooLow: With the number that decided.
    """
    if floor is None:
        return
    for record in records:
        if floor.failed_by(record):
            where = "" if record.pub is None else f" of pub {record.pub}"
            raise ConfidenceTooLow(
                f"the answer of {backend!r} has a {record.kind}{where} of {record.value:.3g}; asked is a {floor}: allow more, or "
                "ask for more shots",
                kind=str(record.kind),
                value=record.value,
            )


def _all_bits(result: SampleResult, held: Kept) -> dict[str, int]:
    """Counts over every classical bit of the circuit, rightmost character bit 0, all bindings together."""
    registers = held.validated.circuits[held.validated.circuit_of[0]].dress.registers
    width = 1 + max((bit for register in registers for bit in register.bits), default=0)
    total: dict[str, int] = {}
    elements = (
        1
        if not result.shape
        else max(
            1, len(result.registers[0].bits.raw) // max(1, result.shots * result.registers[0].bits.num_bytes)
        )
    )
    for element in range(elements):
        columns = [entry.bits.bitstrings(element) for entry in result.registers]
        for shot in zip(*columns, strict=True):
            bits = ["0"] * width
            for register, word in zip(registers, shot, strict=True):
                for position, bit in enumerate(register.bits):
                    bits[width - 1 - bit] = word[len(word) - 1 - position]
            outcome = "".join(bits)
            total[outcome] = total.get(outcome, 0) + 1
    return total


def _warnings(held: Kept) -> list[str]:
    warnings = []
    if held.rung.target.emulated:
        warnings.append(
            f"{held.rung.name!r} is emulated on this house's machines: no quantum hardware ran, and its price was not paid"
        )
    circuits = held.validated.circuits if held.rung.target.reads_circuits else ()
    for parsed, compiled in zip(circuits, held.compiled.circuits, strict=True):
        if compiled.unusable:
            warnings.append(
                f"circuit {parsed.dress.name!r} uses couplings {[list(pair) for pair in compiled.unusable[:5]]} whose reported error is "
                "0.5 or more, or missing: the device snapshot marks them as dead, expect noise"
            )
    warnings += survival_gate.warnings(held.route, held.rung.name, held.validated, held.compiled)
    warnings += preflight.warnings(held.compiled)
    discarded = max((float(piece.notes.get("discarded_weight", 0.0)) for piece in held.pieces), default=0.0)
    if discarded:
        warnings.append(
            f"the matrix product state was truncated: discarded weights add up to {discarded:.3g}, an estimate of the error and no "
            "bound; confirm by doubling max_bond"
        )
    return warnings


def _size(result: SampleResult | EstimateResult) -> int:
    if isinstance(result, SampleResult):
        weights = 0 if result.mitigated is None else result.mitigated.size
        return weights + sum(len(entry.bits.data) for entry in result.registers)
    extrapolated = 0 if result.extrapolated is None else result.extrapolated.size
    return extrapolated + 20 * (len(result.evs.values) + len(result.stds.values))
