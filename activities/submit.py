"""Submit: put together what decides the answer, and start it once."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from temporalio import activity

from activities import calibrating, fold_rides, guardrails, steps, twins
from activities.approval import approved_limits
from activities.boundary import speaks_temporal
from activities.changes_made import changes_on, compiled_with
from activities.checkpoint import Checkpoints, Documents, Outcome, timed
from activities.documents import CompiledCircuit, CompiledDocument, SubmittedDocument, ValidatedDocument
from activities.questions import canonical_bindings, logical_digest
from backends.registry import Registry
from circuits.methods import choose_noisy
from circuits.problems import numbers_in_answer
from circuits.runnable import pubs_of
from circuits.seeds import STRIDE
from fallback.changes import as_changed, divided
from qurable.contracts.base import digest
from qurable.contracts.budgets import Payer
from qurable.contracts.checks import TwinRide
from qurable.contracts.executions import EarlierAnswer, IsaPub, ProblemTask, Submission, SubmissionKey
from qurable.contracts.jobs import EstimateJob, SampleJob, SimulatorOptions, SolveJob, read_request
from qurable.contracts.mitigation import ZeroNoise
from qurable.contracts.pubs import EstimatePub, SamplePub, shots_for
from qurable.contracts.reports import State
from qurable.contracts.routes import MethodChoice, Route, Rung
from qurable.contracts.stages import StageCall, Submitted
from qurable.contracts.targets import AnswerKind
from qurable.errors import InternalError
from qurable.names import Activity
from store import paid_circuits, submissions
from store.database import now
from store.shelf import StoreShelf

SMALL_RESULT_BYTES = 256 * 1024
_ANSWER_BYTES = 24
"""Of a number in a report."""

_SHARE_OF_LIMIT = 0.8
"""A solver stops by itself so far into the job's limit, to answer with what it has."""


@dataclass(frozen=True)
class _Parts:
    """What a submission is made of."""

    rung: Rung
    validated: ValidatedDocument
    compiled: CompiledDocument
    pubs: Sequence[SamplePub | EstimatePub]
    options: SimulatorOptions
    kind: str
    seeds: Sequence[int] = ()
    twin: TwinRide | None = None
    zne: ZeroNoise | None = None

    @property
    def noisy(self) -> bool:
        """Whether the rung simulates a device's noise."""
        target = self.rung.target
        return target.simulator and target.answer_kind is AnswerKind.NOISY_SIMULATOR


class Submit:
    """Starts jobs.

    Args:
        checkpoints: Where rows go.
        shelf: Where artifacts are.
        registry: The backends.
        capacity_bytes: Memory that this machine can ever grant.
        before_paying: Awaited before anything that costs money is sent.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        shelf: StoreShelf,
        registry: Registry,
        capacity_bytes: int,
        before_paying: Callable[[], Awaitable[None]],
    ) -> None:
        self._before_paying = before_paying
        self._checkpoints = checkpoints
        self._shelf = shelf
        self._registry = registry
        self._capacity_bytes = capacity_bytes

    @activity.defn(name=Activity.SUBMIT)
    @speaks_temporal
    async def submit(self, call: StageCall) -> Submitted:
        """Write down the intent, then start the rung's job or adopt it.

        Raises:
            HybridError: As the backend's class says.
        """

        def kept(documents: Documents) -> Submitted | None:
            document = documents.find(steps.submit(call.rung, call.ordinal), SubmittedDocument)
            return None if document is None else brief(document)

        return await self._checkpoints.once(call, kept, lambda documents: self._work(call, documents))

    async def _work(self, call: StageCall, documents: Documents) -> Outcome[Submitted]:
        began = now()
        validated = documents.need(steps.VALIDATE, ValidatedDocument)
        route = documents.need(steps.PLAN_ROUTE, Route)
        rung = route.rungs[call.rung]
        compiled = compiled_with(documents, call.rung, call.changes)
        changes = changes_on(documents, call.rung, call.changes)
        request = as_changed(read_request(await self._shelf.artifact(validated.request)), changes)
        kind, pubs = pubs_of(request)
        parts = _Parts(
            rung,
            validated,
            compiled,
            pubs,
            request.simulator,
            kind,
            request.seeds,
            request.checks.twin,
            request.mitigation.zne,
        )
        methods = self._methods(parts)
        if rung.target.solves_problems:
            submission = _problem_submission(call, parts, request)
        elif rung.earlier is not None:
            submission = _submission_to_cache(call, parts, rung.earlier)
        else:
            submission = _submission(call, parts, methods, self._capacity_bytes).model_copy(
                update={"ibm": request.ibm, "divided": divided(changes)}
            )
        if rung.target.paid:
            database = self._checkpoints.database
            approved = await database.read(approved_limits, call.job_id, call.rung, route)
            payer = Payer(
                project=request.project, user=request.user, budget=request.budget, approved=approved
            )
            submission = submission.model_copy(update={"payer": payer})
            await database.read(guardrails.check, submission, (*compiled.circuits, *compiled.folded))
        if not rung.target.simulator:  # a simulator's intent and handle are one transaction
            await self._checkpoints.database.write(submissions.intend, submission.key)
        if rung.target.paid:
            await self._before_paying()
        self._checkpoints.failpoint(f"{call.step}:intended")
        job = await self._registry.get(parts.rung.name).submit(submission)
        self._checkpoints.failpoint(f"{call.step}:submitted")
        document = SubmittedDocument(
            job=job,
            small=parts.rung.target.simulator and _result_bytes(submission) <= SMALL_RESULT_BYTES,
            methods=methods,
            seeds=tuple(pub.seed for pub in submission.pubs) if parts.rung.target.simulator else (),
            noise=submission.noise,
            precision=parts.options.precision if parts.rung.target.simulator else "",
            changes=call.changes,
            awaits=_awaited(compiled),
        )
        row = timed(steps.submit(call.rung, call.ordinal), Activity.SUBMIT, began, document)
        outcome = Outcome(brief(document), [row], [(State.SUBMITTED, now(), job.key.tag)])
        if rung.target.paid:
            sent = {circuit.canonical for circuit in validated.circuits}
            outcome.writes.append(
                lambda connection: paid_circuits.note(connection, request.project, sent, call.job_id)
            )
        return outcome

    def _methods(self, parts: _Parts) -> tuple[MethodChoice, ...]:
        """How each distinct circuit is simulated; for a noisy simulator only the compiled circuit tells."""
        target = parts.rung.target
        if not target.simulator or not target.reads_circuits:
            return ()
        if not parts.noisy:
            return tuple(parts.rung.methods[circuit.canonical] for circuit in parts.validated.circuits)
        shots = [0] * len(parts.validated.circuits)
        qubits = [compiled.active for compiled in parts.compiled.circuits]
        for number, pub in enumerate(parts.pubs):
            at = parts.validated.circuit_of[number]
            shots[at] = max(shots[at], shots_for(pub))
            qubits[at] = max(
                qubits[at], _simulated_qubits(pub, parts.compiled.circuits[at], noisy=parts.noisy)
            )
        return tuple(
            choose_noisy(qubits[at], shots[at], parts.options, self._capacity_bytes, circuit.dress.name)
            for at, circuit in enumerate(parts.validated.circuits)
        )


def brief(document: SubmittedDocument) -> Submitted:
    """What the workflow needs of it."""
    return Submitted(job=document.job, small=document.small, awaits=document.awaits)


def _awaited(compiled: CompiledDocument) -> str:
    """Key of the calibration that another job is measuring for this one."""
    plan = compiled.calibrating
    return plan.key if plan is not None and plan.awaited else ""


def _submission(
    call: StageCall, parts: _Parts, methods: Sequence[MethodChoice], capacity_bytes: int
) -> Submission:
    pubs, bindings = [], 0
    for number, pub in enumerate(parts.pubs):
        own = parts.seeds[bindings : bindings + pub.bindings.size]
        seed = own[0] if own else parts.validated.seed + STRIDE * bindings
        made = _isa_pub(pub, parts.validated.circuit_of[number], seed, parts, methods)
        pubs.append(made.model_copy(update={"seeds": tuple(own)}))
        bindings += pub.bindings.size
    job_pubs = tuple(pubs)
    pubs += twins.beside(parts.compiled, job_pubs, parts.validated.seed + STRIDE * bindings)
    pubs += fold_rides.beside(parts.compiled, parts.validated.circuit_of, job_pubs)
    capacity = capacity_bytes if parts.rung.target.simulator else None
    pubs += calibrating.beside(parts.compiled, job_pubs, parts.options, capacity)
    return Submission(
        key=_key(call, parts),
        kind="sample" if parts.kind == "sample" else "estimate",
        target=parts.compiled.circuits[0].target if parts.compiled.circuits else None,
        pubs=tuple(pubs),
        options=parts.options,
        noise=_noise(parts),
        simulator_version=parts.rung.target.version if parts.rung.target.simulator else "",
        session=call.session,
    )


def _key(call: StageCall, parts: _Parts) -> SubmissionKey:
    question = logical_digest(parts.kind, parts.pubs, parts.validated, parts.twin, parts.zne)
    plan = parts.compiled.calibrating
    if plan is not None and plan.circuits:  # what is paid for is more than the question
        question = digest(f"{question}\0calibration\0{plan.key}\0{plan.copies}\0{plan.shots}")
    return SubmissionKey(job_id=call.job_id, backend=parts.rung.name, digest=question, ordinal=call.ordinal)


def _submission_to_cache(call: StageCall, parts: _Parts, earlier: EarlierAnswer) -> Submission:
    """The question with the answer that it had before, for a rung that runs nothing."""
    return Submission(
        key=_key(call, parts),
        kind="sample" if parts.kind == "sample" else "estimate",
        pubs=(),
        earlier=earlier,
    )


def _problem_submission(
    call: StageCall, parts: _Parts, request: SampleJob | EstimateJob | SolveJob
) -> Submission:
    """The job's problem alone, for a rung that reads no circuits.

    Raises:
        InternalError: There is none, and the rung should not be on the route.
    """
    problem = None if isinstance(request, EstimateJob) else request.problem
    if problem is None:
        raise InternalError(f"{parts.rung.name!r} answers problems, and job {call.job_id!r} carries none")
    limits = request.limits
    return Submission(
        key=SubmissionKey(
            job_id=call.job_id,
            backend=parts.rung.name,
            digest=digest(f"solve\0{problem.model_dump_json()}"),
            ordinal=call.ordinal,
        ),
        kind="sample",
        pubs=(),
        simulator_version=parts.rung.target.version,
        problem=ProblemTask(
            problem=problem,
            seed=parts.validated.seed,
            within=_SHARE_OF_LIMIT * (limits.run if limits.total is None else min(limits.run, limits.total)),
        ),
    )


def _noise(parts: _Parts) -> str | None:
    """Artifact of the target whose noise is simulated; None for what has none to simulate.

    Raises:
        InternalError: The rung promises noise and the route does not say which; run without it, the job would
            look better than the device ever is.
    """
    if not parts.noisy:
        return None
    if parts.rung.target.target is None:
        raise InternalError(
            f"backend {parts.rung.name!r} simulates a device's noise and its route names no target to take it from; "
            "the job is not run without noise"
        )
    return parts.rung.target.target


def _isa_pub(
    pub: SamplePub | EstimatePub, at: int, seed: int, parts: _Parts, methods: Sequence[MethodChoice]
) -> IsaPub:
    circuit, compiled = parts.validated.circuits[at], parts.compiled.circuits[at]
    choice = methods[at] if methods else None
    return IsaPub(
        isa=compiled.isa,
        layout=compiled.layout,
        bindings=canonical_bindings(pub.bindings, circuit.dress.parameters),
        observables=None if isinstance(pub, SamplePub) else pub.observables,
        shots=shots_for(pub),
        seed=seed,
        num_clbits=circuit.traits.num_clbits,
        size=compiled.size,
        qubits=_simulated_qubits(pub, compiled, noisy=parts.noisy),
        dynamic=circuit.traits.is_dynamic,
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


def _simulated_qubits(pub: SamplePub | EstimatePub, compiled: CompiledCircuit, *, noisy: bool) -> int:
    """Qubits that a simulation holds: the busy ones and, where reading has errors, idle ones that are read.

    Without noise idle qubits are |0>, which needs no simulation.
    """
    if isinstance(pub, SamplePub) or not noisy:
        return compiled.active
    read = {
        qubit
        for observable in pub.observables.items
        for term in observable.terms
        for letter, qubit in zip(term.pauli, term.qubits, strict=True)
        if letter != "I"
    }
    places = read if compiled.layout is None else {compiled.layout[qubit] for qubit in read}
    return max(compiled.active, len(places.union(compiled.busy)))


def _result_bytes(submission: Submission) -> int:
    if submission.earlier is not None:
        return submission.earlier.size
    if submission.problem is not None:
        return _ANSWER_BYTES * numbers_in_answer(submission.problem.problem)
    if submission.kind == "estimate":
        return 64 * sum(
            pub.bindings.size * len(pub.observables.items if pub.observables else ())
            for pub in submission.pubs
        )
    return sum(pub.bindings.size * pub.shots * ((pub.num_clbits + 7) // 8) for pub in submission.pubs)
