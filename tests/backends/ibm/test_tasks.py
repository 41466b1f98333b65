"""What each task tells, and that it tells what the provider says and not what the client makes of it."""

import asyncio
import io
import json
from typing import Any

import numpy as np
import pytest

from qurable.contracts.executions import Phase, ProviderFacts
from qurable.contracts.ibm import Generation
from qurable.errors import (
    CancelledElsewhere,
    ExecutionFailed,
    HybridError,
    JobLost,
    OutOfTime,
    ResultRefused,
    TargetClosed,
    TargetSaturated,
    TargetUnavailable,
    UsageExhausted,
)
from tests.backends.ibm.driving import DEVICE, Driver


async def _look(driver: Driver, *names: str) -> list[ProviderFacts]:
    return [ProviderFacts.model_validate_json(one) for one in await driver.ask("look", ids=list(names))]


async def _find(driver: Driver, tag: str, **how: Any) -> list[ProviderFacts]:
    found = await driver.ask("find", **({"tag": tag, "limit": 20} | how))
    return [ProviderFacts.model_validate_json(one) for one in found]


async def test_the_user_is_told_without_being_named(driver: Driver) -> None:
    """Rate limits are counted per user; a digest is enough for that."""
    found = await driver.ask("user")

    assert len(found["user"]) == 16
    assert int(found["user"], 16) >= 0
    assert found["instance"].startswith("crn:")
    assert found["usage"]["limit_seconds"] == 36_000
    assert found["usage"]["reached"] is False
    assert (await driver.ask("user"))["user"] == found["user"]


@pytest.mark.parametrize("generation", Generation)
async def test_a_job_goes_from_the_submission_to_its_pieces(driver: Driver, generation: Generation) -> None:
    """Submitted, found by its tag, looked at, and its result fetched as often as one likes."""
    tag = f"whole-{generation}"
    job = await driver.post(tag, generation)
    assert [facts.id for facts in await _find(driver, tag)] == [job]
    await driver.finish(job)

    facts = (await _look(driver, job))[0]
    pieces = await driver.fetch(job)

    assert facts.phase is Phase.DONE
    assert facts.tags == (tag,)
    assert facts.created is not None
    assert facts.started is not None
    assert facts.finished is not None
    assert facts.created < facts.started < facts.finished
    assert facts.qpu_seconds is not None
    assert [(piece["pub"], piece["start"], piece["stop"]) for piece in pieces] == [(0, 0, 1)]
    bits = np.load(io.BytesIO(pieces[0]["data"]))["bits"]
    assert bits.shape == (1, 100, 1)
    assert {0, 3} & set(np.unique(bits))  # both bits of a Bell pair agree, but for the device's noise
    again = await driver.fetch(job)
    assert np.array_equal(np.load(io.BytesIO(again[0]["data"]))["bits"], bits)


async def test_running_is_not_on_the_qpu(driver: Driver) -> None:
    """The provider calls a job running that it only prepares; the run limit starts on the QPU."""
    control = driver.emulator.control
    await control.settings(prepare_seconds=100_000, run_factor=1e6)
    job = await driver.post("preparing")

    preparing = (await _look(driver, job))[0]
    await control.advance(100_001)
    running = (await _look(driver, job))[0]
    await control.settings(prepare_seconds=2, run_factor=1)
    await driver.ask("cancel", id=job)

    assert (preparing.status, preparing.phase) == ("Running", Phase.QUEUED)
    assert (running.status, running.phase) == ("Running", Phase.RUNNING)


async def test_a_job_that_is_gone_is_lost_in_its_place(driver: Driver) -> None:
    """The order of the answers is that of the ids."""
    job = await driver.post("here")

    found = await _look(driver, "gone", job)

    assert [(facts.id, facts.phase) for facts in found] == [("gone", Phase.LOST), (job, found[1].phase)]
    assert found[1].phase is not Phase.LOST


@pytest.mark.parametrize(
    ("changes", "phase", "kind"),
    [
        ({"status": "Failed", "reason": "broken fridge", "reason_code": 8000}, Phase.FAILED, ExecutionFailed),
        ({"status": "Cancelled", "reason": "Ran too long", "reason_code": 1305}, Phase.FAILED, OutOfTime),
        ({"status": "Cancelled", "reason": "by hand"}, Phase.CANCELLED, CancelledElsewhere),
        ({"vanish": True}, Phase.LOST, JobLost),
    ],
)
async def test_how_a_job_ended_is_told_with_the_reason(
    driver: Driver, changes: dict[str, Any], phase: Phase, kind: type[HybridError]
) -> None:
    """The client hides reason and code, and calls a job that ran too long cancelled."""
    job = await driver.post("ended")
    await driver.emulator.control.set_job(job, **changes)

    facts = (await _look(driver, job))[0]
    error = await driver.refused("fetch", **driver.fetching(job))

    assert facts.phase is phase
    assert facts.reason == changes.get("reason", "")
    assert facts.reason_code == str(changes.get("reason_code", ""))
    assert type(error) is kind
    assert changes.get("reason", "") in error.message


async def test_metrics_that_cannot_be_read_do_not_hide_the_job(driver: Driver) -> None:
    """Its own document says whether it is done."""
    job = await driver.post("unmeasured")
    await driver.finish(job)
    await driver.emulator.control.fault("GET /jobs/{id}/metrics", "status", status=500)

    facts = (await _look(driver, job))[0]

    assert facts.phase is Phase.DONE
    assert facts.qpu_seconds is None


_BODIES: list[tuple[str, dict[str, Any], type[HybridError]]] = [
    ("nothing", {"mode": "body", "body": ""}, ResultRefused),
    ("text", {"mode": "body", "body": "not json"}, ResultRefused),
    ("mapping", {"mode": "body", "body": "{}"}, ResultRefused),
    ("list", {"mode": "body", "body": "[1, 2]"}, ResultRefused),
    ("half", {"mode": "truncate"}, ResultRefused),
    ("broken", {"mode": "body", "body": '{"__type__": "ndarray", "__value__": "AAAA"}'}, ResultRefused),
    ("gone", {"mode": "status", "status": 404}, TargetUnavailable),
    ("fast", {"mode": "status", "status": 429}, TargetSaturated),
    ("error", {"mode": "status", "status": 500}, TargetUnavailable),
    ("drop", {"mode": "drop"}, TargetUnavailable),
    ("hold", {"mode": "hold"}, TargetUnavailable),
]


@pytest.mark.parametrize("generation", Generation)
async def test_what_is_no_result_is_never_taken_for_one(driver: Driver, generation: Generation) -> None:
    """The client hands over None, text or a list without a word; and nothing is emitted before all is checked."""
    control = driver.emulator.control
    job = await driver.post("spoilt", generation)
    await driver.finish(job)

    for name, fault, kind in _BODIES:
        await control.fault("GET /jobs/{id}/results", **fault)
        error = await driver.refused("fetch", **driver.fetching(job), read_seconds=1.0)

        assert type(error) is kind, name
        assert driver.pieces == []
        await control.clear()
    assert len(await driver.fetch(job)) == 1


async def test_a_result_that_is_too_large_is_refused(driver: Driver) -> None:
    """Before it fills the child's memory."""
    job = await driver.post("large")
    await driver.finish(job)
    await driver.emulator.control.fault("GET /jobs/{id}/results", "body", body="x" * 100_000)

    error = await driver.refused("fetch", **driver.fetching(job), max_body_bytes=50_000)

    assert isinstance(error, ResultRefused)
    assert "larger than" in error.message


async def test_a_search_believes_neither_counts_nor_pages(driver: Driver) -> None:
    """Where the count is wrong, the client's own search asks for ever."""
    jobs = [await driver.post("many") for _ in range(3)]
    await driver.emulator.control.fault("GET /jobs", "duplicate_pages", times=None)

    assert [facts.id for facts in await _find(driver, "many")] == jobs
    assert [facts.id for facts in await _find(driver, "many", limit=2)] == jobs[:2]
    assert len([line for line in await driver.emulator.control.log() if line["path"].endswith("/jobs")]) < 12


async def test_a_job_without_the_tag_is_not_found_by_it(driver: Driver) -> None:
    """A service that ignored the filter would have us adopt a stranger's job."""
    strange = {
        "id": "dstrange",
        "state": {"status": "Queued"},
        "tags": ["theirs"],
        "created": "2026-01-01T00:00:00Z",
    }
    ours = strange | {"id": "dours", "tags": ["ours"]}
    body = json.dumps({"jobs": [strange, ours, ours], "count": 99})
    await driver.emulator.control.fault("GET /jobs", "body", body=body)

    assert [facts.id for facts in await _find(driver, "ours")] == ["dours"]


@pytest.mark.parametrize("body", ["{}", "[]", '{"jobs": null}', "nothing"])
async def test_a_search_that_is_not_answered_found_nobody(driver: Driver, body: str) -> None:
    """«None found» would have a second job submitted."""
    await driver.emulator.control.fault("GET /jobs", "body", body=body)

    assert isinstance(await driver.refused("find", tag="x", limit=5), TargetUnavailable)


async def test_only_jobs_that_have_not_ended_where_those_are_asked_for(driver: Driver) -> None:
    """Stray jobs are worth cancelling only while they wait."""
    ended, waiting = await driver.post("stray"), await driver.post("stray")
    await driver.emulator.control.set_job(ended, status="Cancelled")

    assert [facts.id for facts in await _find(driver, "stray", pending=True)] == [waiting]


async def test_a_cancelled_job_is_cancelled_at_the_provider(driver: Driver) -> None:
    """The client marks it cancelled by itself; here the provider is asked again."""
    await driver.emulator.control.settings(hold=True)
    job = await driver.post("cancel")

    told = ProviderFacts.model_validate_json(await driver.ask("cancel", id=job))

    assert told.phase is Phase.CANCELLED
    assert (await driver.emulator.control.job(job))["status"] == "Cancelled"
    assert ProviderFacts.model_validate_json(await driver.ask("cancel", id=job)).phase is Phase.CANCELLED
    assert ProviderFacts.model_validate_json(await driver.ask("cancel", id="gone")).phase is Phase.LOST


async def test_a_job_that_ended_before_the_cancellation_is_told_as_it_ended(driver: Driver) -> None:
    """It ended between the look and the cancellation: its result is paid for, and kept."""
    control = driver.emulator.control
    job = await driver.post("race")
    await control.fault("POST /jobs/{id}/cancel", "hold")

    async def end() -> None:
        await control.until_held()
        await driver.finish(job)
        await control.release()

    async with asyncio.TaskGroup() as both:
        told = both.create_task(driver.ask("cancel", id=job, read_seconds=20.0))
        both.create_task(end())

    assert ProviderFacts.model_validate_json(told.result()).phase is Phase.DONE


@pytest.mark.parametrize(("after", "status"), [(True, 500), (False, 500), (False, 403)])
async def test_a_cancellation_without_an_answer_is_looked_up(
    driver: Driver, after: bool, status: int
) -> None:
    """Carried out, it is told so; not carried out, it failed."""
    await driver.emulator.control.settings(hold=True)
    job = await driver.post("unanswered")
    await driver.emulator.control.fault("POST /jobs/{id}/cancel", "status", status=status, after=after)

    if after:
        assert ProviderFacts.model_validate_json(await driver.ask("cancel", id=job)).phase is Phase.CANCELLED
    else:
        error = await driver.refused("cancel", id=job)
        assert error.retry_here is (status == 500)
    await driver.ask("cancel", id=job)


async def test_nothing_is_sent_to_a_device_that_is_closed(driver: Driver) -> None:
    """The client warns, and the job would lie there."""
    await driver.emulator.control.device(DEVICE, status="maintenance")

    error = await driver.refused("post", **driver.posting("closed"))
    await driver.emulator.control.device(DEVICE, status="active")

    assert isinstance(error, TargetClosed)
    assert error.details["sent"] is False
    assert await driver.submissions() == 0


async def test_nothing_is_sent_once_the_allowance_is_used_up(driver: Driver) -> None:
    """The client warns, and the job would lie there."""
    await driver.emulator.control.settings(usage_limit_seconds=0)

    error = await driver.refused("post", **driver.posting("poor"))

    assert isinstance(error, UsageExhausted)
    assert error.details["sent"] is False
    assert (await driver.ask("user"))["usage"]["reached"] is True
    assert await driver.submissions() == 0
