"""What `qurable optimize` and `qurable loop` are told, and what they print."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.live import Live
from rich.text import Text

from qurable.cli.json_input import json_file, json_option
from qurable.cli.printing import err, out, print_json
from qurable.contracts.base import explain
from qurable.contracts.optimisations import (
    OptimisationReport,
    OptimisationStatus,
    ProblemFormat,
    Reference,
    Steering,
)
from qurable.contracts.problems import MAX_PROBLEM_TEXT, PROBLEM_KINDS, ProblemAnswer, Sense
from qurable.errors import RequestRejected
from qurable.optimising import Loop, problem_file
from qurable.watching import numbers, paid

_BARS = "▁▂▃▄▅▆▇█"
_CHART_WIDTH = 60


def wishes(
    optimiser: str | None,
    shots: int | None,
    seed: int | None,
    evaluations: int | None,
    tolerance: float | None,
    plateau: int | None,
    target: float | None,
    deadline: float | None,
    key: str | None,
    project: str,
) -> dict[str, Any]:
    """The fields of a loop that a command line names."""
    stop = {
        "evaluations": evaluations,
        "tolerance": tolerance,
        "plateau": plateau,
        "target": target,
        "deadline": None if deadline is None else timedelta(seconds=deadline),
    }
    fields = {
        "optimiser": None if optimiser is None else {"name": optimiser},
        "stop": {name: value for name, value in stop.items() if value is not None} or None,
        "shots": shots,
        "seed": seed,
        "key": key,
        "project": None if project == "default" else project,
    }
    return {name: value for name, value in fields.items() if value is not None}


def read_loop(
    file: Path,
    ansatz: str | None,
    form: str | None,
    index_base: int | None,
    table: str | None,
    mapping: str | None,
    fields: dict[str, Any],
) -> tuple[Any, Any, dict[str, Any]]:
    """What is asked, with which ansatz, and the other fields.

    Raises:
        RequestRejected: The file or an option is not acceptable.
    """
    if form is None and file.suffix == ".json":
        document = _document(file)
        if document.get("kind") in ("optimisation", *PROBLEM_KINDS):
            _reads_no_file({"--index-base": index_base, "--table": table, "--mapping": mapping})
        if document.get("kind") == "optimisation":
            return _whole(document, ansatz, fields)
        if document.get("kind") in PROBLEM_KINDS:
            return document, _named(ansatz), fields
        form = ProblemFormat.DIMOD if "linear_biases" in document else ProblemFormat.SPARSE_PAULI_OP
    return problem_file(file, form, index_base, table, mapping), _named(ansatz), fields


def read_objective(name: str | None, data: str | None) -> dict[str, Any]:
    """The registered objective that a command line names.

    Raises:
        RequestRejected: Its data are no JSON object, or belong to none.
    """
    if name is None:
        if data is not None:
            raise RequestRejected("--objective-data belong to an --objective: name one")
        return {}
    told = {} if data is None else json_option("--objective-data", data)
    if not isinstance(told, dict):
        raise RequestRejected("--objective-data is no JSON object: write {...}")
    return {"objective": {"name": name, "data": told}}


def _named(ansatz: str | None) -> str:
    if ansatz is None:
        raise RequestRejected(
            "name an --ansatz: qaoa, hamiltonian or real_amplitudes, with layers as in qaoa:3, or an OpenQASM file"
        )
    return ansatz


def _whole(
    document: dict[str, Any], ansatz: str | None, fields: dict[str, Any]
) -> tuple[Any, Any, dict[str, Any]]:
    """A loop as a document; options are put in the place of its fields, and of its stop rules one by one."""
    whole = {**document, **fields}
    if "stop" in fields and isinstance(document.get("stop"), dict):
        whole["stop"] = {**document["stop"], **fields["stop"]}
    whole.pop("kind")
    kinds = ("problem", "file", "observable", "observables")
    given = [name for name in kinds if whole.get(name) is not None]
    if len(given) != 1 or given == ["file"]:
        raise RequestRejected("a loop's document has one of problem, observable and observables")
    work = whole.pop(given[0])
    own = whole.pop("ansatz", None) or whole.pop("circuit", None)
    return work, _named(ansatz) if own is None else ansatz or own, whole


def _reads_no_file(options: dict[str, Any]) -> None:
    """Refuse what tells how another kind of file is read."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise RequestRejected(
            f"{' and '.join(given)}: for files of other formats; a document says what its numbers are, leave it out"
        )


def _document(file: Path) -> dict[str, Any]:
    found = json_file(file, most=MAX_PROBLEM_TEXT)
    if not isinstance(found, dict):
        raise RequestRejected(f"{str(file)!r} holds no JSON object")
    return found


def read_steering(
    *, stop: bool, pause: bool, resume: bool, shots: int | None, switch: str | None
) -> Steering | None:
    """The change that a command line asks for; None for none.

    Raises:
        RequestRejected: It asks for two that exclude each other.
    """
    if pause and resume:
        raise RequestRejected("--pause and --resume exclude each other")
    if not (stop or pause or resume or shots is not None or switch is not None):
        return None
    try:
        return Steering(
            stop=stop, pause=True if pause else False if resume else None, shots=shots, backend=switch
        )
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the change")) from None


async def follow(loop: Loop) -> None:
    """The curve on standard error, drawn again as it grows; a pipe gets a line for each change."""
    with showing() as show:
        async for found in loop.progress():
            show(found)


@contextlib.contextmanager
def showing() -> Iterator[Callable[[OptimisationStatus], None]]:
    """Shows a status on standard error, each in the place of the one before; a pipe gets a line for each."""
    if not err.is_terminal:
        yield lambda found: err.print(_line(found))
        return
    with Live(console=err, auto_refresh=False) as live:
        yield lambda found: live.update(Text("\n".join(_chart(found))), refresh=True)


@contextlib.contextmanager
def left_behind(loop: Loop) -> Iterator[None]:
    """Say the loop's id first, and how to come back to it where whoever waits is interrupted."""
    err.print(f"loop {loop.id}", style="bold")
    try:
        yield
    except asyncio.CancelledError:
        err.print(
            f"\nloop {loop.id} goes on with its worker: `qurable loop {loop.id} --follow` attaches to it"
        )
        raise


def _line(found: OptimisationStatus) -> str:
    best = "" if found.best is None else f"  best {found.best.value:.8g}"
    shots = "exact values" if found.shots is None else f"{found.shots:,} shots"
    return (
        f"{found.state:<10} {found.spent.iterations:>7,} iterations  {found.spent.evaluations:>9,} evaluations  "
        f"{found.spent.seconds:8.1f} s  {found.backend}, {shots}{paid(found.spent)}{best}  {found.message}".rstrip()
    )


def _chart(found: OptimisationStatus) -> list[str]:
    lines = [_line(found)]
    if found.curve:
        ends = f"{found.curve[0].best:.6g} .. {found.curve[-1].best:.6g}"
        lines.append(f"best so far   {sparkline([point.best for point in found.curve])}  {ends}")
        lines.append(f"by iteration  {sparkline([point.value for point in found.curve])}")
    if found.reference is not None:
        lines.append(_reference(found.reference))
    if found.best is not None:
        lines.append("at            " + numbers(found.best.x))
    return lines


def sparkline(values: Sequence[float], width: int = _CHART_WIDTH) -> str:
    """Values as bars, the lowest the shortest; of more values than fit, evenly spaced ones and the last."""
    if len(values) > width:
        values = [values[int((at + 1) * len(values) / width) - 1] for at in range(width)]
    low, high = min(values), max(values)
    span = high - low
    if span <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in values)


def _answer(whose: str, found: ProblemAnswer) -> Iterator[str]:
    """An answer in the problem's terms: a tour, variables by name, or an assignment."""
    if found.tour:
        yield f"{whose + 'tour':<18}{' '.join(found.tour)}"
    elif found.assignment is not None and found.names:
        values = " ".join(
            f"{name}={value:g}" for name, value in zip(found.names, found.assignment, strict=True)
        )
        yield f"{whose + 'variables':<18}{values}"
    elif found.assignment is not None:
        yield f"{whose + 'assignment':<14}{' '.join(f'{value:g}' for value in found.assignment)}"
    if found.objective is not None:
        yield f"{whose + 'objective':<{18 if found.names else 14}}{found.objective:g}"
    if found.names:
        broken = "; ".join(found.violations[:5])
        yield f"{whose + 'feasible':<18}{'yes' if found.feasible else f'no: {broken}'}"


def _reference(reference: Reference) -> str:
    return f"classical     {reference.value:.8g} by {reference.solver} in {reference.seconds:.2f} s"


def status(found: OptimisationStatus, *, json: bool) -> None:
    """Where a loop stands."""
    if json:
        print_json(found.model_dump(mode="json"))
        return
    out.print(f"loop          {found.id}")
    for line in _chart(found):
        out.print(line)


def report(found: OptimisationReport, *, json: bool) -> None:
    """What came of a loop."""
    if json:
        print_json(found.model_dump(mode="json"))
        return
    out.print(f"loop          {found.id}")
    out.print(f"state         {found.state}, stopped by {found.stopped_by}")
    if found.reading is not None:
        base = "" if found.reading.index_base is None else f", counted from {found.reading.index_base}"
        out.print(f"file          {found.reading.format}{base}: {found.reading.meaning}")
    if found.value is not None:
        error = f" ± {found.error:.2g}" if found.error else " exactly"
        out.print(f"value         {found.value:.10g}{error} ({found.sense})")
    if found.reference is not None:
        out.print(_reference(found.reference))
    if found.gap is not None:
        ratio = "" if found.ratio is None else f", {found.ratio:.4f} of it"
        worse = "lower" if found.sense is Sense.MAXIMIZE else "higher"
        out.print(f"gap           {found.gap:.6g} {worse} than the classical value{ratio}")
    if found.answer is not None:
        for line in _answer("", found.answer):
            out.print(line)
    if found.reference is not None and found.reference.answer is not None:
        for line in _answer("classical ", found.reference.answer):
            out.print(line)
    spent = found.spent
    out.print(
        f"cost          {spent.iterations:,} iterations, {spent.evaluations:,} evaluations, {spent.shots:,} shots, {spent.seconds:.1f} s"
        + (f", {spent.jobs:,} jobs" if spent.jobs else "")
        + paid(spent)
    )
    for place in found.places if len(found.places) > 1 else ():
        out.print(
            f"on {place.backend:<10} {place.iterations:,} iterations from {place.first:,}, {place.evaluations:,} evaluations, "
            f"{place.shots:,} shots, best {place.best:.8g}"
        )
    if found.curve:
        out.print(f"best so far   {sparkline([point.best for point in found.curve])}")
    if found.x:
        out.print(f"at            {numbers(found.x)}")
    for warning in found.warnings:
        out.print(f"warning       {warning}")
