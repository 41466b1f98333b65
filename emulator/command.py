"""`qurable emulate`: run the emulator until Ctrl-C."""

import contextlib
import json
import os
import shlex
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from emulator.app import EmulatorServer, environment
from emulator.clock import MAX_SPEED
from emulator.serving import INSTANCE
from qurable.errors import RequestRejected
from qurable.home import data_home, made
from qurable.temporal.run_main import run_main

ADDRESS_FILE = "emulator.json"
_LOOK_SECONDS = 2.0


def emulate(
    *, port: int, home: Path | None, speed: float | None, queue: float | None, json_output: bool
) -> None:
    """Run the emulator until it is told to stop.

    Args:
        port: Of loopback; 0 takes a free one.
        home: Where jobs are kept; `emulator` in the data folder by default.
        speed: Seconds of its clock per real second.
        queue: Seconds that a job waits behind other people's on every device.
        json_output: Print one JSON document on standard output, not text.

    Raises:
        RequestRejected: Another emulator has the folder, or somebody the port; or a value cannot be.
    """
    if speed is not None and not 0 <= speed <= MAX_SPEED:
        raise RequestRejected(f"--speed {speed:g} must lie between 0 and {MAX_SPEED:,.0f}")
    if queue is not None and not 0 <= queue < float("inf"):
        raise RequestRejected(f"--queue {queue:g} must be a number of seconds from 0")
    run_main(_run(port, home, speed, queue, json_output=json_output))


async def _run(
    port: int, home: Path | None, speed: float | None, queue: float | None, *, json_output: bool
) -> None:
    server = EmulatorServer(home or data_home() / "emulator", port, speed)
    if queue is not None:
        server.queue_everywhere(queue)
    with announced(data_home(), server.url):
        variables = environment(server.url, INSTANCE)
        if json_output:
            document = {"url": server.url, "instance": INSTANCE, "environment": variables}
            print(json.dumps(document), flush=True)  # noqa: T201  what the command prints
        else:
            print(_text(server.url, variables), flush=True)  # noqa: T201  as above
        await server.run_until_stopped()


@contextlib.contextmanager
def announced(home: Path, url: str) -> Iterator[None]:
    """Write `emulator.json` for as long as the emulator runs: url, instance, pid.

    Another emulator's file that answers is left alone.
    """
    file = made(home) / ADDRESS_FILE
    mine = {"url": url, "instance": INSTANCE, "pid": os.getpid()}
    if running(home) is None:
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(mine), encoding="utf-8")
        fresh.replace(file)
    try:
        yield
    finally:
        if _read(file) == mine:
            file.unlink(missing_ok=True)


def running(home: Path) -> dict[str, object] | None:
    """What `emulator.json` says of an emulator that answers; None where there is none, or it is gone."""
    found = _read(home / ADDRESS_FILE)
    if found is None:
        return None
    try:
        with urllib.request.urlopen(f"{found['url']}/control/held", timeout=_LOOK_SECONDS):  # noqa: S310  our own file
            return found
    except (OSError, ValueError, KeyError):
        return None


def _read(file: Path) -> dict[str, object] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _text(url: str, variables: dict[str, str]) -> str:
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
    return f"""\
IBM Runtime, emulated: {url}
Nothing that is sent here reaches IBM, and nothing is paid. The page shows queues, bills and faults.

In another shell:

{exports}

Ctrl-C ends it; jobs stay, and go on when it is started again."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `python -m emulator`."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m emulator", description="Emulate IBM Runtime on loopback."
    )
    parser.add_argument("--port", type=int, default=8917, help="of 127.0.0.1; 0 takes a free one")
    parser.add_argument(
        "--home", type=Path, help="folder of its jobs; `emulator` in the data folder by default"
    )
    parser.add_argument("--speed", type=float, help="seconds of its clock per real second")
    parser.add_argument("--queue", type=float, help="seconds that every job waits behind other people's")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args(arguments)
    try:
        emulate(
            port=chosen.port,
            home=chosen.home,
            speed=chosen.speed,
            queue=chosen.queue,
            json_output=chosen.json,
        )
    except RequestRejected as error:
        print(f"emulator: {error.message}", file=sys.stderr)  # noqa: T201  a line for whoever started it
        raise SystemExit(2) from None
