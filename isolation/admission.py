"""The machine's memory, shared out in bytes among all workers on it, so that jobs queue instead of swapping.

Kept in a folder of small files: a lease is a file that its holder keeps locked, so that the kernel gives it
back when the holder dies; a waiting job is a ticket that its next poll renews. A job that has waited longer
than the patience is not overtaken any more, so that a large one is not starved by small ones.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from isolation.limits import MIB

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_SHARE_OF_MEMORY = 0.8
_TICKET_SECONDS = 60.0


def machine_memory_bytes() -> int:
    """Memory of the machine, or of the container where that is less."""
    total = _meminfo("MemTotal")
    for path in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int(path.read_text(encoding="ascii")))
    return total


def default_capacity_bytes() -> int:
    """What jobs may take together: four fifths of the machine."""
    return int(machine_memory_bytes() * _SHARE_OF_MEMORY)


def default_folder() -> Path:
    """One folder per user and machine."""
    return Path(tempfile.gettempdir()) / f"qurable-admission-{os.getuid()}"


def _meminfo(entry: str) -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith(entry + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/meminfo has no {entry}")


@dataclass(frozen=True)
class Waiting:
    """No room yet.

    Attributes:
        used_bytes: Taken by others.
        ahead: Jobs that wait longer than this one.
    """

    used_bytes: int
    ahead: int


class Lease:
    """Bytes that are ours until released, or until this process dies."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the bytes back; a second call does nothing."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def _give_back(asking: "asyncio.Task[Lease | Waiting]") -> None:
    if not asking.cancelled() and asking.exception() is None and isinstance(lease := asking.result(), Lease):
        lease.release()


class Admission:
    """Grants memory on one machine.

    Args:
        capacity_bytes: What all jobs together may take.
        folder: Shared by every worker on the machine.
        patience_seconds: How long a job may be overtaken.
    """

    def __init__(self, capacity_bytes: int, folder: Path, *, patience_seconds: float = 10.0) -> None:
        self.capacity_bytes = capacity_bytes
        self._folder = folder
        self._patience_seconds = patience_seconds
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def take(self, ticket: str, size_bytes: int) -> Lease | Waiting:
        """Take bytes for the job of this ticket, or wait in line: call again until it is granted.

        Args:
            ticket: A word of letters, digits and dashes that stays the same over the job's attempts.
            size_bytes: At most the capacity, which the caller has checked.
        """
        asking = asyncio.create_task(asyncio.to_thread(self._take, ticket, size_bytes))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:  # the thread goes on, and what it is granted is nobody's
            asking.add_done_callback(_give_back)
            raise

    def _take(self, ticket: str, size_bytes: int) -> Lease | Waiting:
        now = time.time()
        with self._exclusively():
            used = sum(self._leases())
            own = self._folder / f"wait-{ticket}"
            since = self._since(own, now)
            older = [
                (begun, size)
                for name, begun, size in self._tickets(now)
                if name != own.name and begun < since
            ]
            kept_for_aged = sum(size for begun, size in older if now - begun > self._patience_seconds)
            room = self.capacity_bytes - used - kept_for_aged
            if size_bytes <= room and size_bytes <= max(_meminfo("MemAvailable"), 64 * MIB):
                own.unlink(missing_ok=True)
                return self._grant(size_bytes)
            own.write_text(json.dumps({"since": since, "seen": now, "bytes": size_bytes}), encoding="ascii")
            return Waiting(used_bytes=used, ahead=len(older))

    def forget(self, ticket: str) -> None:
        """Leave the line."""
        (self._folder / f"wait-{ticket}").unlink(missing_ok=True)

    @contextlib.contextmanager
    def _exclusively(self) -> Iterator[None]:
        with (self._folder / "mutex").open("w", encoding="ascii") as mutex:
            fcntl.flock(mutex, fcntl.LOCK_EX)
            yield

    def _grant(self, size_bytes: int) -> Lease:
        path = self._folder / f"lease-{secrets.token_hex(8)}"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, str(size_bytes).encode("ascii"))
        return Lease(path, descriptor)

    def _leases(self) -> Iterator[int]:
        for path in self._folder.glob("lease-*"):
            with contextlib.suppress(FileNotFoundError), path.open("r+", encoding="ascii") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield int(file.read() or 0)
                else:  # its holder is dead
                    path.unlink(missing_ok=True)

    def _tickets(self, now: float) -> Iterator[tuple[str, float, int]]:
        for path in self._folder.glob("wait-*"):
            with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
                ticket = json.loads(path.read_text(encoding="ascii"))
                if now - ticket["seen"] > _TICKET_SECONDS:
                    path.unlink(missing_ok=True)
                else:
                    yield path.name, ticket["since"], ticket["bytes"]

    def _since(self, ticket: Path, now: float) -> float:
        try:
            return float(json.loads(ticket.read_text(encoding="ascii"))["since"])
        except (FileNotFoundError, ValueError, KeyError):
            return now
