"""The three calls in that microservice's documentation, against what `make up` runs."""

import json
import shutil
import subprocess
import time
from typing import Any

import requests

from tests.circuits_at_hand import BELL


def curl(*arguments: str) -> tuple[int, Any]:
    """Status and document of a call, by curl where it is installed."""
    if shutil.which("curl") is None:
        return _without_curl(*arguments)
    ended = subprocess.run(
        ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    body, _, status = ended.stdout.rpartition("\n")
    return int(status), json.loads(body)


def _without_curl(*arguments: str) -> tuple[int, Any]:
    *options, url = arguments
    with requests.Session() as session:
        if not options:
            answer = session.get(url, timeout=60)
        else:
            headers = {"Content-Type": "application/json"}
            answer = session.post(url, data=options[-1], headers=headers, timeout=60)
        return answer.status_code, answer.json()


def test_health_a_circuit_and_its_result(make_up: str) -> None:
    """Its clients change the address and nothing else."""
    health = curl(f"{make_up}/health")
    sent = curl(
        "-X", "POST", "-H", "Content-Type: application/json",
        "-d", json.dumps({"quantum_circuit": BELL, "shots": 1024}), f"{make_up}/tasks",
    )  # fmt: skip
    task = _completed(f"{make_up}/tasks/{sent[1]['task_id']}")

    assert health == (200, {"status": "healthy", "services": {"nats": True, "redis": True}})
    assert sent == (201, {"task_id": sent[1]["task_id"], "status": "pending"})
    assert set(task["result"]) == {"00", "11"}
    assert sum(task["result"].values()) == 1024


def _completed(url: str) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status, task = curl(url)
        assert status == 200
        if task["status"] == "completed":
            return task
        time.sleep(0.05)
    raise TimeoutError(f"{url} is still {task['status']}")
