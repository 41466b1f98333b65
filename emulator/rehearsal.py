"""`qurable rehearse`: a job under a month of weather, on an emulator, a Temporal and a worker of its own."""

import contextlib
import difflib
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emulator.rehearsal_findings import Findings, Run
from emulator.rehearsal_house import Control, House, house
from emulator.rehearsal_month import Moment, Profile, drawn, read_profile
from emulator.rehearsal_page import lines, progress
from emulator.rehearsal_playing import Playing
from emulator.rehearsal_sky import Sky, now_of
from emulator.rehearsal_verdict import answer_of, duplicates_of
from qurable.cli.jobs import read_job
from qurable.cli.options import Wishes
from qurable.contracts.base import explain
from qurable.contracts.jobs import parse_request
from qurable.errors import RequestRejected, UnknownBackend
from qurable.requests import AnyJob

MOST_RUNS = 1000
MOST_JOBS = 100

_CHOOSE = "ibm"
_DEVICE = "ibm:"
_PER_MINUTE = 5
"""IBM's limit of submissions, which a rehearsal does not wait for: it says what it would add."""


@dataclass(frozen=True)
class Asked:
    """What is rehearsed.

    Attributes:
        file: A circuit, a job as JSON, or jobs as JSON lines.
        backend: `ibm` or `ibm:<device>`; None for what the jobs name.
        shots: Repetitions of a circuit.
        runs: Moments of the month.
        seed: Of the weather.
        weather: File of the profile; None for the default.
    """

    file: Path
    backend: str | None = None
    shots: int | None = None
    runs: int = 20
    seed: int = 7
    weather: Path | None = None


async def rehearse(asked: Asked, worker: Sequence[str], *, json_output: bool) -> None:
    """Rehearse, with progress on standard error, and print what was found.

    Args:
        asked: What is rehearsed.
        worker: The command that runs a worker as its environment says.
        json_output: Print one JSON document.

    Raises:
        RequestRejected: The jobs, the profile or the number of runs cannot be.
        ServiceUnreachable: A part of the rehearsal does not start, or has ended.
    """
    found = await _played(asked, worker)
    if json_output:
        print(json.dumps(found.document()))  # noqa: T201  what the command prints
        return
    for line in lines(found, shutil.get_terminal_size().columns):
        print(line)  # noqa: T201  as above


async def _played(asked: Asked, worker: Sequence[str]) -> Findings:
    jobs = read_jobs(asked)
    profile = read_profile(asked.weather)
    if not 1 <= asked.runs <= MOST_RUNS:
        raise RequestRejected(f"--runs {asked.runs} must lie between 1 and {MOST_RUNS}")
    _say("starting an emulator, Temporal and a worker in a folder of their own")
    async with house(worker) as parts:
        await parts.control.settings(submissions_per_minute=None, usage_limit_seconds=None)
        state = await parts.control.state()
        devices = await _fleet(jobs, profile, parts.control, state)
        month = drawn(profile, asked.seed, asked.runs, devices)
        sky = Sky(parts.control, month, profile, asked.seed)
        sky.begin(now_of(state))
        await _warm(parts)
        runs: list[Run] = []
        for number, moment in enumerate(month.moments, 1):
            runs.append(await _run(parts, sky, jobs, number, moment))
            _say(progress(runs[-1], asked.runs))
    return Findings(
        backend=str(jobs[0].backend),
        devices=tuple(devices),
        seed=asked.seed,
        days=profile.days,
        jobs=len(jobs),
        runs=tuple(runs),
        price_per_second=state["settings"]["price_per_second"],
        warnings=tuple(_warnings(jobs)),
    )


async def _run(parts: House, sky: Sky, jobs: Sequence[AnyJob], number: int, moment: Moment) -> Run:
    """The jobs at one moment, which may have passed where the run before took that long."""
    before = await sky.put_to(moment.at)
    await sky.make(moment, number, before)
    playing = Playing(parts, sky, jobs, before)
    ends = await playing.ends()
    after = await playing.settled()
    mine, paid, began = playing.mine(after), after["paid"], playing.began
    return Run(
        number=number,
        began=datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        queue_seconds=moment.queue_seconds,
        answers=tuple(answer_of(ending, began, at) for ending, at in ends),
        provider_jobs=len(mine),
        qpu_seconds=paid["qpu_seconds"] - before["paid"]["qpu_seconds"],
        price=paid["price"] - before["paid"]["price"],
        duplicates=tuple(duplicates_of(mine, [ending for ending, _ in ends])),
    )


def read_jobs(asked: Asked) -> list[AnyJob]:
    """The jobs of a run: one, or one for each line of a file `*.jsonl`.

    Raises:
        RequestRejected: A job is not acceptable, or asks for nothing that could be rehearsed.
    """
    if asked.file.suffix == ".jsonl":
        jobs = [_read_line(number, line, asked) for number, line in _numbered(asked.file)]
    else:
        jobs = [read_job(asked.file, Wishes(shots=asked.shots, backend=asked.backend))]
    if not 1 <= len(jobs) <= MOST_JOBS:
        raise RequestRejected(
            f"{str(asked.file)!r} holds {len(jobs)} jobs; a rehearsal takes 1 to {MOST_JOBS}"
        )
    jobs = [job.model_copy(update={"backend": _CHOOSE}) if job.backend == "auto" else job for job in jobs]
    for job in jobs:
        if job.backend != _CHOOSE and not str(job.backend).startswith(_DEVICE):
            raise RequestRejected(
                f"there is nothing to rehearse on {str(job.backend)!r}: give --backend ibm, or ibm:<device>"
            )
    return jobs


def _numbered(file: Path) -> list[tuple[int, str]]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RequestRejected(f"there is no file {str(file)!r}") from None
    except (OSError, UnicodeDecodeError) as failure:
        raise RequestRejected(f"{str(file)!r} cannot be read: {failure}") from None
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _read_line(number: int, line: str, asked: Asked) -> AnyJob:
    where = f"{str(asked.file)!r}, line {number}"
    try:
        document = json.loads(line)
        if not isinstance(document, dict):
            raise RequestRejected(f"{where}: a job is a JSON object")
        return parse_request(document | ({} if asked.backend is None else {"backend": asked.backend}))
    except json.JSONDecodeError as failure:
        raise RequestRejected(f"{where}, column {failure.colno}: {failure.msg}") from None
    except ValidationError as failure:
        raise RequestRejected(explain(failure, where)) from None
    except (ValueError, RecursionError) as failure:  # thousands of digits, or of brackets
        raise RequestRejected(f"{where}: {failure}") from None


async def _fleet(
    jobs: Sequence[AnyJob], profile: Profile, control: Control, state: dict[str, Any]
) -> Sequence[str]:
    """The devices that have weather: those the jobs name; the profile's fleet, and no other on offer, for `ibm`.

    Raises:
        UnknownBackend: The emulator has no such device.
    """
    names = [device["name"] for device in state["devices"]]
    chosen = {
        device
        for job in jobs
        for device in (profile.fleet if job.backend == _CHOOSE else (_device_of(str(job.backend)),))
    }
    for device in sorted(chosen - set(names)):
        near = difflib.get_close_matches(device, names, n=3, cutoff=0.6)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UnknownBackend(f"the emulator has no device {device!r}{hint}", near=near)
    if any(job.backend == _CHOOSE for job in jobs):
        for device in names:
            if device not in chosen:
                await control.device(device, status="offline", reason="not of the rehearsal's fleet")
    return sorted(chosen)


def _device_of(backend: str) -> str:
    short = backend.removeprefix(_DEVICE)
    return short if short.startswith("ibm_") else f"ibm_{short}"


async def _warm(parts: House) -> None:
    """Return once the worker answers: its start is none of the first run's time."""
    with contextlib.suppress(TimeoutError):
        await parts.qurable.list(limit=1)
    parts.check()


def _warnings(jobs: Sequence[AnyJob]) -> list[str]:
    warnings = [
        "queues, faults and prices are the profile's and the emulator's: they are guesses, not measurements"
    ]
    if len(jobs) > _PER_MINUTE:
        warnings.append(
            f"IBM takes {_PER_MINUTE} submissions a minute: {len(jobs)} jobs need {(len(jobs) - 1) // _PER_MINUTE} minutes more than shown"
        )
    return warnings


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  progress, beside the one document
