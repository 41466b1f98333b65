"""The life of a job by the emulator's clock, and what it costs."""

import pytest

from tests.chaos.harness import until
from tests.emulator.running import Api


async def test_a_job_waits_prepares_runs_and_ends_by_the_clock(api: Api) -> None:
    """The status Running is not the QPU: metrics tell when that begins."""
    await api.control.settings(prepare_seconds=100, usage_lag_seconds=50)
    await api.control.device("ibm_brisbane", queue_length=10)
    job = await api.submit()
    await api.control.device("ibm_brisbane", queue_length=0)
    await api.computed(job)

    queued = await api.get(f"/jobs/{job}/metrics")
    assert (await api.get(f"/jobs/{job}"))["state"] == {"status": "Queued"}
    assert queued["position_in_queue"] == 11
    assert queued["estimated_start_time"] > queued["timestamps"]["created"]
    await api.control.advance(310)
    assert (await api.get(f"/jobs/{job}"))["state"] == {"status": "Running"}
    assert (await api.get(f"/jobs/{job}/metrics"))["timestamps"]["running"] is None
    assert (await api.call("GET", f"/jobs/{job}/results")).status_code == 204
    await api.control.advance(100)
    ended = await api.get(f"/jobs/{job}/metrics")
    assert (await api.get(f"/jobs/{job}"))["state"] == {"status": "Completed"}
    assert ended["timestamps"]["finished"] > ended["timestamps"]["running"]
    assert ended["usage"]["status"] == "pending"
    await api.control.advance(50)

    usage = (await api.get(f"/jobs/{job}/metrics"))["usage"]
    found = await api.control.job(job)
    assert usage == {"status": "complete", "qpu_charge_time_seconds": round(found["billed_seconds"], 3)}
    assert found["price"] == pytest.approx(found["billed_seconds"] * 1.6)
    assert (await api.get("/instances/usage"))["usage_consumed_seconds"] == usage["qpu_charge_time_seconds"]


async def test_a_duplicate_has_a_seed_and_a_bill_of_its_own(api: Api) -> None:
    """Else nobody could tell which of two jobs a result is of."""
    jobs = [await api.submit(), await api.submit()]
    await api.computed(*jobs)
    await api.control.advance(60)

    one, other = [await api.control.job(job) for job in jobs]
    estimate = (await api.get(f"/jobs/{jobs[0]}"))["estimated_running_time_seconds"]
    results = [(await api.call("GET", f"/jobs/{job}/results")).text for job in jobs]
    again = (await api.call("GET", f"/jobs/{jobs[0]}/results")).text
    assert one["seed"] != other["seed"]
    assert one["billed_seconds"] != other["billed_seconds"]
    assert all(abs(job["billed_seconds"] / estimate - 1) <= 0.031 for job in (one, other))
    assert results[0] != results[1]
    assert results[0] == again


async def test_what_is_cancelled_before_it_started_costs_nothing(api: Api) -> None:
    """And afterwards, what ran."""
    await api.control.settings(hold=True, run_factor=100)
    waiting, running = await api.submit(), await api.submit()
    assert (await api.call("POST", f"/jobs/{waiting}/cancel")).status_code == 204
    await api.control.settings(hold=False)
    await api.control.advance(20)
    assert (await api.call("POST", f"/jobs/{running}/cancel")).status_code == 204

    again = await api.call("POST", f"/jobs/{running}/cancel")
    bills = [(await api.control.job(job))["billed_seconds"] for job in (waiting, running)]
    assert bills[0] == 0
    assert 20 <= bills[1] < 60
    assert (again.status_code, again.json()["error"]["code"]) == (409, 1302)


async def test_a_job_that_runs_too_long_is_cut_off_and_billed_its_maximum(api: Api) -> None:
    """The client knows this by the number 1305."""
    await api.control.settings(run_factor=50)
    job = await api.submit(cost=7)
    await api.control.advance(8)

    state = (await api.get(f"/jobs/{job}"))["state"]
    assert (state["status"], state["reason_code"]) == ("Cancelled", 1305)
    assert (await api.control.job(job))["billed_seconds"] == pytest.approx(7)


async def test_a_job_that_cannot_be_emulated_is_refused_before_it_is_paid(api: Api) -> None:
    """Never a silent noiseless answer, and never a bill for none."""
    refused = await api.post_job(params={"pubs": [["no circuit"]], "version": 2})

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["message"]
    assert (await api.get("/jobs"))["count"] == 0


async def test_private_results_are_read_once(api: Api) -> None:
    """Which is why nobody who may run twice should ask for them."""
    job = await api.submit(private=True)
    await api.finished(job)

    first = await api.call("GET", f"/jobs/{job}/results")
    second = await api.call("GET", f"/jobs/{job}/results")
    assert (first.status_code, second.status_code) == (200, 404)
    assert (await api.get(f"/jobs/{job}"))["params"] == {}


async def test_searches_by_tag_see_a_job_when_the_index_does(api: Api) -> None:
    """By its id it is there at once."""
    await api.control.settings(tag_lag_seconds=30)
    job = await api.submit(tags=["ours", "7"])

    assert (await api.get("/jobs?tags=ours"))["jobs"] == []
    assert (await api.get(f"/jobs/{job}"))["tags"] == ["ours", "7"]
    assert (await api.get("/jobs"))["count"] == 1
    await api.control.advance(30)
    assert [found["id"] for found in (await api.get("/jobs?tags=ours&tags=7"))["jobs"]] == [job]
    assert (await api.get("/jobs?tags=ours&tags=8"))["count"] == 0


async def test_lists_are_filtered_sorted_and_paged(api: Api) -> None:
    """As the client asks for them."""
    await api.control.settings(hold=True)
    jobs = [await api.submit(), await api.submit(backend="ibm_kyiv"), await api.submit()]
    await api.call("POST", f"/jobs/{jobs[0]}/cancel")

    async def listed(query: str) -> list[str]:
        return [found["id"] for found in (await api.get(f"/jobs?{query}"))["jobs"]]

    middle = (await api.get(f"/jobs/{jobs[1]}"))["created"]
    assert await listed("") == jobs[::-1]
    assert await listed("sort=ASC&limit=1&offset=1") == [jobs[1]]
    assert await listed("pending=true&sort=ASC") == jobs[1:]
    assert await listed("pending=false") == jobs[:1]
    assert await listed("backend=ibm_kyiv") == [jobs[1]]
    assert await listed("program=estimator") == []
    assert await listed(f"created_after={middle}&sort=ASC") == jobs[1:]
    assert await listed(f"created_before={middle}&sort=ASC") == jobs[:2]
    for query in ("limit=x", "created_after=never"):
        assert (await api.call("GET", f"/jobs?{query}")).status_code == 400
    for job in jobs[1:]:
        await api.call("POST", f"/jobs/{job}/cancel")


async def test_a_job_of_another_instance_is_not_there(api: Api) -> None:
    """Neither by its id nor in a list."""
    await api.control.settings(hold=True)
    job = await api.submit()
    mine = api.instance
    api.instance = mine.replace("::", "0::")

    assert (await api.call("GET", f"/jobs/{job}")).status_code == 404
    assert (await api.get("/jobs"))["count"] == 0
    api.instance = mine
    assert (await api.call("DELETE", f"/jobs/{job}")).status_code == 204
    assert (await api.call("GET", f"/jobs/{job}")).status_code == 404


async def test_a_device_runs_one_job_at_a_time_and_a_day_passes_at_once(api: Api) -> None:
    """In the order of acceptance, however far the clock is put."""
    await api.control.settings(hold=True, run_factor=300)
    jobs = [await api.submit() for _ in range(3)]
    await api.computed(*jobs)
    await api.control.settings(hold=False)
    await api.control.advance(86400)

    found = [await api.control.job(job) for job in jobs]
    assert [job["status"] for job in found] == ["Completed"] * 3
    assert [job["started"] for job in found[1:]] == [job["finished"] for job in found[:-1]]


async def test_nobody_overtakes_a_job_that_waits(api: Api) -> None:
    """Also where the queue of others was longer when it came."""
    await api.control.device("ibm_kyiv", queue_length=100)
    first = await api.submit(backend="ibm_kyiv")
    await api.control.device("ibm_kyiv", queue_length=0)
    second = await api.submit(backend="ibm_kyiv")
    await api.computed(first, second)
    await api.control.advance(2900)

    assert [(await api.control.job(job))["status"] for job in (first, second)] == ["Queued"] * 2
    await api.control.advance(200)
    jobs = [await api.control.job(job) for job in (first, second)]
    assert jobs[1]["started"] == jobs[0]["finished"]


async def test_the_provider_may_end_a_job_or_lose_it(api: Api) -> None:
    """What clients meet on bad days, at the moment of a test's choice."""
    await api.control.settings(hold=True)
    failed, strange, lost = await api.submit(), await api.submit(), await api.submit()
    await api.control.set_job(failed, status="Failed", reason="internal", reason_code=8000)
    await api.control.set_job(strange, status="Weird")
    await api.control.set_job(lost, vanish=True)

    assert (await api.get(f"/jobs/{failed}"))["state"] == {
        "status": "Failed",
        "reason": "internal",
        "reason_code": 8000,
    }
    assert (await api.call("GET", f"/jobs/{failed}/results")).text == "internal"
    assert (await api.get(f"/jobs/{strange}"))["state"]["status"] == "Weird"
    assert (await api.call("GET", f"/jobs/{lost}")).status_code == 404
    await api.control.set_job(strange, status="Cancelled")


async def test_workloads_list_jobs_and_sessions(api: Api) -> None:
    """The client can ask for them, though none of its own functions does yet."""
    await api.control.settings(hold=True)
    job = await api.submit(tags=["w"])
    session = (await api.call("POST", "/sessions", {"backend": "ibm_brisbane", "mode": "batch"})).json()["id"]

    first = await api.get("/workloads?limit=1")
    second = await api.get(f"/workloads?limit=1&next={first['next']}")
    assert [page["workloads"][0]["id"] for page in (first, second)] == [session, job]
    assert (await api.get("/workloads?mode=job&tags=w&status=queued"))["total_count"] == 1
    assert (await api.get(f"/workloads?search={session}"))["workloads"][0]["mode"] == "batch"
    await api.call("DELETE", f"/sessions/{session}/close")
    await api.call("POST", f"/jobs/{job}/cancel")


async def test_logs_are_there_when_the_job_has_ended(api: Api) -> None:
    """Until then there are none, which the client takes for empty."""
    await api.control.settings(hold=True)
    job = await api.submit()
    early = await api.call("GET", f"/jobs/{job}/logs")
    await api.call("POST", f"/jobs/{job}/cancel")

    assert early.status_code == 404
    assert "cancelled" in (await api.call("GET", f"/jobs/{job}/logs")).text


async def test_real_time_is_enough(api: Api) -> None:
    """Nothing has to put the clock forward."""
    await api.control.settings(speed=100)
    job = await api.submit()

    async def completed() -> bool:
        return bool((await api.get(f"/jobs/{job}"))["state"]["status"] == "Completed")

    await until("the job is completed", completed)
