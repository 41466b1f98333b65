"""What is asked of quasi-distributions, as mitigation makes them of counts: weights may be negative, within their error.

Bit order: the rightmost character of an outcome is bit 0 of its register.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from circuits.statistics import any_of
from circuits.verdicts import Finding
from qurable.contracts.arrays import size_of
from qurable.contracts.checks import Action, ForbiddenOutcomes, HammingWeights
from qurable.contracts.pubs import SamplePub
from qurable.contracts.results import SampleResult

_SUMS_TO_ONE = 1e-3
"""How far the weights of a quasi-distribution may be from 1 in all: mitigation solves for them with a tolerance."""

Sampled = Sequence[tuple[int, SamplePub, SampleResult]]


def quasi_normalised(sampled: Sampled) -> Finding:
    """Whether quasi-distributions are some: one for each binding, finite weights that add up to 1, of outcomes that came.

    Weights may be negative; how much so is told, since it multiplies the shot noise.
    """
    wrong: list[str] = []
    number_of, most_negative = 0, 0.0
    for number, pub, result in sampled:
        if result.mitigated is None:
            continue
        elements = result.mitigated.weights
        if (len(elements), len(result.mitigated.overheads)) != (pub.bindings.size, pub.bindings.size):
            wrong.append(
                f"pub {number} has {len(elements)} mitigated distributions and {len(result.mitigated.overheads)} overheads; "
                f"{pub.bindings.size} were asked"
            )
            continue
        for element, weights in enumerate(elements):
            what = f"element {element} of pub {number}"
            wrong += [f"{what}: {reason}" for reason in _misweighed(weights, result, element)]
            number_of += 1
            most_negative = max(most_negative, -math.fsum(min(weight, 0.0) for weight in weights.values()))
    then, rule = Action.REFUSE, "normalisation"
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return Finding(rule, then, f"{wrong[0]}{more}", failed=True)
    told = f"the weights of {number_of:,} quasi-distributions add up to 1 each, of which at most {most_negative:.3g} is negative"
    return Finding(rule, then, told)


def _misweighed(weights: Mapping[str, float], result: SampleResult, element: int) -> Iterator[str]:
    width = sum(register.bits.num_bits for register in result.registers)
    yield from (
        f"outcome {word!r} is not of {width} bits" for word in weights if len(word.replace(" ", "")) != width
    )
    if len(weights) > result.shots:
        yield f"{result.shots} shots cannot have read {len(weights)} outcomes"
    overhead = result.mitigated.overheads[element] if result.mitigated is not None else math.nan
    if not all(map(math.isfinite, (*weights.values(), overhead))):
        yield "some weights, or their overhead, are not finite"
    elif abs((total := math.fsum(weights.values())) - 1) > _SUMS_TO_ONE:
        yield f"the weights add up to {total:.6g}, not 1"
    elif overhead < 1 - _SUMS_TO_ONE:
        yield f"the overhead is {overhead:.6g}; mitigation takes no noise away"


def weighed(
    sampled: Sampled,
    check: ForbiddenOutcomes | HammingWeights,
    rule: str,
    is_wrong: Callable[[str], bool],
) -> list[Finding]:
    """What wrong outcomes weigh after mitigation, in each element, against their share that is allowed; nothing without it.

    The error of such a sum is at most gamma / sqrt(shots), so the test alarms falsely no more often than it says.
    """
    from scipy import stats

    p_values, heaviest = [], ""
    for number, _, result in sampled:
        if check.pub not in (None, number) or result.mitigated is None:
            continue
        for element in range(size_of(result.shape)):
            weights = result.quasi(element, check.creg or None)
            total = math.fsum(weight for word, weight in weights.items() if is_wrong(word))
            error = result.mitigated.standard_error(element, result.shots)
            p_values.append(float(stats.norm.sf((total - check.at_most) / error)))
            if p_values[-1] <= min(p_values):
                heaviest = (
                    f"they weigh {total:.3g} ± {error:.2g} at most in element {element} of pub {number}"
                )
    if not p_values:
        return []
    because = f"{heaviest}, and {check.at_most:g} is allowed"
    return [Finding(f"{rule} (mitigated)", check.then, because, p_value=any_of(p_values))]
