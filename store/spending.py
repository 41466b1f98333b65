"""Sums over what is reserved and spent."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from qurable.contracts.budgets import Scope
from store.schema import reservations

OF_SCOPE = {
    Scope.JOB: reservations.c.job_id,
    Scope.USER: reservations.c.user,
    Scope.PROJECT: reservations.c.project,
}
"""Which column says whose a reservation is; the house's are all of them."""


@dataclass(frozen=True)
class Taken:
    """What is reserved and spent, in one unit.

    Attributes:
        reserved: For jobs that are not settled.
        spent: As billed.
    """

    reserved: float = 0.0
    spent: float = 0.0


def concerned(scope: Scope, subject: str, month: str) -> list[ColumnElement[bool]]:
    """Which reservations count: those of a subject, in a month where one is named."""
    among = [] if scope is Scope.HOUSE else [OF_SCOPE[scope] == subject]
    return [*among, reservations.c.month == month] if month else among


def seconds_taken(connection: Connection, among: Sequence[ColumnElement[bool]]) -> Taken:
    """QPU seconds."""
    query = select(func.sum(reservations.c.held), func.sum(reservations.c.spent)).where(*among)
    held, spent = connection.execute(query).one()
    return Taken(held or 0.0, spent or 0.0)


def money_taken(connection: Connection, among: Sequence[ColumnElement[bool]], currency: str) -> Taken:
    """Money of one currency, at the prices of when it was reserved."""
    price = reservations.c.price_per_second
    query = select(func.sum(reservations.c.held * price), func.sum(reservations.c.spent * price))
    held, spent = connection.execute(query.where(*among, reservations.c.currency == currency)).one()
    return Taken(held or 0.0, spent or 0.0)
