"""What `qurable batch` prints."""

import asyncio
import contextlib
from collections.abc import Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from qurable.batches import Batch
from qurable.cli.printing import err, out, print_json
from qurable.contracts.batches import BatchReport
from qurable.contracts.reports import State
from qurable.errors import JobNotFound

_SHOWN = 20


@contextlib.contextmanager
def left_behind(batch: Batch) -> Iterator[None]:
    """Where whoever waits is interrupted, say that the batch is not, and how to come back to it."""
    try:
        yield
    except asyncio.CancelledError:
        err.print(
            f"\nbatch {batch.id} goes on with its workers: `qurable batch --attach {batch.id}` waits for it"
        )
        raise


async def progress(batch: Batch, *, follow: bool, quiet: bool) -> None:
    """Follow a batch to its end: a bar on standard error and, where they are asked for, its items on standard output."""
    if quiet and not follow:
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # A bar that is drawn again and again is for a terminal; a pipe gets its last state alone.
    with Progress(*columns, console=err, disable=quiet) as bar:
        task = bar.add_task(f"batch {batch.id}", total=None)
        failed = 0
        async for item in batch.results():
            failed += item.state in (State.FAILED, State.CANCELLED)
            if bar.tasks[task].total is None:
                with contextlib.suppress(JobNotFound):
                    bar.update(task, total=(await batch.status()).items)
            bar.update(
                task, advance=1, description=f"batch {batch.id}{f', {failed} failed' if failed else ''}"
            )
            if follow:
                print_json(item.document())


def report(found: BatchReport, *, json: bool, follow: bool) -> None:
    """The sum, and what has no answer; on standard error where the items are on the other."""
    if json:
        print_json(found.model_dump(mode="json"))
        return
    console = err if follow else out
    console.print(f"batch    {found.id}")
    console.print(
        f"state    {found.state}: {', '.join(f'{count} {state}' for state, count in found.counts.items())}, of {found.items} items"
    )
    console.print(f"jobs     {found.chunks}, for {found.groups} different questions")
    console.print(
        f"took     {(found.ended - found.accepted).total_seconds():.1f} s, runs of {found.durations.run:.1f} s in all"
    )
    if found.qpu_seconds:
        price = "price not known" if found.price is None else f"{found.price:.2f} {found.currency}"
        console.print(f"paid     {found.qpu_seconds:g} QPU seconds, {price}")
    for item in found.failed[:_SHOWN]:
        reason = "" if item.error is None else item.error.message
        console.print(f"line {item.line}: {item.state}: {reason}")
    for line in found.broken[:_SHOWN]:
        console.print(f"line {line.line}: broken: {line.problem}")
    if found.failed:
        console.print(f"`qurable batch --rerun {found.id}` runs again what has no answer")
