"""What `make up` runs: the three calls in that microservice's documentation, and a clean end."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.gateway.conftest import press_ctrl_c, up

# On one line and measured bit by bit, as in that documentation.
PAIR = (
    'OPENQASM 3.0; include "stdgates.inc"; qubit[2] pair; bit[2] out; h pair[0]; cx pair[0],pair[1]; '
    "out[0] = measure pair[0]; out[1] = measure pair[1];"
)


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
    sent = _send_pair(make_up, shots=1024)
    task = _completed(f"{make_up}/tasks/{sent[1]['task_id']}")

    assert health == (200, {"status": "healthy", "services": {"nats": True, "redis": True}})
    assert sent == (201, {"task_id": sent[1]["task_id"], "status": "pending"})
    assert set(task["result"]) == {"00", "11"}
    assert sum(task["result"].values()) == 1024


def _send_pair(base: str, *, shots: int) -> tuple[int, Any]:
    return curl(
        "-X", "POST", "-H", "Content-Type: application/json",
        "-d", json.dumps({"quantum_circuit": PAIR, "shots": shots}), f"{base}/tasks",
    )  # fmt: skip


def _completed(url: str) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status, task = curl(url)
        assert status == 200
        if task["status"] == "completed":
            return task
        time.sleep(0.05)
    raise TimeoutError(f"{url} is still {task['status']}")


def test_ctrl_c_leaves_nothing_running_and_nothing_lost(tmp_path: Path) -> None:
    """Server, worker, its children and the gateway go; the next start still knows the task."""
    with up(tmp_path) as (base, process):
        _, sent = _send_pair(base, shots=16)
        task = _completed(f"{base}/tasks/{sent['task_id']}")
        family = _family(process.pid)
        code = press_ctrl_c(process)
        left = _left_of(family)
    with up(tmp_path) as (base, _):
        again = curl(f"{base}/tasks/{sent['task_id']}")

    assert code == 0, (tmp_path / "output.txt").read_text()
    for program in ("starter.py", "gateway.app", "start-dev", "isolation.zygote"):
        assert any(program in command for command in family.values()), program
    assert left == {}
    assert again == (200, task)


@pytest.mark.long
def test_a_kill_leaves_no_gateway_in_the_way_of_the_next_start(tmp_path: Path) -> None:
    """Its port is free again, and the next start takes over what the server still holds."""
    with up(tmp_path) as (_, process):
        family = _family(process.pid)
        process.kill()
        process.wait()
        gateways = _left_of({pid: line for pid, line in family.items() if "gateway.app" in line})
    with up(tmp_path) as (base, process):
        _, sent = _send_pair(base, shots=16)
        task = _completed(f"{base}/tasks/{sent['task_id']}")
        code = press_ctrl_c(process)
        left = _left_of(family)

    assert gateways == {}
    assert task["status"] == "completed"
    assert code == 0
    assert left == {}


def _family(pid: int) -> dict[int, str]:
    """Command lines of a process and all that descend from it."""
    parents = {other: parent for other in _pids() if (parent := _parent(other)) is not None}
    found = {pid}
    while more := {other for other, parent in parents.items() if parent in found} - found:
        found |= more
    return {other: _command(other) for other in found}


def _left_of(family: dict[int, str]) -> dict[int, str]:
    """Those that still run after a while."""
    deadline = time.monotonic() + 30
    while True:
        left = {pid: command for pid, command in family.items() if command and _command(pid) == command}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def _pids() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _command(pid: int) -> str:
    """Empty for one that has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
