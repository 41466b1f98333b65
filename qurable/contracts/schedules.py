"""What runs again and again: when it does, what runs then, and where its results are added to."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, field_validator, model_validator

from qurable.contracts.base import SCHEMA_VERSION, Contract, digest
from qurable.contracts.fallback import Age
from qurable.contracts.jobs import EstimateJob, Hook, SampleJob, SolveJob
from qurable.contracts.reports import State
from qurable.names import PROJECT_PATTERN

MAX_JOBS_OF_A_FIRE = 200
"""More belong into jobs of several pubs: each is a workflow of its own."""

RESERVED_PREFIX = "qurable-"
"""Of the house's own schedules."""

EXPORT_PATTERN = r"^$|^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*\.(csv|parquet)$"
"""A file below the folder of exports: no way leads up or out of it."""

_WORD = r"^[0-9A-Za-z*,/-]{1,100}$"

Cron = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z*?,/@ -]{1,200}$")]
"""A line of cron, or `@daily` and the like; without a time zone or comment of its own."""

Word = Annotated[str, Field(pattern=_WORD)]
"""A number or name, a range such as `mon-fri`, a list, a step such as `*/15`, or `*` for any."""


class Overlap(StrEnum):
    """What becomes of a fire that is due while the one before it still runs."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    BUFFER_ALL = "buffer_all"
    CANCEL_OTHER = "cancel_other"
    ALLOW_ALL = "allow_all"


class Calendar(Contract):
    """Moments of a calendar; all of its fields have to match.

    Attributes:
        second: 0 to 59.
        minute: 0 to 59.
        hour: 0 to 23.
        day_of_month: 1 to 31.
        month: 1 to 12, or the first three letters of its English name.
        year: Such as 2027.
        day_of_week: 0 (Sunday) to 6, or the first three letters of its English name.
    """

    second: Word = "0"
    minute: Word = "0"
    hour: Word = "0"
    day_of_month: Word = "*"
    month: Word = "*"
    year: Word = "*"
    day_of_week: Word = "*"

    @property
    def cron(self) -> str:
        """The same as a line of Temporal's cron with seven fields."""
        return f"{self.second} {self.minute} {self.hour} {self.day_of_month} {self.month} {self.day_of_week} {self.year}"


class JobsInput(Contract):
    """Jobs that were given with the schedule; they travel beside it, by reference where they are large.

    Attributes:
        count: How many.
        sha256: Of their bodies and labels.
    """

    kind: Literal["jobs"] = "jobs"
    count: int = Field(default=0, ge=0, le=MAX_JOBS_OF_A_FIRE)
    sha256: str = ""


class HookInput(Contract):
    """A registered activity of the caller's that is told of the fire and returns a job's document, or a list of them."""

    kind: Literal["hook"] = "hook"
    hook: Hook


class QueryInput(Contract):
    """Jobs of the schedule's project that have ended are run again; those that were run again themselves are left out.

    Attributes:
        states: How they ended, one of these.
        label: `name=value`, a mark of theirs; empty for any.
        within: Accepted so long before the fire at most.
        limit: At most so many, the newest.
    """

    kind: Literal["query"] = "query"
    states: tuple[State, ...] = Field(default=(State.FAILED,), min_length=1)
    label: str = Field(default="", pattern=r"^$|^[^=]{1,64}=.{0,256}$")
    within: Age = timedelta(days=1)
    limit: int = Field(default=50, ge=1, le=MAX_JOBS_OF_A_FIRE)

    @field_validator("states")
    @classmethod
    def _ended(cls, states: tuple[State, ...]) -> tuple[State, ...]:
        running = [str(state) for state in states if not state.final]
        if running:
            raise ValueError(
                f"jobs that are {' or '.join(running)} have not ended: only those that have are run again"
            )
        return states


Input = Annotated[JobsInput | HookInput | QueryInput, Field(discriminator="kind")]


class ScheduleSpec(Contract):
    """When a schedule fires, and what it starts then.

    Attributes:
        schema_version: Of this document.
        name: Unique in the house, a slug; Temporal's web UI lists it by this name.
        project: Public slug; every job that it starts belongs to it.
        cron: Lines of cron with five fields, or six with a year, or seven with seconds too; each one fires.
        calendars: Moments of a calendar; each one fires. Either these or `cron`, or both.
        zone: Name of the time zone that they are meant in, such as `Europe/Vienna`.
        overlap: What becomes of a fire that is due while the one before it still runs. A skipped one costs nothing, and the
            number of them is shown; one that waits would start at an hour for which nobody has planned it.
        catch_up: A fire that was missed, since Temporal was down, is made up for within this; later it is counted as missed.
        jitter: Each fire is delayed by a random time up to this.
        start: It fires at no time before this.
        end: It fires at no time after this.
        input: What is started.
        export: CSV or Parquet file below the folder of exports to which every fire adds one row for each job; empty for none.
        note: For people; the web UI shows it.
    """

    schema_version: int = SCHEMA_VERSION
    name: str = Field(pattern=PROJECT_PATTERN)
    project: str = Field(default="default", pattern=PROJECT_PATTERN)
    cron: tuple[Cron, ...] = Field(default=(), max_length=20)
    calendars: tuple[Calendar, ...] = Field(default=(), max_length=20)
    zone: str = Field(default="UTC", min_length=1, max_length=100)
    overlap: Overlap = Overlap.SKIP
    catch_up: Annotated[Age, Field(ge=timedelta(seconds=10), le=timedelta(days=365))] = timedelta(hours=1)
    jitter: Annotated[Age, Field(le=timedelta(days=1))] = timedelta(0)
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    input: Input = JobsInput()
    export: str = Field(default="", max_length=200, pattern=EXPORT_PATTERN)
    note: str = Field(default="", max_length=500)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.name.startswith(RESERVED_PREFIX):
            raise ValueError(f"names that begin with {RESERVED_PREFIX} are the house's own")
        if not self.cron and not self.calendars:
            raise ValueError("it fires at no time: give `cron` or `calendars`")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"it ends ({self.end.isoformat()}) before it starts ({self.start.isoformat()})")
        return self

    def with_jobs(self, jobs: Sequence[SampleJob | EstimateJob | SolveJob]) -> Self:
        """The same with these jobs as its input, which are the same in every version of this document."""
        said = json.dumps([[job.body_hash, job.labels] for job in jobs], sort_keys=True)
        return self.model_copy(update={"input": JobsInput(count=len(jobs), sha256=digest(said))})

    def is_same_as(self, other: "ScheduleSpec") -> bool:
        """Whether they fire at the same moments and run the same, whichever version wrote them."""
        return self == other.model_copy(update={"schema_version": self.schema_version})


def documents_of(jobs: Sequence[SampleJob | EstimateJob | SolveJob]) -> list[Any]:
    """Jobs as JSON values without their idempotency keys: each fire gives them its own."""
    return [json.loads(job.model_dump_json(exclude={"key"})) for job in jobs]


class ScheduleRun(Contract):
    """A fire that has started its run.

    Attributes:
        id: Workflow id of the run.
        at: The moment it was for (UTC), with the jitter; its jobs are named by the moment without.
        started: When it did.
    """

    id: str
    at: datetime
    started: datetime


class ScheduleEntry(Contract):
    """A schedule in a list.

    Attributes:
        name: Of the schedule.
        project: Public slug; empty where the server does not know the search attribute.
        paused: Whether it fires at no time until it is resumed.
        note: For people.
        next: The next moments at which it fires (UTC), the first few.
        last: The newest of its fires.
    """

    name: str
    project: str = ""
    paused: bool = False
    note: str = ""
    next: tuple[datetime, ...] = ()
    last: ScheduleRun | None = None


class ScheduleStatus(ScheduleEntry):
    """How a schedule stands.

    Attributes:
        spec: When it fires, and what it starts.
        running: Workflow ids of runs that have not ended.
        recent: Its newest fires, the newest first.
        fired: How many runs it has started.
        skipped: Fires that were skipped because another still ran.
        missed: Fires that were missed for longer than the catch-up window.
    """

    spec: ScheduleSpec
    running: tuple[str, ...] = ()
    recent: tuple[ScheduleRun, ...] = ()
    fired: int = 0
    skipped: int = 0
    missed: int = 0
