"""Precise: group an observable, take in what a round brought, and decide on the next one; a round is a job like any other."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection
from temporalio import activity

from activities.bills import bill_of
from activities.boundary import speaks_temporal
from activities.reporting import results_of
from circuits.precision import next_round, pooled, standard_error, value
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.backend import StillWaiting
from qurable.contracts.base import digest
from qurable.contracts.bindings import Bindings
from qurable.contracts.budgets import JobBudget, Scope
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import MAX_SEED, EstimateJob
from qurable.contracts.observables import Observable, Observables, PauliTerm
from qurable.contracts.precise import (
    MOST_ROUNDS,
    Group,
    LostRound,
    Moments,
    Precise,
    PreciseCall,
    PreciseEnd,
    PreciseReport,
    PreciseState,
    PreciseStep,
    Round,
)
from qurable.contracts.pubs import EstimatePub
from qurable.contracts.reports import JobReport, ProviderRecord
from qurable.contracts.results import EstimateResult
from qurable.errors import BudgetExceeded, InternalError, StageForgotten
from qurable.names import Activity
from store import jobs
from store.database import Database
from store.limits import QPU_SECONDS
from store.shelf import StoreShelf

_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=120.0)
_SEED_STEP = 2**20
"""Between the seeds of two runs: shot j of noisy trajectories has the run's seed plus j, and no run has more shots."""

_INTERVAL = 1.96

_BILLED_WITHIN = timedelta(minutes=15)
"""After that a round counts as what was reserved for it: more is never spent than is allowed, and less may be."""

_LOOK_AGAIN = timedelta(seconds=5)

_HALVINGS = 6
"""Times that a round which no budget let pass is planned half as large."""


@dataclass(frozen=True)
class RoundBill:
    """What a round cost.

    Attributes:
        price: As the provider has said so far; None where it is not known.
        qpu_seconds: Likewise.
        most_price: At most, by what was reserved where the provider has not said its last word.
        most_qpu_seconds: Likewise.
        final: Whether it has.
    """

    price: float | None
    qpu_seconds: float
    most_price: float | None
    most_qpu_seconds: float
    final: bool

    def fields(self) -> dict[str, Any]:
        """Of a round."""
        return {
            "price": self.price,
            "qpu_seconds": self.qpu_seconds,
            "most_price": self.most_price,
            "most_qpu_seconds": self.most_qpu_seconds,
        }


class PreciseRounds:
    """Decides.

    Args:
        database: Where reports are.
        shelf: Where results are.
        pool: Children that group observables.
    """

    def __init__(self, database: Database, shelf: StoreShelf, pool: ChildPool) -> None:
        self._database = database
        self._shelf = shelf
        self._pool = pool

    @activity.defn(name=Activity.PRECISE)
    @speaks_temporal
    async def precise(self, call: PreciseCall) -> PreciseStep:
        """The next round, or the end; the same for the same call, so that it may run twice.

        Raises:
            StageForgotten: The store has no report of a round that has ended.
        """
        asked, state = call.precise, call.state or await self._begun(call.precise)
        if call.step is not None and call.refusal is None:
            state = await self._taken_in(asked, state, call.step, call.ended)
        elif call.refusal is not None:
            state = await self._lost(asked, state, call.ended, call.refusal.message)
        return decided(asked, state, call.refusal)

    async def _begun(self, asked: Precise) -> PreciseState:
        (observable,) = asked.job.pubs[0].observables.items
        payload = {"observable": observable.model_dump_json()}
        found: dict[str, Any] = await self._pool.call(
            "circuits.precision_groups:groups_of", payload, _LIMITS, what="grouping the observable"
        )
        groups = tuple(
            Group(
                observable=Observable(
                    terms=tuple(
                        PauliTerm(pauli=letters, qubits=tuple(qubits), coefficient=factor)
                        for letters, qubits, factor in group
                    )
                )
            )
            for group in found["groups"]
        )
        moments = tuple(Moments() for _ in groups)
        return PreciseState(id=asked.id, constant=found["constant"], groups=groups, moments=moments)

    async def _bill(self, asked: Precise, report: JobReport) -> RoundBill:
        """What a round cost, for which the provider is waited for a while where a limit depends on it.

        Raises:
            StillWaiting: The provider has not said its last word.
        """
        bill = await self._database.read(_bill_of, report)
        limited = asked.max_price is not None or asked.max_qpu_seconds is not None
        waited = datetime.now(UTC) - activity.info().scheduled_time
        if limited and not bill.final and waited < _BILLED_WITHIN:
            raise StillWaiting(f"what round {report.id!r} cost is not known yet", _LOOK_AGAIN)
        return bill

    async def _taken_in(
        self, asked: Precise, state: PreciseState, step: PreciseStep, job_id: str
    ) -> PreciseState:
        report = await self._database.read(jobs.find_report, job_id)
        if report is None:
            raise StageForgotten(
                f"the store has no report of round {job_id!r}: it was restored from a backup"
            )
        results = await results_of(self._database, self._shelf, job_id)
        pubs = iter(results)
        moments = []
        for before, copies in zip(state.moments, step.copies, strict=True):
            if not copies:
                moments.append(before)
                continue
            result = next(pubs)
            if not isinstance(result, EstimateResult) or len(result.evs.values) != copies:
                raise InternalError(f"round {job_id!r} did not bring {copies} estimates of a group")
            each = sum(step.shots) // sum(step.copies)
            moments.append(pooled(before, each, result.evs.values, result.stds.values))
        bill = await self._bill(asked, report)
        done = Round(
            number=len(state.rounds),
            job_id=job_id,
            shots=step.shots,
            value=value(state.constant, moments),
            standard_error=standard_error(moments),
            served_by=report.served_by,
            paid=bool(report.provider_jobs),
            **bill.fields(),
        )
        return state.model_copy(
            update={
                "moments": tuple(moments),
                "rounds": (*state.rounds, done),
                "copies": state.copies + sum(step.copies),
                "refused": 0,
                "currency": report.currency or state.currency,
            }
        )

    async def _lost(self, asked: Precise, state: PreciseState, job_id: str, because: str) -> PreciseState:
        """A round without an answer: one that is to be planned smaller, and what it cost where something was sent."""
        update: dict[str, Any] = {"refused": state.refused + 1}
        report = await self._database.read(jobs.find_report, job_id)
        if report is not None and any(record.attempts for record in report.provider_jobs):
            bill = await self._bill(asked, report)
            lost = LostRound(job_id=job_id, because=because, **bill.fields())
            update |= {"lost": (*state.lost, lost), "currency": report.currency or state.currency}
        return state.model_copy(update=update)


def _bill_of(connection: Connection, report: JobReport) -> RoundBill:
    """What a round's jobs at the provider cost, as far as the provider has said."""
    known = bill_of(connection, report.id, report.route)
    sent = [record for record in known.records if record.attempts]
    fields = known.fields()
    qpu_seconds, price = fields["qpu_seconds"], fields["price"]
    pending = [record for record in sent if not record.usage_complete]
    if not pending:
        return RoundBill(price, qpu_seconds, price, qpu_seconds, final=True)
    more = sum(max(float(record.reserved or 0) - (record.qpu_seconds or 0.0), 0.0) for record in pending)
    rungs = report.route.rungs if report.route else ()
    per_second = {rung.target.name: rung.target.price_per_second for rung in rungs}
    prices = [per_second.get(record.backend) for record in sent]
    most = None
    if None not in prices and all(record.reserved is not None for record in pending):
        most = sum(
            (each or 0.0) * (_most(record) if not record.usage_complete else record.qpu_seconds or 0.0)
            for record, each in zip(sent, prices, strict=True)
        )
    return RoundBill(price, qpu_seconds, most, qpu_seconds + more, final=False)


def _most(record: ProviderRecord) -> float:
    return max(float(record.reserved or 0), record.qpu_seconds or 0.0)


def decided(asked: Precise, state: PreciseState, refusal: ErrorDocument | None) -> PreciseStep:
    """What comes next.

    Args:
        asked: As asked for.
        state: With every round that has ended.
        refusal: Why the round that was meant last has no answer; None where it has one, or none was meant.

    Raises:
        BudgetExceeded: Not even the first round is within the limits.
    """
    refused, why = refusal is not None, "" if refusal is None else refusal.message
    if refusal is not None and refusal.code != BudgetExceeded.__name__:
        return _ended(asked, state, PreciseEnd.FAILED, why)
    error = standard_error(state.moments)
    if error <= asked.precision:
        return _ended(asked, state, PreciseEnd.PRECISION, "")
    if len(state.rounds) >= MOST_ROUNDS:
        return _ended(asked, state, PreciseEnd.ROUNDS, f"there were {MOST_ROUNDS}")
    money, seconds = _left(asked, state)
    too_dear = _passed(asked, money, refusal)
    if min(money, seconds) <= 0 or (refused and state.refused > _HALVINGS):
        return _ended(asked, state, too_dear, why)
    had = sum(group.shots for group in state.moments)
    runs = next_round(state.moments, asked.precision, asked.pilot_shots, state.refused, asked.max_shots - had)
    if runs is None:
        return _ended(asked, state, too_dear if refused else PreciseEnd.SHOTS, why)
    job = _job(
        asked,
        state,
        runs.each,
        runs.copies,
        JobBudget(
            price=None if math.isinf(money) else money,
            currency=asked.currency,
            qpu_seconds=None if math.isinf(seconds) else seconds,
        ),
    )
    return PreciseStep(state=state, job=job, shots=runs.shots, copies=runs.copies)


def _passed(asked: Precise, money: float, refusal: ErrorDocument | None) -> PreciseEnd:
    """The limit that a round would pass: the one that refused the last, or that nothing is left of."""
    if refusal is None:
        return PreciseEnd.PRICE if money <= 0 else PreciseEnd.QPU_SECONDS
    if refusal.details.get("scope", Scope.JOB) != Scope.JOB:
        return PreciseEnd.BUDGET
    in_money = refusal.details.get("unit", "") not in ("", QPU_SECONDS)
    return PreciseEnd.PRICE if in_money or asked.max_qpu_seconds is None else PreciseEnd.QPU_SECONDS


def _left(asked: Precise, state: PreciseState) -> tuple[float, float]:
    """Money and QPU seconds that are left; none where it is not known what a round cost."""
    money = math.inf if asked.max_price is None else asked.max_price
    seconds = math.inf if asked.max_qpu_seconds is None else asked.max_qpu_seconds
    for done in state.costly:
        unknown = done.most_price is None and asked.max_price is not None
        money -= math.inf if unknown else done.most_price or 0.0
        seconds -= done.most_qpu_seconds
    return money, seconds


def _job(
    asked: Precise, state: PreciseState, each: int, copies: tuple[int, ...], budget: JobBudget
) -> EstimateJob:
    """A round: for every group a pub whose runs are bindings with the same values."""
    (pub,) = asked.job.pubs
    pubs = []
    for group, number in zip(state.groups, copies, strict=True):
        if number:
            bindings = Bindings(
                parameters=pub.bindings.parameters, shape=(number,), values=pub.bindings.values * number
            )
            pubs.append(
                EstimatePub(
                    circuit=pub.circuit,
                    bindings=bindings,
                    observables=Observables(items=(group.observable,)),
                    shots=each,
                )
            )
    base = asked.job.seed if asked.job.seed is not None else int(digest(f"seed\0{state.id}")[:8], 16)
    first = state.copies
    seeds = tuple((base + _SEED_STEP * (first + at)) % MAX_SEED for at in range(sum(copies)))
    key = f"{asked.job.key}\0precise\0{len(state.rounds)}\0{state.refused}"
    return asked.job.model_copy(
        update={
            "pubs": tuple(pubs),
            "seed": None,
            "seeds": seeds,
            "budget": budget,
            "key": digest(key),
        }
    )


def _ended(asked: Precise, state: PreciseState, why: PreciseEnd, reason: str) -> PreciseStep:
    found, error = value(state.constant, state.moments), standard_error(state.moments)
    if math.isinf(error):
        raise BudgetExceeded(
            f"not even a first round of {asked.pilot_shots:,} shots for each of {len(state.groups)} groups is within the limits: "
            f"{reason or why}; allow more, or take fewer pilot_shots"
        )
    known = [done.price for done in state.costly if done.price is not None]
    shots = sum(group.shots for group in state.moments)
    because = (
        f"{why} after {len(state.rounds)} rounds and {shots:,} shots: the standard error is {error:.3g}, asked was "
        f"{asked.precision:.3g}{f' ({reason})' if reason else ''}"
    )
    report = PreciseReport(
        id=state.id,
        value=found,
        standard_error=error,
        interval=(found - _INTERVAL * error, found + _INTERVAL * error),
        precision=asked.precision,
        reached=error <= asked.precision,
        ended=why,
        because=because,
        rounds=state.rounds,
        lost=state.lost,
        groups=tuple(
            (group.observable, moments.shots)
            for group, moments in zip(state.groups, state.moments, strict=True)
        ),
        shots=shots,
        price=sum(known) if known and len(known) == len(state.costly) else None,
        currency=state.currency,
        qpu_seconds=sum(done.qpu_seconds for done in state.rounds)
        + sum(lost.qpu_seconds for lost in state.lost),
    )
    return PreciseStep(state=state, report=report)
