"""`qurable emulate` as a program."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emulator.command import ADDRESS_FILE, announced, running
from emulator.serving import INSTANCE
from qurable.cli.app import app
from tests.architecture.imports import ROOT
from tests.chaos.harness import until
from tests.emulator.running import Control

QURABLE = Path(sys.executable).parent / "qurable"


def emulate(home: Path, *options: str) -> "subprocess.Popen[str]":
    """The command, on a free port."""
    return subprocess.Popen(
        [str(QURABLE), "emulate", "--port", "0", *options],
        cwd=ROOT,
        env={**os.environ, "QURABLE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_says_where_it_is_and_ends_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    """In words, as JSON, and in a file for others of this data folder, which is gone when it is."""
    options = ("--queue", "600", "--json") if number is signal.SIGINT else ()
    process = emulate(tmp_path, *options)
    try:
        found = await until("it answers", lambda: running(tmp_path))
        url = str(found["url"])
        devices = (await Control(url).state())["devices"]
    finally:
        process.send_signal(number)
        printed, complaints = process.communicate(timeout=30)

    assert (process.returncode, complaints) == (0, "")
    assert found == {"url": url, "instance": INSTANCE, "pid": process.pid}
    assert not (tmp_path / ADDRESS_FILE).exists()
    assert (tmp_path / "emulator" / "jobs.db").exists()
    if number is signal.SIGINT:
        assert json.loads(printed)["environment"]["QISKIT_IBM_URL"] == f"{url}/experimental"
        assert {device["queue_length"] for device in devices} == {20}
    else:
        assert f"export IAM_URL={url}\n" in printed
        assert f"export QISKIT_IBM_INSTANCE={INSTANCE}\n" in printed


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--port", "99999"], "port 99999"),
        (["--speed", "-1"], "--speed -1"),
        (["--queue", "-1"], "--queue -1"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(tmp_path: Path, options: list[str], named: str) -> None:
    """One sentence, and the code of bad usage."""
    process = emulate(tmp_path, *options)
    _, complaint = process.communicate(timeout=30)

    assert process.returncode == 2
    assert named in complaint
    assert "Traceback" not in complaint


def test_the_client_alone_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel has the command, and no emulator."""
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: ())

    ended = CliRunner().invoke(app, ["emulate"])

    assert ended.exit_code == 5
    assert "install the application" in ended.output


def test_a_stale_address_is_none(tmp_path: Path) -> None:
    """A killed emulator leaves its file; the next one takes it over."""
    stale = {"url": "http://127.0.0.1:9", "instance": INSTANCE, "pid": 1}
    (tmp_path / ADDRESS_FILE).write_text(json.dumps(stale), encoding="utf-8")

    assert running(tmp_path) is None
    with announced(tmp_path, "http://127.0.0.1:10"):
        assert json.loads((tmp_path / ADDRESS_FILE).read_text(encoding="utf-8"))["pid"] == os.getpid()
    assert not (tmp_path / ADDRESS_FILE).exists()
