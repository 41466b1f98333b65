"""What speaks against a place for a job. Each check raises what rules the place out."""

import dataclasses

from fallback.health import check_health
from fallback.table import StrategyTable
from fallback.wish import Surroundings, Wish
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.jobs import Requirements
from qurable.contracts.routes import Estimate
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from qurable.errors import (
    BudgetExceeded,
    JobTooLarge,
    TargetClosed,
    TargetUnavailable,
    UnsupportedCircuit,
)
from qurable.names import CLASSICAL

Refusal = UnsupportedCircuit | JobTooLarge | TargetUnavailable | BudgetExceeded
REFUSALS = (UnsupportedCircuit, JobTooLarge, TargetUnavailable, BudgetExceeded)


@dataclasses.dataclass(frozen=True)
class Doubt:
    """Something that speaks against a place as long as there is another.

    Attributes:
        because: In one sentence.
    """

    because: str


def sort_of(target: TargetSnapshot) -> AnswerKind:
    """What sort of answer a place stands for: a rehearsal of hardware stands for hardware."""
    return AnswerKind.HARDWARE if target.paid and target.emulated else target.answer_kind


def check_place(target: TargetSnapshot, wish: Wish, around: Surroundings) -> None:
    """Whether the place may be asked at all.

    Raises:
        TargetUnavailable: It takes no jobs now, failed too often of late, or is switched off.
        UnsupportedCircuit: It is not what the job allows.
    """
    fallback = wish.fallback
    health = around.health.get(target.name)
    switch = around.rollout.killed(target.name)
    if switch is not None:
        raise TargetClosed(f"backend {target.name!r} is not asked: {switch} switches it off")
    if not target.available:
        kind = TargetClosed if target.paid else TargetUnavailable
        raise kind(
            f"backend {target.name!r} is not available: {target.reason}; choose another, or wait until it is"
        )
    check_health(target.name, health)
    if fallback.kinds and sort_of(target) not in fallback.kinds:
        raise UnsupportedCircuit(
            f"backend {target.name!r} gives answers of kind {sort_of(target)!s}; fallback.kinds allows "
            f"{', '.join(fallback.kinds)}"
        )
    if not fallback.leave_house and (target.paid or not target.simulator):
        raise UnsupportedCircuit(
            f"backend {target.name!r} is not on this house's machines, and fallback.leave_house lets the job's data go nowhere "
            "else"
        )
    if isinstance(wish.asked, Requirements):
        _check_requirements(wish.asked, target)


def _check_requirements(wanted: Requirements, target: TargetSnapshot) -> None:
    if target.answer_kind is AnswerKind.CLASSICAL:
        raise UnsupportedCircuit(f"backend {target.name!r} is a classical solver: ask for it by name")
    simulated = target.simulator
    noisy = target.answer_kind in {AnswerKind.HARDWARE, AnswerKind.NOISY_SIMULATOR}
    gpu = target.name.endswith("_gpu")
    for what, want, have in (
        ("simulator", wanted.simulator, simulated),
        ("noisy", wanted.noisy, noisy),
        ("gpu", wanted.gpu, gpu),
    ):
        if want is not None and want != have:
            raise UnsupportedCircuit(f"backend {target.name!r} has {what}={have}; {what}={want} is asked")
    if target.num_qubits is not None and target.num_qubits < wanted.min_qubits:
        raise UnsupportedCircuit(
            f"backend {target.name!r} has {target.num_qubits} qubits; {wanted.min_qubits} are asked"
        )


def check_work(target: TargetSnapshot, wish: Wish) -> None:
    """Whether the place can run the job's circuits, where it runs circuits.

    Raises:
        UnsupportedCircuit: Naming what it cannot.
    """
    if target.solves_problems:
        return
    if not wish.circuits:
        raise UnsupportedCircuit(
            f"backend {target.name!r} runs circuits, and the problem comes without one: give `pub`, a circuit that samples or "
            f"prepares its answer, or ask for {CLASSICAL!r}"
        )
    if wish.exact and not target.exact_values:
        raise UnsupportedCircuit(
            f"backend {target.name!r} measures shots and cannot give an exact value: ask for a precision above 0, or for 'aer'"
        )
    for circuit in wish.circuits:
        _check_circuit(circuit, target, wish)
    shots = max((question.shots for question in wish.questions.values()), default=0)
    if shots > target.max_shots:
        raise UnsupportedCircuit(
            f"{shots:,} shots are asked, and {target.name!r} takes {target.max_shots:,} at most: ask for fewer, or choose another "
            "backend",
            needed=shots,
            limit=target.max_shots,
        )
    if wish.fractional_gates and target.paid and target.fractional_target is None:
        raise UnsupportedCircuit(
            f"backend {target.name!r} has no fractional gates: leave out ibm.use_fractional_gates, or choose another device"
        )


def _check_circuit(circuit: ParsedCircuit, target: TargetSnapshot, wish: Wish) -> None:
    traits, name = circuit.traits, circuit.dress.name
    if target.num_qubits is not None and traits.num_qubits > target.num_qubits:
        in_fragments = wish.kind == "estimate" and not wish.exact and not traits.is_dynamic
        way_out = ", or estimate it in fragments (`client.cut`, `qurable cut`)" if in_fragments else ""
        raise UnsupportedCircuit(
            f"circuit {name!r} needs {traits.num_qubits} qubits; {target.name!r} has {target.num_qubits}: choose a wider backend"
            f"{way_out}",
            needed=traits.num_qubits,
            limit=target.num_qubits,
        )
    if traits.is_dynamic and not target.dynamic_circuits:
        raise UnsupportedCircuit(
            f"circuit {name!r} measures and goes on, resets or branches; {target.name!r} cannot: choose a backend with dynamic circuits"
        )


def check_budget(target: TargetSnapshot, estimate: Estimate, wish: Wish) -> None:
    """Whether the least that the place costs is within the job's own budget.

    Raises:
        BudgetExceeded: It is not, or nobody can say what it costs in the budget's currency.
    """
    seconds, budget = estimate.qpu_seconds, wish.budget
    if seconds is None:
        return
    if budget.qpu_seconds is not None and seconds.low > budget.qpu_seconds:
        raise BudgetExceeded(
            f"the job takes at least {seconds.low:.1f} QPU seconds on {target.name!r}, and its budget is "
            f"{budget.qpu_seconds:g}: ask for fewer shots, or allow more"
        )
    if budget.currency and (estimate.price is None or estimate.currency != budget.currency):
        raise BudgetExceeded(
            f"the job's budget is {budget.price:g} {budget.currency}, and what it costs on {target.name!r} in {budget.currency} is not "
            "known: name a budget in the currency of the account, or in QPU seconds"
        )
    if budget.price is None or estimate.price is None or not seconds.high:
        return
    least = estimate.price * seconds.low / seconds.high
    if least > budget.price:
        raise BudgetExceeded(
            f"the job costs at least {least:.2f} {estimate.currency} on {target.name!r}, and its budget is {budget.price:g}: ask "
            "for fewer shots, or allow more"
        )


def doubt_about(target: TargetSnapshot, estimate: Estimate, wish: Wish, table: StrategyTable) -> Doubt | None:
    """What estimates say against a place: they may be wrong, so they decide only where something else can answer."""
    limits, survival = wish.limits, estimate.survival
    wait, run = estimate.wait_seconds or 0.0, estimate.run_seconds or 0.0
    if wait > limits.queue.total_seconds():
        return Doubt(
            f"{target.name!r} is expected to keep the job waiting {wait:,.0f} s, more than its queue limit of {limits.queue}"
        )
    if limits.total is not None and wait + run > limits.total.total_seconds():
        return Doubt(
            f"{target.name!r} is expected to answer after {wait + run:,.1f} s, later than the deadline of "
            f"{limits.total.total_seconds():g} s"
        )
    if survival is None:
        return None
    if survival < table.thresholds.min_survival:
        return Doubt(
            f"on {target.name!r} the circuit survives with {survival:.2g} at best, below {table.thresholds.min_survival:g}: it "
            "would answer with noise"
        )
    floor = wish.fallback.floor
    if floor is not None and floor.kind is ConfidenceKind.SURVIVAL_ESTIMATE and survival < floor.value:
        return Doubt(
            f"on {target.name!r} the circuit survives with {survival:.2g} at best; asked is a {floor}"
        )
    return None
