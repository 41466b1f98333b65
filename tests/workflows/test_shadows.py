"""Shadows: the caller's answer is that of before, and how another place differs is written down."""

from collections.abc import Mapping
from typing import Any

import pytest

from qurable.contracts.executions import Phase
from qurable.contracts.reports import JobReport, State
from qurable.contracts.rollout import RolloutChange, RolloutRule
from qurable.contracts.shadows import ShadowRun, ShadowSummary
from qurable.errors import JobCancelled, RequestRejected
from qurable.requests import estimate, sample
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack, Service, Stack
from tests.fakes.scripted import ScriptedBackend
from tests.paid import DEVICE

EXACT = "classical:clifford"
"""Samples a Bell circuit as Aer does."""

NOISY = "fake_manila"


def _bell(rule: str = "", **options: Any) -> Any:
    """With a key of its own, so that the seed of its shadow, which is made of it, is the same in every run."""
    labels = {"try": rule} if rule else {}
    return sample(
        BELL,
        **{"backend": "aer", "shots": 2_000, "seed": 7, "key": f"bell {rule}", "labels": labels, **options},
    )


def _shadow(name: str, backend: str, **fields: object) -> RolloutChange:
    when = {"label": f"try={name}", "asked": "aer"}
    rule = {"name": name, "backend": backend, "share": 1.0, "shadow": True, "when": when}
    return RolloutChange(rule=RolloutRule.model_validate(rule | fields), by="ada")


async def _summaries(service: Service) -> Mapping[str, ShadowSummary]:
    return {found.rule: found for found in (await service.qurable.rollout()).shadows}


async def _ended(service: Service, rule: str) -> ShadowRun:
    """The only shadow of a rule, once it has ended."""

    async def ended() -> ShadowRun | None:
        found = (await _summaries(service)).get(rule)
        return found.latest[0] if found is not None and found.latest else None

    run: ShadowRun = await until(f"the shadow of rule {rule!r} has ended", ended)
    return run


async def _answers(service: Service, rule: str, **options: Any) -> tuple[JobReport, JobReport]:
    """The same job under a rule and without."""
    shadowed = await service.run(_bell(rule, **options))
    return shadowed, await service.run(_bell(**options))


async def test_the_answer_is_that_of_before_and_what_differs_is_written_down(stack: Stack) -> None:
    """A place that samples alike is told from one with noise, whatever the caller asked of his own answer."""
    async with stack() as service:
        for change in (
            _shadow("exact", EXACT),
            _shadow("noisy", NOISY),
            _shadow("values", NOISY),
            _shadow("again", NOISY, when={"asked": EXACT}),
        ):
            await service.qurable.set_rollout(change)
        alike, plain = await _answers(service, "exact")
        noisy = await service.run(_bell("noisy", fallback="none"))
        options: dict[str, Any] = {
            "backend": "aer",
            "precision": 0.01,
            "seed": 7,
            "key": "v",
            "labels": {"try": "values"},
        }
        values = await service.run(estimate((BELL, ["ZZ", "XX"]), **options))
        runs = {rule: await _ended(service, rule) for rule in ("exact", "noisy", "values")}
        shadow = await service.qurable.read_report(runs["exact"].shadow.job_id)
        listed = {job.id: job.shadow_of for job in await service.qurable.list()}
        found = await _summaries(service)

    assert alike.results == noisy.results == plain.results
    assert {(report.state, report.served_by) for report in (alike, noisy, plain)} == {
        (State.COMPLETED, "aer")
    }
    assert plain.route.shadow is None
    assert alike.route.shadow is not None
    assert (shadow.served_by, shadow.shadow_of, listed[shadow.id]) == (EXACT, alike.id, alike.id)
    assert listed[alike.id] == alike.shadow_of == ""
    assert shadow.results != alike.results
    assert shadow.route.shadow is None
    assert "again" not in found
    assert {rule: (one.compared, one.differing, one.unanswered) for rule, one in found.items()} == {
        "exact": (1, 0, 0),
        "noisy": (1, 1, 0),
        "values": (1, 1, 0),
    }
    _check_differences(runs, {"exact": alike, "noisy": noisy, "values": values})


def _check_differences(runs: Mapping[str, ShadowRun], answers: Mapping[str, JobReport]) -> None:
    for rule, run in runs.items():
        assert (run.answer.job_id, run.answer.served_by) == (answers[rule].id, "aer")
        assert run.answer.seconds == answers[rule].durations.total
        assert run.shadow.seconds > 0
        assert len(run.pubs) == 1
    (alike,), (noisy,), (values,) = (runs[rule].pubs for rule in ("exact", "noisy", "values"))
    assert alike.distance is not None
    assert alike.null_quantile is not None
    assert alike.p_value > 1e-3
    assert noisy.p_value < 1e-6
    assert all(deviation is not None and deviation < -3 for deviation in values.deviations)


async def test_nobody_waits_for_a_shadow_and_none_changes_an_answer(stack: Stack) -> None:
    """It may stand in a queue, fail, be refused, be cancelled by its own id; a switch is for those planned after it."""
    qpu, slow = ScriptedBackend("qpu", Phase.QUEUED), ScriptedBackend("slow", Phase.QUEUED)
    async with stack(backends={"qpu": qpu, "slow": slow}) as service:
        qurable = service.qurable
        await qurable.set_rollout(_shadow("none", EXACT, when={"asked": "slow"}))
        called_off = await qurable.submit(_bell("none", backend="slow"))
        await until("the job is queued", slow.queued.is_set)
        await called_off.cancel()
        with pytest.raises(JobCancelled):
            await called_off.result()
        for change in (_shadow("queued", "qpu"), _shadow("home", "qpu"), _shadow("fails", "classical:pauli")):
            await qurable.set_rollout(change)
        waiting, plain = await _answers(service, "queued")
        kept_in = await service.run(_bell("home", fallback={"leave_house": False}))
        failing = await service.run(_bell("fails"))
        at_home, failed = await _ended(service, "home"), await _ended(service, "fails")
        await until("the shadow is queued", qpu.queued.is_set)
        running = (await _summaries(service))["queued"]
        off = RolloutRule(name="off", backend="qpu", kill=True)
        await qurable.set_rollout(RolloutChange(rule=off, by="grace"))
        (shadow,) = [job for job in await qurable.list() if job.shadow_of == waiting.id]
        later = await service.run(_bell("queued", key="later"))
        assert not qpu.cancelled
        await qurable.cancel(shadow.id)
        cancelled = await _ended(service, "queued")
        with pytest.raises(JobCancelled):
            await qurable.result(shadow.id)
        found = await _summaries(service)

    assert waiting.results == kept_in.results == failing.results == later.results == plain.results
    assert {report.state for report in (waiting, kept_in, failing, later)} == {State.COMPLETED}
    assert (running.running, running.ended) == (1, 0)
    assert at_home.error is not None
    assert at_home.error.code == "ShadowRefused"
    assert at_home.shadow.job_id == ""
    assert failed.error is not None
    assert failed.error.code == "UnsupportedCircuit"
    assert later.route.shadow is None
    assert found.keys() == {"queued", "home", "fails"}
    assert cancelled.error is not None
    assert cancelled.error.code == "JobCancelled"
    assert len(qpu.submitted) == 1


@pytest.mark.long
async def test_a_shadow_costs_money_only_where_its_rule_says_so(paid_stack: PaidStack) -> None:
    """Then it is booked on the job's project, within what the rule allows for each."""
    async with paid_stack() as paid:
        service, qurable = paid.service, paid.service.qurable
        with pytest.raises(RequestRejected, match="costs money: allow it for shadows with --paid"):
            await qurable.set_rollout(_shadow("free", DEVICE))
        await qurable.set_rollout(_shadow("paid", DEVICE, paid=True, budget={"qpu_seconds": 30.0}))
        await qurable.set_rollout(_shadow("poor", DEVICE, paid=True, budget={"qpu_seconds": 0.001}))
        report, plain = await _answers(service, "paid", project="lab")
        run = await _ended(service, "paid")
        poor = await service.run(_bell("poor"))
        refused = await _ended(service, "poor")
        shadow = await qurable.read_report(run.shadow.job_id)
        taken = await paid.taken()

    assert report.results == plain.results == poor.results
    assert (report.qpu_seconds, report.provider_jobs) == (0.0, ())
    assert (shadow.project, shadow.served_by, len(taken)) == ("lab", DEVICE, 1)
    assert run.p_value is not None
    assert refused.error is not None
    assert refused.error.code == "BudgetExceeded"
