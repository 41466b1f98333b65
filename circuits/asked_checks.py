"""What a job itself asks of its answer, and what it finds.

Bit order: the rightmost character of an outcome is bit 0 of its register.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from circuits.drift import QUANTILE, Drift, Sample, beyond_reference, counts_differ, values_differ
from circuits.quasi_rules import weighed
from circuits.statistics import Integers, any_of, g_test, total_variation
from circuits.verdict_rules import Answered
from circuits.verdicts import Finding
from qurable.contracts.arrays import size_of
from qurable.contracts.checks import (
    Baseline,
    Check,
    Checks,
    ClassicalAnswer,
    ExpectationRange,
    ExpectedDistribution,
    ForbiddenOutcomes,
    HammingWeights,
    LinearConstraint,
)
from qurable.contracts.problems import ProblemAnswer, Sense
from qurable.contracts.results import EstimateResult, SampleResult

_ROUNDING = 1e-6
_MOST_TABLES = 32
"""Registers and bindings that a baseline is compared in; the first ones, as chosen before there were any results."""

_STANDARD_ERRORS = 3.0

Results = Sequence[SampleResult | EstimateResult]


@dataclass(frozen=True)
class Reference:
    """What a baseline or a solver has brought.

    Attributes:
        results: One per pub, of a baseline.
        answer: Of a solver.
        name: Where it is from.
        seconds: A solver took.
        missing: Why there is none.
    """

    results: Results = ()
    answer: ProblemAnswer | None = None
    name: str = ""
    seconds: float | None = None
    missing: str = ""


def asked(
    answered: Answered,
    checks: Checks,
    references: Mapping[int, Reference],
    *,
    seed: int,
) -> list[Finding]:
    """What a job's own checks find, in order: one finding each, and one more where counts were mitigated.

    Args:
        answered: The answer.
        checks: Of the job, all of them possible.
        references: What was brought for baselines and solvers, by the position of the check.
        seed: Of dealings and draws.
    """
    findings = []
    for number, check in enumerate(checks.items):
        reference = references.get(number, Reference(missing="nothing was brought to compare with"))
        findings.append(_found(answered, check, reference, seed))
        if isinstance(check, ForbiddenOutcomes | HammingWeights):
            findings += weighed(answered.sampled, check, findings[-1].rule, _is_wrong(check))
    return findings


def _found(answered: Answered, check: Check, reference: Reference, seed: int) -> Finding:
    match check:
        case ForbiddenOutcomes():
            return _counted(answered, check, "forbidden outcomes", _is_wrong(check))
        case HammingWeights():
            return _counted(answered, check, "Hamming weights", _is_wrong(check))
        case ExpectationRange():
            return _in_range(answered, check)
        case LinearConstraint():
            return _constrained(answered.answer, check)
        case ExpectedDistribution():
            return _distributed(answered, check, seed)
        case Baseline():
            return _compared(answered, check, reference, seed)
        case ClassicalAnswer():
            return _against_solver(answered.answer, check, reference)


def _is_wrong(check: ForbiddenOutcomes | HammingWeights) -> Callable[[str], bool]:
    if isinstance(check, ForbiddenOutcomes):
        return _forbidden(check.outcomes)
    allowed = frozenset(check.weights)
    return lambda word: word.count("1") not in allowed


def _forbidden(patterns: Sequence[str]) -> Callable[[str], bool]:
    exact = frozenset(pattern for pattern in patterns if "-" not in pattern)
    masks = [
        (int(pattern.replace("0", "1").replace("-", "0"), 2), int(pattern.replace("-", "0"), 2))
        for pattern in patterns
        if "-" in pattern
    ]

    def matches(word: str) -> bool:
        return word in exact or any(int(word, 2) & mask == wanted for mask, wanted in masks)

    return matches


def _counted(
    answered: Answered,
    check: ForbiddenOutcomes | HammingWeights,
    rule: str,
    is_wrong: Callable[[str], bool],
) -> Finding:
    """How many shots read as they must not, in each pub over all its bindings."""
    from scipy import stats

    p_values, wrong, shots, example = [], 0, 0, ""
    for number, _, result in answered.sampled:
        if check.pub not in (None, number):
            continue
        bits = result.register(check.creg or None)
        total = bits.num_shots * size_of(bits.shape)
        found = 0
        for element in range(size_of(bits.shape)):
            for word, count in bits.counts(element).items():
                if is_wrong(word):
                    found += count
                    example = example or f", such as {word!r} in pub {number}"
        wrong, shots = wrong + found, shots + total
        p_values.append(float(stats.binom.sf(found - 1, total, check.at_most)))
    because = f"{wrong:,} of {shots:,} shots read so{example}"
    if not check.at_most:
        return Finding(rule, check.then, f"{because}, and none may", failed=wrong > 0)
    because = f"{because}, and a share of {check.at_most:g} may"
    return Finding(rule, check.then, because, p_value=any_of(p_values), statistic=float(wrong))


def _in_range(answered: Answered, check: ExpectationRange) -> Finding:
    """How far values lie outside a range, in their standard errors."""
    from scipy import stats

    low = -math.inf if check.low is None else check.low
    high = math.inf if check.high is None else check.high
    p_values, worst, values = [], "", 0
    for number, _, result in answered.estimated:
        if check.pub not in (None, number):
            continue
        for element, (value, error) in enumerate(zip(result.evs.values, result.stds.values, strict=True)):
            if check.element not in (None, element):
                continue
            values += 1
            outside = max(low - value, value - high)
            if outside <= _ROUNDING * max(1.0, abs(value)):
                p_values.append(1.0)
                continue
            p_value = float(stats.norm.sf(outside / error)) if error > 0 else 0.0
            if p_value <= min(p_values, default=1.0):
                worst = f"value {element} of pub {number} is {value:.6g} ± {error:.2g}; {_range(check.low, check.high)} is asked"
            p_values.append(p_value)
    because = worst or f"{values} values lie {_range(check.low, check.high)}"
    return Finding("expectation range", check.then, because, p_value=any_of(p_values))


def _range(low: float | None, high: float | None) -> str:
    if high is None:
        return f"at least {low:g}"
    return f"at most {high:g}" if low is None else f"from {low:g} to {high:g}"


def _constrained(answer: ProblemAnswer | None, check: LinearConstraint) -> Finding:
    rule = "linear constraint"
    if answer is None or answer.assignment is None:
        return Finding(rule, check.then, "the answer is no assignment", failed=None)
    if max(variable for variable, _ in check.terms) >= len(answer.assignment):
        return Finding(
            rule,
            check.then,
            f"the assignment has {len(answer.assignment)} variables, and the constraint names more",
            failed=True,
        )
    total = math.fsum(weight * answer.assignment[variable] for variable, weight in check.terms)
    slack = _ROUNDING * max(1.0, abs(total))
    low = -math.inf if check.low is None else check.low
    high = math.inf if check.high is None else check.high
    return Finding(
        rule,
        check.then,
        f"the sum is {total:g}; {_range(check.low, check.high)} is asked",
        failed=not low - slack <= total <= high + slack,
    )


def _distributed(answered: Answered, check: ExpectedDistribution, seed: int) -> Finding:
    """A G-test over the outcomes that are named and all others as one; with an allowance, a test of the distance."""
    rule = "expected distribution"
    found = [result for number, _, result in answered.sampled if number == check.pub]
    if not found:
        return Finding(rule, check.then, f"pub {check.pub} has no counts", failed=None)
    counts = found[0].register(check.creg or None).counts(check.element)
    named = list(check.probabilities)
    total = math.fsum(check.probabilities.values())
    probabilities = np.array([*(check.probabilities[word] / total for word in named), 0.0])
    seen = [counts.get(word, 0) for word in named]
    observed: Integers = np.array([*seen, sum(counts.values()) - sum(seen)], dtype=np.int64)
    distance = total_variation(observed, probabilities, seed=seed, level=QUANTILE)
    because = (
        f"total variation {distance.value:.3g} from what is expected, {distance.null_quantile:.3g} by chance"
    )
    if not check.within:
        test = g_test(observed, probabilities)
        return Finding(
            rule,
            check.then,
            because,
            p_value=test.p_value,
            statistic=test.statistic if math.isfinite(test.statistic) else None,
            distance=distance,
        )
    return Finding(
        rule,
        check.then,
        f"{because}, and {check.within:g} of it is allowed",
        p_value=beyond_reference(observed, probabilities, seed=seed, within=check.within),
        statistic=distance.value,
        distance=distance,
    )


def _compared(answered: Answered, check: Baseline, reference: Reference, seed: int) -> Finding:
    rule = f"baseline ({check.against})"
    if reference.missing:
        return Finding(rule, check.then, reference.missing, failed=None)
    drifts = []
    tables = [
        Sample(register.bits.num_bits, register.bits.counts(element), other.bits.counts(element))
        for (_, _, result), there in zip(answered.sampled, _sampled(reference.results), strict=True)
        for register, other in zip(result.registers, there.registers, strict=True)
        for element in range(size_of(result.shape))
        if register.bits.num_bits
    ]
    here, there = _values(answered.results), _values(reference.results)
    if tables:
        drifts.append(counts_differ(tables[:_MOST_TABLES], seed=seed, within=check.within))
    if here:
        drifts.append(values_differ(here, there, within=check.within))
    if not drifts:
        return Finding(rule, check.then, "there is nothing to compare", failed=None)
    return _drifted(rule, check, reference.name, drifts)


def _drifted(rule: str, check: Baseline, name: str, drifts: Sequence[Drift]) -> Finding:
    gravest = min(drifts, key=lambda drift: drift.p_value)
    distance = next((drift.distance for drift in drifts if drift.distance is not None), None)
    because = f"{' and '.join(drift.looked_at for drift in drifts)} against {name}"
    if distance is not None:
        because += f": total variation {distance.value:.3g}, {distance.null_quantile:.3g} by chance"
    if check.within:
        because += f", {check.within:g} of it allowed"
    return Finding(
        rule,
        check.then,
        because,
        p_value=any_of([drift.p_value for drift in drifts]),
        statistic=gravest.statistic if math.isfinite(gravest.statistic) else None,
        distance=distance,
    )


def _sampled(results: Results) -> list[SampleResult]:
    return [result for result in results if isinstance(result, SampleResult)]


def _values(results: Results) -> list[tuple[float, float]]:
    return [
        pair
        for result in results
        if isinstance(result, EstimateResult)
        for pair in zip(result.evs.values, result.stds.values, strict=True)
    ]


def _against_solver(answer: ProblemAnswer | None, check: ClassicalAnswer, reference: Reference) -> Finding:
    """How much worse an objective is than a solver's, in the problem's own sense."""
    rule = "classical answer"
    if reference.answer is None or reference.answer.objective is None:
        return Finding(rule, check.then, reference.missing or "the solver has no objective", failed=None)
    if answer is None or answer.objective is None:
        return Finding(rule, check.then, "the answer has no objective", failed=None)
    sign = -1.0 if answer.sense is Sense.MAXIMIZE else 1.0
    best = reference.answer.objective
    worse = sign * (answer.objective - best)
    allowed = check.gap * abs(best) + _STANDARD_ERRORS * (answer.standard_error or 0.0)
    return Finding(
        rule,
        check.then,
        f"the objective is {answer.objective:.9g}, and {reference.name} found {best:.9g}: {max(worse, 0.0):.3g} worse, "
        f"{allowed:.3g} is allowed",
        failed=worse > allowed + _ROUNDING * max(1.0, abs(best)),
    )
