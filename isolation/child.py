"""The child's side: take a task, set its limits, run it, send what it emits and returns."""

import contextlib
import importlib
import math
import os
import resource
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isolation.wire import ChildEnd
from qurable.errors import HybridError

Emit = Callable[[Any], None]
Task = Callable[[Any, Emit], Any]
"""A task takes plain data and a function that sends plain data ahead of its result."""

_PAGE = resource.getpagesize()
_OPEN_FILES = 64
_TASK_MODULES = ("circuits.", "isolation.", "backends.", "fallback.", "emulator.", "tests.")


def serve(connection: socket.socket) -> None:
    """Run tasks until the worker hangs up."""
    _harden()
    wire = ChildEnd(connection)
    while True:
        try:
            request = wire.receive()
        except EOFError:
            return
        wire.send(_answer(request, lambda event: wire.send(["event", event])))


def _harden() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    with contextlib.suppress(OSError):  # not allowed in some containers; the limits still hold
        Path("/proc/self/oom_score_adj").write_text("800", encoding="ascii")


def _answer(request: Any, emit: Emit) -> list[Any]:
    task, payload, memory_bytes, cpu_seconds = request
    with _limited(memory_bytes, cpu_seconds):
        try:
            return ["done", _resolve(task)(payload, emit), _resident_bytes()]
        except HybridError as error:
            return ["error", error.code, error.message, _plain(error.details)]
        except MemoryError:
            return ["memory"]
        except BaseException as error:  # noqa: BLE001  Rust panics are no `Exception`
            return ["defect", type(error).__name__, str(error)[:2000], traceback.format_exc()[-4000:]]


def _resolve(task: str) -> Task:
    if not task.startswith(_TASK_MODULES):
        raise ValueError(f"{task!r} is not a task of this project")
    module, _, name = task.partition(":")
    function: Task = getattr(importlib.import_module(module), name)
    return function


@contextlib.contextmanager
def _limited(memory_bytes: int, cpu_seconds: float | None) -> Any:
    """Bound address space and processor time for one task; the soft limits come back after it."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space_bytes() + memory_bytes, before[1]))
    if cpu_seconds is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        bound = math.ceil(used.ru_utime + used.ru_stime + cpu_seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (bound, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _address_space_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * _PAGE


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE


def _plain(details: Any) -> dict[str, Any]:
    return {
        str(name): value
        for name, value in dict(details).items()
        if isinstance(value, str | int | float | bool | list | None)
    }


def crash(payload: Any, _emit: Emit) -> Any:
    """A task for tests: die in the way the payload names."""
    match payload:
        case ["exit", code]:
            os._exit(code)
        case ["signal", number]:
            os.kill(os.getpid(), number)
        case ["allocate", size]:
            return len(bytearray(size))
        case ["spin"]:
            while True:
                pass
    return payload
