"""Jobs that wait for somebody's word before they are paid for."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete

from qurable.client import Job
from qurable.contracts.approvals import Approval, Decision, Question
from qurable.contracts.executions import Phase
from qurable.contracts.reports import State
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import (
    DecisionRefused,
    HybridError,
    JobCancelled,
    JobFailed,
    NotAnApprover,
    RequestRejected,
)
from qurable.names import Attribute
from qurable.requests import AnyJob, sample
from store import schema
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.cli.shell import qurable
from tests.conftest import PaidStack, Stack
from tests.fakes.scripted import ScriptedBackend
from tests.gateway.conftest import running_gateway
from tests.paid import DEVICE

LADDER = """
rules:
  - when: {asks_for: hardware}
    first: device
  - first: simulator
rungs:
  device: {kind: hardware, places: [asked], most: 1, then: simulator}
  simulator: {kind: simulator, places: [aer]}
approval:
"""

RULES = f"""{LADDER}
  - when: {{projects: [lapsing]}}
    timeout: 0.2
    at_timeout: next_rung
  - when: {{projects: [strict]}}
    timeout: 0.2
  - when: {{projects: [easy]}}
    timeout: 0.2
    at_timeout: approve
  - when: {{projects: [new], first_run: true}}
    timeout: 0.2
    at_timeout: approve
  - when: {{price_over: 0.5, currency: USD, projects: [default]}}
    approvers: [grace, linus, ada]
    four_eyes: true
    timeout: PT4H
"""

ALWAYS = f"{LADDER}\n  - approvers: [grace]\n"


def table(folder: Path, rules: str) -> Path:
    """A strategy table whose rules ask."""
    file = folder / "asking.yaml"
    file.write_text(rules, encoding="utf-8")
    return file


def bell(**options: Any) -> AnyJob:
    return sample(BELL, **{"shots": 100, "backend": DEVICE, "user": "ada", **options})


async def question(job: Job) -> Question:
    """What a job waits for, as soon as it does."""

    async def asked() -> Question | None:
        return (await job.status()).question

    found: Question = await until("the job asks", asked, 60)
    return found


async def refused(deciding: Awaitable[Any]) -> HybridError:
    with pytest.raises(HybridError) as caught:
        await deciding
    return caught.value


def decision(approval: Approval) -> Decision:
    assert approval.decision is not None
    return approval.decision


async def test_a_job_waits_where_it_is_seen_until_somebody_who_may_approves(
    paid_stack: PaidStack, tmp_path: Path
) -> None:
    """Whoever else decides hears why it does not count; of two who decide at once one does."""
    async with (
        paid_stack(strategy=table(tmp_path, RULES)) as paid,
        running_gateway(paid.service.settings) as http,
    ):
        client = paid.service.qurable
        job = await client.submit(bell())
        asked = await question(job)
        listed = (await qurable(paid.service, "approve", "--json")).document
        over_http = (await http.get("/approvals")).json()
        handle = paid.service.temporal.get_workflow_handle(job.id)
        seen = {pair.key.name: pair.value for pair in (await handle.describe()).typed_search_attributes}
        details = (await handle.query("__temporal_workflow_metadata")).current_details
        word = {"approve": True, "by": "eve", "reason": "why not"}
        stranger = await http.post(f"/jobs/{job.id}/approval", word)
        own = await refused(client.approve(job.id, by="ada", reason="it is mine"))
        stale = await refused(client.approve(job.id, by="grace", reason="go", route="0" * 64))
        low = await refused(client.approve(job.id, by="grace", reason="go", cap=0.01))
        before = await paid.taken()
        both = await asyncio.gather(
            client.approve(job.id, by="grace", reason="for the paper", cap=6.0, route=asked.route[:8]),
            client.approve(job.id, by="linus", reason="it is cheap", cap=5.0),
            return_exceptions=True,
        )
        report = await job.result()
        ended = await refused(client.refuse(job.id, by="grace", reason="again"))
        over = await http.post(f"/jobs/{job.id}/approval", {**word, "by": "grace"})
        unknown = await http.post(f"/jobs/default-{'0' * 24}/approval", word)
        (taken,) = await paid.taken()

    assert listed == over_http
    assert [entry["job_id"] for entry in listed["waiting"]] == [job.id]
    assert asked.terms.estimate is not None
    assert f"{asked.terms.estimate:.2f} USD expected" in details
    assert "`qurable approve" in details
    assert seen[Attribute.STAGE] == State.AWAITING_APPROVAL
    assert (stranger.status_code, stranger.json()["code"]) == (403, "NotAnApprover")
    assert isinstance(own, NotAnApprover)
    assert "four eyes" in own.message
    assert isinstance(stale, DecisionRefused)
    assert "about plan '000000000000'" in stale.message
    assert isinstance(low, RequestRejected)
    assert "below the estimate" in low.message
    assert before == []
    (won,) = (one for one in both if isinstance(one, Decision))
    (lost,) = (one for one in both if isinstance(one, DecisionRefused))
    assert "of two decisions the first stands" in lost.message
    assert "has ended (completed)" in ended.message
    assert (over.status_code, unknown.status_code) == (409, 404)
    (kept,) = report.approvals
    assert decision(kept) == won
    assert (won.by, won.cap) in (("grace", 6.0), ("linus", 5.0))
    assert (won.route, won.via) == (asked.route, "client")
    assert (report.state, report.served_by) == (State.COMPLETED, DEVICE)
    assert won.cap is not None
    assert 1.6 * taken["cost"] <= won.cap < 1.6 * (taken["cost"] + 1)
    assert report.provider_jobs[0].reserved == taken["cost"]
    assert [event.state for event in report.events][:4] == [
        State.ACCEPTED,
        State.VALIDATED,
        State.AWAITING_APPROVAL,
        State.COMPILED,
    ]


async def test_what_is_not_approved_is_answered_below_or_not_at_all(
    paid_stack: PaidStack, tmp_path: Path
) -> None:
    """Refused, in nobody's time, over its cap, or cancelled: nothing is sent."""
    async with paid_stack(strategy=table(tmp_path, RULES)) as paid:
        client = paid.service.qurable
        lapsing, strict = bell(project="lapsing"), bell(project="strict")
        alone = bell(fallback={"policy": "none"})
        works = (bell(), alone, bell(shots=2600), bell(), bell())
        jobs = [await client.submit(work) for work in works]
        below, failing, dear, dropped, late = jobs
        asked = await asyncio.gather(*map(question, jobs[:4]))
        cheap = asked[2].terms.estimate
        said = await qurable(
            paid.service, "approve", below.id, "--as", "grace", "--reason", "too dear", "--refuse"
        )
        await client.refuse(failing.id, by="linus", reason="no")
        await client.approve(dear.id, by="linus", reason="if it must be", cap=cheap)
        await dropped.cancel()
        with pytest.raises(JobCancelled):
            await dropped.result()
        reports = [await job.result() for job in (below, dear)]
        with pytest.raises(JobFailed) as failed:
            await failing.result()
        lapsed = await paid.service.run(lapsing)
        nobody = await paid.refused(strict)
        await question(late)
        waiting = (await client.approvals()).waiting
        taken = await paid.taken()
        approved = await paid.service.run(bell(project="easy"))
        await late.cancel()
        first = await paid.service.run(bell(project="new"))
        second = await paid.service.run(bell(project="new", shots=200))

    assert said.code == 0
    assert "refused by grace: too dear" in said.out
    for report, code in zip(
        [*reports, lapsed], ("ApprovalRefused", "BudgetExceeded", "ApprovalTimedOut"), strict=True
    ):
        assert [attempt.error.code for attempt in report.tried] == [code]
        assert (report.state, report.served_by) == (State.DEGRADED, "aer")
    assert "as it was approved for this place" in reports[1].tried[0].error.message
    assert failed.value.error.code == "ApprovalRefused"
    assert "linus refused: no" in failed.value.error.message
    assert isinstance(nobody, JobFailed)
    assert nobody.error.code == "ApprovalTimedOut"
    assert taken == []
    assert [one.job_id for one in waiting] == [late.id]
    assert decision(approved.approvals[0]).via == "timeout"
    assert [one.question.terms.because for one in first.approvals] == [
        "a circuit runs for the first time; project 'new'"
    ]
    assert second.approvals == ()
    assert {report.served_by for report in (approved, first, second)} == {DEVICE}


@pytest.mark.long
async def test_a_job_with_a_deadline_waits_no_longer_than_its_share(stack: Stack, tmp_path: Path) -> None:
    """The rest is for the places below, whatever the rule's own time is; nobody can decide afterwards."""
    async with stack(backends={"qpu": _Dear("qpu")}, strategy=table(tmp_path, ALWAYS)) as service:
        limits = {"total": timedelta(seconds=16)}
        job = await service.qurable.submit(BELL, shots=10, backend="qpu", limits=limits)
        await question(job)
        report = await job.result()
        late = await refused(service.qurable.approve(job.id, by="grace", reason="go"))

    assert [attempt.error.code for attempt in report.tried] == ["DeadlineAtRisk"]
    assert decision(report.approvals[0]).via == "deadline"
    assert report.served_by == "aer"
    assert isinstance(late, DecisionRefused)


class _Dear(ScriptedBackend):
    """It costs money, and does not say how much."""

    async def target(self) -> TargetSnapshot:
        return (await super().target()).model_copy(update={"paid": True})


async def test_a_restored_store_is_told_again_and_nobody_is_asked_twice(stack: Stack, tmp_path: Path) -> None:
    """The word was given before the store was restored from before it; the plan is the same, and so is the word."""
    qpu = _Dear("qpu", Phase.QUEUED)
    async with stack(backends={"qpu": qpu}, strategy=table(tmp_path, ALWAYS)) as service:
        job = await service.qurable.submit(BELL, shots=10, backend="qpu")
        asked = await question(job)
        await service.qurable.approve(job.id, by="grace", reason="go")
        await asyncio.wait_for(qpu.queued.wait(), 30)
        await service.database.write(_forget, job.id)
        qpu.script(Phase.RUNNING, Phase.DONE)
        async with asyncio.timeout(60):
            report = await job.result()

    (kept,) = report.approvals
    assert (kept.question.route, decision(kept).by) == (asked.route, "grace")
    assert service.journal.steps(job.id).count("prepare") == 2
    assert service.journal.steps(job.id).count("decide-0") == 1
    assert report.state is State.COMPLETED
    assert len(qpu.submitted) == 1


def _forget(connection: Connection, job_id: str) -> None:
    """As a backup from before the job would."""
    for rows in (schema.stages, schema.events, schema.submissions, schema.approvals):
        connection.execute(delete(rows).where(rows.c.job_id == job_id))
    connection.execute(delete(schema.jobs).where(schema.jobs.c.id == job_id))
