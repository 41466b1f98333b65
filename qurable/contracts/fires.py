"""What a schedule's run and its activities say to each other, and what it ends with."""

from datetime import UTC, datetime

from pydantic import Field

from qurable.contracts.base import Contract
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import State
from qurable.contracts.schedules import ScheduleSpec


class Fire(Contract):
    """One moment of a schedule; a hook is told this.

    Attributes:
        schedule: Its name.
        project: That its jobs belong to.
        at: The moment (UTC), to the second.
    """

    schedule: str
    project: str
    at: datetime

    @property
    def moment(self) -> str:
        """The moment as keys, labels and exports name it."""
        return self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def key(self, position: int) -> str:
        """Idempotency key of its job at a position, from 1: the same whenever and however often the moment is fired."""
        return f"{self.schedule}/{self.moment}/{position}"


class DueCall(Contract):
    """Make the jobs of a fire."""

    spec: ScheduleSpec
    fire: Fire


class DueJob(Contract):
    """A job that a fire starts.

    Attributes:
        head: Of its request.
        request: Artifact hash of the request.
    """

    head: JobHead
    request: str


class Due(Contract):
    """The jobs of a fire, in their order.

    Attributes:
        jobs: Each with its key.
        search_attributes: Whether the server knows this project's search attributes.
    """

    jobs: tuple[DueJob, ...] = ()
    search_attributes: bool = False


class TallyCall(Contract):
    """Put together how the jobs of a fire ended, and export it.

    Attributes:
        fire: Which.
        jobs: Ids in their order.
        errors: Of jobs that ended without a report of their own, by id.
        export: File of the export, empty for none.
    """

    fire: Fire
    jobs: tuple[str, ...]
    errors: dict[str, ErrorDocument] = Field(default_factory=dict)
    export: str = ""


class FiredJob(Contract):
    """How a job of a fire ended.

    Attributes:
        id: Job id.
        state: How it ended.
        served_by: Who answered.
        qpu_seconds: What the provider charges, as far as it is known.
        price: In money; None where nobody said a price.
        currency: Of the price.
        error: Code of the error that ended it, empty for none.
    """

    id: str
    state: State
    served_by: str = ""
    qpu_seconds: float = 0.0
    price: float | None = None
    currency: str = ""
    error: str = ""


class FireReport(Contract):
    """The end of a fire.

    Attributes:
        fire: Which.
        jobs: How each ended, in their order.
        states: How many ended in which state.
        qpu_seconds: Of all jobs together.
        prices: Of all jobs together, by currency.
        export: File that the rows went to, empty for none.
        rows: Rows that were new in it.
    """

    fire: Fire
    jobs: tuple[FiredJob, ...] = ()
    states: dict[str, int] = Field(default_factory=dict)
    qpu_seconds: float = 0.0
    prices: dict[str, float] = Field(default_factory=dict)
    export: str = ""
    rows: int = 0
