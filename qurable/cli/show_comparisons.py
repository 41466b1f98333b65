"""What `qurable compare` and `qurable hedge` are told, and what they print."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.table import Table

from qurable.cli import show
from qurable.cli.jobs import read_job
from qurable.cli.options import Wishes
from qurable.cli.printing import err, out, print_json, print_table
from qurable.comparing import Comparison, as_comparison
from qurable.contracts.comparisons import Comparison as ComparisonContract
from qurable.contracts.comparisons import (
    ComparisonReport,
    ComparisonState,
    ComparisonStatus,
    Decided,
    Gap,
    LegReport,
    PairComparison,
)
from qurable.contracts.reports import JobReport
from qurable.errors import JobCancelled, JobFailed, JobNotFound, RequestRejected

_BAR_WIDTH = 30
_OUTCOMES = 12
_VALUES = 16


def read_comparison(
    file: Path | None, on: list[str] | None, wishes: Wishes, fields: dict[str, Any], attach: str | None
) -> ComparisonContract | None:
    """What a command line asks; None where it attaches to what was asked before.

    Raises:
        RequestRejected: The file or an option is not acceptable.
    """
    if (file is None) == (attach is None):
        raise RequestRejected("give one of FILE and --attach")
    if file is None:
        return None
    if wishes.backend not in (None, "auto"):
        raise RequestRejected(f"--backend {wishes.backend} names one place: name them all with --on")
    places = [place.strip() for entry in on or [] for place in entry.split(",")]
    if not all(places) or not places:
        raise RequestRejected("name the places with --on, such as --on aer,fake_torino")
    return as_comparison(read_job(file, wishes), places, **fields)


@contextlib.contextmanager
def left_behind(comparison: Comparison) -> Iterator[None]:
    """Say its id first, and how to come back to it where whoever waits is interrupted."""
    err.print(f"comparison {comparison.id}", style="bold")
    try:
        yield
    except asyncio.CancelledError:
        err.print(
            f"\n{comparison.id} goes on with its worker: `qurable compare --attach {comparison.id}` waits for it"
        )
        raise


async def progress(comparison: Comparison, *, quiet: bool) -> None:
    """A line on standard error whenever a place's standing changes."""
    if quiet:
        return
    seen: dict[str, str] = {}
    with contextlib.suppress(JobFailed, JobCancelled):  # whoever asks for the report hears of that
        async for found in comparison.progress():
            for line in _news(found, seen):
                err.print(line)


def _news(found: ComparisonStatus, seen: dict[str, str]) -> list[str]:
    lines = []
    for leg in found.legs:
        if seen.get(leg.place) != leg.state:
            seen[leg.place] = leg.state
            lines.append(f"  {leg.place:<24} {leg.state:<12} {leg.job_id}")
    if found.message and seen.get("") != found.message:
        seen[""] = found.message
        lines.append(f"  {found.message}")
    return lines


async def ended(comparison: Comparison, *, quiet: bool) -> ComparisonReport:
    """The report; of one without an answer the rows are shown before its error is raised."""
    try:
        return await comparison.report()
    except (JobFailed, JobCancelled):
        if not quiet:
            with contextlib.suppress(JobNotFound):  # it was refused, and there are none
                report(await comparison.stored(), None, json=False)
        raise


def report(found: ComparisonReport, answer: JobReport | None, *, json: bool) -> None:
    """The places side by side, how they differ, and what was decided.

    Args:
        found: The report.
        answer: Of a hedged run, that of the job whose answer was taken.
        json: As one document.
    """
    if json:
        document = found.model_dump(mode="json")
        print_json(document if answer is None else {**document, "answer": answer.document()})
        return
    _legs(found)
    if found.pairs:
        _pairs(found.pairs)
    if answer is not None:
        show.results(answer)
    _decision(found)


def _legs(found: ComparisonReport) -> None:
    problem = any(leg.objective is not None for leg in found.legs)
    weighed = any(leg.weight is not None for leg in found.legs)
    columns = ["place", "state", "answered by", *(["objective", "behind"] if problem else [])]
    columns += ["queue", "run", "QPU s", "cost", *(["weight"] if weighed else []), ""]
    table = Table(*columns, box=None)
    for leg in found.legs:
        cells = [leg.place, "not asked" if leg.state is None else str(leg.state), leg.served_by]
        cells += [_objective(leg), _number(leg.behind)] if problem else []
        cells += [f"{leg.durations.queue:.2f} s", f"{leg.durations.run:.2f} s"]
        cells += [f"{leg.qpu_seconds:.2f}" if leg.provider_jobs else "", _cost(leg)]
        cells += [_number(leg.weight)] if weighed else []
        table.add_row(*cells, _note(leg))
    print_table(table)


def _objective(leg: LegReport) -> str:
    error = f" ± {leg.standard_error:.2g}" if leg.standard_error else ""
    broken = " (breaks a constraint)" if leg.feasible is False else ""
    return _number(leg.objective) + error + broken


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _cost(leg: LegReport) -> str:
    return "" if leg.price is None else f"{leg.price:.2f} {leg.currency}"


def _note(leg: LegReport) -> str:
    if leg.error is not None:
        return leg.error.message
    if leg.withdrawal is not None:
        return leg.withdrawal.because
    return leg.because if leg.state is None or leg.degraded else ""


def _pairs(pairs: tuple[PairComparison, ...]) -> None:
    out.print(
        "\ntotal variation and Hellinger distance beside what chance makes of them (mean .. quantile 0.99)"
    )
    table = Table("places", "total variation", "Hellinger", "p", "", box=None)
    for pair in pairs:
        first = next((pub for pub in pair.pubs if pub.p_value == min(one.p_value for one in pair.pubs)), None)
        table.add_row(
            " | ".join(pair.places),
            _gap(None if first is None else first.total_variation),
            _gap(None if first is None else first.hellinger),
            "" if pair.p_value is None else f"{pair.p_value:.2g}",
            _verdict(pair),
        )
    print_table(table)


def _gap(gap: Gap | None) -> str:
    return "" if gap is None else f"{gap.value:.4f} ({gap.expected:.4f} .. {gap.null_quantile:.4f})"


def _verdict(pair: PairComparison) -> str:
    if pair.missing:
        return pair.missing
    words = "differ" if pair.differ else "agree within chance"
    deviations = [abs(value) for pub in pair.pubs for value in pub.deviations if value is not None]
    if deviations:
        words += f", at most {max(deviations):.2g} standard errors"
    largest = [pub.largest for pub in pair.pubs if pub.largest is not None]
    return words + (f", {max(largest):.3g}" if largest else "")


def _decision(found: ComparisonReport) -> None:
    out.print(f"\n{'hedged run' if found.hedged else 'comparison'}  {found.id}")
    if found.state is not ComparisonState.COMPLETED:
        out.print(f"state       {found.state}")
    if found.decided is None:
        out.print(f"undecided   {found.undecided}" if found.undecided else "undecided")
        return
    out.print(
        f"decided     by {found.rule}: {found.decided.place or 'of several places'}, {found.decided.because}"
    )
    if found.decided.job_id:
        out.print(f"job         {found.decided.job_id}")
    _answer(found.decided)


def _answer(decided: Decided) -> None:
    answer = decided.answer
    if answer is not None and answer.assignment is not None:
        out.print(f"assignment  {' '.join(f'{value:g}' for value in answer.assignment)}")
    for combined in decided.outcomes[:_OUTCOMES]:
        error = "" if combined.error is None else f", standard error at most {combined.error:.1%}"
        out.print(f"pub {combined.pub}, element {combined.element}; rightmost bit is bit 0{error}")
        for outcome, weight in list(combined.outcomes.items())[:_OUTCOMES]:
            out.print(f"  {outcome}  {weight:7.2%}  {'█' * round(weight * _BAR_WIDTH)}")
    for mean in decided.values:
        for value, error_bar in list(zip(mean.evs.values, mean.stds.values, strict=True))[:_VALUES]:
            out.print(f"pub {mean.pub}     {value:.6g} ± {error_bar:.2g}")
