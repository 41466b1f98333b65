"""No budget is passed by what is reserved, whoever reserves at once, and what was billed is never hidden."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import Connection, func, select, update

from qurable.contracts.budgets import (
    EACH,
    Budget,
    BudgetChange,
    Budgets,
    Guardrails,
    JobBudget,
    Payer,
    Period,
    Scope,
)
from qurable.contracts.executions import (
    Incident,
    IncidentKind,
    PartIntent,
    Phase,
    ProviderFacts,
    Slice,
    Submission,
    SubmissionKey,
)
from qurable.errors import BudgetExceeded, GuardrailBroken, HybridError
from qurable.ledger import Sending
from store import budgets, provider_jobs, standings
from store.database import Database
from store.ledger import StoreLedger
from store.schema import reservations

UNLIMITED = Sending("grace", None, timedelta(seconds=45))
AT_ONCE = 50
CHEMISTRY = Payer(project="chemistry", user="ada")
MONTHLY = Budget(scope=Scope.PROJECT, name="chemistry", qpu_seconds=100)


@pytest.fixture
async def another(database: Database) -> AsyncIterator[Database]:
    """The same store, as another worker has it."""
    async with Database(database._engine.url.render_as_string(hide_password=False)) as another:
        yield another


@pytest.fixture
def ledger(database: Database) -> StoreLedger:
    return StoreLedger(database)


def key(number: int = 0, *, ordinal: int = 0) -> SubmissionKey:
    return SubmissionKey(job_id=f"job-{number}", backend="ibm:torino", digest="d", ordinal=ordinal)


def parts(*seconds: int, price: float | None = None, currency: str = "") -> list[PartIntent]:
    return [
        PartIntent(
            slices=(Slice(pub=0, start=at, stop=at + 1),),
            reserve=reserve or None,
            price_per_second=price,
            currency=currency,
        )
        for at, reserve in enumerate(seconds)
    ]


async def reserve(
    ledger: StoreLedger,
    number: int,
    *seconds: int,
    payer: Payer = CHEMISTRY,
    price: float | None = None,
    currency: str = "",
    ordinal: int = 0,
) -> SubmissionKey:
    """Reserve as a submission to a paid place does."""
    wanted = key(number, ordinal=ordinal)
    submission = Submission(key=wanted, kind="sample", pubs=(), payer=payer)
    await ledger.intend(submission, "lab", parts(*seconds, price=price, currency=currency))
    return wanted


async def limit(database: Database, *limits: Budget | Guardrails) -> None:
    for one in limits:
        wanted = BudgetChange(budget=one) if isinstance(one, Budget) else BudgetChange(guardrails=one)
        await database.write(budgets.change, wanted)


async def send(ledger: StoreLedger, wanted: SubmissionKey) -> str:
    """Have the first part at the provider; gives back the provider's id."""
    await ledger.claim(wanted.tag, UNLIMITED)
    return await ledger.keep(wanted.tag, f"p-{wanted.tag}")


async def bill(
    ledger: StoreLedger,
    wanted: SubmissionKey,
    seconds: float,
    phase: Phase = Phase.DONE,
    *,
    final: bool = True,
) -> None:
    facts = ProviderFacts(id=f"p-{wanted.tag}", phase=phase, qpu_seconds=seconds, usage_complete=final)
    await ledger.observe(wanted.tag, facts)


def duplicate(tag: str, seconds: float | None, *, final: bool = True) -> Incident:
    return Incident(
        kind=IncidentKind.DUPLICATE,
        tag=tag,
        backend="ibm:torino",
        id=f"twin-of-{tag}",
        found_at=datetime.now(UTC),
        final=Phase.CANCELLED,
        billed_seconds=seconds,
        usage_complete=final,
    )


async def taken(database: Database) -> tuple[float, float]:
    """QPU seconds reserved and spent, by everybody."""
    query = select(func.sum(reservations.c.held), func.sum(reservations.c.spent))
    held, spent = await database.read(lambda connection: connection.execute(query).one())
    return held or 0.0, spent or 0.0


async def look(database: Database) -> Budgets:
    return await database.read(standings.look)


# Concurrent reservations


@pytest.mark.parametrize(
    "budget",
    [
        Budget(scope=Scope.HOUSE, qpu_seconds=100),
        MONTHLY,
        Budget(scope=Scope.PROJECT, name=EACH, qpu_seconds=100),
        Budget(scope=Scope.USER, name="ada", period=Period.TOTAL, qpu_seconds=100),
        Budget(scope=Scope.PROJECT, name="chemistry", money=250, currency="EUR"),
    ],
    ids=str,
)
async def test_fifty_jobs_that_reserve_at_once_stay_within_a_budget(
    database: Database, another: Database, budget: Budget
) -> None:
    """Fourteen of seven seconds fit into a hundred, and fourteen are taken, neither more nor fewer."""
    await limit(database, budget)
    ledgers = (StoreLedger(database), StoreLedger(another))
    ends = await asyncio.gather(
        *(reserve(ledgers[number % 2], number, 7, price=2.5, currency="EUR") for number in range(AT_ONCE)),
        return_exceptions=True,
    )

    refused = [end for end in ends if isinstance(end, BudgetExceeded)]
    assert len(ends) - len(refused) == 14
    assert sum(isinstance(end, SubmissionKey) for end in ends) == 14
    assert await taken(database) == (14 * 7, 0.0)


@pytest.mark.parametrize("seed", range(4))
async def test_concurrent_reservations_of_any_size_pass_no_limit_of_any_scope(
    database: Database, another: Database, seed: int
) -> None:
    """Each is refused for a reason or taken in full, whichever budgets bound it and in whatever order they come."""
    draw = random.Random(seed)
    limits = [
        Budget(scope=Scope.HOUSE, qpu_seconds=draw.uniform(150, 250)),
        Budget(scope=Scope.HOUSE, period=Period.TOTAL, money=300, currency="EUR"),
        Budget(scope=Scope.PROJECT, name="chemistry", qpu_seconds=draw.uniform(60, 120)),
        Budget(scope=Scope.PROJECT, name=EACH, qpu_seconds=90),
        Budget(scope=Scope.USER, name=EACH, period=Period.TOTAL, qpu_seconds=70),
        Budget(scope=Scope.JOB, name=EACH, period=Period.TOTAL, qpu_seconds=19),
    ]
    draw.shuffle(limits)
    await limit(database, *limits)
    ledgers = (StoreLedger(database), StoreLedger(another))

    def one(number: int) -> asyncio.Future[SubmissionKey]:
        payer = Payer(project=draw.choice(["chemistry", "teaching"]), user=draw.choice(["ada", "bob", ""]))
        asked = [draw.randint(1, 12) for _ in range(draw.randint(1, 2))]
        price = draw.choice([0.5, 2.0])
        return asyncio.ensure_future(
            reserve(ledgers[number % 2], number, *asked, payer=payer, price=price, currency="EUR")
        )

    ends = await asyncio.gather(*(one(number) for number in range(AT_ONCE)), return_exceptions=True)
    found = (await look(database)).standings

    assert {type(end) for end in ends} == {SubmissionKey, BudgetExceeded}
    assert len(found) > len(limits)
    for standing in found:
        assert standing.left_seconds is None or standing.left_seconds >= -1e-6
        assert standing.left_money is None or standing.left_money >= -1e-6


async def test_two_attempts_of_one_job_do_not_both_get_its_last_seconds(
    database: Database, another: Database
) -> None:
    """A reset workflow may submit to another rung while a frozen one submits to the first."""
    await database.write(_accepted, "job-1")
    payer = Payer(project="chemistry", budget=JobBudget(qpu_seconds=10))
    ledgers = (StoreLedger(database), StoreLedger(another))
    ends = await asyncio.gather(
        *(reserve(ledgers[ordinal % 2], 1, 6, payer=payer, ordinal=ordinal) for ordinal in range(8)),
        return_exceptions=True,
    )

    assert sum(isinstance(end, SubmissionKey) for end in ends) == 1
    assert {type(end) for end in ends} == {SubmissionKey, BudgetExceeded}


def _accepted(connection: Connection, job_id: str, /) -> None:
    from store.schema import jobs

    row = {
        "id": job_id,
        "project": "chemistry",
        "kind": "sample",
        "body_hash": "b",
        "owner": "o",
        "state": "accepted",
        "asked": "ibm",
        "served_by": "",
        "labels": "{}",
        "request": "",
        "accepted_at": datetime.now(UTC),
    }
    connection.execute(jobs.insert().values(**row))


# What becomes of a reservation


async def test_a_submission_reserves_once(ledger: StoreLedger, database: Database) -> None:
    """A repeated activity finds its reservation, also where there would be no room for another; the next ordinal needs one."""
    await limit(database, MONTHLY)
    await reserve(ledger, 1, 60)
    await reserve(ledger, 1, 60)
    with pytest.raises(BudgetExceeded):
        await reserve(ledger, 1, 60, ordinal=1)

    assert await taken(database) == (60, 0)


async def test_what_was_billed_is_spent_and_the_rest_comes_back(
    ledger: StoreLedger, database: Database
) -> None:
    """Also of jobs that failed or were cancelled; never before the bill is final."""
    for number, phase in enumerate((Phase.DONE, Phase.FAILED, Phase.CANCELLED)):
        wanted = await reserve(ledger, number, 20)
        await send(ledger, wanted)
        await bill(ledger, wanted, 1.5, phase, final=False)
        open_ = await taken(database)
        await bill(ledger, wanted, 2.5, phase)

        assert open_ == (20, 2.5 * number)
        assert await taken(database) == (0, 2.5 * (number + 1))


async def test_parts_are_settled_one_by_one(ledger: StoreLedger, database: Database) -> None:
    """One of a submission's jobs may be billed days before another."""
    wanted = await reserve(ledger, 1, 20, 30)
    await send(ledger, wanted)
    await bill(ledger, wanted, 4.0)

    assert await taken(database) == (30, 4.0)
    assert [part.reserved for part in await ledger.parts(wanted)] == [20, 30]


async def test_what_was_never_sent_comes_back_when_it_is_withdrawn(
    ledger: StoreLedger, database: Database
) -> None:
    """And only then: before, somebody may still send it; nor while an attempt may be under way."""
    quiet, sending = await reserve(ledger, 1, 20), await reserve(ledger, 2, 30)
    await ledger.claim(sending.tag, UNLIMITED)
    await ledger.withdraw(quiet)
    await ledger.withdraw(sending)
    under_way = await taken(database)
    await ledger.release(sending.tag, 1)

    assert under_way == (30, 0)
    assert await taken(database) == (0, 0)


async def test_a_lost_job_is_held_until_its_story_is_over(ledger: StoreLedger, database: Database) -> None:
    """The provider may find it again; once nobody looks any more, its reservation comes back."""
    wanted = await reserve(ledger, 1, 20)
    await send(ledger, wanted)
    await ledger.observe(wanted.tag, ProviderFacts(id=f"p-{wanted.tag}", phase=Phase.LOST))
    open_ = await taken(database)
    await database.write(provider_jobs.check, wanted.tag, await ledger.parts(wanted), over=True)

    assert open_ == (20, 0)
    assert await taken(database) == (0, 0)


async def test_a_duplicate_is_charged_to_the_project_and_shown(
    ledger: StoreLedger, database: Database
) -> None:
    """Nobody can prevent every one; whoever pays for it sees it, beyond the limit too, and nothing more is sent."""
    await limit(database, MONTHLY)
    wanted = await reserve(ledger, 1, 90)
    await send(ledger, wanted)
    await ledger.report(duplicate(wanted.tag, None, final=False))
    await ledger.report(duplicate(wanted.tag, 40.0))
    (over,) = (await look(database)).standings
    with pytest.raises(BudgetExceeded, match="90 are reserved and 40 spent"):
        await reserve(ledger, 2, 1)
    await bill(ledger, wanted, 30.0)
    (after,) = (await look(database)).standings

    assert (over.reserved_seconds, over.spent_seconds, over.left_seconds) == (90, 40, -30)
    assert (after.reserved_seconds, after.spent_seconds, after.left_seconds) == (0, 70, 30)


async def test_of_two_who_book_at_once_neither_is_forgotten(database: Database, another: Database) -> None:
    """One worker hears the bill of the kept job while another hears that of its duplicate."""
    ledgers = (StoreLedger(database), StoreLedger(another))
    submitted = [await reserve(ledgers[0], number, 9) for number in range(AT_ONCE)]
    for wanted in submitted:
        await send(ledgers[0], wanted)
    await asyncio.gather(
        *(bill(ledgers[0], wanted, 2.0) for wanted in submitted),
        *(ledgers[1].report(duplicate(wanted.tag, 0.5)) for wanted in submitted),
    )

    assert await taken(database) == (0, 2.5 * AT_ONCE)


async def test_a_job_that_this_store_does_not_know_is_charged_to_the_house(
    ledger: StoreLedger, database: Database
) -> None:
    """A restored store cancels it and learns its bill; when its owner comes back after all, the bill is the project's."""
    await limit(database, Budget(scope=Scope.HOUSE, qpu_seconds=100), MONTHLY)
    await ledger.report(duplicate(key(1).tag, 12.0))
    house, project = (await look(database)).standings
    await reserve(ledger, 1, 20)
    _, owned = (await look(database)).standings

    assert (house.spent_seconds, project.spent_seconds) == (12, 0)
    assert (owned.reserved_seconds, owned.spent_seconds) == (20, 12)


async def test_last_months_spending_is_not_this_months(ledger: StoreLedger, database: Database) -> None:
    """A reservation belongs to the month it was made in, however late its bill comes."""
    total = Budget(scope=Scope.HOUSE, period=Period.TOTAL, qpu_seconds=100)
    await limit(database, MONTHLY, total)
    wanted = await reserve(ledger, 1, 90)
    await send(ledger, wanted)
    await database.write(lambda it: it.execute(update(reservations).values(month="2020-01")) and None)
    await bill(ledger, wanted, 80.0)
    with pytest.raises(BudgetExceeded, match="the house in all"):
        await reserve(ledger, 2, 90)
    await reserve(ledger, 3, 20)

    whole, month = (await look(database)).standings
    assert (whole.spent_seconds, month.spent_seconds, month.reserved_seconds) == (80, 0, 20)


# Which budgets bound whom


async def test_without_budgets_everything_is_booked_and_nothing_refused(
    ledger: StoreLedger, database: Database
) -> None:
    """A budget that is set later counts what was spent before it."""
    await reserve(ledger, 1, 10_800)
    await reserve(ledger, 2, 0, payer=Payer())
    await limit(database, MONTHLY)
    with pytest.raises(BudgetExceeded, match="10800 are reserved"):
        await reserve(ledger, 3, 1)


async def test_a_name_goes_before_each(ledger: StoreLedger, database: Database) -> None:
    """One project may be given more than each other, and another's spending is not its own."""
    await limit(database, Budget(scope=Scope.PROJECT, name=EACH, qpu_seconds=10), MONTHLY)
    await reserve(ledger, 1, 90)
    await reserve(ledger, 2, 10, payer=Payer(project="teaching"))
    await reserve(ledger, 3, 10, payer=Payer(project="theory"))
    with pytest.raises(BudgetExceeded, match="project 'teaching' a month may take 10 QPU seconds"):
        await reserve(ledger, 4, 1, payer=Payer(project="teaching"))

    found = {(one.budget.name, one.whose): one.reserved_seconds for one in (await look(database)).standings}
    assert found == {("chemistry", ""): 90, (EACH, ""): 0, (EACH, "teaching"): 10, (EACH, "theory"): 10}


async def test_a_refusal_names_the_limit_and_the_way_out_and_leaves_nothing(
    ledger: StoreLedger, database: Database
) -> None:
    """Nothing is written, so that the same submission may be made when there is room."""
    await limit(database, MONTHLY)
    await reserve(ledger, 1, 30)
    with pytest.raises(BudgetExceeded) as caught:
        await reserve(ledger, 2, 50, 50)
    left = await ledger.parts(key(2))
    await limit(database, MONTHLY.model_copy(update={"qpu_seconds": 130}))
    await reserve(ledger, 2, 50, 50)

    assert (
        "project 'chemistry' a month may take 100 QPU seconds, of which 30 are reserved and 0 spent"
        in str(caught.value)
    )
    assert "qurable budget set --project chemistry LIMIT" in str(caught.value)
    assert caught.value.details["asked"] == 100
    assert (caught.value.next_rung, caught.value.retry_here) == (True, False)
    assert left == ()


EURO = Budget(scope=Scope.HOUSE, money=5, currency="EUR")


@pytest.mark.parametrize(
    ("budget", "seconds", "price", "currency", "message"),
    [
        (MONTHLY, 0, None, "", "may take of them is not known: a dedicated session"),
        (EURO, 1, None, "", "is not known: give the account a price_per_second in that currency"),
        (EURO, 1, 1.0, "USD", "may take of them is not known"),
    ],
)
async def test_what_nobody_can_tell_the_price_of_passes_no_budget(
    ledger: StoreLedger,
    database: Database,
    budget: Budget,
    seconds: int,
    price: float | None,
    currency: str,
    message: str,
) -> None:
    """A stop that lets the unknown through is none."""
    await limit(database, budget)
    with pytest.raises(BudgetExceeded, match=message):
        await reserve(ledger, 1, seconds, price=price, currency=currency)


async def test_a_jobs_own_price_is_kept(ledger: StoreLedger, database: Database) -> None:
    """In the currency of whoever is paid."""
    payer = Payer(project="chemistry", budget=JobBudget(price=10))
    await reserve(ledger, 1, 4, payer=payer, price=2.0, currency="USD")
    with pytest.raises(BudgetExceeded, match=r"may take 10 USD, of which 8 are reserved .* budget\.price"):
        await reserve(ledger, 1, 2, payer=payer, price=2.0, currency="USD", ordinal=1)
    with pytest.raises(BudgetExceeded, match="is not known"):
        await reserve(ledger, 2, 2, payer=payer)

    assert await taken(database) == (4, 0)


async def test_a_project_sends_so_many_jobs_a_month(database: Database, another: Database) -> None:
    """What was never sent does not count, and twenty that come at once share what is left."""
    await limit(
        database, Guardrails(project=EACH, submissions=1), Guardrails(project="chemistry", submissions=5)
    )
    ledgers = (StoreLedger(database), StoreLedger(another))
    await ledgers[0].withdraw(await reserve(ledgers[0], 100, 9, 9))
    ends = await asyncio.gather(
        *(reserve(ledgers[number % 2], number, 1, 1) for number in range(20)), return_exceptions=True
    )
    await reserve(ledgers[0], 200, 1, payer=Payer(project="teaching"))

    assert {type(end) for end in ends} == {SubmissionKey, GuardrailBroken}
    assert sum(isinstance(end, SubmissionKey) for end in ends) == 2
    refused = next(end for end in ends if isinstance(end, HybridError))
    assert "may send 5 provider jobs a month and has sent 4; this submission makes 2" in refused.message


async def test_what_is_left_for_a_job_is_known_before_it_reserves(
    ledger: StoreLedger, database: Database
) -> None:
    """Of every budget that bounds it and of no other; what it has reserved itself, before it was planned again, is its own."""
    each = Budget(scope=Scope.USER, name=EACH, qpu_seconds=50)
    await limit(database, MONTHLY, each, Budget(scope=Scope.PROJECT, name="physics", qpu_seconds=1))
    await limit(database, Budget(scope=Scope.HOUSE, period=Period.TOTAL, money=500, currency="EUR"))
    payer = Payer(project="chemistry", user="ada")
    first = await reserve(ledger, 1, 40, payer=payer, price=2.0, currency="EUR")
    await reserve(ledger, 2, 5, payer=Payer(project="chemistry"), price=2.0, currency="EUR")

    async def room(job_id: str, user: str = "ada") -> dict[str, tuple[float, float]]:
        found = await database.read(standings.room, job_id, user, "chemistry")
        return {str(one.budget): (one.reserved_seconds, one.reserved_money) for one in found}

    assert await room("another") == {
        "the house in all": (45, 90),
        "project 'chemistry' a month": (45, 0),
        "user 'ada' a month": (40, 0),
    }
    assert (await room(first.job_id))["project 'chemistry' a month"] == (5, 0)
    assert await room("another", "bob") | {"user 'bob' a month": (0, 0)} == await room("another", "bob")
    assert set(await room("another", "")) == {"the house in all", "project 'chemistry' a month"}


async def test_a_budget_is_replaced_and_taken_away(ledger: StoreLedger, database: Database) -> None:
    """The last word stands; without limits there is none."""
    await limit(database, MONTHLY, MONTHLY.model_copy(update={"qpu_seconds": 5}))
    await limit(database, Guardrails(project="chemistry", depth=3), Guardrails(project="chemistry", shots=9))
    (standing,), rails = (await look(database)).standings, (await look(database)).guardrails
    await limit(database, MONTHLY.model_copy(update={"qpu_seconds": None}), Guardrails(project="chemistry"))

    assert standing.budget.qpu_seconds == 5
    assert rails == (Guardrails(project="chemistry", shots=9),)
    assert await look(database) == Budgets()
    await reserve(ledger, 1, 1000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Budget(scope=Scope.HOUSE, qpu_seconds=0), "greater than 0"),
        (lambda: Budget(scope=Scope.HOUSE, money=-3, currency="EUR"), "greater than 0"),
        (lambda: Budget(scope=Scope.HOUSE, money=3), "money and currency go together"),
        (lambda: Budget(scope=Scope.HOUSE, money=3, currency="euros"), "match pattern"),
        (lambda: Budget(scope=Scope.HOUSE, qpu_seconds=float("inf")), "finite"),
        (lambda: Budget(scope=Scope.HOUSE, name="x", qpu_seconds=1), "the house has no name"),
        (lambda: Budget(scope=Scope.USER, qpu_seconds=1), "name the user, or \\* for each user"),
        (lambda: Budget(scope=Scope.USER, name="Ada L", qpu_seconds=1), "match pattern"),
        (lambda: Guardrails(project="chemistry", depth=0), "greater than or equal to 1"),
        (lambda: BudgetChange(), "one at a time"),
        (lambda: JobBudget(qpu_seconds=0), "greater than 0"),
        (lambda: JobBudget(price=-1), "greater than 0"),
    ],
)
def test_budgets_that_mean_nothing_are_refused(make: object, message: str) -> None:
    """Zero would refuse every job, below zero means nothing, and nobody knows what three are of."""
    assert callable(make)
    with pytest.raises(ValidationError, match=message):
        make()


# Forecasts


def test_a_forecast_is_a_straight_line_through_the_month() -> None:
    """Ten days of June took a hundred seconds, so thirty take three hundred, and two hundred are gone on the 21st."""
    budget = Budget(scope=Scope.HOUSE, qpu_seconds=200, money=1000, currency="EUR")
    at = datetime(2026, 6, 11, tzinfo=UTC)

    found = standings.forecast(budget, 100.0, 50.0, at)

    assert found is not None
    assert found.qpu_seconds == pytest.approx(300)
    assert found.money == pytest.approx(150)
    assert found.exhausted == datetime(2026, 6, 21, tzinfo=UTC)
    assert found.basis == "100 QPU seconds in 10.0 of 30 days, on a straight line"


def test_a_forecast_names_no_day_where_the_month_is_enough() -> None:
    """And nothing at all on the first day, which says little about the others."""
    budget = Budget(scope=Scope.HOUSE, qpu_seconds=1000)

    found = standings.forecast(budget, 100.0, 0.0, datetime(2026, 6, 11, tzinfo=UTC))

    assert found is not None
    assert (found.exhausted, found.money) == (None, None)
    assert standings.forecast(budget, 900.0, 0.0, datetime(2026, 6, 1, 23, tzinfo=UTC)) is None
