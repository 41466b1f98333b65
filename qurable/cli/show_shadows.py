"""What shadows of a rollout rule have shown, as people read it."""

from rich.table import Table

from qurable.cli.printing import out, print_table
from qurable.contracts.shadows import Medians, PubDifference, ShadowRun, ShadowSummary


def summary(found: ShadowSummary) -> None:
    """How many ran and differ, what both sides took, and the latest of them."""
    out.print(
        f"\nshadows of rule {found.rule!r} at {found.backend!r}: {found.ended} ended, {found.running} running, "
        f"{found.unanswered} without an answer"
    )
    out.print(
        f"  {found.differing} of {found.compared} compared differ (p below {found.bound:.1e}; by chance one rule in a thousand shows any)"
    )
    out.print(f"  median: answers {_took(found.answers)}; shadows {_took(found.shadows)}")
    if not found.latest:
        return
    table = Table("answered", "by", "shadow", "ended (UTC)", "difference", box=None)
    for run in found.latest:
        table.add_row(
            run.answer.job_id,
            run.answer.served_by,
            run.shadow.job_id or "none",
            f"{run.ended:%Y-%m-%d %H:%M:%S}",
            _difference(run),
        )
    print_table(table)


def _took(medians: Medians) -> str:
    if medians.seconds is None:
        return "nothing yet"
    qpu = f", {medians.qpu_seconds:.2f} QPU seconds" if medians.qpu_seconds else ""
    price = "" if medians.price is None else f", {medians.price:.2f} {medians.currency}"
    return f"{medians.seconds:.3f} s{qpu}{price}"


def _difference(run: ShadowRun) -> str:
    if run.error is not None:
        return f"no answer: {run.error.message}"
    words = []
    if run.p_value is not None:
        gravest = min(run.pubs, key=lambda pub: pub.p_value)
        words.append(f"p {run.p_value:.2g}, pub {gravest.pub}: {_of_pub(gravest)}")
    if run.objectives is not None:
        words.append(f"objective {run.objectives[0]:.9g}, the shadow's {run.objectives[1]:.9g}")
    return "; ".join(words) or run.missing


def _of_pub(pub: PubDifference) -> str:
    if pub.distance is not None and pub.null_quantile is not None:
        return f"total variation {pub.distance:.3g}, {pub.null_quantile:.3g} by chance"
    largest = max((abs(deviation) for deviation in pub.deviations if deviation is not None), default=None)
    return pub.looked_at if largest is None else f"{largest:.2g} standard errors"
