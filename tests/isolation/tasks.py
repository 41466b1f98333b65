"""Tasks that children run in these tests."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from isolation.child import Emit
from qurable.errors import JobTooLarge


def echo(payload: Any, emit: Emit) -> Any:
    """Emit each item of the payload, then return the payload."""
    for item in payload if isinstance(payload, list) else []:
        emit(item)
    return payload


def whoami(_payload: Any, _emit: Emit) -> Any:
    """The process that runs it."""
    return os.getpid()


def environment(_payload: Any, _emit: Emit) -> Any:
    """What a hostile circuit would find in its process's environment, and open."""
    return {"variables": dict(os.environ), "descriptors": [_target(link) for link in _descriptors()]}


def _descriptors() -> list[Path]:
    return sorted(Path("/proc/self/fd").iterdir(), key=lambda link: int(link.name))


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # the listing's own
        return ""


def mark_then_wait(folder: str, _emit: Emit) -> Any:
    """Say that it runs by a file with its process id, and never end."""
    partial = Path(folder) / f".{os.getpid()}"
    partial.touch()
    partial.rename(Path(folder) / str(os.getpid()))
    while True:
        time.sleep(60)


def wait_for_file(path: str, _emit: Emit) -> Any:
    """End once a file is there."""
    while not Path(path).exists():
        time.sleep(0.005)
    return os.getpid()


def refuse(_payload: Any, _emit: Emit) -> Any:
    raise JobTooLarge("circuit 'wide' needs 9 qubits", needed=9, limit=5)


def fail(_payload: Any, _emit: Emit) -> Any:
    raise LookupError("nothing of the tree")


def panic(_payload: Any, _emit: Emit) -> Any:
    """As a Rust extension's panic: an exception that is no `Exception`."""
    raise _PanicError("called `Option::unwrap()` on a `None` value")


class _PanicError(BaseException):
    pass


def say_and_die(payload: Any, _emit: Emit) -> Any:
    """Print last words and leave by a signal."""
    words, number = payload
    print(words, file=sys.stderr, flush=True)
    os.kill(os.getpid(), number)


def mutter(words: str, _emit: Emit) -> Any:
    """Print and end well."""
    print(words, file=sys.stderr, flush=True)
    return os.getpid()


def swell(mebibytes: int, _emit: Emit) -> Any:
    """Keep memory after the end of the task."""
    _kept.append(bytearray(os.urandom(2**20) * mebibytes))
    return os.getpid()


_kept: list[bytearray] = []
