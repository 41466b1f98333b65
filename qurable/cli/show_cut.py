"""What `qurable cut` is told, and what it prints."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from qurable.cli.jobs import read_job
from qurable.cli.options import Wishes
from qurable.cli.printing import err, out, print_json, print_table
from qurable.contracts.cutting import CutJob, CutPrice, CutReport, CutStatus
from qurable.contracts.jobs import EstimateJob, SampleJob
from qurable.cutting import Cut, as_cut
from qurable.errors import RequestRejected


def read_cut(file: Path, wishes: Wishes, marginals: Sequence[str], options: dict[str, Any]) -> CutJob:
    """The cut that a file and options describe.

    Raises:
        RequestRejected: The file or an option is not acceptable.
    """
    cut = {name: value for name, value in options.items() if value is not None}
    wanted = [_qubits(word) for word in marginals]
    if wishes.observables or not wanted:
        return as_cut(read_job(file, wishes), cut=cut, marginals=wanted)
    job = read_job(file, dataclasses.replace(wishes, precision=None))
    if isinstance(job, SampleJob):  # a circuit without observables
        job = _for_marginals(job, wishes)
    return as_cut(job, cut=cut, marginals=wanted)


def _for_marginals(job: SampleJob, wishes: Wishes) -> EstimateJob:
    pub = job.pubs[0]
    measured: dict[str, Any] = {
        "circuit": pub.circuit,
        "bindings": pub.bindings,
        "observables": [],
        **({"precision": wishes.precision} if wishes.shots is None else {"shots": wishes.shots}),
    }
    rest = {name: getattr(job, name) for name in SampleJob.model_fields.keys() - {"kind", "pubs", "problem"}}
    return EstimateJob.model_validate({**rest, "pubs": (measured,)})


def _qubits(word: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in word.split(","))
    except ValueError:
        raise RequestRejected(f"--marginal {word!r} is not qubits such as 0,3") from None


@contextlib.contextmanager
def left_behind(cut: Cut) -> Iterator[None]:
    """Say the cut's id first, and how to come back to it where whoever waits is interrupted."""
    err.print(f"cut {cut.id}", style="bold")
    try:
        yield
    except asyncio.CancelledError:
        err.print(f"\ncut {cut.id} goes on with its workers: `qurable cut --attach {cut.id}` waits for it")
        raise


def price(found: CutPrice, *, json: bool) -> None:
    """Where a circuit would be cut, and what that takes."""
    if json:
        print_json(found.model_dump(mode="json"))
        return
    for line in _price(found):
        out.print(line)


def _price(found: CutPrice) -> list[str]:
    lines = [f"circuit       {found.circuit}, {found.width} qubits, fragments of at most {found.qubits}"]
    for cut in found.cuts:
        at = ", ".join(map(str, cut.qubits))
        where = f"gate {cut.gate}" if cut.kind == "gate" else f"wire in front of {cut.gate}"
        lines.append(
            f"cut           {where} on qubit {at}, operation {cut.position}, overhead {cut.overhead:.3g}"
        )
    if not found.whole:
        proof = "the least there is" if found.least else "the least that was found"
        lines.append(f"overhead      {found.overhead:.4g} times the shots of the whole circuit, {proof}")
        weighed = "" if found.weighed == "exact" else f", drawn from {found.choices:,}"
        lines.append(f"choices       {found.run_choices:,}{weighed}")
    for piece in found.fragments:
        held = ", ".join(map(str, piece.qubits))
        dynamic = ", with measurements on the way" if piece.dynamic else ""
        lines.append(
            f"fragment {piece.name:<4} qubits {held}: {piece.width} wide, {piece.experiments:,} experiments, {piece.shots:,} shots{dynamic}"
        )
    lines.append(f"in all        {found.jobs} jobs, {found.experiments:,} experiments, {found.shots:,} shots")
    expected = found.estimate
    if expected.qpu_seconds is not None:
        money = "" if expected.price is None else f", up to {expected.price:.2f} {expected.currency}"
        lines.append(
            f"expected      {expected.qpu_seconds.low:.0f} to {expected.qpu_seconds.high:.0f} QPU seconds{money}"
        )
    elif expected.run_seconds is not None:
        lines.append(f"expected      about {expected.run_seconds:.2g} s of running")
    return [*lines, *(f"warning       {warning}" for warning in found.warnings)]


def status(found: CutStatus, *, json: bool) -> None:
    """Where a cut stands."""
    if json:
        print_json(found.model_dump(mode="json"))
        return
    out.print(f"cut           {found.id}")
    out.print(f"state         {found.state}")
    for end in found.ended:
        out.print(f"fragment {end.name:<4} {end.state}, job {end.job_id}")
    for name in found.open:
        out.print(f"fragment {name:<4} runs")


def report(found: CutReport, *, json: bool) -> None:
    """What came of a cut."""
    if json:
        print_json(found.model_dump(mode="json"))
        return
    out.print(f"cut           {found.id}")
    out.print(f"state         {found.state}")
    for line in _price(found.price):
        out.print(line)
    for end in found.fragments:
        reason = "" if end.error is None else f": {end.error.message}"
        out.print(
            f"job           {end.name} {end.job_id}, {end.state} {'by ' + end.served_by if end.served_by else ''}{reason}"
        )
    if found.qpu_seconds:
        cost = "price not known" if found.cost is None else f"{found.cost:.2f} {found.currency}"
        out.print(f"paid          {found.qpu_seconds:g} QPU seconds, {cost}")
    if found.evs is not None and found.stds is not None and found.evs.values:
        _values(found)
    for marginal in found.marginals:
        table = Table("outcome", "probability", "± standard error", title=f"qubits {list(marginal.qubits)}")
        for outcome, probability in marginal.probabilities.items():
            table.add_row(outcome, f"{probability:.5f}", f"{marginal.errors[outcome]:.5f}")
        print_table(table)
    out.print(f"error bars    {found.error_origin}; of the place's own noise they know nothing")


def _values(found: CutReport) -> None:
    assert found.evs is not None  # noqa: S101  the caller has seen to it
    assert found.stds is not None  # noqa: S101
    table = Table("observable", "value", "± standard error")
    for at, (value, error) in enumerate(zip(found.evs.values, found.stds.values, strict=True)):
        table.add_row(str(at), f"{value:.6f}", f"{error:.6f}")
    print_table(table)
