"""Provider jobs that several jobs share: who meets whom, and what each one's part of it was."""

from datetime import timedelta

from pydantic import Field

from qurable.contracts.base import SCHEMA_VERSION, Contract, digest
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.executions import JobRef


class Joiner(Contract):
    """A job that waits for others.

    Attributes:
        tag: Of its submission, which names its seat.
        window: For how long it waits.
        pubs: How many it brings.
        executions: Circuits after broadcasting, times shots, over all its pubs.
    """

    tag: str
    window: timedelta
    pubs: int
    executions: int


class CollectorHead(Contract):
    """What a collector is for; where one run goes on as another, who waits by then.

    Attributes:
        schema_version: Of this document.
        id: Its workflow id.
        project: Public slug.
        backend: Where the jobs that meet in it go.
        waiting: Who waits, the first first.
        groups: How many groups the runs before this one have started.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    project: str
    backend: str
    waiting: tuple[Joiner, ...] = ()
    groups: int = 0


def collector_id(project: str, topic: str) -> str:
    """The workflow id of the collector where the jobs of a topic meet."""
    return f"{project}-collector-{digest(topic, length=24)}"


class Joined(Contract):
    """Whether a job waits for others.

    Attributes:
        alone: Why it goes alone; empty where it waits.
        head: Of the collector that it waits in.
        joiner: As which it waits.
    """

    alone: str = ""
    head: CollectorHead | None = None
    joiner: Joiner | None = None


class GroupCall(Contract):
    """Have jobs that waited together run as one.

    Attributes:
        collector: Where they met.
        backend: Where they go.
        members: Tags of their submissions, in order.
    """

    collector: str
    backend: str
    members: tuple[str, ...] = Field(min_length=1)


class Composed(Contract):
    """A group was made and runs.

    Attributes:
        group: Its job; empty where everybody had left.
        left_over: Tags of those who are not in it and still wait.
    """

    group: str = ""
    left_over: tuple[str, ...] = ()


class GroupEnd(Contract):
    """What the wait for a group came to.

    Attributes:
        job: Where the job's own results are now; None where it goes alone.
        group: The group's job; empty where there was none.
        because: Why it goes alone.
        error: How the group ended, where it goes alone because of that.
    """

    job: JobRef | None = None
    group: str = ""
    because: str = ""
    error: ErrorDocument | None = None


class Share(Contract):
    """A job's part of a provider job that several jobs shared.

    Attributes:
        group: The job that ran it for all of them; its own report has the whole bill.
        backend: Where it ran.
        members: How many shared it.
        part: This job's part of it, by executions: circuits after broadcasting, times shots.
        submission: Tag of the group's submission.
        provider_jobs: The provider's ids, for invoices.
        run_seconds: Its part of the time that the run took.
        qpu_seconds: Its part of the QPU seconds that were billed; the parts of all members add up to the bill, to the nanosecond.
        price: Its part of the price, None where that is not known; these add up too.
        currency: Of the price.
    """

    group: str
    backend: str
    members: int
    part: float
    submission: str = ""
    provider_jobs: tuple[str, ...] = ()
    run_seconds: float = 0.0
    qpu_seconds: float = 0.0
    price: float | None = None
    currency: str = ""

    def in_words(self) -> str:
        """In one line."""
        price = "" if self.price is None else f", {self.price:.2f} {self.currency}".rstrip()
        return (
            f"provider job {', '.join(self.provider_jobs)} of {self.members} job{'s' * (self.members > 1)}, run as {self.group}: part {self.part:.1%}, "
            f"{self.qpu_seconds:.2f} QPU seconds{price}"
        )
