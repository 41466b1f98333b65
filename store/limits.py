"""Whether there is room for a submission: budgets, the job's own limits, and how many jobs a project may send."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from qurable.contracts.budgets import Budget, JobBudget, Payer, Period, Scope
from qurable.contracts.executions import PartIntent, SubmissionKey
from qurable.errors import BudgetExceeded, GuardrailBroken
from store import budgets
from store.schema import jobs, reservations
from store.spending import Taken, concerned, money_taken, seconds_taken

_ROUNDING = 1e-6
"""QPU seconds or units of money by which sums of floats may be off."""

QPU_SECONDS = "QPU seconds"


def check_room(
    connection: Connection, key: SubmissionKey, payer: Payer, parts: Sequence[PartIntent], month: str
) -> None:
    """Refuse a submission that may cost more than is left of any budget that bounds it.

    The budgets stay locked until the transaction ends, so that what is reserved in it counts for whoever asks next.

    Raises:
        BudgetExceeded: Naming the limit, what is reserved and spent of it, and the way out.
        GuardrailBroken: The project has sent enough this month.
    """
    subjects = budgets.subjects_of(key.job_id, payer.user, payer.project)
    _check_submissions(connection, payer.project, month, len(parts))
    for budget in budgets.bounding(connection, subjects, lock=True):
        subject = subjects[budget.scope]
        among = concerned(budget.scope, subject, month if budget.period is Period.MONTH else "")
        if budget.qpu_seconds is not None:
            limit = _Limit(budget, subject, budget.qpu_seconds, QPU_SECONDS)
            limit.check(_seconds(parts), seconds_taken(connection, among))
        if budget.money is not None:
            limit = _Limit(budget, subject, budget.money, budget.currency)
            limit.check(_money(parts, budget.currency), money_taken(connection, among, budget.currency))
    _check_own(connection, key, payer, parts)


def _check_own(connection: Connection, key: SubmissionKey, payer: Payer, parts: Sequence[PartIntent]) -> None:
    """The limits that the job has set itself, and what was approved for this place.

    The job's row is locked, since two attempts may submit at once.
    """
    if payer.budget == payer.approved == JobBudget():
        return
    row = select(jobs.c.id).where(jobs.c.id == key.job_id)
    connection.execute(row.with_for_update(key_share=True))
    paid_in = next((part.currency for part in parts if part.currency), "")
    everywhere = concerned(Scope.JOB, key.job_id, "")
    there = [*everywhere, reservations.c.backend == key.backend]
    for own, among, approved in ((payer.budget, everywhere, False), (payer.approved, there, True)):
        if own.qpu_seconds is not None:
            limit = _Limit(None, key.job_id, own.qpu_seconds, QPU_SECONDS, approved)
            limit.check(_seconds(parts), seconds_taken(connection, among))
        if own.price is not None:
            currency = own.currency or paid_in
            limit = _Limit(None, key.job_id, own.price, currency, approved)
            limit.check(_money(parts, currency), money_taken(connection, among, currency))


def _seconds(parts: Sequence[PartIntent]) -> float | None:
    """QPU seconds that a submission may take, None where a part does not say."""
    known = [part.reserve for part in parts if part.reserve is not None and not part.open_ended]
    return float(sum(known)) if len(known) == len(parts) else None


def _money(parts: Sequence[PartIntent], currency: str) -> float | None:
    """What a submission may cost in a currency, None where a part has no price in it."""
    known = [
        part.price_per_second * part.reserve
        for part in parts
        if part.price_per_second is not None
        and part.reserve is not None
        and part.currency == currency
        and not part.open_ended
    ]
    return sum(known) if len(known) == len(parts) else None


@dataclass(frozen=True)
class _Limit:
    """One limit.

    Attributes:
        budget: It belongs to; None where the job set it itself, or somebody approved of it.
        subject: Job, user or project that it bounds here.
        most: The limit.
        unit: QPU seconds, or a currency.
        approved: Whether it is what somebody approved.
    """

    budget: Budget | None
    subject: str
    most: float
    unit: str
    approved: bool = False

    def check(self, asked: float | None, taken: Taken) -> None:
        """Refuse what there is no room for."""
        if asked is not None and taken.reserved + taken.spent + asked <= self.most + _ROUNDING:
            return
        details: dict[str, Any] = {
            "scope": str(Scope.JOB if self.budget is None else self.budget.scope),
            "name": self.subject,
            "limit": self.most,
            "unit": self.unit,
            "reserved": taken.reserved,
            "spent": taken.spent,
            "asked": asked,
        }
        limited = f"{self._whose} may take {self.most:g} {self.unit}".rstrip()
        if asked is None:
            raise BudgetExceeded(
                f"{limited}, and what this submission may take of them is not known: {self._other}", **details
            )
        raise BudgetExceeded(
            f"{limited}, of which {taken.reserved:g} are reserved and {taken.spent:g} spent; this submission may take "
            f"{asked:g}: {self._way_out}",
            **details,
        )

    @property
    def _whose(self) -> str:
        if self.approved:
            return "the job, as it was approved for this place,"
        if self.budget is None:
            return "the job, by its own budget,"
        return str(self.budget.of(self.subject))

    @property
    def _other(self) -> str:
        if self.unit == QPU_SECONDS:
            return "a dedicated session costs for as long as it is active, use ibm.mode batch or job, or another backend"
        return (
            "give the account a price_per_second in that currency; a dedicated session costs for as long as it is active, "
            "use ibm.mode batch or job"
        )

    @property
    def _way_out(self) -> str:
        if self.approved:
            return "ask for less, or send the job under a new key and have it approved with a higher cap"
        if self.budget is None:
            field = "qpu_seconds" if self.unit == QPU_SECONDS else "price"
            return f"ask for less, or allow more with budget.{field}"
        return self.budget.of(self.subject).way_out


def _check_submissions(connection: Connection, project: str, month: str, asked: int) -> None:
    rails = budgets.guardrails_of(connection, project, lock=True) if project else None
    if rails is None or rails.submissions is None:
        return
    sent = select(func.count()).where(
        reservations.c.project == project, reservations.c.month == month, reservations.c.unsent.is_(False)
    )
    before: int = connection.execute(sent).scalar_one()
    if before + asked > rails.submissions:
        raise GuardrailBroken(
            f"project {project!r} may send {rails.submissions} provider jobs a month and has sent {before}; this submission "
            f"makes {asked}: put circuits together into one job, wait for the next month, or allow more with "
            f"`qurable budget guard --project {project} --submissions N`",
            limit=rails.submissions,
            sent=before,
            asked=asked,
        )
