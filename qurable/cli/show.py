"""What the commands print: one JSON document, or something for people to read."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from qurable.cli import show_approvals
from qurable.cli.printing import err as _err
from qurable.cli.printing import out as _out
from qurable.cli.printing import print_json as _print_json
from qurable.cli.printing import print_table as _print_table
from qurable.client import Job
from qurable.contracts.arrays import size_of
from qurable.contracts.base import Contract
from qurable.contracts.confidence import Confidence
from qurable.contracts.extrapolation import ExtrapolatedValues
from qurable.contracts.health import BackendHealth, BreakerState
from qurable.contracts.problems import ProblemAnswer
from qurable.contracts.reports import JobEvent, JobReport, JobStatus, JobSummary, ProviderRecord
from qurable.contracts.results import ErrorOrigin, EstimateResult, Results, SampleResult, readable
from qurable.contracts.targets import TargetSnapshot
from qurable.contracts.twins import TwinRecord

_BAR_WIDTH = 40
_BESIDE_THE_BAR = 21
"""Columns for the count, the percentage and the gaps."""
_WEIGHT = 9
"""Columns more for a mitigated weight."""
_BARS = 16
_VALUES = 32
_LAYOUTS = 4
_VARIABLES = 64
_CONFIDENCES = 8
_WITHOUT_SHOTS = {
    ErrorOrigin.EXACT: "exact",
    ErrorOrigin.TRUNCATION: "computed without shots, truncated on the way",
}


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
    if found.question is not None:
        show_approvals.question(found.question)


def report(found: JobReport, *, json: bool) -> None:
    """A report: the results drawn, then who answered and what it took."""
    if json:
        _print_json(found.document())
        return
    results(found)
    _facts(found)


def results(found: JobReport) -> None:
    """The results of a report, drawn."""
    for number, result in enumerate(found.results):
        _result(number, result)


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
        weights = None if result.mitigated is None else result.quasi(element)
        _out.print(
            f"\npub {number}{where}: {result.shots} shots, rightmost bit is bit 0{_at_the_right(result, element)}"
        )
        _histogram(counts, result.shots, weights)
    if size_of(result.shape) > 4:
        _out.print(f"... and {size_of(result.shape) - 4} more elements, see --json")


def _at_the_right(result: SampleResult, element: int) -> str:
    if result.mitigated is None:
        return ""
    error = result.mitigated.standard_error(element, result.shots)
    return f"; at the right what mitigation makes of them, standard errors at most {error:.1%}"


def _histogram(counts: Mapping[str, int], shots: int, weights: Mapping[str, float] | None) -> None:
    most = max(counts.values(), default=1)
    longest = max(map(len, counts), default=0)
    beside = _BESIDE_THE_BAR + (0 if weights is None else _WEIGHT)
    width = max(1, min(_BAR_WIDTH, _out.width - longest - beside))
    for outcome, count in list(counts.items())[:_BARS]:
        bar = "█" * max(1, round(width * count / most))
        weight = "" if weights is None else f"{weights.get(outcome, 0.0):+9.1%}"
        _out.print(f"  {outcome}  {bar:<{width}} {count:>7}  {count / shots:6.1%}{weight}")
    if len(counts) > _BARS:
        rest = list(counts.values())[_BARS:]
        _out.print(f"  ... {len(rest)} more outcomes with {sum(rest)} shots")


def _values(number: int, result: EstimateResult) -> None:
    how = _WITHOUT_SHOTS.get(result.error_origin, f"standard errors from {result.shots} shots per group")
    _out.print(f"\npub {number}: shape {list(result.shape)}, {how}")
    for element, (value, error) in enumerate(
        zip(result.evs.values[:_VALUES], result.stds.values, strict=False)
    ):
        known = f"{value:+.6f} ± {error:.6f}" if error else f"{value:+.9f}"
        _out.print(f"  [{element}]  {known}{_at_zero_noise(result.extrapolated, element)}")
    if len(result.evs.values) > _VALUES:
        _out.print(f"  ... {len(result.evs.values) - _VALUES} more values, see --json")


def _at_zero_noise(found: ExtrapolatedValues | None, element: int) -> str:
    if found is None:
        return ""
    if element in found.worthless:
        return "  stands as it was measured"
    return f"  at zero noise {found.evs.values[element]:+.6f} ± {found.stds.values[element]:.6f}"


def _facts(found: JobReport) -> None:
    times = found.durations
    _out.print(f"\nserved by {found.served_by}: {found.because}")
    if found.answer is not None:
        _answer(found.answer)
    if found.answer is not None and found.provenance is not None and found.provenance.seed is not None:
        _out.print(f"method   {found.provenance.method}, seed {found.provenance.seed}")
    for change in found.changes:
        _out.print(f"changed  {change}, after {change.because}: {change.message}")
    for record in found.confidence[:_CONFIDENCES]:
        _out.print(f"trust    {_confidence_line(record)}")
    if len(found.confidence) > _CONFIDENCES:
        _out.print(f"         ... and {len(found.confidence) - _CONFIDENCES} more pubs, see --json")
    for twin in found.twins:
        _out.print(f"twin     {_twin_line(twin)}")
    if found.mitigation is not None:
        _out.print(f"readout  {found.mitigation}")
    if found.extrapolation is not None:
        _out.print(f"noise    {found.extrapolation}")
    _out.print(
        f"times    compile {times.compile:.3f} s, queue {times.queue:.3f} s, run {times.run:.3f} s, post-processing "
        f"{times.post_processing:.3f} s, in all {times.total:.3f} s"
    )
    for job in found.provider_jobs:
        _out.print(f"provider {_provider_line(job)}")
    if found.shared is not None:
        _out.print(f"shared   {found.shared.in_words()}")
    if found.members:
        _out.print(
            f"shared   by {len(found.members)} job{'s' * (len(found.members) > 1)}, and each has a report of its own"
        )
    for incident in found.incidents:
        _out.print(
            f"incident {incident.kind} job {incident.id} on {incident.backend}: {incident.final}, "
            f"{_qpu_time(incident.billed_seconds, incident.usage_complete)}",
            style="red",
        )
    if found.provider_jobs and found.provenance is not None:
        layouts = {circuit.layout for circuit in found.provenance.circuits if circuit.layout}
        for layout in sorted(layouts)[:_LAYOUTS]:
            _out.print(f"layout   virtual qubits on physical {list(layout)}")
    for warning in found.warnings:
        _out.print(f"warning  {warning}", style="yellow")
    if found.shadow_of:
        _out.print(f"shadow   of job {found.shadow_of}, which was answered without it")
    _out.print(f"report   {found.id} ({found.state})")


def _confidence_line(record: Confidence) -> str:
    where = "" if record.pub is None else f"pub {record.pub}: "
    allowed = (
        ""
        if record.interval is None
        else f", so between {record.interval[0]:+.9f} and {record.interval[1]:+.9f}"
    )
    return f"{where}{record.kind.replace('_', ' ')} {record.value:.3g}{allowed} ({record.basis})"


def _twin_line(twin: TwinRecord) -> str:
    """What rode along, and what its ride was estimated to cost."""
    if twin.because:
        return f"of {twin.circuit!r}: none, {twin.because}"
    seconds = (
        ""
        if twin.seconds is None
        else f", {twin.seconds.low:.2g} to {twin.seconds.high:.2g} s of the QPU expected"
    )
    price = "" if twin.price is None else f", {twin.price:.2f} {twin.currency} at most"
    return f"of {twin.circuit!r}: {twin.right:,} of {twin.shots:,} shots right{seconds}{price}"


def _answer(found: ProblemAnswer) -> None:
    """An answer in the problem's terms."""
    if found.objective is not None:
        error = f" ± {found.standard_error:g}" if found.standard_error else ""
        bound = "" if found.bound is None else f", bound {found.bound:.12g} (gap {found.gap or 0.0:.3g})"
        _out.print(f"answer   {found.sense or 'objective'} {found.objective:.12g}{error}{bound}")
    if found.assignment is not None:
        values = " ".join(f"{value:g}" for value in found.assignment[:_VARIABLES])
        more = len(found.assignment) - _VARIABLES
        _out.print(f"values   {values}{f' ... and {more} more, see --json' if more > 0 else ''}")
    if found.violations:
        _out.print(f"breaks   {', '.join(found.violations[:_VARIABLES])}", style="red")
    if found.matrix is not None:
        rows, columns = found.matrix.shape
        _out.print(f"answer   a kernel matrix of {rows} x {columns} entries, see --json")


def _provider_line(job: ProviderRecord) -> str:
    waited = "" if job.queue_seconds is None else f"queued {job.queue_seconds:.1f} s, "
    cost = "" if job.price is None else f", {job.price:.2f} {job.currency}"
    account = f", account {job.account}" if job.account else ""
    return (
        f"job {job.id or '(never sent)'} on {job.backend} ({job.state}{account}): {waited}"
        f"{_qpu_time(job.qpu_seconds, job.usage_complete)}{cost}"
    )


def _qpu_time(seconds: float | None, complete: bool) -> str:
    if seconds is None:
        return "QPU time not billed yet"
    return f"{seconds:.2f} QPU seconds" + ("" if complete else " so far")


def jobs(found: Sequence[JobSummary], *, json: bool) -> None:
    """A list of jobs."""
    if json:
        _print_json([_plain(entry) for entry in found])
        return
    columns = ("id", "state", "kind", "asked", "served by", "accepted (UTC)")
    some_shadow = any(entry.shadow_of for entry in found)
    table = Table(*columns, *(["shadow of"] if some_shadow else []), box=None)
    for entry in found:
        table.add_row(
            entry.id,
            entry.state,
            entry.kind,
            entry.asked,
            entry.served_by,
            f"{entry.accepted:%Y-%m-%d %H:%M:%S}",
            *([entry.shadow_of] if some_shadow else []),
        )
    _print_table(table)


def backends(found: Sequence[TargetSnapshot], *, json: bool) -> None:
    """A list of backends."""
    if json:
        _print_json([_plain(entry) for entry in found])
        return
    table = Table("name", "answers", "qubits", "queue", "version", "health", "", box=None)
    for entry in found:
        width = "memory decides" if entry.num_qubits is None else str(entry.num_qubits)
        remark = entry.description if entry.available else f"not available: {entry.reason}"
        queue = "" if entry.pending_jobs is None else str(entry.pending_jobs)
        table.add_row(
            entry.name, entry.answer_kind, width, queue, entry.version, _in_words(entry.health), remark
        )
    _print_table(table)


def _in_words(health: BackendHealth | None) -> str:
    """How a backend has done of late, in a few words; nothing where there is nothing to say."""
    if health is None:
        return ""
    breaker, words = health.breaker, []
    if breaker.state is BreakerState.OPEN and breaker.until is not None:
        words.append(f"left alone, probe at {breaker.until:%H:%M:%S} UTC")
    if breaker.state is BreakerState.HALF_OPEN:
        words.append("left alone, being probed")
    if health.calls:
        words.append(f"{health.faults} of {health.calls} calls failed")
    if health.latency_seconds is not None:
        words.append(f"{health.latency_seconds:.3g} s a call")
    if health.wait_seconds is not None:
        words.append(f"{health.wait_seconds:,.0f} s in its queue")
    if breaker.reason:
        words.append(breaker.reason)
    return "; ".join(words)


def _plain(entry: Contract) -> dict[str, Any]:
    return entry.model_dump(mode="json")
