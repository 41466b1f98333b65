"""Limits, tokens, devices that take no jobs: what a client is refused, and how."""

import socket
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.emulator.running import Api

MINUTE = 60


async def test_five_jobs_a_minute_per_user(api: Api) -> None:
    """By the emulator's clock; of others nobody is kept."""
    await api.control.settings(hold=True, submissions_per_minute=5)
    other = Api(api.emulator, api.job, api.instance)
    answers = [await api.post_job() for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= MINUTE
    assert answers[-1].json()["error"]["message"]
    assert (await other.post_job()).status_code == 200
    await api.control.advance(MINUTE)
    assert (await api.post_job()).status_code == 200
    for job in (await api.get("/jobs"))["jobs"]:
        await api.call("POST", f"/jobs/{job['id']}/cancel")


async def test_an_instance_that_used_up_its_time_takes_no_jobs(api: Api) -> None:
    """The client sees it in the usage before it asks."""
    job = await api.submit()
    await api.finished(job)
    await api.control.settings(usage_limit_seconds=1)

    refused = await api.post_job()
    usage = await api.get("/instances/usage")
    assert refused.status_code == 409
    assert (usage["usage_limit_seconds"], usage["usage_limit_reached"]) == (1, True)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"backend": "ibm_brisban"}, 404),
        ({"backend": None}, 400),
        ({"program_id": "noise-learner"}, 404),
        ({"params": []}, 400),
        ({"tags": ["t"] * 9}, 400),
        ({"tags": ["t" * 100]}, 400),
        ({"tags": "t"}, 400),
        ({"cost": 0}, 400),
        ({"cost": 20_000}, 400),
        ({"calibration_id": "99"}, 404),
    ],
)
async def test_a_job_that_cannot_be_is_refused(api: Api, fields: dict[str, object], status: int) -> None:
    """With IBM's error body, and nothing is kept."""
    refused = await api.post_job(**fields)

    assert refused.status_code == status
    assert refused.json()["errors"][0]["code"] == refused.json()["error"]["code"]
    assert (await api.get("/jobs"))["count"] == 0


@pytest.mark.parametrize("body", ["", "{", "[]", "[" * 100_000])
async def test_a_body_that_is_no_object_is_refused(api: Api, body: str) -> None:
    """Whatever the depth."""
    refused = await api.call("POST", "/jobs", data=body)

    assert refused.status_code == 400


async def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    """Before it is read to its end."""
    await api.control.settings(max_body_bytes=1000)

    assert (await api.post_job(padding="x" * 2000)).status_code == 413


async def test_half_a_body_is_no_job(api: Api) -> None:
    """A client that dies while it sends has submitted nothing, and disturbs nobody."""
    await api.control.forget_log()
    with socket.create_connection(("127.0.0.1", api.emulator.port)) as dying:
        dying.sendall(b"POST /experimental/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")

    assert (await api.get("/jobs"))["count"] == 0
    assert "Traceback" not in api.emulator.printed()


async def test_a_job_of_too_many_executions_is_refused(api: Api) -> None:
    """Counted after broadcasting, before anything is paid."""
    await api.control.settings(max_executions=99)

    refused = await api.post_job()
    assert refused.status_code == 400
    assert "100 executions" in refused.text


async def test_a_token_may_be_revoked_and_a_key_unknown(api: Api) -> None:
    """401, as IBM; a bare key is no token."""
    await api.log_in()
    await api.control.tokens(revoke=True)
    assert (await api.call("GET", "/jobs")).status_code == 401
    await api.control.tokens(revoke=False)
    assert (await api.call("GET", "/jobs")).status_code == 200
    bare = await api.call("GET", "/jobs", headers={"Authorization": "apikey emulator"})
    await api.control.tokens(accept=["another"])

    assert bare.status_code == 401
    assert (await api.log_in()).status_code == 400


async def test_a_forged_token_is_refused(api: Api) -> None:
    """Only what was signed here is a token."""
    forged = await api.call("GET", "/jobs", headers={"Authorization": "Bearer e30.e30.e30"})

    assert forged.status_code == 401


async def test_an_instance_of_another_account_is_refused(api: Api) -> None:
    """With the emulator's own in the message."""
    refused = await api.call("GET", "/jobs", headers={"Service-CRN": "crn:v1:of:somebody:else::"})

    assert refused.status_code == 403
    assert "a/emulator" in refused.text


@pytest.mark.parametrize(
    ("status", "operational", "shown", "accepted"),
    [
        ("active", True, "active", 200),
        ("internal", True, "internal", 200),
        ("paused", True, "paused", 200),
        ("maintenance", False, "maintenance", 200),
        ("offline", False, "offline", 403),
        ("reserved", True, "dedicated", 403),
    ],
)
async def test_a_device_says_how_it_stands(
    api: Api,
    status: str,
    operational: bool,
    shown: str,
    accepted: int,
) -> None:
    """In the list, in its status, and when it is sent a job; a job that it took waits."""
    await api.control.device("ibm_osaka", status=status, reason="a reason", queue_length=3)
    answer = await api.get("/backends/ibm_osaka/status")
    posted = await api.post_job(backend="ibm_osaka")

    assert (answer["state"], answer["status"], answer["message"]) == (operational, shown, "a reason")
    assert answer["length_queue"] == 3
    assert posted.status_code == accepted
    assert posted.ok or "a reason" in posted.text
    listed = {device["name"]: device for device in (await api.get("/backends"))["devices"]}
    assert (listed["ibm_osaka"]["status"]["name"] == "online") == (
        status in ("active", "internal", "reserved")
    )
    if accepted == 200:
        await api.call("POST", f"/jobs/{posted.json()['id']}/cancel")


async def test_a_device_comes_back_by_the_clock(api: Api) -> None:
    """And runs what waited, not before."""
    now = datetime.fromisoformat((await api.control.state())["clock"]["now"])
    back = now + timedelta(hours=1)
    await api.control.device("ibm_quebec", status="maintenance", until=back.isoformat())
    job = await api.submit(backend="ibm_quebec")
    await api.computed(job)
    assert (await api.control.job(job))["status"] == "Queued"
    await api.control.advance(7200)

    found = await api.control.job(job)
    assert found["status"] == "Completed"
    assert datetime.fromisoformat(found["started"]) == back
    assert (await api.get("/backends/ibm_quebec/status"))["status"] == "active"


async def test_a_calibration_changes_the_properties_at_its_time(api: Api) -> None:
    """What was before can still be asked for."""
    now = (await api.control.state())["clock"]["now"]
    before = await api.get("/backends/ibm_lima/properties")
    await api.control.device("ibm_lima", calibrate_at=now)
    after = await api.get("/backends/ibm_lima/properties")

    def error(properties: dict[str, object]) -> object:
        return properties["qubits"][0][4]["value"]  # type: ignore[index]

    assert after["last_update_date"] == now
    assert error(after) != error(before)
    assert await api.get("/backends/ibm_lima/properties?updated_before=2026-01-01T00:00:00%2B00:00") == before
    assert await api.get("/backends/ibm_lima/properties?calibration_id=0") == before
    assert await api.get("/backends/ibm_lima/properties?updated_before=1999-01-01") == {}
    job = await api.submit(backend="ibm_lima")
    assert (await api.finished(job))["status"] == "Completed"


async def test_a_device_may_go_bad(api: Api) -> None:
    """Its next calibration finds errors that no circuit survives; times of decay are what they were."""

    def errors(properties: dict[str, Any]) -> list[float]:
        parameters = [value for gate in properties["gates"] for value in gate["parameters"]]
        return [value["value"] for value in parameters if value["name"] == "gate_error" and value["value"]]

    before = await api.get("/backends/ibm_quito/properties")
    now = (await api.control.state())["clock"]["now"]
    await api.control.device("ibm_quito", error_factor=1e6, calibrate_at=now)
    bad = await api.get("/backends/ibm_quito/properties")
    await api.control.device("ibm_quito", error_factor=1)
    good = await api.get("/backends/ibm_quito/properties")

    assert max(errors(before)) < 0.1
    assert set(errors(bad)) == {0.5}
    assert max(errors(good)) < 0.1
    assert bad["qubits"][0][0] == good["qubits"][0][0]


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/settings", {"holds": True}),
        ("/settings", {"run_factor": 0}),
        ("/clock", {"advance_seconds": -1}),
        ("/clock", {"at": "yesterday"}),
        ("/clock", {"speed": "fast"}),
        ("/clock", {}),
        ("/devices/ibm_brisbane", {"status": "asleep"}),
        ("/devices/ibm_brisbane", {"queue_length": -1}),
        ("/devices/ibm_brisbane", {"colour": "blue"}),
        ("/devices/ibm_nowhere", {}),
        ("/jobs/d0", {}),
        ("/tokens", {"steal": True}),
    ],
)
async def test_what_cannot_be_set_is_refused(api: Api, path: str, document: dict[str, object]) -> None:
    """A test that mistypes a setting would test nothing."""
    with pytest.raises(AssertionError, match=r": 40[04] "):
        await api.control.call("PATCH" if path == "/settings" else "POST", path, document)


async def test_the_log_has_bodies_and_no_secrets(api: Api) -> None:
    """So that a canary test can look for what should not have left the house."""
    await api.control.settings(hold=True)
    await api.log_in()
    job = await api.submit(tags=["canary"])
    await api.call("POST", f"/jobs/{job}/cancel")
    log = await api.control.log()

    assert [entry["path"] for entry in log if "canary" in entry["body"]] == ["/experimental/jobs"]
    assert {entry["headers"].get("authorization") for entry in log} == {None, "Bearer"}
    assert api.key not in str(log)
    await api.control.forget_log()
    assert await api.control.log() == []
