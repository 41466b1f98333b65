"""A route as people and programs read it."""

from rich.table import Table

from qurable.cli.printing import err, out, print_json, print_table
from qurable.contracts.routes import Considered, Estimate, Route

_MIB = 2**20


def plan(found: Route, *, json: bool) -> None:
    """Every candidate with its verdict, in the order of the ladder."""
    if json:
        print_json(found.model_dump(mode="json"))
        return
    columns = (
        "backend",
        "rung",
        "kind",
        "verdict",
        "wait",
        "run",
        "QPU",
        "price",
        "survival",
        "memory",
        "because",
    )
    table = Table(*columns, box=None)
    places = {rung.name: number for number, rung in enumerate(found.rungs, 1)}
    for entry in found.considered:
        table.add_row(*_row(entry, places))
    print_table(table)
    for rung in found.rungs:
        if rung.approval is not None:
            out.print(f"\n{rung.name} needs an approval: {rung.approval.because}")
    if found.shadow is not None:
        out.print(
            f"\nafter the answer it runs at {found.shadow.backend} too: rollout rule {found.shadow.rule!r}"
        )
    out.print(f"\nstrategy table {found.table[:16]}")
    if not found.rungs:
        err.print("no place can answer this job")


def _row(entry: Considered, places: dict[str, int]) -> list[str]:
    verdict = f"{places[entry.name]}." if entry.name in places else "not taken"
    kind = "" if entry.kind is None else str(entry.kind)
    return [entry.name, entry.rung, kind, verdict, *_figures(entry.estimate), entry.because]


def _figures(estimate: Estimate) -> list[str]:
    qpu, memory = estimate.qpu_seconds, estimate.memory_bytes
    return [
        _seconds(estimate.wait_seconds),
        _seconds(estimate.run_seconds),
        "" if qpu is None else f"{qpu.low:.1f}-{qpu.high:.1f} s",
        "" if estimate.price is None else f"<= {estimate.price:.2f} {estimate.currency}",
        "" if estimate.survival is None else f"<= {estimate.survival:.3g}",
        "" if memory is None else f"{memory / _MIB:,.1f} MiB",
    ]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.3g} s"
