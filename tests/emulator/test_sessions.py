"""Sessions and batches by the emulator's clock."""

import pytest

from tests.emulator.running import Api

DEVICE = "ibm_kyiv"
"""No other test leaves jobs on it."""


async def opened(api: Api, mode: str = "dedicated", **fields: object) -> str:
    """Id of a session that was opened."""
    answer = await api.call("POST", "/sessions", {"backend": DEVICE, "mode": mode, **fields})
    assert answer.ok, answer.text
    return str(answer.json()["id"])


async def test_a_session_has_the_device_to_itself_and_is_billed_its_active_time(api: Api) -> None:
    """Also where it idles: a crash must not hold one open."""
    await api.control.settings(hold=True)
    session = await opened(api)
    first = await api.submit(backend=DEVICE, session_id=session)
    outside = await api.submit(backend=DEVICE)
    second = await api.submit(backend=DEVICE, session_id=session)
    await api.computed(first, outside, second)
    await api.control.settings(hold=False)
    await api.control.advance(30)

    assert (await api.get(f"/sessions/{session}"))["state"] == "active"
    assert [(await api.control.job(job))["status"] for job in (first, second)] == ["Completed"] * 2
    assert (await api.control.job(outside))["status"] == "Queued"
    await api.control.advance(60)
    idle = await api.get(f"/sessions/{session}")
    jobs = [await api.control.job(job) for job in (first, second, outside)]
    assert (idle["state"], idle["accepting_jobs"]) == ("inactive", True)
    assert jobs[2]["started"] == idle["timestamps"][-1]["timestamp"]
    assert idle["elapsed_time"] == pytest.approx(
        60 + jobs[0]["qpu_seconds"] + jobs[1]["qpu_seconds"], abs=0.01
    )
    assert [job["billed_seconds"] for job in jobs[:2]] == [0, 0]
    await api.call("DELETE", f"/sessions/{session}/close")


async def test_a_closed_session_lets_its_jobs_end_and_takes_no_more(api: Api) -> None:
    """PATCH closes, DELETE cancels."""
    await api.control.settings(hold=True)
    session = await opened(api)
    job = await api.submit(backend=DEVICE, session_id=session)
    closing = await api.call("PATCH", f"/sessions/{session}", {"accepting_jobs": False})

    refused = await api.post_job(backend=DEVICE, session_id=session)
    assert closing.status_code == 204
    assert refused.status_code == 409
    assert (await api.get(f"/sessions/{session}"))["state"] == "open"
    await api.control.settings(hold=False)
    await api.finished(job)
    ended = await api.get(f"/sessions/{session}")
    assert (ended["state"], ended["closed_at"]) == ("closed", ended["last_job_completed"])
    assert (await api.control.job(job))["status"] == "Completed"


async def test_cancelling_a_session_cancels_its_jobs(api: Api) -> None:
    """Those that run too."""
    await api.control.settings(run_factor=1000)
    session = await opened(api)
    jobs = [await api.submit(backend=DEVICE, session_id=session) for _ in range(2)]
    await api.control.advance(10)
    await api.call("DELETE", f"/sessions/{session}/close")

    assert [(await api.control.job(job))["status"] for job in jobs] == ["Cancelled"] * 2
    assert (await api.get(f"/sessions/{session}"))["state"] == "closed"


async def test_a_session_that_lived_its_longest_is_closed(api: Api) -> None:
    """From its first job; what runs ends, what waits does not start."""
    await api.control.settings(run_factor=30, hold=True)
    session = await opened(api, max_ttl=100)
    jobs = [await api.submit(backend=DEVICE, session_id=session) for _ in range(3)]
    await api.computed(*jobs)
    await api.control.settings(hold=False)
    await api.control.advance(1000)

    found = [await api.control.job(job) for job in jobs]
    assert [job["status"] for job in found] == ["Completed", "Completed", "Failed"]
    assert (await api.get(f"/sessions/{session}"))["closed_at"] == found[1]["finished"]
    assert (await api.post_job(backend=DEVICE, session_id=session)).status_code == 409


async def test_a_batch_is_billed_by_its_jobs(api: Api) -> None:
    """And does not keep the device from others."""
    await api.control.settings(hold=True)
    batch = await opened(api, "batch")
    outside = await api.submit(backend=DEVICE)
    inside = await api.submit(backend=DEVICE, session_id=batch)
    await api.computed(outside, inside)
    await api.control.settings(hold=False)
    await api.control.advance(30)

    jobs = [await api.control.job(job) for job in (inside, outside)]
    usage = (await api.get(f"/sessions/{batch}"))["elapsed_time"]
    assert [job["status"] for job in jobs] == ["Completed"] * 2
    assert usage == pytest.approx(jobs[0]["billed_seconds"], abs=0.001)
    assert jobs[0]["billed_seconds"] == pytest.approx(jobs[0]["qpu_seconds"])
    await api.call("DELETE", f"/sessions/{batch}/close")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"session_id": "s-unknown"}, 404),
        ({"session_id": 7}, 400),
        ({"start_session": True}, 400),
    ],
)
async def test_a_job_of_no_session_is_refused(api: Api, fields: dict[str, object], status: int) -> None:
    """By name, before anything is paid."""
    assert (await api.post_job(**fields)).status_code == status


@pytest.mark.parametrize(
    "fields", [{"mode": "eternal"}, {"max_ttl": 0}, {"max_ttl": 10**6}, {"backend": None}, {"max_ttl": True}]
)
async def test_a_session_that_cannot_be_is_refused(api: Api, fields: dict[str, object]) -> None:
    """As IBM does, with a code."""
    refused = await api.call("POST", "/sessions", {"backend": DEVICE, "mode": "batch", **fields})

    assert refused.status_code == 400
    assert refused.json()["error"]["code"] > 0
