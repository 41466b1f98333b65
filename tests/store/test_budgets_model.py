"""Whatever happens to jobs and budgets in whatever order, the books say what a few lines of Python say."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings, strategies
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from sqlalchemy import Engine, create_engine, select

from qurable.contracts.budgets import Budget, BudgetChange, Payer, Period, Scope
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
from qurable.errors import BudgetExceeded
from qurable.ledger import CalledOff, Claimed, Sending
from store import budgets, incidents, provider_jobs, standings, submissions
from store.schema import metadata, reservations

SENDING = Sending("grace", None, timedelta(seconds=45))
WHOSE = strategies.sampled_from(
    [(Scope.HOUSE, ""), (Scope.PROJECT, "a"), (Scope.PROJECT, "b"), (Scope.USER, "u")]
)
SECONDS = strategies.integers(1, 20)
BILLED = strategies.integers(0, 40).map(lambda quarters: quarters / 4)


@dataclass
class Job:
    """A submission as the model knows it.

    Attributes:
        key: Of it.
        payer: Whose it is.
        reserved: QPU seconds asked for.
        sent: It is at the provider.
        sending: An attempt may be under way.
        withdrawn: Nobody may send it any more.
        billed: Of its own job, None before the bill is final.
        twins: Bills of its duplicates.
    """

    key: SubmissionKey
    payer: Payer
    reserved: int
    sent: bool = False
    sending: bool = False
    withdrawn: bool = False
    billed: float | None = None
    twins: list[float] = field(default_factory=list)

    @property
    def held(self) -> float:
        """What it may cost yet."""
        over = self.billed is not None or (self.withdrawn and not self.sent and not self.sending)
        return 0.0 if over else self.reserved

    @property
    def spent(self) -> float:
        """What it has cost."""
        return (self.billed or 0.0) + sum(self.twins)

    def is_of(self, scope: Scope, name: str) -> bool:
        """Whether a budget bounds it."""
        return scope is Scope.HOUSE or name == (
            self.payer.project if scope is Scope.PROJECT else self.payer.user
        )


class Books(RuleBasedStateMachine):
    """Jobs come, are sent, billed, withdrawn and doubled, while budgets change."""

    jobs: Bundle[Job] = Bundle("jobs")

    @initialize()
    def open(self) -> None:
        self.engine: Engine = create_engine("sqlite://")
        metadata.create_all(self.engine)
        self.all: list[Job] = []
        self.limits: dict[tuple[Scope, str], float] = {}

    def teardown(self) -> None:
        self.engine.dispose()

    def write(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """One transaction, as the store's users have it."""
        with self.engine.begin() as connection:
            return function(connection, *args, **kwargs)

    def taken(self, scope: Scope, name: str) -> float:
        return sum(job.held + job.spent for job in self.all if job.is_of(scope, name))

    @rule(whose=WHOSE, seconds=strategies.one_of(strategies.none(), strategies.integers(5, 60)))
    def set_budget(self, whose: tuple[Scope, str], seconds: int | None) -> None:
        budget = Budget(scope=whose[0], name=whose[1], period=Period.TOTAL, qpu_seconds=seconds)
        self.write(budgets.change, BudgetChange(budget=budget))
        if seconds is None:
            self.limits.pop(whose, None)
        else:
            self.limits[whose] = seconds

    @rule(
        target=jobs,
        project=strategies.sampled_from("ab"),
        user=strategies.sampled_from(["u", ""]),
        asked=SECONDS,
    )
    def submit(self, project: str, user: str, asked: int) -> Any:
        key = SubmissionKey(job_id=f"job-{len(self.all)}", backend="ibm:torino", digest="d")
        job = Job(key, Payer(project=project, user=user), asked)
        submission = Submission(key=key, kind="sample", pubs=(), payer=job.payer)
        part = PartIntent(slices=(Slice(pub=0, start=0, stop=1),), reserve=asked)
        has_room = all(
            self.taken(*whose) + asked <= most for whose, most in self.limits.items() if job.is_of(*whose)
        )
        try:
            self.write(provider_jobs.intend, submission, "lab", [part])
        except BudgetExceeded:
            assert not has_room
            return multiple()
        assert has_room
        self.all.append(job)
        return job

    @rule(job=jobs)
    def submit_again(self, job: Job) -> None:
        submission = Submission(key=job.key, kind="sample", pubs=(), payer=job.payer)
        part = PartIntent(slices=(Slice(pub=0, start=0, stop=1),), reserve=job.reserved)
        self.write(provider_jobs.intend, submission, "lab", [part])

    @rule(job=jobs)
    def claim(self, job: Job) -> None:
        match self.write(provider_jobs.claim, job.key.tag, SENDING):
            case Claimed():
                assert not job.withdrawn
                job.sending = True
            case CalledOff():
                assert job.withdrawn

    @rule(job=jobs)
    def refused(self, job: Job) -> None:
        if job.sending and not job.sent:
            self.write(provider_jobs.release, job.key.tag, self._attempts(job))
            job.sending = False

    def _attempts(self, job: Job) -> int:
        part = self.write(provider_jobs.find, job.key.tag)
        assert part is not None
        attempts: int = part.attempts
        return attempts

    @rule(job=jobs)
    def taken_by_the_provider(self, job: Job) -> None:
        if job.sending:
            self.write(provider_jobs.keep, job.key.tag, f"p-{job.key.tag}")
            job.sent = True

    @rule(
        job=jobs,
        seconds=BILLED,
        phase=strategies.sampled_from([Phase.DONE, Phase.FAILED, Phase.CANCELLED]),
        final=strategies.booleans(),
    )
    def billed(self, job: Job, seconds: float, phase: Phase, final: bool) -> None:
        if not job.sent:
            return
        facts = ProviderFacts(id=f"p-{job.key.tag}", phase=phase, qpu_seconds=seconds, usage_complete=final)
        if job.billed is None or final:
            self.write(provider_jobs.observe, job.key.tag, facts)
            job.billed = seconds if final else None

    @rule(job=jobs)
    def withdrawn(self, job: Job) -> None:
        self.write(submissions.withdraw, job.key)
        job.withdrawn = True

    @rule(job=consumes(jobs), seconds=BILLED)
    def doubled(self, job: Job, seconds: float) -> None:
        twin = Incident(
            kind=IncidentKind.DUPLICATE,
            tag=job.key.tag,
            backend="ibm:torino",
            id=f"twin-{job.key.tag}",
            found_at=datetime.now(UTC),
            final=Phase.CANCELLED,
            billed_seconds=seconds,
            usage_complete=True,
        )
        self.write(incidents.report, twin)
        job.twins.append(seconds)

    @invariant()
    def the_books_are_right(self) -> None:
        with self.engine.begin() as connection:
            query = select(reservations.c.tag, reservations.c.held, reservations.c.spent)
            rows = {row.tag: (row.held, row.spent) for row in connection.execute(query)}
            found = standings.look(connection).standings
        assert rows == {job.key.tag: (job.held, job.spent) for job in self.all}
        for standing in found:
            whose = (standing.budget.scope, standing.budget.name)
            assert standing.left_seconds == self.limits[whose] - self.taken(*whose)
            assert standing.reserved_seconds == sum(job.held for job in self.all if job.is_of(*whose))


Books.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
test_the_books_say_what_the_model_says = Books.TestCase
