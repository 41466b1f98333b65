"""What a task in a child may use, and what a dead child died of."""

import re
import signal
from dataclasses import dataclass

from qurable.errors import ChildCrashed, HybridError, OutOfMemory, OutOfTime

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds of one task.

    Attributes:
        memory_bytes: Address space beyond what the idle child has.
        wall_seconds: Wall time; the child is killed after it.
        cpu_seconds: Processor time over all threads; None for no bound of its own.
    """

    memory_bytes: int
    wall_seconds: float
    cpu_seconds: float | None = None


_OUT_OF_MEMORY = re.compile(
    r"bad_alloc|memory allocation of|out of memory|cannot allocate memory|MemoryError", re.IGNORECASE
)
_ABORTED_FOR_MEMORY = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS})


def cause_of_death(task: str, status: int, stderr: str, limits: Limits) -> HybridError:
    """The error that a child's wait status and last words amount to.

    Args:
        task: What it was doing, for the message.
        status: As from `os.waitpid`, turned into an exit code (negative for a signal).
        stderr: The end of what it printed.
        limits: What it was allowed.
    """
    memory = f"{limits.memory_bytes / MIB:,.0f} MiB"
    last_words = stderr.strip().splitlines()[-1][:200] if stderr.strip() else ""
    if status == -signal.SIGXCPU:
        return OutOfTime(
            f"{task} used up its {limits.cpu_seconds:.0f} s of processor time",
            limit_seconds=limits.cpu_seconds,
        )
    if status == -signal.SIGKILL:
        return ChildCrashed(
            f"{task} was killed from outside, by hand or by the system for want of memory; it was granted {memory}",
            status=status,
        )
    if _OUT_OF_MEMORY.search(stderr) and -status in _ABORTED_FOR_MEMORY:
        return OutOfMemory(
            f"{task} needed more than its {memory} of memory ({last_words})", limit_bytes=limits.memory_bytes
        )
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
    return ChildCrashed(
        f"{task} crashed its process ({how}){': ' + last_words if last_words else ''}", status=status
    )
