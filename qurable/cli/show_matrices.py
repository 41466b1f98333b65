"""What `qurable kernel` and `qurable features` read and print."""

import asyncio
import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from qurable.cli.printing import err, out, print_json
from qurable.contracts.matrices import MAX_SAMPLES, MatrixReport
from qurable.errors import RequestRejected
from qurable.matrices import MatrixRun


def options(backend: str, seed: int | None, key: str | None, project: str, *, anew: bool) -> dict[str, Any]:
    """Fields of a request that both commands have."""
    wishes: dict[str, Any] = {"backend": backend, "project": project, "reuse": not anew}
    wishes |= {} if seed is None else {"seed": seed}
    return wishes | ({} if key is None else {"key": key})


def samples(path: Path | None) -> list[list[float]]:
    """The rows of a CSV file of numbers; a first row that holds none names the columns.

    Raises:
        RequestRejected: There is no such file, or a cell is no number.
    """
    if path is None:
        raise RequestRejected("say which samples with --data: a CSV file of numbers")
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rows = [(number, row) for number, row in enumerate(csv.reader(lines), start=1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as failure:
        raise RequestRejected(f"{str(path)!r} cannot be read as CSV: {failure}") from None
    if rows and not any(_is_number(cell) for cell in rows[0][1]):
        rows = rows[1:]
    if not rows or len(rows) > MAX_SAMPLES:
        raise RequestRejected(
            f"{str(path)!r} has {len(rows):,} samples; 1 to {MAX_SAMPLES:,} are taken, one on each row"
        )
    width = len(rows[0][1])
    for number, row in rows:
        if len(row) != width:
            raise RequestRejected(
                f"{str(path)!r}, line {number}: {len(row)} cells, where the first sample has {width}"
            )
        for column, cell in enumerate(row, start=1):
            if not _is_number(cell):
                raise RequestRejected(f"{str(path)!r}, line {number}, column {column}: {cell!r} is no number")
    return [[float(cell) for cell in row] for _, row in rows]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@contextlib.contextmanager
def left_behind(run: MatrixRun) -> Iterator[None]:
    """Where whoever waits is interrupted, say that the matrix is not, and how to come back to it."""
    try:
        yield
    except asyncio.CancelledError:
        err.print(
            f"\nmatrix {run.id} goes on with its workers: `qurable kernel --attach {run.id}` waits for it"
        )
        raise


async def progress(run: MatrixRun, *, quiet: bool) -> None:
    """Follow a matrix to its end with a bar on standard error."""
    if quiet:
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err) as bar:
        task = bar.add_task(f"matrix {run.id}", total=None)
        async for status in run.progress():
            bar.update(task, total=status.entries, completed=status.kept)


def save(path: Path, body: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        RequestRejected: It cannot be written there.
    """
    beside = path.with_name(f"{path.name}.part")
    try:
        beside.write_bytes(body)
        beside.replace(path)
    except OSError as failure:
        raise RequestRejected(
            f"{str(path)!r} cannot be written: {failure.strerror}; the matrix is kept, ask for it again with --attach"
        ) from None


def report(found: MatrixReport, output: Path | None, *, json: bool) -> None:
    """What it is, how sure it is, and what it cost."""
    if json:
        print_json(found.model_dump(mode="json"))
        return
    shape = " x ".join(map(str, found.shape)) or "none"
    tested = f", test {' x '.join(map(str, found.test_shape))}" if found.test_shape else ""
    out.print(f"matrix   {found.id}")
    out.print(
        f"state    {found.state}: {found.kept} of {found.entries} entries, {found.reused} of them reused"
    )
    out.print(f"shape    {shape}{tested}, standard errors up to {found.largest_error:.2g}")
    if found.spectrum is not None:
        shift = found.spectrum.shift
        sound = "positive semidefinite" if not shift else f"not positive semidefinite by {shift:.3g}"
        out.print(f"spectrum {found.spectrum.smallest:.3g} to {found.spectrum.largest:.3g}, {sound}")
    served = ", ".join(f"{name} {number}" for name, number in found.served_by.items())
    out.print(
        f"served   {served or 'by nobody'}; {found.jobs} jobs, runs of {found.durations.run:.1f} s in all"
    )
    if found.qpu_seconds:
        price = "price not known" if found.price is None else f"{found.price:.2f} {found.currency}"
        out.print(f"paid     {found.qpu_seconds:g} QPU seconds, {price}")
    if output is not None:
        out.print(f"file     {output}, SHA-256 {found.sha256}")
    if found.missing:
        out.print(f"error    {'' if found.error is None else found.error.message}")
        out.print(f"`qurable kernel --rerun {found.id}` runs the {found.missing} entries that have no value")
