"""From what was looked at to a verdict: accept, down-rank or refuse, and the rule that decided."""

from collections.abc import Sequence
from dataclasses import dataclass

from circuits.statistics import Distance, bound
from qurable.contracts.checks import Action, CheckResult, DistanceRecord, Passed, Ruling, Verdict

_MOST_TOLD = 200
"""Failures come first; of the rest no more are told, since a report is a small document."""

_RULING = {Action.REFUSE: Ruling.REFUSE, Action.DOWN_RANK: Ruling.DOWN_RANK, Action.NOTE: Ruling.ACCEPT}
_GRAVITY = list(Action)


@dataclass(frozen=True)
class Finding:
    """What one check found; a test's p-value is judged later, when it is known how many tests there are.

    Attributes:
        rule: Name of the check.
        then: What follows where it fails.
        because: What was found, in one sentence.
        failed: Whether it fails, of a check that is no test; None where it was not run.
        p_value: Of a test.
        statistic: Of a test.
        distance: From what it was compared with.
    """

    rule: str
    then: Action
    because: str
    failed: bool | None = False
    p_value: float | None = None
    statistic: float | None = None
    distance: Distance | None = None


def verdict_of(findings: Sequence[Finding], level: float) -> Verdict:
    """The verdict on an answer.

    The gravest action among the checks that failed decides, the first of them in order. A test fails below the same
    share of `level`, so that all together alarm falsely no more often than that.

    Args:
        findings: In the order in which they are told.
        level: Family-wise false alarm, in (0, 1).
    """
    tests = sum(finding.p_value is not None for finding in findings)
    share = bound(tests, level) if tests else level
    results = [_judged(finding, share) for finding in findings]
    failed = [result for result in results if result.outcome is Passed.FAILED]
    gravest = max(failed, key=lambda result: _GRAVITY.index(result.then), default=None)
    told = _told(results)
    if gravest is None or gravest.then is Action.NOTE:
        because = _nothing_against(results, tests, level)
        return Verdict(
            ruling=Ruling.ACCEPT,
            because=because,
            checks=told,
            level=level,
            tests=tests,
        )
    return Verdict(
        ruling=_RULING[gravest.then],
        rule=gravest.rule,
        because=f"{gravest.rule}: {gravest.because}",
        checks=told,
        level=level,
        tests=tests,
    )


def _told(results: Sequence[CheckResult]) -> tuple[CheckResult, ...]:
    """As many as a report has room for, in their order; failures before all others."""
    order = sorted(range(len(results)), key=lambda at: results[at].outcome is not Passed.FAILED)
    return tuple(results[at] for at in sorted(order[:_MOST_TOLD]))


def _judged(finding: Finding, share: float) -> CheckResult:
    because = finding.because
    if finding.p_value is None:
        outcome = _outcome(finding.failed)
    else:
        outcome = _outcome(finding.p_value < share)
        sign = "below" if finding.p_value < share else "not below"
        because = f"{because}; p = {finding.p_value:.3g}, {sign} {share:.3g}"
    return CheckResult(
        rule=finding.rule,
        outcome=outcome,
        then=finding.then,
        because=because,
        statistic=finding.statistic,
        p_value=finding.p_value,
        distance=_record(finding.distance),
    )


def _outcome(failed: bool | None) -> Passed:
    if failed is None:
        return Passed.NOT_RUN
    return Passed.FAILED if failed else Passed.PASSED


def _record(distance: Distance | None) -> DistanceRecord | None:
    if distance is None:
        return None
    return DistanceRecord(value=distance.value, null_quantile=distance.null_quantile, level=distance.level)


def _nothing_against(results: Sequence[CheckResult], tests: int, level: float) -> str:
    """Why an answer is accepted; what was not run or is only a note is said."""
    passed = sum(result.outcome is Passed.PASSED for result in results)
    parts = [f"{passed} of {len(results)} checks passed"]
    for outcome, words in ((Passed.FAILED, "failed and is only a note"), (Passed.NOT_RUN, "was not run")):
        names = [result.rule for result in results if result.outcome is outcome]
        if names:
            parts.append(f"{', '.join(dict.fromkeys(names))} {words}")
    if tests:
        parts.append(
            f"{tests} are tests, which together alarm falsely in {level:g} of all such answers at most"
        )
    return "; ".join(parts)
