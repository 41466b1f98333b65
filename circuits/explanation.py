"""An answer explained in plain sentences, made of what was recorded and nothing else."""

from collections.abc import Sequence

from circuits.asked_checks import Reference
from circuits.error_budget import Ran
from circuits.problems import size
from qurable.contracts.arrays import size_of
from qurable.contracts.checks import Passed, Ruling, Verdict
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.explanations import Contender, Explanation
from qurable.contracts.problems import LinearProgram, Problem, ProblemAnswer
from qurable.contracts.pubs import EstimatePub, SamplePub, shots_for
from qurable.contracts.reports import CircuitProvenance
from qurable.contracts.results import ErrorOrigin
from qurable.contracts.routes import Considered
from qurable.contracts.targets import AnswerKind
from qurable.contracts.twins import TwinRecord

_TOLD = 4
"""Circuits and pubs that are told one by one."""

_CLASSICAL = frozenset({AnswerKind.SIMULATOR, AnswerKind.CLASSICAL})
_NINETY_FIVE_PERCENT = 1.96


def explain(ran: Ran, method: str, verdict: Verdict, twins: Sequence[TwinRecord] = ()) -> Explanation:
    """How an answer came about.

    Args:
        ran: What ran.
        method: Of simulation or of the solver, in a few words; empty for hardware.
        verdict: On the answer.
        twins: That rode along, or could not.
    """
    by = f", by {method}" if method else ""
    return Explanation(
        problem=_problem(ran.answered.problem, ran.answered.pubs),
        circuit=_circuits(ran.circuits, ran.rung.name) if ran.circuits else _without_circuit(ran, by),
        backend=f"{ran.rung.name!r} ({ran.rung.target.answer_kind.replace('_', ' ')}){by}: {ran.rung.because}.",
        shots=_shots(ran),
        checks=_checks(verdict),
        accepted=_accepted(verdict),
        twins=_twins(ran, twins),
    )


def _problem(problem: Problem | None, pubs: Sequence[SamplePub | EstimatePub]) -> str:
    if problem is not None:
        count = size(problem)
        sense = getattr(problem, "sense", None)
        kind = problem.kind.replace("_", " ")
        of = "" if isinstance(problem, LinearProgram) or not count else f" of {count} variables"
        return f"A {kind} problem{of}{'' if sense is None else f', to {sense}'}."
    sampled = [pub for pub in pubs if isinstance(pub, SamplePub)]
    if sampled:
        bindings = sum(pub.bindings.size for pub in sampled)
        return f"What {_number(len(sampled), 'circuit')} read{'s' * (len(sampled) == 1)}, for {_number(bindings, 'binding')} in all."
    values = sum(size_of(pub.shape) for pub in pubs if isinstance(pub, EstimatePub))
    return f"{_number(values, 'expectation value')} of {_number(len(pubs), 'circuit')}."


def _circuits(circuits: Sequence[CircuitProvenance], place: str) -> str:
    distinct = list({circuit.canonical: circuit for circuit in circuits}.values())
    told = [
        f"{circuit.name!r} has depth {circuit.depth} and {_number(circuit.two_qubit_gates, 'two-qubit gate')} as written, depth "
        f"{circuit.isa_depth} and {circuit.isa_two_qubit_gates} as compiled for {place!r} at level {circuit.transpile_level}"
        for circuit in distinct[:_TOLD]
    ]
    more = len(distinct) - len(told)
    return "; ".join(told) + (f"; and {_number(more, 'more circuit')}" if more else "") + "."


def _without_circuit(ran: Ran, by: str) -> str:
    if ran.rung.target.solves_problems:
        return f"None: {ran.rung.name!r} answered the problem itself{by}."
    return f"None was run for this job: {ran.rung.name!r} answered."


def _shots(ran: Ran) -> str:
    pubs = ran.answered.pubs
    if not ran.answered.results:
        return "None: nothing was measured."
    if all(result.error_origin is ErrorOrigin.EXACT for _, _, result in ran.answered.estimated) and not (
        ran.answered.sampled
    ):
        return "None: the values were computed exactly."
    each = sorted({shots_for(pub) for pub in pubs if shots_for(pub)})
    if not each:
        return "None: the values were computed without shots."
    span = f"{each[0]:,}" if len(each) == 1 else f"{each[0]:,} to {each[-1]:,}"
    unit = "binding" if ran.answered.sampled else "measured group of observables"
    total = sum(pub.shots * pub.bindings.size for _, pub, _ in ran.answered.sampled)
    return f"{span} for each {unit}{f', {total:,} in all' if total else ''}."


def _checks(verdict: Verdict) -> str:
    words = {Passed.PASSED: "passed", Passed.FAILED: "failed", Passed.NOT_RUN: "was not run"}
    told = ", ".join(f"{check.rule} {words[check.outcome]}" for check in verdict.checks)
    tests = (
        ""
        if not verdict.tests
        else f" {_number(verdict.tests, 'test')}, together with a false alarm of {verdict.level:g} at most."
    )
    return f"{told[:1].upper()}{told[1:]}.{tests}" if told else "None suits such an answer."


def _twins(ran: Ran, twins: Sequence[TwinRecord]) -> str:
    measured = {record.pub: record for record in ran.confidence if record.kind is ConfidenceKind.TWIN_CHECK}
    told = [
        f"of {twin.circuit!r} {'none: ' + twin.because if twin.because else f'{measured[twin.pub].value:.3g}, {measured[twin.pub].basis}'}"
        for twin in twins
    ]
    return f"By twins that rode along: {'; '.join(told)}." if told else ""


def _accepted(verdict: Verdict) -> str:
    if verdict.ruling is Ruling.ACCEPT:
        return f"Accepted: {verdict.because}."
    return f"{'Down-ranked' if verdict.ruling is Ruling.DOWN_RANK else 'Refused'} by {verdict.because}."


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def contenders(ran: Ran, solver: Reference | None) -> tuple[Contender, ...]:
    """The answer, and the best of the other kind that is known of: classical to quantum, or quantum to classical.

    A solver that ran stands before places that were only considered; of these the one that was expected to be the
    soonest. What the answer took and cost is put in when its bill is known.
    """
    target = ran.rung.target
    own = Contender(name=target.name, kind=target.answer_kind, ran=True, **_quality(ran))
    if solver is not None and solver.answer is not None:
        return own, _of_solver(solver)
    classical = target.answer_kind in _CLASSICAL
    others = [
        entry
        for entry in ran.route.considered
        if entry.name != target.name
        and entry.kind not in (None, AnswerKind.CACHE)
        and (entry.kind in _CLASSICAL) != classical
        and entry.estimate.run_seconds is not None
    ]
    best = min(others, key=lambda entry: (entry.estimate.price or 0.0, entry.estimate.seconds), default=None)
    return (own,) if best is None else (own, _considered(best))


def _quality(ran: Ran) -> dict[str, object]:
    answer = ran.answered.answer
    if answer is not None and answer.objective is not None:
        return _objective(answer)
    errors = [max(result.stds.values, default=0.0) for _, _, result in ran.answered.estimated]
    if errors:
        return {"quality": max(errors), "basis": "the largest standard error of a value"}
    return {"basis": "counts alone have no quality: give a problem, a baseline or an expected distribution"}


def _objective(answer: ProblemAnswer) -> dict[str, object]:
    value = answer.objective or 0.0
    if answer.standard_error:
        reach = _NINETY_FIVE_PERCENT * answer.standard_error
        interval, basis = (value - reach, value + reach), "the objective, 95 % by its standard error"
    elif answer.bound is not None:
        interval = (min(value, answer.bound), max(value, answer.bound))
        basis = "the objective; the optimum lies between it and its bound"
    else:
        interval, basis = (value, value), "the objective of the assignment, without error"
    return {"quality": value, "interval": interval, "sense": answer.sense, "basis": basis}


def _of_solver(solver: Reference) -> Contender:
    assert solver.answer is not None  # noqa: S101  asked before
    return Contender(
        name=solver.name,
        kind=AnswerKind.CLASSICAL,
        ran=True,
        seconds=solver.seconds,
        **_objective(solver.answer),
    )


def _considered(entry: Considered) -> Contender:
    estimate = entry.estimate
    assert entry.kind is not None  # noqa: S101  asked before
    return Contender(
        name=entry.name,
        kind=entry.kind,
        ran=False,
        seconds=estimate.seconds,
        qpu_seconds=None if estimate.qpu_seconds is None else estimate.qpu_seconds.high,
        price=estimate.price,
        currency=estimate.currency,
        basis=f"not run; what the route expected ({estimate.method or 'at most'})",
    )
