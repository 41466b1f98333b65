"""A worker that keeps a journal and dies where it is told to.

    python -m tests.chaos.worker JOURNAL ARMED

`JOURNAL` gets one fsynced JSON line for every beginning and end of a stage's work. `ARMED` is a folder: a file in it
named for a failpoint kills the first worker that comes there; the file is gone afterwards, which proves that the
line was reached. A file that says `stop` stops the worker instead: it leaves its process id in `NAME.stopped` and goes
on once that file is gone.
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

_STOP = "stop"
_LOOK_AGAIN_SECONDS = 0.01


class FileJournal:
    """A journal that survives whoever writes it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def began(self, job_id: str, step: str, attempt: int) -> None:
        self._write("began", job_id, step, attempt)

    def ended(self, job_id: str, step: str, attempt: int, how: str, failure: BaseException | None) -> None:
        self._write("ended", job_id, step, attempt, how, "" if failure is None else repr(failure))

    def _write(
        self, what: str, job_id: str, step: str, attempt: int, how: str = "", failure: str = ""
    ) -> None:
        entry = {
            "at": time.time(),
            "pid": os.getpid(),
            "what": what,
            "job_id": job_id,
            "step": step,
            "attempt": attempt,
            "how": how,
            "failure": failure,
        }
        os.write(self._file, (json.dumps(entry) + "\n").encode())
        os.fsync(self._file)


class Armed:
    """Kills this process at a failpoint, or stops it there until it is released, once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str) -> None:
        taken = self._folder / f"{name}.{os.getpid()}"
        try:
            (self._folder / name).rename(taken)  # of two workers that come at once, one has it
        except FileNotFoundError:
            return
        deed = taken.read_text(encoding="ascii")
        if deed != _STOP:
            taken.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        taken.write_text(str(os.getpid()), encoding="ascii")
        stopped = taken.rename(self._folder / f"{name}.stopped")
        while stopped.exists():
            time.sleep(_LOOK_AGAIN_SECONDS)


if __name__ == "__main__":
    journal, armed = map(Path, sys.argv[1:])
    run_main(
        serve(Settings(), embedded=False, hooks=Hooks(journal=FileJournal(journal), failpoint=Armed(armed)))
    )
