"""`qurable rehearse` from a shell: nothing of the user's is used, and nothing is left behind."""

import json
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from qurable.cli.app import app
from tests.chaos.harness import family, is_alive, until
from tests.circuits_at_hand import BELL
from tests.cli.shell import PROGRAM, Ended, environment, run, started
from tests.emulator.running import EmulatorProcess

FAIR: dict[str, Any] = {
    "days": 2,
    "queue_median_minutes": 30,
    "queue_spread": 0,
    "by_hour": [1] * 24,
    "by_weekday": [1] * 7,
    "maintenance_windows": 0,
    "outages": 0,
    "server_errors": 0,
    "rate_limits": 0,
    "dropped_before": 0,
    "dropped_after": 0,
    "slow_tag_share": 0,
    "calibration_hours": 0,
}
"""Two days without a cloud: every wait is half an hour."""


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """What the command sees; its data folder and its temporary folder are looked into afterwards."""
    (tmp_path / "bell.qasm").write_text(BELL, encoding="ascii")
    for folder in ("home", "temporary"):
        (tmp_path / folder).mkdir()
    return environment(tmp_path / "home", None) | {
        "TMPDIR": str(tmp_path / "temporary"),
        "QURABLE_ADMISSION_FOLDER": str(tmp_path / "admission"),
    }


def weather(folder: Path, **changes: Any) -> str:
    """A file with a profile."""
    file = folder / "month.json"
    file.write_text(json.dumps(FAIR | changes), encoding="utf-8")
    return str(file)


async def rehearsed(shell: dict[str, str], folder: Path, *options: str) -> Ended:
    """Rehearse the Bell pair; nothing may be left of it."""
    ended = await run(shell, "rehearse", str(folder / "bell.qasm"), *options)
    assert list((folder / "temporary").iterdir()) == []
    assert list((folder / "home").iterdir()) == []
    return ended


@pytest.fixture
async def account(tmp_path: Path) -> AsyncIterator[EmulatorProcess]:
    """Stands for the user's own account at IBM."""
    process = EmulatorProcess(tmp_path / "account")
    process.start()
    try:
        await process.ready()
        yield process
    finally:
        process.kill()


@pytest.mark.long
async def test_a_month_is_played_beside_the_users_account(
    shell: dict[str, str], tmp_path: Path, account: EmulatorProcess
) -> None:
    """The wait, the price and who answered are found; the account in the environment is never asked anything."""
    options = ("--backend", "ibm:manila", "--shots", "100", "--runs", "2", "--weather", weather(tmp_path))
    ended = await rehearsed(
        shell | account.environment | {"QURABLE_IBM_ACCOUNTS": '{"default": {}}'},
        tmp_path,
        *options,
        "--json",
    )

    assert ended.code == 0, ended.err
    found = ended.document
    assert [round(entry["finish_seconds"] / 60) for entry in found["runs"]] == [30, 30]
    assert found["served_by"] == {"ibm:manila": 2}
    assert found["failures"] == {}
    assert found["duplicates"]["jobs"] == 0
    assert all(entry["provider_jobs"] == 1 for entry in found["runs"])
    assert all(entry["price"] == pytest.approx(1.6 * entry["qpu_seconds"]) for entry in found["runs"])
    assert 0 < found["price"]["min"] <= found["price"]["max"] < 10
    assert len(re.findall(r"^run \d of 2 .*: answered after ", ended.err, re.MULTILINE)) == 2
    assert await account.control.log() == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"queue_median_minutes": 600}, "QueueLimitReached"),
        ({"maintenance_windows": 40, "maintenance_hours": [48, 48]}, "TargetClosed"),
        ({"outages": 40, "outage_minutes": [2880, 2880]}, "TargetUnavailable"),
    ],
)
async def test_bad_weather_ends_a_job_as_it_would_in_earnest(
    shell: dict[str, str], tmp_path: Path, changes: dict[str, Any], error: str
) -> None:
    """A queue longer than the job's own limit, which is compressed with it; maintenance; a service that is down."""
    job = {"kind": "sample", "pubs": [{"circuit": BELL, "shots": 10}], "limits": {"queue": 7200}}
    (tmp_path / "job.json").write_text(json.dumps(job), encoding="utf-8")
    options = ("--backend", "ibm:manila", "--runs", "1", "--weather", weather(tmp_path, **changes))

    ended = await run(shell, "rehearse", str(tmp_path / "job.json"), *options)

    assert ended.code == 0, ended.err
    assert re.search(rf"^failures  {error} 1$", ended.out, re.MULTILINE), ended.out
    assert re.search(r"^price     min 0\.00, ", ended.out, re.MULTILINE)
    assert "served by nobody" in ended.out


@pytest.mark.long
async def test_ctrl_c_leaves_no_process_and_no_file(shell: dict[str, str], tmp_path: Path) -> None:
    """Whatever it was doing."""
    options = ("--backend", "ibm:manila", "--runs", "50", "--weather", weather(tmp_path))
    async with started(shell, PROGRAM, "rehearse", tmp_path / "bell.qasm", *options) as running:
        await running.says(r"^run 1 of 50 ")
        everybody = set(family(running.process.pid))
        os.kill(running.process.pid, signal.SIGINT)
        ended = await running.ended()

    assert ended.code == 130
    assert "Traceback" not in ended.err
    assert len(everybody) > 3
    await until("everybody is gone", lambda: not any(map(is_alive, everybody)))
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--runs", "0"), "--runs 0 must lie between 1 and 1000"),
        (("--backend", "aer"), "nothing to rehearse on 'aer'"),
        (("--weather", "none.json"), "--weather 'none.json' cannot be read"),
        (("--backend", "ibm:manilla", "--runs", "1"), "did you mean 'ibm_manila'"),
    ],
)
async def test_what_cannot_be_rehearsed_is_said_in_a_sentence(
    shell: dict[str, str], tmp_path: Path, options: tuple[str, ...], named: str
) -> None:
    """With the exit code of refused input."""
    ended = await rehearsed(shell, tmp_path, *options)

    assert ended.code == 2
    assert named in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.long
async def test_a_circuit_that_cannot_be_read_ends_the_rehearsal_at_once(
    shell: dict[str, str], tmp_path: Path
) -> None:
    """It would fail in any weather."""
    (tmp_path / "bell.qasm").write_text(BELL.replace("cx q", "cy2 q"), encoding="ascii")

    ended = await rehearsed(shell, tmp_path, "--backend", "ibm:manila", "--weather", weather(tmp_path))

    assert ended.code == 2
    assert "line 6, column 1" in ended.err
    assert "run 1 of" not in ended.err


def test_a_wheel_alone_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The client has the command; what plays the month comes with the application."""
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: ())

    ended = CliRunner().invoke(app, ["rehearse", str(tmp_path / "bell.qasm")])

    assert ended.exit_code == 5
    assert "`qurable rehearse` needs more: install the application" in ended.stderr
