"""Faults, per route, before and after a request was carried out."""

import asyncio

import pytest
import requests

from tests.chaos.harness import until
from tests.emulator.running import Api


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("mode", ["status", "drop", "body"])
async def test_an_answer_is_lost_before_or_after_the_job_was_accepted(
    api: Api, mode: str, *, after: bool
) -> None:
    """The one costs nothing; the other is a job that its client does not know of."""
    await api.control.fault("POST /jobs", mode, after=after, status=504, body="<html>")

    if mode == "drop":
        with pytest.raises(requests.ConnectionError):
            await api.post_job()
    else:
        lost = await api.post_job()
        assert (lost.status_code, lost.text[:6]) in {(504, '{"erro'), (200, "<html>")}
    listed = (await api.get("/jobs"))["count"]
    assert listed == int(after)
    assert (await api.post_job()).status_code == 200


async def test_a_fault_strikes_its_route_so_many_times(api: Api) -> None:
    """And no other."""
    await api.control.fault(
        "GET /jobs/{id}/metrics", "status", status=429, times=2, headers={"Retry-After": "7"}
    )
    job = await api.submit()

    answers = [await api.call("GET", f"/jobs/{job}/metrics") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert (await api.call("GET", f"/jobs/{job}")).status_code == 200


async def test_a_fault_may_strike_by_chance_the_same_each_time(api: Api) -> None:
    """A seed is a month of weather that can be had again."""

    async def struck() -> list[bool]:
        await api.control.clear()
        await api.control.fault("GET /jobs", "status", times=None, probability=0.5, seed=3)
        return [not (await api.call("GET", "/jobs")).ok for _ in range(20)]

    first = await struck()
    assert first == await struck()
    assert 3 < sum(first) < 17


async def test_a_hanging_request_hangs(api: Api) -> None:
    """So long that a client with a read timeout gives up."""
    await api.control.fault("GET /jobs", "hang", seconds=60, times=None)
    await api.log_in()

    with pytest.raises(requests.ReadTimeout):
        await api.call("GET", "/jobs", timeout=0.2)


async def test_pages_may_lie(api: Api) -> None:
    """A client that trusts the count asks for ever."""
    await api.control.settings(hold=True)
    jobs = [await api.submit() for _ in range(2)]
    await api.control.fault("GET /jobs", "duplicate_pages", times=2)

    first, second = await api.get("/jobs?limit=1"), await api.get("/jobs?limit=1&offset=1")
    assert first["jobs"] == second["jobs"]
    assert first["count"] > 2
    for job in jobs:
        await api.call("POST", f"/jobs/{job}/cancel")


async def test_a_result_may_come_in_half(api: Api) -> None:
    """As valid HTTP."""
    job = await api.submit()
    await api.finished(job)
    await api.control.fault("GET /jobs/{id}/results", "truncate")

    half, whole = [(await api.call("GET", f"/jobs/{job}/results")).text for _ in range(2)]
    assert whole.startswith(half)
    assert len(half) == len(whole) // 2


async def test_an_outage_ends_by_the_clock(api: Api) -> None:
    """Of everything, IAM too; jobs go on behind it."""
    await api.log_in()
    await api.control.fault(".*", "outage", seconds=600)

    assert {(await api.call("GET", path)).status_code for path in ("/jobs", "/backends")} == {503}
    assert (await api.log_in()).status_code == 503
    await api.control.advance(600)
    assert (await api.log_in()).status_code == 200
    assert (await api.call("GET", "/jobs")).status_code == 200


async def test_an_outage_may_be_of_one_device(api: Api) -> None:
    """A request that names it, in its path or body, is not served, nor is one that is about a job on it."""
    there, elsewhere = await api.submit(backend="ibm_torino"), await api.submit(backend="ibm_kyiv")
    await api.control.fault(".*", "outage", seconds=600, device="ibm_torino")

    assert (await api.call("GET", "/backends/ibm_torino/status")).status_code == 503
    assert (await api.post_job(backend="ibm_torino")).status_code == 503
    assert (await api.call("GET", f"/jobs/{there}")).status_code == 503
    assert (await api.call("GET", f"/jobs/{elsewhere}")).status_code == 200
    assert (await api.call("GET", "/backends/ibm_kyiv/status")).status_code == 200


@pytest.mark.parametrize("after", [False, True])
async def test_a_request_is_held_at_a_named_place(api: Api, *, after: bool) -> None:
    """Where a test kills somebody, it waits for them to be exactly there."""
    await api.control.fault("POST /jobs", "hold", after=after)
    posting = asyncio.create_task(api.post_job())

    held = await api.control.until_held()
    assert held["place"] == f"POST /jobs {'after' if after else 'before'} accept"
    assert (await api.get("/jobs"))["count"] == int(after)
    assert not posting.done()
    await api.control.release()
    assert (await posting).status_code == 200
    assert await api.control.held() == []


async def test_what_is_held_goes_on_although_its_client_is_gone(api: Api) -> None:
    """The job of a client that was killed after its request had left is accepted all the same."""
    await api.log_in()
    await api.control.fault("POST /jobs", "hold")
    with pytest.raises(requests.ReadTimeout):
        await api.call("POST", "/jobs", api.job, timeout=0.2)

    await api.control.until_held()
    await api.control.release()

    async def accepted() -> bool:
        return bool((await api.get("/jobs"))["count"] == 1)

    await until("the job is accepted", accepted)


@pytest.mark.parametrize(
    "fault",
    [
        {"mode": "locusts"},
        {"mode": "drop", "route": "GET /jobs/("},
        {"mode": "status", "status": 200},
        {"mode": "drop", "often": 3},
    ],
)
async def test_a_fault_that_is_none_is_refused(api: Api, fault: dict[str, object]) -> None:
    """A chaos test whose fault never struck would prove nothing."""
    with pytest.raises(AssertionError, match="no such fault"):
        await api.control.call("POST", "/faults", fault)
