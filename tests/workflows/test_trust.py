"""What a quantum step brings is looked at before anybody believes it: refused, down-ranked or accepted, with the rule."""

from typing import Any

import pytest

from qurable.contracts.checks import Passed, Ruling
from qurable.contracts.explanations import ErrorSource
from qurable.contracts.problems import MaxCut
from qurable.contracts.reports import JobReport, State
from qurable.contracts.targets import AnswerKind
from qurable.errors import JobFailed
from qurable.requests import estimate, sample, solve
from tests.circuits_at_hand import BELL
from tests.conftest import Service, Stack
from tests.fakes.scripted import ScriptedBackend

_FAIR = {"kind": "distribution", "probabilities": {"00": 0.5, "11": 0.5}}
_LADDER = BELL.replace("h q[0];", "h q[0]; x q[1]; x q[1];")
"""The same distribution by another circuit: there is no earlier job of it."""


def _checked(report: JobReport, rule: str) -> Any:
    assert report.verdict is not None
    return next(check for check in report.verdict.checks if check.rule == rule)


async def test_a_biased_place_is_refused_or_down_ranked_and_says_why(stack: Stack) -> None:
    """It reads zeros alone: the next rung answers, labelled; or the answer stands as degraded, where the job says so."""
    qpu = ScriptedBackend("qpu")
    async with stack(backends={"qpu": qpu}) as service:
        refused = await service.run(sample(BELL, shots=200, backend="qpu", checks=[_FAIR]))
        kept = await service.run(
            sample(BELL, shots=200, backend="qpu", checks=[{**_FAIR, "then": "down_rank"}], fallback="none")
        )
        with pytest.raises(JobFailed) as failed:
            await service.run(sample(BELL, shots=200, backend="qpu", checks=[_FAIR], fallback="none"))
        why = await service.qurable.why(kept.id)
        listed = await service.qurable.list(states=(State.DEGRADED,))
        events = [event.state async for event in service.qurable.events(kept.id)]

    assert (refused.state, refused.served_by) == (State.DEGRADED, "aer")
    assert [attempt.error.code for attempt in refused.tried] == ["AnswerRefused"]
    assert refused.tried[0].error.details["rule"] == "expected distribution"
    assert "refused by its check expected distribution" in refused.because
    assert _checked(refused, "expected distribution").outcome is Passed.PASSED
    assert refused.explanation is not None
    assert "Accepted" in refused.explanation.accepted
    assert [(one.name, one.ran) for one in refused.against] == [("aer", True), ("qpu", False)]

    assert (kept.state, kept.degraded, kept.served_by) == (State.DEGRADED, True, "qpu")
    assert "down-ranked by its check expected distribution" in kept.because
    assert kept.verdict is not None
    assert (kept.verdict.ruling, kept.verdict.rule) == (Ruling.DOWN_RANK, "expected distribution")
    distance = _checked(kept, "expected distribution").distance
    assert distance.value == pytest.approx(0.5)
    assert distance.null_quantile < 0.15
    assert events[-1] is State.DEGRADED
    assert {job.id for job in listed} == {refused.id, kept.id}

    assert failed.value.error.code == "AnswerRefused"
    assert (why.verdict, why.because, why.served_by) == (kept.verdict, kept.because, "qpu")
    assert why.error_budget.parts[0].source is ErrorSource.SHOT_NOISE


async def test_baselines_hold_an_answer_against_a_simulation_and_an_earlier_run(service: Service) -> None:
    """Of a twin with noise: its own noise explains it, no noise does not, and the last run of the same circuit does."""
    checks: list[Any] = [
        {"kind": "baseline", "against": "noisy_simulator"},
        {"kind": "baseline", "against": "simulator", "then": "note"},
        {"kind": "baseline", "against": "earlier"},
    ]
    noisy: dict[str, Any] = {"shots": 20_000, "backend": "fake_manila", "checks": checks}
    first = await service.run(sample(_LADDER, seed=1, **noisy))
    second = await service.run(sample(_LADDER, seed=2, **noisy))
    named = [{"kind": "baseline", "against": "earlier", "job": first.id, "then": "down_rank"}]
    noiseless = await service.run(sample(_LADDER, shots=20_000, seed=3, backend="aer", checks=named))

    assert first.state is second.state is State.COMPLETED
    assert _checked(first, "baseline (noisy_simulator)").outcome is Passed.PASSED
    assert _checked(first, "baseline (simulator)").outcome is Passed.FAILED
    assert _checked(first, "baseline (earlier)").outcome is Passed.NOT_RUN
    assert repr(first.id) in _checked(second, "baseline (earlier)").because
    assert _checked(second, "baseline (earlier)").outcome is Passed.PASSED
    sources = {part.source for part in second.error_budget.parts}
    assert {ErrorSource.SHOT_NOISE, ErrorSource.GATES, ErrorSource.READOUT} <= sources
    assert noiseless.state is State.DEGRADED
    assert "baseline (earlier)" in noiseless.because


async def test_estimates_and_problems_are_held_against_exact_answers(service: Service) -> None:
    """A simulation gives the values, and a solver the optimum; both are told beside the answer."""
    baseline = [{"kind": "baseline", "against": "simulator"}, {"kind": "range", "low": 0.9}]
    values = await service.run(
        estimate((BELL, ["ZZ", "XX"]), precision=0.02, seed=5, backend="aer", checks=baseline)
    )
    triangle = MaxCut(num_nodes=2, edges=((0, 1, 1.0),))
    worse = BELL.replace("h q[0];", "").replace("cx q[0], q[1];", "").replace("cx q[0],q[1];", "")
    cut = await service.run(solve(triangle, worse, shots=100, backend="aer", checks=[{"kind": "classical"}]))

    assert [_checked(values, rule).outcome for rule in ("baseline (simulator)", "expectation range")] == [
        Passed.PASSED
    ] * 2
    assert (cut.state, cut.answer is not None) == (State.DEGRADED, True)
    assert "found 1: 1 worse" in cut.because
    assert [contender.kind for contender in cut.against] == [AnswerKind.SIMULATOR, AnswerKind.CLASSICAL]
    assert [contender.quality for contender in cut.against] == [0.0, 1.0]
    assert all(contender.seconds is not None for contender in cut.against)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ({"kind": "forbidden", "outcomes": ["101"]}, "'101' of 3 bits, and the register has 2"),
        ({"kind": "forbidden", "outcomes": ["11"], "creg": "d"}, "classical register 'd'"),
        ({"kind": "range", "low": 0.0}, "pubs that are estimated"),
        ({"kind": "baseline", "against": "earlier", "job": "default-0"}, "has no such job"),
    ],
)
async def test_what_cannot_be_checked_is_refused_before_it_runs(
    service: Service, check: dict[str, Any], words: str
) -> None:
    """Naming the check, what is there, and what to write instead."""
    with pytest.raises(JobFailed) as failed:
        await service.run(sample(BELL, shots=10, backend="aer", checks=[check]))

    assert failed.value.error.code == "RequestRejected"
    assert words in failed.value.error.message
