"""Who judges the rounds: what was asked, answered, paid for once, paid for twice, and how soon that was stopped."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from qurable.contracts.executions import Incident, Phase, ProviderJob
from store import incidents, provider_jobs
from tests.architecture.imports import ROOT
from tests.chaos.paid import Round, Row
from tests.chaos.paid_books import until_booked, wrong_books
from tests.chaos.paid_house import ENDED, SPEED, PaidHouse

_BILL_ROUNDING = 0.002


@dataclass
class Verdict:
    """What became of one round.

    Attributes:
        row: What happened in it.
        number: Of the round.
        answered: A report with results came.
        ended: It ended without one, in the class of error that it rightly ends with.
        changed: The answer is not that of the one job that was paid for, or the bill is not its bill.
        duplicates: Jobs at the provider beyond that one.
        found: Of them, those that this house knows of.
        unbilled: Of them, those that cost nothing.
        billed: Of them, those that were paid for.
        wasted: QPU seconds of those.
        stopped_after: Real seconds from the acceptance of each duplicate until it had ended.
        alive: Jobs at the provider that still wait or run.
        trouble: Everything that is wrong, in words.
    """

    row: Row
    number: int
    answered: bool = False
    ended: bool = False
    changed: bool = False
    duplicates: int = 0
    found: int = 0
    unbilled: int = 0
    billed: int = 0
    wasted: float = 0.0
    stopped_after: list[float] = field(default_factory=list)
    alive: int = 0
    trouble: list[str] = field(default_factory=list)

    @property
    def lost(self) -> bool:
        """Neither an answer nor the right end."""
        return not (self.answered or self.ended)


@dataclass(frozen=True)
class _Known:
    """What is known of one round's jobs: here, and at the provider."""

    parts: Sequence[ProviderJob]
    incidents: Sequence[Incident]
    there: Sequence[Mapping[str, Any]]
    shots: Mapping[str, list[str] | None]


async def judge(home: PaidHouse, rounds: Sequence[tuple[Row, Round, list[str]]]) -> list[Verdict]:
    """Judge the rounds of a house, whose provider has nothing to do any more.

    Args:
        home: The house.
        rounds: Row, round, and what was wrong while it was played.
    """
    await until_booked(home.database)
    every = (await home.control.state())["jobs"]
    shots = await shots_of(home, [one["id"] for one in every if one["status"] == "Completed"])
    owners: dict[str, str] = {}
    verdicts = []
    for row, round_, trouble in rounds:
        verdict = Verdict(row, round_.number, trouble=list(trouble))
        verdicts.append(verdict)
        if round_.job is None:
            verdict.trouble.append("the job was never started")
            continue
        parts = await home.database.read(provider_jobs.of_job, round_.job_id)
        tags = {part.tag for part in parts}
        there = [one for one in every if tags.intersection(one["tags"])]
        owners |= {one["id"]: round_.job_id for one in there}
        known = await home.database.read(incidents.of_job, round_.job_id)
        _judge(verdict, round_, _Known(parts, known, there, shots))
        verdict.trouble += await wrong_books(home.database, round_.job_id, parts, there)
    unowned = [one["id"] for one in every if one["id"] not in owners]
    if unowned:
        verdicts[-1].trouble.append(f"the provider has jobs that belong to no round: {unowned}")
    return verdicts


def _judge(verdict: Verdict, round_: Round, known: _Known) -> None:
    row = verdict.row
    verdict.answered = round_.report is not None and not (row.ends and round_.wanted)
    verdict.ended = bool(row.ends) and round_.ended_as == row.ends
    if verdict.lost:
        verdict.trouble.append(
            f"ended as {round_.ended_as or 'nothing'}, {row.ends or 'an answer'} was due: {round_.error}"
        )
    kept = {part.id for part in known.parts if part.id}
    if round_.report is not None:
        kept = {record.id for record in round_.report.provider_jobs if record.state is not Phase.LOST}
        if row.elsewhere:
            _judge_elsewhere(verdict, round_, known)
        else:
            _judge_answer(verdict, round_, known)
    elif round_.wanted and (paid := [one["id"] for one in known.there if one["billed_seconds"] > 0]):
        verdict.trouble.append(f"ended without an answer, and {paid} were paid for")
    extra = [one for one in known.there if one["id"] not in kept]
    reported = {incident.id for incident in known.incidents}
    for one in extra:
        verdict.duplicates += 1
        verdict.found += one["id"] in reported
        verdict.billed += one["billed_seconds"] > 0
        verdict.unbilled += one["billed_seconds"] == 0
        verdict.wasted += one["billed_seconds"]
        if one["finished"]:
            verdict.stopped_after.append(_real_seconds(one["created"], one["finished"]))
    if verdict.found < verdict.duplicates:
        verdict.trouble.append(
            f"of duplicates {[one['id'] for one in extra]} only {sorted(reported)} is known"
        )
    if verdict.billed and not row.excused:
        verdict.trouble.append(f"{verdict.billed} duplicates were paid for: {verdict.wasted:.2f} QPU seconds")
    if row.excused and not verdict.duplicates:
        verdict.trouble.append("the row is there to show a duplicate, and none was made")
    verdict.alive = sum(one["status"] not in ENDED for one in known.there)
    if verdict.alive:
        verdict.trouble.append(f"{verdict.alive} jobs are still alive at the provider")


def _judge_elsewhere(verdict: Verdict, round_: Round, known: _Known) -> None:
    """Whether a place answered that costs nothing, and the provider was paid nothing."""
    assert round_.report is not None
    if round_.report.qpu_seconds or any(one["billed_seconds"] > 0 for one in known.there):
        verdict.trouble.append(
            f"{round_.report.served_by!r} answered, and the provider was paid all the same"
        )


def _judge_answer(verdict: Verdict, round_: Round, known: _Known) -> None:
    """Whether the report's bytes and bill are those of the one job that was kept."""
    report = round_.report
    assert report is not None
    records = [record for record in report.provider_jobs if record.state is Phase.DONE]
    if len(records) != 1:
        verdict.trouble.append(f"the report has {len(records)} provider jobs that are done")
        verdict.changed = True
        return
    record = records[0]
    register = report.results[0].registers[0]  # type: ignore[union-attr]
    if (known.shots.get(record.id) or [""])[0] != register.bits.raw.hex():
        verdict.trouble.append(f"the counts are not those of {record.id}")
        verdict.changed = True
    bill = next((one["billed_seconds"] for one in known.there if one["id"] == record.id), None)
    row = next((part for part in known.parts if part.id == record.id), None)
    settled = row.facts.qpu_seconds if row is not None and row.facts is not None else None
    told = record.qpu_seconds if record.usage_complete else settled
    if bill is None or told is None or abs(told - bill) > _BILL_ROUNDING:
        verdict.trouble.append(f"{record.id} was billed {bill} s, and {told} s is said")
        verdict.changed = True


def _real_seconds(begin: str, end: str) -> float:
    """Between two times of the emulator's clock."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds() / SPEED


async def shots_of(home: PaidHouse, ids: Iterable[str]) -> dict[str, list[str] | None]:
    """What the real client decodes of the emulator's results."""

    def ask() -> str:
        environment = home.house.fleet.environment | home.emulator.environment | {"PYTHONWARNINGS": "ignore"}
        return subprocess.run(
            [sys.executable, "-m", "tests.chaos.paid_results"],
            input="\n".join(ids),
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env=environment,
        ).stdout

    found: dict[str, list[str] | None] = json.loads(await asyncio.to_thread(ask))
    return found


HEAD = (
    "what happens",
    "rounds",
    "asked",
    "answered",
    "ended rightly",
    "lost",
    "changed",
    "duplicates",
    "found",
    "cancelled unbilled",
    "billed",
    "QPU seconds",
    "seconds until stopped",
)


def table(verdicts: Sequence[Verdict]) -> str:
    """The verdicts by row, as Markdown."""
    lines = []
    families: dict[str, dict[str, list[Verdict]]] = {}
    for verdict in verdicts:
        families.setdefault(verdict.row.family, {}).setdefault(verdict.row.name, []).append(verdict)
    for family, rows in sorted(families.items()):
        lines += ["", f"### {family}", "", "| " + " | ".join(HEAD) + " |"]
        lines.append("| :--- |" + " ---: |" * (len(HEAD) - 1))
        lines += [_line(name, played) for name, played in sorted(rows.items())]
    lines += ["", "### All", "", "| " + " | ".join(HEAD) + " |", "| :--- |" + " ---: |" * (len(HEAD) - 1)]
    lines.append(_line("all rows", verdicts))
    return "\n".join(lines[1:])


def _line(name: str, played: Sequence[Verdict]) -> str:
    stopped = [seconds for verdict in played for seconds in verdict.stopped_after]
    cells = [
        name.replace("|", "\\|"),
        len(played),
        len(played),
        sum(verdict.answered for verdict in played),
        sum(verdict.ended for verdict in played),
        sum(verdict.lost for verdict in played),
        sum(verdict.changed for verdict in played),
        sum(verdict.duplicates for verdict in played),
        sum(verdict.found for verdict in played),
        sum(verdict.unbilled for verdict in played),
        sum(verdict.billed for verdict in played),
        f"{sum(verdict.wasted for verdict in played):.2f}" if stopped else "",
        f"{max(stopped):.1f}" if stopped else "",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"
