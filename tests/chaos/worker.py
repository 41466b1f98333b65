"""A worker that keeps a journal and dies where it is told to.

    python -m tests.chaos.worker JOURNAL ARMED

`JOURNAL` gets one fsynced JSON line for every beginning and end of a stage's work. `ARMED` is a folder: a file in it
named for a failpoint kills the first worker that comes there; the file is gone afterwards, which proves that the
line was reached.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from qurable.temporal.run_main import run_main
from settings import Settings
from worker import Hooks, serve


class FileJournal:
    """A journal that survives whoever writes it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def began(self, job_id: str, step: str, attempt: int) -> None:
        self._write("began", job_id, step, attempt, "")

    def ended(self, job_id: str, step: str, attempt: int, how: str) -> None:
        self._write("ended", job_id, step, attempt, how)

    def _write(self, what: str, job_id: str, step: str, attempt: int, how: str) -> None:
        entry = {
            "at": time.time(),
            "pid": os.getpid(),
            "what": what,
            "job_id": job_id,
            "step": step,
            "attempt": attempt,
            "how": how,
        }
        os.write(self._file, (json.dumps(entry) + "\n").encode())
        os.fsync(self._file)


class Armed:
    """Kills this process at a failpoint, once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str) -> None:
        try:
            (self._folder / name).unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    journal, armed = map(Path, sys.argv[1:])
    run_main(
        serve(Settings(), embedded=False, hooks=Hooks(journal=FileJournal(journal), failpoint=Armed(armed)))
    )
