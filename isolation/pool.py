"""A warm pool of children for tasks that could hang, swell or crash.

One `Nursery` per worker process holds the zygote; pools share it. A child runs one task at a time and is
kept warm for the next; it is killed when its task is cancelled, runs over time or leaves it swollen.
"""

import asyncio
import contextlib
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import msgpack

from isolation import wire
from isolation.limits import MIB, Limits, cause_of_death
from qurable.contracts.errors import ErrorDocument
from qurable.errors import ChildCrashed, InternalError, OutOfMemory, OutOfTime, from_document

OnEvent = Callable[[Any], Awaitable[None]]

_MAX_TASKS = 1000
_MAX_RESIDENT_BYTES = 768 * MIB
_START_SECONDS = 60.0
_LAST_WORDS_BYTES = 16 * 1024

_KEPT_ENVIRONMENT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "COVERAGE_PROCESS_START",
)
_CHILD_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # a fork copies no threads, and Aer brings its own
    "OMP_WAIT_POLICY": "passive",  # idle OpenMP threads of one child must not spin on another's core
    "MALLOC_ARENA_MAX": "2",  # arenas count as address space
    "QISKIT_PARALLEL": "FALSE",
    "PYTHONWARNINGS": "ignore",
}


@dataclass
class _Child:
    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    last_words: int
    exited: "asyncio.Future[int]"
    tasks: int = 0
    heard: int = 0

    def begin(self) -> None:
        """What was printed before this task is none of its last words."""
        self.heard = os.fstat(self.last_words).st_size

    def last_words_text(self) -> str:
        size = os.fstat(self.last_words).st_size
        start = max(self.heard, size - _LAST_WORDS_BYTES)
        return os.pread(self.last_words, _LAST_WORDS_BYTES, start).decode(errors="replace")

    def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            os.close(self.last_words)
            self.last_words = -1


@dataclass
class _Zygote:
    process: "subprocess.Popen[bytes]"
    control: socket.socket
    ready: "asyncio.Future[None]"
    forked: dict[int, "asyncio.Future[tuple[int, asyncio.Future[int]]]"] = field(default_factory=dict)
    exits: dict[int, "asyncio.Future[int]"] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        return self.control.fileno() >= 0


class Nursery:
    """Owns the zygote: starts it when first asked, and again if it dies.

    Args:
        preload: Modules that its children need beyond those all children have.
        environment: Variables that its children see beyond the few all children have, such as credentials.
    """

    def __init__(self, preload: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> None:
        self._preload = tuple(preload)
        self._environment = dict(environment or {})
        self._zygote: _Zygote | None = None
        self._starting = asyncio.Lock()
        self._tokens = itertools.count()

    async def start(self) -> None:
        """Start the zygote and wait until Qiskit is loaded in it."""
        await self._running()

    async def fork(self) -> _Child:
        """A fresh child.

        Raises:
            ChildCrashed: The zygote died, or does not answer.
        """
        zygote = await self._running()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        last_words = os.memfd_create("qurable-last-words")
        try:
            pid, exited = await self._ask_for_child(zygote, theirs, last_words)
            ours.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:  # a cancelled one too leaves nothing open; the child ends when it finds nobody
            ours.close()
            os.close(last_words)
            raise
        return _Child(pid, reader, writer, last_words, exited)

    async def _ask_for_child(
        self, zygote: _Zygote, connection: socket.socket, last_words: int
    ) -> "tuple[int, asyncio.Future[int]]":
        """Its process id, and the future that gets its exit code."""
        token = next(self._tokens)
        forked: asyncio.Future[tuple[int, asyncio.Future[int]]] = asyncio.get_running_loop().create_future()
        zygote.forked[token] = forked
        try:
            with connection:
                message = msgpack.packb(["fork", token])
                socket.send_fds(zygote.control, [message], [connection.fileno(), last_words])
            async with asyncio.timeout(_START_SECONDS):
                return await forked
        except (OSError, ChildCrashed):
            raise ChildCrashed("no child process could be started", status=0) from None
        finally:
            del zygote.forked[token]

    def kill(self, child: _Child) -> None:
        """Kill a child; the zygote, which reaps it, does so and so never hits a reused id."""
        child.close()
        if self._zygote is not None and self._zygote.alive:
            with contextlib.suppress(OSError):
                self._zygote.control.send(msgpack.packb(["kill", child.pid]))

    async def close(self) -> None:
        """Let the zygote go; the kernel kills its children with it."""
        if self._zygote is not None:
            zygote, self._zygote = self._zygote, None
            self._forget(zygote)

    async def __aenter__(self) -> Self:
        """Let the zygote load Qiskit while the rest of the worker starts."""
        self._zygote = self._launch()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _running(self) -> _Zygote:
        async with self._starting:
            if self._zygote is None or not self._zygote.alive:
                self._zygote = self._launch()
            zygote = self._zygote
        try:
            async with asyncio.timeout(_START_SECONDS):  # `wait_for` may swallow a cancellation
                await asyncio.shield(zygote.ready)
        except TimeoutError:
            self._forget(zygote)
            raise ChildCrashed("the process that starts children does not answer", status=0) from None
        return zygote

    def _launch(self) -> _Zygote:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            [sys.executable, "-m", "isolation.zygote", str(theirs.fileno()), *self._preload],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment
            | self._environment
            | _CHILD_ENVIRONMENT
            | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        theirs.close()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        zygote = _Zygote(process, ours, loop.create_future())
        loop.add_reader(ours, self._hear, zygote)
        return zygote

    def _hear(self, zygote: _Zygote) -> None:
        try:
            data = zygote.control.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._forget(zygote)
            return
        match msgpack.unpackb(data):
            case ["ready"]:
                if not zygote.ready.done():
                    zygote.ready.set_result(None)
            case ["forked", token, pid]:
                if token in zygote.forked and not zygote.forked[token].done():
                    # Here, since its end may be told before whoever asked for it comes to listen.
                    zygote.exits[pid] = asyncio.get_running_loop().create_future()
                    zygote.forked[token].set_result((pid, zygote.exits[pid]))
                else:  # nobody waits any more
                    zygote.control.send(msgpack.packb(["kill", pid]))
            case ["exited", pid, status]:
                exited = zygote.exits.pop(pid, None)
                if exited is not None and not exited.done():
                    exited.set_result(status)

    def _forget(self, zygote: _Zygote) -> None:
        """Have done with a zygote; the kernel kills its children with it."""
        if zygote.alive:
            asyncio.get_running_loop().remove_reader(zygote.control)
            zygote.control.close()
            zygote.process.kill()
            zygote.process.wait()
        gone = ChildCrashed("the process that starts children died", status=0)
        waiters: list[asyncio.Future[Any]] = [zygote.ready, *zygote.forked.values()]
        for waiting in waiters:
            if not waiting.done():
                waiting.set_exception(gone)
                waiting.exception()  # seen, so that nobody complains when nobody waits
        for exited in zygote.exits.values():
            if not exited.done():
                exited.set_result(0)


class ChildPool:
    """At most `size` tasks at a time, each in a child of its own.

    Args:
        nursery: Where children come from.
        size: Tasks that may run at once; more wait in order.
    """

    def __init__(self, nursery: Nursery, size: int) -> None:
        self.size = size
        self._nursery = nursery
        self._slots = asyncio.Semaphore(size)
        self._idle: list[_Child] = []

    async def call(
        self,
        task: str,
        payload: Any,
        limits: Limits,
        on_event: OnEvent | None = None,
        *,
        what: str = "",
        fresh: bool = False,
    ) -> Any:
        """Run a task in a child and return its result.

        Args:
            task: `module:function`, an `isolation.child.Task`.
            payload: Plain data: None, booleans, numbers, text, bytes, lists, mappings.
            limits: Bounds of this task.
            on_event: Awaited for everything the task emits, in order.
            what: What the task does, for messages; the function's name otherwise.
            fresh: Whether it gets a child that ran nothing before and runs nothing after it.

        Raises:
            HybridError: What the task raised, or OutOfMemory, OutOfTime or ChildCrashed where the child died.
            InternalError: The task raised something that is not of the error tree.
        """
        what = what or task.partition(":")[2].replace("_", " ")
        async with self._slots:
            child = (None if fresh else self._warm()) or await self._nursery.fork()
            healthy = False
            try:
                async with asyncio.timeout(limits.wall_seconds):
                    answer = await self._converse(child, task, payload, limits, on_event, what)
                healthy = answer[0] in ("done", "error")
            except TimeoutError:
                raise OutOfTime(
                    f"{what} passed its limit of {limits.wall_seconds:g} s", limit_seconds=limits.wall_seconds
                ) from None
            finally:
                if healthy and not fresh and self._worth_keeping(child, answer):
                    self._idle.append(child)
                else:
                    self._nursery.kill(child)
        return _result(answer, limits, what)

    async def __aenter__(self) -> Self:
        """The pool itself; children are forked when tasks come."""
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._idle:
            self._nursery.kill(self._idle.pop())

    def _warm(self) -> _Child | None:
        """A child that waits for work; those that died waiting, as with their zygote, are let go."""
        while self._idle:
            child = self._idle.pop()
            if not child.exited.done():
                return child
            child.close()
        return None

    async def _converse(
        self, child: _Child, task: str, payload: Any, limits: Limits, on_event: OnEvent | None, what: str
    ) -> list[Any]:
        child.begin()
        try:
            await wire.send(child.writer, [task, payload, limits.memory_bytes, limits.cpu_seconds])
            while True:
                message: list[Any] = await wire.receive(child.reader)
                if message[0] != "event":
                    return message
                if on_event is not None:
                    await on_event(message[1])
        except (EOFError, ConnectionError):
            status = await child.exited
            raise cause_of_death(what, status, child.last_words_text(), limits) from None

    def _worth_keeping(self, child: _Child, answer: list[Any]) -> bool:
        child.tasks += 1
        resident = answer[2] if answer[0] == "done" else 0
        return child.tasks < _MAX_TASKS and resident < _MAX_RESIDENT_BYTES


def _result(answer: list[Any], limits: Limits, what: str) -> Any:
    match answer:
        case ["done", value, _]:
            return value
        case ["error", code, message, details]:
            raise from_document(ErrorDocument(code=code, message=message, details=details))
        case ["memory"]:
            raise OutOfMemory(
                f"{what} needed more than its {limits.memory_bytes / MIB:,.0f} MiB of memory",
                limit_bytes=limits.memory_bytes,
            )
        case ["defect", name, message, trace]:
            raise InternalError(f"{what} failed with {name}: {message}", trace=trace)
    raise InternalError(f"{what} answered {answer!r:.200}")
