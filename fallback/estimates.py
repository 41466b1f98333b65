"""What a place is expected to take for a job, before anything is transpiled: bounds and orders of magnitude."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from circuits.methods import (
    Probe,
    Work,
    choose_noiseless,
    choose_noisy,
    clearly_quicker,
    method_seconds,
)
from circuits.qpu_time import REP_DELAY_SECONDS, qpu_seconds_range
from circuits.simulation_time import Load, gpu_seconds, simulation_seconds
from circuits.suppression import in_words, suppression
from circuits.survival_bound import best_case_survival
from fallback.solvers.circuits import CIRCUIT_SOLVERS
from fallback.solvers.problems import fit
from fallback.table import StrategyTable
from fallback.wish import Surroundings, Wish
from qurable.contracts.executions import Seconds
from qurable.contracts.jobs import Method
from qurable.contracts.routes import Estimate, MethodChoice
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from qurable.errors import JobTooLarge, UnsupportedCircuit

_OPERATION_SECONDS = 1e-6
"""Longest that one layer of gates takes on a superconducting device: between 0.1 and 1 microsecond."""

_READING_SECONDS = 6e-6
"""Longest reading of a qubit on any of the devices whose snapshots are shipped."""


@dataclass(frozen=True)
class Worked:
    """A place with what it takes, and how it would run the job.

    Attributes:
        estimate: Of the whole job.
        methods: For simulators without noise and solvers of circuits, the method for each canonical circuit.
        how: In a few words, with the reason; empty where there is nothing to choose.
        certain: Whether the answer has no error of its own beside shot noise.
    """

    estimate: Estimate
    methods: Mapping[str, MethodChoice]
    how: str = ""
    certain: bool = True


def work_out(target: TargetSnapshot, wish: Wish, around: Surroundings, table: StrategyTable) -> Worked:
    """What a place takes.

    Raises:
        UnsupportedCircuit: It cannot answer this at all.
        JobTooLarge: It takes more memory than there is.
    """
    if target.solves_problems:
        return _by_problem_solver(target, wish, around)
    if target.name in CIRCUIT_SOLVERS:
        return _by_circuit_solver(target, wish, around)
    if target.simulator and target.answer_kind is AnswerKind.NOISY_SIMULATOR:
        return _by_twin(target, wish, around)
    if target.simulator and target.target is None:
        return _by_simulator(target, wish, around, table)
    return _by_device(target, wish, around, table)


def _by_problem_solver(target: TargetSnapshot, wish: Wish, around: Surroundings) -> Worked:
    found = fit(target.name, wish.problem, around.capacity_bytes)
    estimate = Estimate(
        run_seconds=found.seconds, memory_bytes=found.memory_bytes, method=target.name.partition(":")[2]
    )
    return Worked(estimate, {}, found.because)


def _by_circuit_solver(target: TargetSnapshot, wish: Wish, around: Surroundings) -> Worked:
    solver = CIRCUIT_SOLVERS[target.name]
    methods, seconds, certain = {}, 0.0, True
    for canonical, question in wish.questions.items():
        found = solver.fits(question, around.capacity_bytes)
        if not found.suits:
            raise UnsupportedCircuit(f"{target.name!r} does not suit: {found.because}")
        seconds += found.seconds
        certain = certain and found.certain
        methods[canonical] = MethodChoice(
            method=solver.method,
            because=found.because,
            memory_bytes=found.memory_bytes,
            max_bond=found.max_bond,
            solver="" if solver.target is None else solver.distributions[0],
        )
    return Worked(_simulated(methods, seconds), methods, _in_words(methods.values()), certain)


def _by_simulator(target: TargetSnapshot, wish: Wish, around: Surroundings, table: StrategyTable) -> Worked:
    methods = {
        circuit.canonical: choose_noiseless(
            circuit.traits,
            wish.options,
            around.capacity_bytes,
            circuit.dress.name,
            work=work_of(circuit.canonical, wish, around.probes),
            cheap_bond=table.thresholds.cheap_bond,
            affordable_bond=table.thresholds.affordable_bond,
        )
        for circuit in wish.circuits
    }
    seconds = _seconds(wish, methods, around, noisy=False, gpu=target.name.endswith("_gpu"))
    estimate = _simulated(methods, seconds)
    probed = [around.probes[canonical].seconds for canonical in methods if canonical in around.probes]
    if probed:
        estimate = estimate.model_copy(update={"probe_seconds": sum(probed)})
    return Worked(estimate, methods, "; ".join([_in_words(methods.values()), *_probed(methods, around)]))


def _probed(methods: Mapping[str, MethodChoice], around: Surroundings) -> Iterable[str]:
    """What probes of the circuits told, one sentence for each."""
    for probe in (around.probes[canonical] for canonical in methods if canonical in around.probes):
        yield f"{probe}, which took {probe.seconds:.2g} s"


def work_of(canonical: str, wish: Wish, probes: Mapping[str, Probe]) -> Work:
    """What a job asks of one of its circuits."""
    question = wish.questions.get(canonical)
    if question is None:
        return Work(probe=probes.get(canonical))
    return Work(question.shots, question.terms, probes.get(canonical))


def _by_twin(target: TargetSnapshot, wish: Wish, around: Surroundings) -> Worked:
    """The busy qubits are those of the circuit at least; which method runs is decided by the compiled circuit."""
    methods = {
        canonical: choose_noisy(
            question.traits.active_qubits,
            question.shots,
            wish.options,
            around.capacity_bytes,
            question.name,
        )
        for canonical, question in wish.questions.items()
    }
    estimate = _simulated(methods, _seconds(wish, methods, around, noisy=True))
    survival = survival_bound(target, wish, around)
    return Worked(estimate.model_copy(update={"survival": survival}), {})


def _by_device(target: TargetSnapshot, wish: Wish, around: Surroundings, table: StrategyTable) -> Worked:
    found = around.health.get(target.name)
    wait = (
        None if target.pending_jobs is None else target.pending_jobs * table.thresholds.queue_seconds_per_job
    )
    if found is not None and found.wait_seconds is not None:
        wait = found.wait_seconds
    seconds, added = _qpu_seconds(wish, wish.ibm.rep_delay or target.rep_delay or REP_DELAY_SECONDS)
    per_second, currency = target.price_per_second, target.currency
    listed = table.price(target.name)
    if per_second is None and listed is not None:
        per_second, currency = listed.per_second, listed.currency
    estimate = Estimate(
        wait_seconds=wait,
        run_seconds=seconds.high,
        qpu_seconds=seconds if target.paid else None,
        price=None if per_second is None or not target.paid else per_second * seconds.high,
        currency=currency if per_second is not None and target.paid else "",
        survival=survival_bound(target, wish, around),
        error_rate=None if found is None else found.error_rate,
    )
    return Worked(estimate, {}, f"its QPU time counts {added}" if added and target.paid else "")


def gpu_pays(wish: Wish, table: StrategyTable, capacity_bytes: int) -> bool:
    """Whether some circuit is a statevector, wide enough and clearly quicker on a GPU."""
    thresholds = table.thresholds
    for circuit in wish.circuits:
        if circuit.traits.active_qubits < thresholds.gpu_from_qubits:
            continue
        try:
            choice = choose_noiseless(
                circuit.traits,
                wish.options,
                capacity_bytes,
                circuit.dress.name,
                work=work_of(circuit.canonical, wish, {}),
                cheap_bond=thresholds.cheap_bond,
                affordable_bond=thresholds.affordable_bond,
            )
        except JobTooLarge:
            continue
        work = work_of(circuit.canonical, wish, {})
        there = gpu_seconds(Load.of(circuit.traits, work.shots, work.products))
        here = method_seconds(choice.method, circuit.traits, work)
        if choice.method is Method.STATEVECTOR and clearly_quicker(
            there, here, thresholds.quicker_by_seconds
        ):
            return True
    return False


def survival_bound(target: TargetSnapshot, wish: Wish, around: Surroundings) -> float | None:
    """Best-case survival of the circuit that has the least; None where nothing is known of the place's errors."""
    errors = around.errors.get(target.target or "")
    if errors is None:
        return None
    return min((best_case_survival(circuit.traits, errors) for circuit in wish.circuits), default=None)


def _simulated(methods: Mapping[str, MethodChoice], seconds: float | None) -> Estimate:
    names = sorted({choice.solver or str(choice.method) for choice in methods.values()})
    return Estimate(
        run_seconds=seconds,
        memory_bytes=max((choice.memory_bytes for choice in methods.values()), default=None),
        method=", ".join(names),
    )


def _seconds(
    wish: Wish, methods: Mapping[str, MethodChoice], around: Surroundings, *, noisy: bool, gpu: bool = False
) -> float:
    """On one core, and for statevectors where there is one on a GPU; observables of one circuit share its state."""
    total = 0.0
    for canonical, question in wish.questions.items():
        traits, method = question.traits, methods[canonical].method
        if noisy:
            load = Load.of(traits, question.shots, question.terms)
            again = traits.is_dynamic or method is Method.STATEVECTOR
            each = simulation_seconds(method, dataclasses.replace(load, every_shot_anew=again))
        elif gpu and method is Method.STATEVECTOR:
            each = gpu_seconds(Load.of(traits, question.shots, question.terms))
        else:
            each = method_seconds(method, traits, work_of(canonical, wish, around.probes))
        folded = sum(question.factors) if noisy else 1.0
        total += (question.bindings * folded + question.twins * noisy) * each
    return total


def _qpu_seconds(wish: Wish, rep_delay: float) -> tuple[Seconds, str]:
    """By IBM's formula, and what mitigation adds to it.

    At least, one job with all observables of a circuit in one group; at most, a job for each circuit and number of
    shots, each term by itself, and circuits as deep as they are written.
    """
    least, alone, high = 0.0, [], 0.0
    added: dict[str, None] = {}
    for question in wish.questions.values():
        length = _READING_SECONDS + max(question.factors) * question.traits.depth * _OPERATION_SECONDS
        for shots, pubs in question.by_shots().items():
            more = suppression(wish.ibm, question.kind, shots, len(pubs))
            terms = max(1, question.terms)
            alone.append(qpu_seconds_range(0, shots, 0.0, rep_delay, more)[0])
            least += qpu_seconds_range(sum(pubs), shots, 0.0, rep_delay, more)[0] - alone[-1]
            most = qpu_seconds_range(terms * sum(pubs), shots, length, rep_delay, more)[1]
            high += most if wish.ibm.max_execution_time is None else min(most, wish.ibm.max_execution_time)
            added |= dict.fromkeys(filter(None, [in_words(more)]))
    low = least + min(alone, default=0.0)
    return Seconds(low=min(low, high), high=high), "; ".join(added)


def _in_words(choices: Iterable[MethodChoice]) -> str:
    kinds = sorted({(choice.solver or choice.method.value, choice.because) for choice in choices})
    if len(kinds) == 1:
        return f"{kinds[0][0]}, as {kinds[0][1]}"
    names = ", ".join(sorted({method for method, _ in kinds}))
    return f"methods {names}, chosen per circuit" if kinds else ""
