"""What a dead child died of: the message tells an operator what to do about it."""

import signal

import pytest

from isolation.limits import MIB, Limits, cause_of_death
from qurable.errors import ChildCrashed, HybridError, OutOfMemory, OutOfTime

LIMITS = Limits(memory_bytes=256 * MIB, wall_seconds=10.0, cpu_seconds=5.0)


@pytest.mark.parametrize(
    ("status", "words", "error", "message"),
    [
        (-signal.SIGXCPU, "", OutOfTime, "the run used up its 5 s of processor time"),
        (-signal.SIGABRT, "what():  std::bad_alloc", OutOfMemory, "needed more than its 256 MiB"),
        (-signal.SIGSEGV, "OpenBLAS: Cannot allocate memory", OutOfMemory, "needed more than its 256 MiB"),
        (-signal.SIGKILL, "std::bad_alloc", ChildCrashed, "killed from outside.*granted 256 MiB"),
        (-signal.SIGSEGV, "", ChildCrashed, r"crashed its process \(signal SIGSEGV\)$"),
        (3, "first\nlast\n", ChildCrashed, r"\(exit code 3\): last$"),
        (1, "MemoryError", ChildCrashed, r"\(exit code 1\): MemoryError"),
        (-signal.SIGABRT, "x" * 5000, ChildCrashed, "x{200}$"),
    ],
)
def test_a_death_is_explained(status: int, words: str, error: type[HybridError], message: str) -> None:
    """By its status and its last words."""
    with pytest.raises(error, match=message):
        raise cause_of_death("the run", status, words, LIMITS)
