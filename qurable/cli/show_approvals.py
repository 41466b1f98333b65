"""What `qurable approve` prints."""

from rich.table import Table

from qurable.cli.printing import out, print_json, print_table
from qurable.contracts.approvals import Approvals, Decision, Question

_ROUTE = 12
"""Characters of a plan's hash that are shown, and enough to name it."""


def waiting(found: Approvals, *, json: bool) -> None:
    """What is asked, the longest first."""
    if json:
        print_json(found.model_dump(mode="json"))
        return
    if not found.waiting:
        out.print("no job waits for an approval")
        return
    columns = ("id", "backend", "expected", "at most", "who", "until (UTC)", "else", "plan", "because")
    table = Table(*columns, box=None)
    for question in found.waiting:
        table.add_row(*_row(question))
    print_table(table)


def question(found: Question) -> None:
    """What a job waits for, in its status."""
    terms = found.terms
    amounts = f"{_amount(terms.estimate, terms.unit)} expected, {_amount(terms.cap, terms.unit)} at most"
    out.print(f"asks     {terms.because}; {amounts}; plan {found.route[:_ROUTE]}")
    out.print(f"decide   `qurable approve {found.job_id} --as NAME --reason TEXT`, or with --refuse")


def decision(job_id: str, found: Decision, *, json: bool) -> None:
    """What was decided."""
    if json:
        print_json({"id": job_id, "decision": found.model_dump(mode="json")})
        return
    verb = "approved" if found.approve else "refused"
    cap = "" if found.cap is None else f", at most {found.cap:.2f}"
    out.print(f"job {job_id} is {verb} by {found.by}{cap}: {found.reason}")


def _row(question: Question) -> tuple[str, ...]:
    terms = question.terms
    who = ", ".join(terms.approvers) or "anybody"
    return (
        question.job_id,
        question.backend,
        _amount(terms.estimate, terms.unit),
        _amount(terms.cap, terms.unit),
        f"{who}, not {terms.not_by}" if terms.not_by else who,
        f"{question.expires:%Y-%m-%d %H:%M:%S}",
        terms.at_timeout.replace("_", " "),
        question.route[:_ROUTE],
        terms.because,
    )


def _amount(amount: float | None, unit: str) -> str:
    return "not known" if amount is None else f"{amount:.2f} {unit}"
