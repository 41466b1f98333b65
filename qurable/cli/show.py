"""What the commands print: one JSON document, or something for people to read."""

import asyncio
import contextlib
import json as json_module
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from qurable.client import Job
from qurable.contracts.arrays import size_of
from qurable.contracts.base import Contract
from qurable.contracts.reports import JobEvent, JobReport, JobStatus, JobSummary
from qurable.contracts.results import EstimateResult, Results, SampleResult, readable
from qurable.contracts.targets import TargetSnapshot

_BAR_WIDTH = 40
_BESIDE_THE_BAR = 21
"""Columns for the count, the percentage and the gaps."""
_BARS = 16
_VALUES = 32
_PIPE_WIDTH = 10_000


def _console(stream: TextIO, *, stderr: bool) -> Console:
    """For a terminal as wide as it is; a pipe gets its lines whole."""
    return Console(
        stderr=stderr, highlight=False, markup=False, width=None if stream.isatty() else _PIPE_WIDTH
    )


_out = _console(sys.stdout, stderr=False)
_err = _console(sys.stderr, stderr=True)


def _print_json(document: Any) -> None:
    sys.stdout.write(json_module.dumps(document) + "\n")
    sys.stdout.flush()


async def progress(job: Job, *, quiet: bool) -> None:
    """One line per state on standard error, as the job enters it."""
    if quiet:
        return
    _err.print(f"job {job.id}", style="bold")
    before = None
    async for event in job.events():
        took = "" if before is None else f"{(event.at - before).total_seconds():8.3f} s"
        _err.print(
            f"  {event.state:<16}{took:>12}  {event.backend}", style="dim" if not event.state.final else ""
        )
        before = event.at


@contextlib.contextmanager
def left_behind(job: Job) -> Iterator[None]:
    """Where whoever waits is interrupted, say that the job is not, and how to come back to it."""
    try:
        yield
    except asyncio.CancelledError:
        _err.print(f"\njob {job.id} goes on with its worker: `qurable result {job.id}` waits for it")
        raise


def event(entry: JobEvent, *, json: bool) -> None:
    """One state change; as JSON, one document per line."""
    if json:
        _print_json(entry.model_dump(mode="json"))
    else:
        _out.print(f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.state:<16} {entry.backend}  {entry.detail}")


def status(found: JobStatus, *, json: bool) -> None:
    """Where a job stands."""
    if json:
        _print_json({**found.model_dump(mode="json"), "results": []})
        return
    _out.print(f"job      {found.id}")
    _out.print(f"state    {found.state}")
    if found.stage:
        _out.print(
            f"stage    {found.stage} on {found.backend}, for {found.waited:.1f} s, attempt {found.attempt}; next: {found.then}"
        )
    if found.last_failure:
        _out.print(f"waiting  {found.last_failure}")


def report(found: JobReport, *, json: bool) -> None:
    """A report: the results drawn, then who answered and what it took."""
    if json:
        _print_json(found.document())
        return
    for number, result in enumerate(found.results):
        _result(number, result)
    _facts(found)


def unfinished(found: JobStatus, results: Results, *, json: bool) -> None:
    """A job before its end: where it stands, and the pubs that are finished; None stands for the others."""
    if json:
        finished = [None if result is None else readable(result) for result in results.pubs]
        _print_json({**found.model_dump(mode="json"), "results": finished})
        return
    status(found, json=False)
    for number, result in enumerate(results.pubs):
        if result is not None:
            _result(number, result)
    done = sum(result is not None for result in results.pubs)
    _out.print(f"\nfinished {done} of {len(results.pubs)} pubs" if results.pubs else "\nno pub runs yet")


def _result(number: int, result: SampleResult | EstimateResult) -> None:
    if isinstance(result, SampleResult):
        _histograms(number, result)
    else:
        _values(number, result)


def _histograms(number: int, result: SampleResult) -> None:
    for element in range(min(size_of(result.shape), 4)):
        counts = result.counts(element)
        where = f", element {element}" if result.shape else ""
        _out.print(f"\npub {number}{where}: {result.shots} shots, rightmost bit is bit 0")
        _histogram(counts, result.shots)
    if size_of(result.shape) > 4:
        _out.print(f"... and {size_of(result.shape) - 4} more elements, see --json")


def _histogram(counts: Mapping[str, int], shots: int) -> None:
    most = max(counts.values(), default=1)
    longest = max(map(len, counts), default=0)
    width = max(1, min(_BAR_WIDTH, _out.width - longest - _BESIDE_THE_BAR))
    for outcome, count in list(counts.items())[:_BARS]:
        bar = "█" * max(1, round(width * count / most))
        _out.print(f"  {outcome}  {bar:<{width}} {count:>7}  {count / shots:6.1%}")
    if len(counts) > _BARS:
        rest = list(counts.values())[_BARS:]
        _out.print(f"  ... {len(rest)} more outcomes with {sum(rest)} shots")


def _values(number: int, result: EstimateResult) -> None:
    how = "exact" if not any(result.stds.values) else f"standard errors from {result.shots} shots per group"
    _out.print(f"\npub {number}: shape {list(result.shape)}, {how}")
    for element, (value, error) in enumerate(
        zip(result.evs.values[:_VALUES], result.stds.values, strict=False)
    ):
        _out.print(f"  [{element}]  {value:+.6f} ± {error:.6f}" if error else f"  [{element}]  {value:+.9f}")
    if len(result.evs.values) > _VALUES:
        _out.print(f"  ... {len(result.evs.values) - _VALUES} more values, see --json")


def _facts(found: JobReport) -> None:
    times = found.durations
    _out.print(f"\nserved by {found.served_by}: {found.because}")
    if found.answer is not None and found.answer.objective is not None:
        _out.print(f"answer   objective {found.answer.objective:g}, assignment {found.answer.assignment}")
    _out.print(
        f"times    compile {times.compile:.3f} s, queue {times.queue:.3f} s, run {times.run:.3f} s, post-processing "
        f"{times.post_processing:.3f} s, in all {times.total:.3f} s"
    )
    for warning in found.warnings:
        _out.print(f"warning  {warning}", style="yellow")
    _out.print(f"report   {found.id} ({found.state})")


def jobs(found: Sequence[JobSummary], *, json: bool) -> None:
    """A list of jobs."""
    if json:
        _print_json([_plain(entry) for entry in found])
        return
    table = Table("id", "state", "kind", "asked", "served by", "accepted (UTC)", box=None)
    for entry in found:
        table.add_row(
            entry.id,
            entry.state,
            entry.kind,
            entry.asked,
            entry.served_by,
            f"{entry.accepted:%Y-%m-%d %H:%M:%S}",
        )
    _print_table(table)


def backends(found: Sequence[TargetSnapshot], *, json: bool) -> None:
    """A list of backends."""
    if json:
        _print_json([_plain(entry) for entry in found])
        return
    table = Table("name", "answers", "qubits", "version", "", box=None)
    for entry in found:
        width = "memory decides" if entry.num_qubits is None else str(entry.num_qubits)
        remark = entry.description if entry.available else f"not available: {entry.reason}"
        table.add_row(entry.name, entry.answer_kind, width, entry.version, remark)
    _print_table(table)


def _print_table(table: Table) -> None:
    """With a first column that is never cut off: it is what the next command is given."""
    first = table.columns[0]
    first.min_width = max((len(str(cell)) for cell in first.cells), default=0)
    _out.print(table)


def _plain(entry: Contract) -> dict[str, Any]:
    return entry.model_dump(mode="json")
