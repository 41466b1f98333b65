"""What a job's provider jobs were, and what they cost, for its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from qurable.contracts.executions import Incident, Phase, ProviderFacts, ProviderJob, Seconds, SubmissionKey
from qurable.contracts.explanations import Contender
from qurable.contracts.extrapolation import ExtrapolationRecord
from qurable.contracts.mitigation import MitigationRecord
from qurable.contracts.reports import ProviderRecord
from qurable.contracts.routes import Route
from qurable.contracts.sharing import Share
from qurable.contracts.targets import TargetSnapshot
from qurable.contracts.twins import TwinRecord
from store import groups, incidents, provider_jobs


@dataclass(frozen=True)
class Bill:
    """All that a job has at providers.

    Attributes:
        records: One per part that was meant.
        incidents: Jobs nobody wanted.
        unwanted: What those were charged that have a price.
        shares: Its parts of provider jobs that others paid for, too.
        shared: Those provider jobs.
        members: Jobs that share its own.
    """

    records: Sequence[ProviderRecord] = ()
    incidents: Sequence[Incident] = ()
    unwanted: Sequence[float] = ()
    shares: Sequence[Share] = ()
    shared: Sequence[ProviderRecord] = ()
    members: Sequence[str] = ()

    def fields(self) -> dict[str, Any]:
        """The report's fields."""
        prices = [record.price for record in self.records if record.attempts or record.id]
        prices += [share.price for share in self.shares]
        prices += self.unwanted
        currencies = [record.currency for record in self.records]
        currencies += [share.currency for share in self.shares]
        known = [price for price in prices if price is not None]
        return {
            "provider_jobs": tuple(self.records),
            "incidents": tuple(self.incidents),
            "qpu_seconds": sum(record.qpu_seconds or 0.0 for record in self.records)
            + sum(share.qpu_seconds for share in self.shares)
            + sum(incident.billed_seconds or 0.0 for incident in self.incidents),
            "price": sum(known) if known and len(known) == len(prices) else None,
            "currency": next(filter(None, currencies), ""),
            "shared": self.shares[-1] if self.shares else None,
            "members": tuple(self.members),
        }


def bill_of(connection: Connection, job_id: str, route: Route | None) -> Bill:
    """What the store knows of a job's provider jobs."""
    targets = {rung.name: rung.target for rung in route.rungs} if route else {}
    shares = groups.shares_of(connection, job_id)
    found = incidents.of_job(connection, job_id)
    return Bill(
        [_record(part, targets) for part in provider_jobs.of_job(connection, job_id)],
        found,
        [price for incident in found if (price := _charged(incident, targets)) is not None],
        shares,
        [
            _record(part, targets)
            for share in shares
            for part in provider_jobs.of_job(connection, share.group)
        ],
        [seat.job_id for seat in groups.members(connection, job_id)],
    )


def with_costs(against: Sequence[Contender], seconds: float, bill: Bill) -> tuple[Contender, ...]:
    """Contenders, the first of which is the answer, with the seconds that it took and what it cost."""
    if not against:
        return ()
    own, *others = against
    mine = Bill(
        [record for record in bill.records if record.backend == own.name],
        shares=[share for share in bill.shares if share.backend == own.name],
    ).fields()
    measured: dict[str, Any] = {"seconds": seconds}
    if mine["provider_jobs"] or mine["shared"]:
        measured |= {name: mine[name] for name in ("qpu_seconds", "price", "currency")}
    return (own.model_copy(update=measured), *others)


def with_shares(
    connection: Connection,
    twins: Sequence[TwinRecord],
    target: TargetSnapshot,
    key: SubmissionKey,
    own: int,
) -> tuple[TwinRecord, ...]:
    """Twins with what their ride was estimated to cost: their share of the executions of each provider job.

    Args:
        connection: To the store.
        twins: Of the submission, in order.
        target: Where it went.
        key: Of the submission.
        own: The job's own pubs, which stand before the twins that rode.
    """
    parts = provider_jobs.of_submission(connection, key.tag) if twins else ()
    shared, number = [], own
    for twin in twins:
        if not (twin.isa and parts):
            shared.append(twin)
            continue
        seconds = _share(parts, range(number, number + 1))
        number += 1
        price = target.price_per_second
        shared.append(
            twin.model_copy(
                update={
                    "seconds": seconds,
                    "price": None if price is None else price * seconds.high,
                    "currency": "" if price is None else target.currency,
                }
            )
        )
    return tuple(shared)


def with_price(
    connection: Connection,
    record: ExtrapolationRecord | None,
    target: TargetSnapshot,
    key: SubmissionKey,
    folded: range,
) -> ExtrapolationRecord | None:
    """An extrapolation with what its folded circuits were estimated to cost: their share of the executions.

    Args:
        connection: To the store.
        record: Without that.
        target: Where the submission went.
        key: Of the submission.
        folded: Where their pubs stand in it.
    """
    parts = provider_jobs.of_submission(connection, key.tag) if record is not None and folded else ()
    if record is None or not parts:
        return record
    seconds, price = _share(parts, folded), target.price_per_second
    return record.model_copy(
        update={
            "seconds": seconds,
            "price": None if price is None else price * seconds.high,
            "currency": "" if price is None else target.currency,
        }
    )


def with_calibration_price(
    connection: Connection,
    record: MitigationRecord | None,
    target: TargetSnapshot,
    key: SubmissionKey,
    circuits: range,
) -> MitigationRecord | None:
    """A mitigation with what its calibration circuits were estimated to cost at most; as it is where none rode."""
    parts = provider_jobs.of_submission(connection, key.tag) if record is not None and circuits else ()
    if record is None or not parts:
        return record
    seconds, price = _share(parts, circuits).high, target.price_per_second
    return record.model_copy(
        update={
            "qpu_seconds": seconds,
            "price": None if price is None else price * seconds,
            "currency": "" if price is None else target.currency,
        }
    )


def _share(parts: Sequence[ProviderJob], pubs: range) -> Seconds:
    """What the estimates of a submission's parts say of some of its pubs."""
    low = high = 0.0
    for part in parts:
        # All pubs of a part run with the same number of shots, and a binding counts as one circuit.
        bindings = sum(piece.stop - piece.start for piece in part.slices)
        mine = sum(piece.stop - piece.start for piece in part.slices if piece.pub in pubs)
        if part.estimate is not None and mine:
            low += part.estimate.low * mine / bindings
            high += part.estimate.high * mine / bindings
    return Seconds(low=low, high=high)


def _charged(incident: Incident, targets: Mapping[str, TargetSnapshot]) -> float | None:
    target = targets.get(incident.backend)
    if target is None or target.price_per_second is None or incident.billed_seconds is None:
        return None
    return target.price_per_second * incident.billed_seconds


def _record(part: ProviderJob, targets: Mapping[str, TargetSnapshot]) -> ProviderRecord:
    facts = part.facts or ProviderFacts(id=part.id, phase=Phase.QUEUED if part.id else Phase.LOST)
    target = targets.get(part.backend)
    price = target.price_per_second if target else None
    waited = (facts.started - facts.created).total_seconds() if facts.created and facts.started else None
    return ProviderRecord(
        id=part.id,
        backend=part.backend,
        account=part.account,
        session=part.session,
        state=facts.phase,
        attempts=part.attempts,
        created=facts.created,
        started=facts.started,
        finished=facts.finished,
        queue_seconds=waited,
        estimated=part.estimate,
        reserved=part.reserved,
        qpu_seconds=facts.qpu_seconds,
        usage_complete=facts.usage_complete,
        price=None if price is None or facts.qpu_seconds is None else price * facts.qpu_seconds,
        currency=target.currency if target and price is not None else "",
    )
