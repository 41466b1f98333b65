"""What `qurable precise` is told, and what it prints."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from qurable.cli.json_input import json_option
from qurable.cli.printing import err, out, print_json, print_table
from qurable.contracts.precise import PreciseReport, PreciseState
from qurable.errors import RequestRejected
from qurable.input_files import readable
from qurable.precise import PreciseJob

_BAR = 30


def refuse_strange(work: str, given: Mapping[str, Any], *, cancel: bool) -> None:
    """Refuse what would say nothing: options of an estimate beside the id of one, or to give up what has not begun.

    Raises:
        RequestRejected: Naming the option.
    """
    if cancel and not is_id(work):
        raise RequestRejected(
            f"--cancel gives up the estimate with an id, as in precise-..., and {work!r:.100} is none"
        )
    strange = [
        "--" + name.replace("_", "-")
        for name, value in given.items()
        if value not in (None, "", "auto", "default")
    ]
    if is_id(work) and strange:
        raise RequestRejected(
            f"{', '.join(strange)}: for an estimate that is started, and {work!r} was "
            "started before: leave them out"
        )


def is_id(work: str) -> bool:
    """Whether it names one that was started, rather than a file."""
    return work.startswith("precise-") and not Path(work).exists()


def read(file: Path, observable: str | None, parameters: Sequence[str] | None) -> tuple[Path, Any]:
    """The circuit's file, and the values of its parameters.

    Raises:
        RequestRejected: There is no such file, no observable, or a parameter is not name=value.
    """
    with readable(file):
        pass  # it is read where the job is made
    if observable is None:
        raise RequestRejected("name what to estimate: --observable, such as ZZ")
    values = {}
    for word in parameters or ():
        name, _, text = word.partition("=")
        try:
            values[name] = float(text)
        except ValueError:
            raise RequestRejected(f"--parameter {word!r} is not name=value with a number") from None
    return file, values or None


def read_observable(text: str | None) -> Any:
    """A label, or a sum of them as JSON.

    Raises:
        RequestRejected: It looks like JSON and is none.
    """
    if text is None or not text.lstrip().startswith("{"):
        return text
    return json_option("--observable", text)


def said(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What was said of it."""
    return {name: value for name, value in wanted.items() if value not in (None, "")}


@contextlib.contextmanager
def left_behind(found: PreciseJob) -> Iterator[None]:
    """Says how to find it again where the terminal is left."""
    try:
        yield
    except asyncio.CancelledError:
        err.print(f"\n{found.id} goes on with its worker: `qurable precise {found.id}` waits for it")
        raise


def report(found: PreciseReport, *, json: bool) -> None:
    """The value, and its rounds with their error bars."""
    if json:
        print_json({**found.model_dump(mode="json"), "state": "completed"})
        return
    out.print(f"value    {found.value:+.6f} ± {found.standard_error:.6f}")
    out.print(f"95 %     {found.interval[0]:+.6f} to {found.interval[1]:+.6f}")
    out.print(f"ended    {found.because}")
    table = Table("round", "job", "shots", "standard error", "", "price", box=None)
    widest = max((done.standard_error for done in found.rounds), default=0.0) or 1.0
    for done in found.rounds:
        bar = "█" * max(1, round(_BAR * done.standard_error / widest))
        price = "" if done.price is None else f"{done.price:.2f} {found.currency}"
        table.add_row(
            str(done.number), done.job_id, f"{sum(done.shots):,}", f"{done.standard_error:.4g}", bar, price
        )
    print_table(table)
    for lost in found.lost:
        out.print(f"lost     {lost.job_id}, {lost.qpu_seconds:.1f} QPU seconds: {lost.because}")
    if found.price is not None:
        out.print(f"price    {found.price:.2f} {found.currency}, {found.qpu_seconds:.1f} QPU seconds")
    out.print(f"report   {found.id}")


def stopping(found: PreciseState, *, json: bool) -> None:
    """How far one had come that was told to stop."""
    if json:
        print_json(found.model_dump(mode="json"))
        return
    out.print(f"{found.id} is told to stop, after {len(found.rounds)} rounds")
