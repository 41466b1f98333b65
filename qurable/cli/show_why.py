"""Why a job ended as it did, as people and programs read it: one page."""

from rich.table import Table

from qurable.cli.printing import out, print_json, print_table
from qurable.contracts.checks import CheckResult, Passed
from qurable.contracts.explanations import Contender, ErrorBudget, ErrorPart, Remedy
from qurable.contracts.routes import Considered
from qurable.contracts.why import Why

_CHECKS = 12
_PLACES = 8
_REMEDIES = 3
_CHANGES = 8
_LONGEST = 160
"""Characters of a reason; a page has room for no more, and `--json` has all of it."""


def page(found: Why, *, json: bool) -> None:
    """The whole page."""
    if json:
        print_json(found.model_dump(mode="json"))
        return
    out.print(f"job      {found.id} ({found.state}), asked for {found.asked}", style="bold")
    out.print(f"because  {found.because}")
    if found.explanation is not None:
        told = found.explanation
        for name, sentence in (
            ("problem", told.problem),
            ("circuit", told.circuit),
            ("backend", told.backend),
            ("shots", told.shots),
            ("verdict", told.accepted),
            ("twins", told.twins),
        ):
            if sentence:
                out.print(f"{name:<8} {sentence}")
    if found.shared is not None:
        out.print(f"shared   {found.shared.in_words()}")
    _route(found)
    _changes(found)
    if found.verdict is not None:
        _checks(found.verdict.checks)
    _budget(found.error_budget)
    _against(found.against)


def _short(reason: str) -> str:
    return reason if len(reason) <= _LONGEST else f"{reason[: _LONGEST - 3]}..."


def _route(found: Why) -> None:
    if not found.considered:
        return
    out.print("\nroute")
    table = Table("  place", "verdict", "", box=None)
    failed = {attempt.backend: attempt.error.message for attempt in found.tried}
    # What was asked for stands first; those that were taken are told before those that were not.
    places = sorted(found.considered, key=lambda entry: entry.name not in found.taken)
    for entry in places[:_PLACES]:
        table.add_row(f"  {entry.name}", _became(found, entry), _short(failed.get(entry.name, entry.because)))
    print_table(table)
    if len(places) > _PLACES:
        out.print(f"  ... and {len(places) - _PLACES} more, see --json")


def _changes(found: Why) -> None:
    if not found.changes:
        return
    out.print("\nchanged and tried again")
    for change in found.changes[:_CHANGES]:
        out.print(f"  {_short(f'{change}, after {change.because}: {change.message}')}")
    if len(found.changes) > _CHANGES:
        out.print(f"  ... and {len(found.changes) - _CHANGES} more, see --json")


def _became(found: Why, entry: Considered) -> str:
    if entry.name == found.served_by:
        return "answered"
    if any(attempt.backend == entry.name for attempt in found.tried):
        return "did not answer"
    return "not needed" if entry.name in found.taken else "not taken"


def _checks(checks: tuple[CheckResult, ...]) -> None:
    out.print("\nchecks")
    table = Table("  check", "outcome", "", box=None)
    told = sorted(checks, key=lambda check: check.outcome is not Passed.FAILED)
    for check in told[:_CHECKS]:
        outcome = check.outcome.replace("_", " ")
        then = f", {check.then.replace('_', ' ')}" if check.outcome is Passed.FAILED else ""
        table.add_row(f"  {check.rule}", f"{outcome}{then}", _short(check.because))
    print_table(table)
    if len(told) > _CHECKS:
        out.print(f"  ... and {len(told) - _CHECKS} more, see --json")


def _budget(budget: ErrorBudget) -> None:
    if not budget.parts:
        return
    out.print("\nerror budget")
    table = Table("  source", "size", "what it is", box=None)
    for part in budget.parts:
        table.add_row(f"  {part.source.replace('_', ' ')}", _size(part), f"{part.unit} ({part.basis})")
    print_table(table)
    largest = max(budget.parts, key=lambda part: part.value or 0.0)
    if largest.value and not any(remedy.source is largest.source for remedy in budget.remedies):
        out.print(f"  largest  {largest.source.replace('_', ' ')}, which nothing on the route halves")
    for number, remedy in enumerate(budget.remedies[:_REMEDIES]):
        out.print(f"  {'halved by' if not number else '       or'} {_remedy(remedy)}")


def _size(part: ErrorPart) -> str:
    return "not known" if part.value is None else f"{part.value:.3g}"


def _remedy(remedy: Remedy) -> str:
    cost = []
    if remedy.qpu_seconds is not None:
        cost.append(f"{remedy.qpu_seconds.low:.1f}-{remedy.qpu_seconds.high:.1f} QPU seconds")
    elif remedy.seconds is not None:
        cost.append(f"{remedy.seconds:.3g} s")
    if remedy.price is not None:
        cost.append(f"{remedy.price:.2f} {remedy.currency}".strip())
    takes = f" for {' and '.join(cost)} at most" if cost else ""
    return f"{remedy.what}{takes} ({remedy.source.replace('_', ' ')}; {remedy.basis})"


def _against(against: tuple[Contender, ...]) -> None:
    if len(against) < 2:
        return
    out.print("\nthis answer against the best of the other kind")
    table = Table("  place", "kind", "time", "QPU", "price", "quality", "", box=None)
    for one in against:
        table.add_row(
            f"  {one.name}",
            one.kind.replace("_", " "),
            "" if one.seconds is None else f"{one.seconds:.3g} s",
            "" if one.qpu_seconds is None else f"{one.qpu_seconds:.2f} s",
            "" if one.price is None else f"{one.price:.2f} {one.currency}".strip(),
            _quality(one),
            one.basis,
        )
    print_table(table)


def _quality(one: Contender) -> str:
    if one.quality is None:
        return "not known"
    sense = "" if one.sense is None else f"{one.sense} "
    interval = "" if one.interval is None else f" in [{one.interval[0]:.6g}, {one.interval[1]:.6g}]"
    return f"{sense}{one.quality:.6g}{interval}"
