"""What is always looked at before an answer is believed: cheap, and right for every backend.

Shots are as many as were asked and as wide as their register; values are finite and within what the observable can
be; error bars are possible; an assignment is one, and worth what is said. Mitigated values may leave the observable's
range by chance, and quasi-distributions may be negative, so both are judged by their errors.

Bit order: the rightmost character of an outcome is bit 0.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from circuits.problems import score, size
from circuits.quasi_rules import quasi_normalised
from circuits.statistics import any_of
from circuits.verdicts import Finding
from qurable.contracts.arrays import size_of
from qurable.contracts.checks import Action
from qurable.contracts.observables import Observable
from qurable.contracts.problems import Ising, MaxCut, Problem, ProblemAnswer, Qubo, Sense
from qurable.contracts.pubs import EstimatePub, SamplePub, broadcast
from qurable.contracts.results import ErrorOrigin, EstimateResult, SampleResult

_ROUNDING = 1e-6
_DRIFT = 1e-3
"""Share of its range that a value may leave it by: amplitudes of single precision drift so far over many gates."""

_BY_SHOTS = frozenset({ErrorOrigin.SHOTS, ErrorOrigin.TARGET_PRECISION, ErrorOrigin.EXACT})


@dataclass(frozen=True)
class Answered:
    """An answer, with what was asked.

    Attributes:
        pubs: As they were run.
        results: One for each.
        problem: Where the job carried one.
        answer: In the problem's terms.
    """

    pubs: Sequence[SamplePub | EstimatePub]
    results: Sequence[SampleResult | EstimateResult]
    problem: Problem | None = None
    answer: ProblemAnswer | None = None

    @property
    def sampled(self) -> list[tuple[int, SamplePub, SampleResult]]:
        """Number, pub and result of those that were sampled."""
        return [
            (number, pub, result)
            for number, (pub, result) in enumerate(zip(self.pubs, self.results, strict=True))
            if isinstance(pub, SamplePub) and isinstance(result, SampleResult)
        ]

    @property
    def estimated(self) -> list[tuple[int, EstimatePub, EstimateResult]]:
        """Number, pub and result of those that were estimated."""
        return [
            (number, pub, result)
            for number, (pub, result) in enumerate(zip(self.pubs, self.results, strict=True))
            if isinstance(pub, EstimatePub) and isinstance(result, EstimateResult)
        ]


def always(answered: Answered) -> list[Finding]:
    """Every check that suits the answer."""
    findings = []
    if answered.sampled:
        findings.append(normalised(answered.sampled))
        if any(result.mitigated is not None for _, _, result in answered.sampled):
            findings.append(quasi_normalised(answered.sampled))
    if answered.estimated:
        findings += [
            finite(answered.estimated),
            error_bars(answered.estimated),
            within_spectrum(answered.estimated),
        ]
    if answered.answer is not None:
        findings.append(possible(answered.problem, answered.answer))
    return findings


def _all_or_first(rule: str, then: Action, wrong: Sequence[str], right: str) -> Finding:
    if not wrong:
        return Finding(rule, then, right)
    more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return Finding(rule, then, f"{wrong[0]}{more}", failed=True)


def normalised(sampled: Sequence[tuple[int, SamplePub, SampleResult]]) -> Finding:
    """Whether every pub has the shots that were asked, in registers of one width, for each binding."""
    wrong = [reason for number, pub, result in sampled for reason in _misshapen(number, pub, result)]
    shots = sum(pub.shots * pub.bindings.size for _, pub, _ in sampled)
    return _all_or_first("shot count", Action.REFUSE, wrong, f"{shots:,} shots came, as asked")


def _misshapen(number: int, pub: SamplePub, result: SampleResult) -> Iterable[str]:
    if result.shape != pub.bindings.shape or result.shots != pub.shots:
        yield (
            f"pub {number} has {result.shots} shots of shape {result.shape}; {pub.shots} of shape {pub.bindings.shape} were asked"
        )
    for register in result.registers:
        bits = register.bits
        what = f"register {register.name!r} of pub {number}"
        if bits.num_shots != pub.shots or bits.shape != pub.bindings.shape:
            yield (
                f"{what} has {bits.num_shots} shots of shape {bits.shape}; {pub.shots} of shape {pub.bindings.shape} were asked"
            )
            continue
        try:
            packed = bits.to_numpy()
        except ValueError as error:
            yield f"{what} holds {error}"
            continue
        if bits.num_bits % 8 and packed.size and (packed[..., 0] >> (bits.num_bits % 8)).any():
            yield f"{what} holds outcomes wider than its {bits.num_bits} bits"


def finite(estimated: Sequence[tuple[int, EstimatePub, EstimateResult]]) -> Finding:
    """Whether there is a finite value and error for everything that was asked."""
    wrong = []
    for number, pub, result in estimated:
        due = size_of(pub.shape)
        if (len(result.evs.values), len(result.stds.values)) != (due, due):
            wrong.append(
                f"pub {number} has {len(result.evs.values)} values and {len(result.stds.values)} errors; {due} were asked"
            )
        elif not all(map(math.isfinite, (*result.evs.values, *result.stds.values))):
            wrong.append(f"pub {number} has values or errors that are not finite")
    values = sum(size_of(pub.shape) for _, pub, _ in estimated)
    return _all_or_first("finite values", Action.REFUSE, wrong, f"{values:,} values came, all finite")


def error_bars(estimated: Sequence[tuple[int, EstimatePub, EstimateResult]]) -> Finding:
    """Whether error bars are possible: none negative, and none missing where shots must scatter.

    A single Pauli that was measured and lies inside its range was read both ways, so its standard error is above 0.
    """
    wrong = []
    for number, pub, result in estimated:
        if min(result.stds.values, default=0.0) < 0:
            wrong.append(f"pub {number} has the standard error {min(result.stds.values):.3g}")
        if result.error_origin is not ErrorOrigin.SHOTS:
            continue
        for element, (value, error, (centre, reach, single)) in enumerate(_with_ranges(pub, result)):
            if single and error == 0 and abs(value - centre) < reach * (1 - _ROUNDING):
                wrong.append(
                    f"value {element} of pub {number} is {value:.6g} without an error bar, although {result.shots} shots of one "
                    "Pauli that give it scatter"
                )
                break
    return _all_or_first("error bars", Action.DOWN_RANK, wrong, "every standard error is possible")


def within_spectrum(estimated: Sequence[tuple[int, EstimatePub, EstimateResult]]) -> Finding:
    """Whether values lie within the sum of their observable's coefficients, but for what their errors explain.

    Values that were mitigated or truncated may leave it for good reasons, and are only down-ranked.
    """
    p_values, outside = [1.0], ""
    by_shots = True
    for number, pub, result in estimated:
        for element, (value, error, (centre, reach, _)) in enumerate(_with_ranges(pub, result)):
            excess = abs(value - centre) - reach
            if not excess > _DRIFT * reach + _ROUNDING:
                p_values.append(1.0)
                continue
            p_value = _by_chance(excess, error, reach, result.shots)
            if p_value <= min(p_values):
                outside = (
                    f"value {element} of pub {number} is {value:.6g} ± {error:.2g}; its observable lies between "
                    f"{centre - reach:.6g} and {centre + reach:.6g}"
                )
            by_shots = by_shots and result.error_origin in _BY_SHOTS
            p_values.append(p_value)
    return Finding(
        "observable bound",
        Action.REFUSE if by_shots else Action.DOWN_RANK,
        outside or "every value lies within its observable's bound",
        p_value=any_of(p_values),
    )


def _by_chance(excess: float, error: float, reach: float, shots: int) -> float:
    """How likely a value leaves its observable's range so far, where readings are mitigated.

    Mitigating divides by 1 - 2e, with e the probability of a wrong reading. Of few shots all may have been read right,
    by a chance of exp(-e shots): then the value lies beyond its range, and its standard error is 0.
    """
    normal = math.erfc(excess / error / math.sqrt(2)) / 2 if error > 0 else 0.0
    return max(normal, math.exp(-shots * excess / (2 * reach))) if shots and reach else normal


def _with_ranges(
    pub: EstimatePub, result: EstimateResult
) -> Iterable[tuple[float, float, tuple[float, float, bool]]]:
    """Value, error and range of the observable of each element of the result."""
    shape = broadcast(pub.bindings.shape, pub.observables.shape)
    numbers = np.arange(len(pub.observables.items)).reshape(pub.observables.shape)
    ranges = [_range_of(observable) for observable in pub.observables.items]
    for value, error, which in zip(
        result.evs.values, result.stds.values, np.broadcast_to(numbers, shape).ravel(), strict=False
    ):
        yield value, error, ranges[int(which)]


def _range_of(observable: Observable) -> tuple[float, float, bool]:
    """Centre and half width of what an observable can be, and whether it is one Pauli beside a constant."""
    paulis = observable.paulis()
    others = [abs(factor) for product, factor in paulis.items() if product]
    return paulis.get((), 0.0), math.fsum(others), len(others) == 1


def possible(problem: Problem | None, answer: ProblemAnswer) -> Finding:
    """Whether an answer to a problem can be one: values in their domain, worth what is said, no better than its bound."""
    wrong = []
    numbers = [*(answer.assignment or ()), *(() if answer.matrix is None else answer.matrix.values)]
    if not all(math.isfinite(number) for number in (*numbers, answer.objective or 0.0)):
        wrong.append("the answer holds numbers that are not finite")
    elif isinstance(problem, Qubo | Ising | MaxCut) and answer.assignment is not None:
        wrong += _misassigned(problem, answer.assignment, answer.objective)
    if answer.objective is not None and answer.bound is not None and answer.standard_error is None:
        sign = -1.0 if answer.sense is Sense.MAXIMIZE else 1.0
        slack = _ROUNDING * max(1.0, abs(answer.bound))
        if sign * answer.objective < sign * answer.bound - slack:
            wrong.append(
                f"the objective {answer.objective:.9g} is better than its own bound {answer.bound:.9g}"
            )
    return _all_or_first(
        "possible answer", Action.REFUSE, wrong, "the answer is one that the problem can have"
    )


def _misassigned(
    problem: Qubo | Ising | MaxCut, assignment: Sequence[float], objective: float | None
) -> list[str]:
    domain = (1.0, -1.0) if isinstance(problem, Ising) else (0.0, 1.0)
    if strange := [at for at, value in enumerate(assignment) if value not in domain]:
        return [
            f"variable {strange[0]} is {assignment[strange[0]]:g}; it can be {domain[0]:g} or {domain[1]:g}"
        ]
    bits = [int(value < 0) if isinstance(problem, Ising) else int(value) for value in assignment]
    if len(bits) != size(problem):
        return [f"the assignment has {len(bits)} variables, and the problem {size(problem)}"]
    worth = score(problem, bits).objective
    if objective is not None and abs(worth - objective) > _ROUNDING * max(1.0, abs(worth)):
        return [f"the assignment is worth {worth:.9g}, and the objective is said to be {objective:.9g}"]
    return []
