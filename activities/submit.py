"""Submit: put together what decides the answer, and start it once."""

from collections.abc import Sequence
from dataclasses import dataclass

from temporalio import activity

from activities import steps
from activities.boundary import speaks_temporal
from activities.checkpoint import Checkpoints, Documents, Outcome, timed
from activities.documents import CompiledCircuit, CompiledDocument, SubmittedDocument, ValidatedDocument
from backends.registry import Registry
from circuits.methods import choose_noisy
from circuits.runnable import pubs_of
from circuits.seeds import STRIDE
from qurable.contracts.base import digest
from qurable.contracts.bindings import Bindings
from qurable.contracts.executions import IsaPub, Submission, SubmissionKey
from qurable.contracts.jobs import SimulatorOptions, read_request
from qurable.contracts.pubs import EstimatePub, SamplePub, shots_for
from qurable.contracts.reports import State
from qurable.contracts.routes import MethodChoice, Route, Rung
from qurable.contracts.stages import StageCall, Submitted
from qurable.contracts.targets import AnswerKind
from qurable.errors import InternalError
from qurable.names import Activity
from store import submissions
from store.database import now
from store.shelf import StoreShelf

SMALL_RESULT_BYTES = 256 * 1024


@dataclass(frozen=True)
class _Parts:
    """What a submission is made of."""

    rung: Rung
    validated: ValidatedDocument
    compiled: CompiledDocument
    pubs: Sequence[SamplePub | EstimatePub]
    options: SimulatorOptions
    kind: str

    @property
    def noisy(self) -> bool:
        """Whether the rung simulates a device's noise."""
        return self.rung.target.answer_kind is AnswerKind.NOISY_SIMULATOR


class Submit:
    """Starts jobs.

    Args:
        checkpoints: Where rows go.
        shelf: Where artifacts are.
        registry: The backends.
        capacity_bytes: Memory that this machine can ever grant.
    """

    def __init__(
        self, checkpoints: Checkpoints, shelf: StoreShelf, registry: Registry, capacity_bytes: int
    ) -> None:
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
            document = documents.find(steps.submit(call.rung), SubmittedDocument)
            return None if document is None else brief(document)

        return await self._checkpoints.once(call, kept, lambda documents: self._work(call, documents))

    async def _work(self, call: StageCall, documents: Documents) -> Outcome[Submitted]:
        began = now()
        validated = documents.need(steps.VALIDATE, ValidatedDocument)
        rung = documents.need(steps.PLAN_ROUTE, Route).rungs[call.rung]
        compiled = documents.need(steps.transpile(call.rung), CompiledDocument)
        request = read_request(await self._shelf.artifact(validated.request))
        kind, pubs = pubs_of(request)
        parts = _Parts(rung, validated, compiled, pubs, request.simulator, kind)
        methods = self._methods(parts)
        submission = _submission(call.job_id, parts, methods)
        if not parts.rung.target.simulator:  # a simulator's intent and handle are one transaction
            await self._checkpoints.database.write(submissions.intend, submission.key)
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
        )
        row = timed(steps.submit(call.rung), Activity.SUBMIT, began, document)
        return Outcome(brief(document), [row], [(State.SUBMITTED, now(), job.key.tag)])

    def _methods(self, parts: _Parts) -> tuple[MethodChoice, ...]:
        """How each distinct circuit is simulated; for a noisy simulator only the compiled circuit tells."""
        target = parts.rung.target
        if not target.simulator:
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
    return Submitted(job=document.job, small=document.small)


def _submission(job_id: str, parts: _Parts, methods: Sequence[MethodChoice]) -> Submission:
    pubs, seed = [], parts.validated.seed
    for number, pub in enumerate(parts.pubs):
        pubs.append(_isa_pub(pub, parts.validated.circuit_of[number], seed, parts, methods))
        seed += STRIDE * pub.bindings.size
    return Submission(
        key=SubmissionKey(job_id=job_id, backend=parts.rung.name, digest=_logical_digest(parts)),
        kind="sample" if parts.kind == "sample" else "estimate",
        target=parts.compiled.circuits[0].target if parts.compiled.circuits else None,
        pubs=tuple(pubs),
        options=parts.options,
        noise=_noise(parts),
        simulator_version=parts.rung.target.version if parts.rung.target.simulator else "",
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
        **({} if choice is None else {"method": choice.method, "memory_bytes": choice.memory_bytes}),
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


def canonical_bindings(bindings: Bindings, names: Sequence[str]) -> Bindings:
    """The same values for p0, p1, ..., in that order."""
    canonical = tuple(f"p{position}" for position in range(len(names)))
    if tuple(names) == bindings.parameters:
        return bindings.model_copy(update={"parameters": canonical})
    column = [bindings.parameters.index(name) for name in names]
    width = len(names)
    values = tuple(bindings.values[row * width + at] for row in range(bindings.size) for at in column)
    return Bindings(parameters=canonical, shape=bindings.shape, values=values)


def _logical_digest(parts: _Parts) -> str:
    """What is asked, before any compiler or calibration has a say."""
    words = [parts.kind]
    for number, pub in enumerate(parts.pubs):
        circuit = parts.validated.circuits[parts.validated.circuit_of[number]]
        words += [
            circuit.canonical if circuit.cacheable else circuit.source,
            canonical_bindings(pub.bindings, circuit.dress.parameters).model_dump_json(),
            "" if isinstance(pub, SamplePub) else pub.observables.model_dump_json(),
            str(shots_for(pub)),
        ]
    return digest("\0".join(words))


def _result_bytes(submission: Submission) -> int:
    if submission.kind == "estimate":
        return 64 * sum(
            pub.bindings.size * len(pub.observables.items if pub.observables else ())
            for pub in submission.pubs
        )
    return sum(pub.bindings.size * pub.shots * ((pub.num_clbits + 7) // 8) for pub in submission.pubs)
