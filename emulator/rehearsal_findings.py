"""What a rehearsal has found, run by run and as a whole. Pure; the drawing is in `emulator/rehearsal_page.py`."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict


class _Found(BaseModel):
    model_config = ConfigDict(frozen=True)


class Answer(_Found):
    """What became of one job of a run.

    Attributes:
        id: Job id.
        state: completed, degraded, failed or cancelled.
        served_by: Who answered.
        error: Class of the error that ended it, empty for an answer.
        message: What that error says.
        seconds: From its start until its answer, of the emulator's clock; for a job that ended without, until then.
        provider_attempts: Submissions beyond the first of each provider job.
        stage_attempts: Attempts at stages beyond the first, waits for a turn to submit among them; looks at a job that waits
            are none.
    """

    id: str
    state: str
    served_by: str = ""
    error: str = ""
    message: str = ""
    seconds: float
    provider_attempts: int = 0
    stage_attempts: int = 0


class Duplicate(_Found):
    """A job at the provider that no report names as its own.

    Attributes:
        id: The provider's id.
        known: Whether a report lists it as an incident.
        billed_seconds: QPU seconds it cost.
    """

    id: str
    known: bool
    billed_seconds: float


class Run(_Found):
    """The job, or the batch, at one moment of the month.

    Attributes:
        number: From 1.
        began: When, of the emulator's clock: ISO 8601, UTC.
        queue_seconds: By device, the wait behind other people's jobs then.
        answers: One per job.
        provider_jobs: Jobs that the provider took, duplicates included.
        qpu_seconds: What was billed in all.
        price: Of that.
        duplicates: Among the provider's jobs.
    """

    number: int
    began: str
    queue_seconds: dict[str, float]
    answers: tuple[Answer, ...]
    provider_jobs: int
    qpu_seconds: float
    price: float
    duplicates: tuple[Duplicate, ...] = ()

    @property
    def seconds(self) -> float | None:
        """Until the last answer; None where a job has none."""
        return None if any(answer.error for answer in self.answers) else max(a.seconds for a in self.answers)


class Range(_Found):
    """How values are spread. Percentiles are values that were found (nearest rank).

    Attributes:
        min: The least.
        median: At least half are no greater.
        p90: At least nine in ten are no greater.
        max: The greatest.
    """

    min: float
    median: float
    p90: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self | None:
        """The spread of some values; None of none."""
        ranked = sorted(values)
        if not ranked:
            return None
        median, p90 = (ranked[math.ceil(len(ranked) * share) - 1] for share in (0.5, 0.9))
        return cls(min=ranked[0], median=median, p90=p90, max=ranked[-1])


class Findings(_Found):
    """A rehearsal.

    Attributes:
        backend: Asked for.
        devices: That had weather.
        seed: Of the weather.
        days: Length of the month.
        jobs: Of each run.
        runs: In order of time.
        price_per_second: Of the emulator's bills.
        currency: Of prices.
        warnings: What the reader should know.
    """

    backend: str
    devices: tuple[str, ...]
    seed: int
    days: int
    jobs: int
    runs: tuple[Run, ...]
    price_per_second: float
    currency: str = "USD"
    warnings: tuple[str, ...] = ()

    @property
    def answers(self) -> list[Answer]:
        """Of every job of every run."""
        return [answer for run in self.runs for answer in run.answers]

    @property
    def price(self) -> Range | None:
        """Of a run."""
        return Range.of([run.price for run in self.runs])

    @property
    def finish(self) -> list[float]:
        """Seconds until the last answer of each run that was answered whole."""
        return [run.seconds for run in self.runs if run.seconds is not None]

    @property
    def rungs(self) -> dict[str, int]:
        """Jobs by who answered, most first."""
        return dict(Counter(a.served_by for a in self.answers if not a.error).most_common())

    @property
    def failures(self) -> dict[str, int]:
        """Jobs without an answer by the class of the error, most first."""
        return dict(Counter(answer.error for answer in self.answers if answer.error).most_common())

    @property
    def duplicates(self) -> list[Duplicate]:
        """Of every run."""
        return [duplicate for run in self.runs for duplicate in run.duplicates]

    def document(self) -> dict[str, object]:
        """The whole as JSON values."""
        finish, price = Range.of(self.finish), self.price
        billed = sum(duplicate.billed_seconds for duplicate in self.duplicates)
        return {
            "backend": self.backend,
            "devices": list(self.devices),
            "seed": self.seed,
            "days": self.days,
            "jobs_per_run": self.jobs,
            "price": None if price is None else price.model_dump(),
            "currency": self.currency,
            "finish_seconds": None if finish is None else finish.model_dump(),
            "served_by": self.rungs,
            "failures": self.failures,
            "retries": {
                "provider_attempts": sum(answer.provider_attempts for answer in self.answers),
                "stage_attempts": sum(answer.stage_attempts for answer in self.answers),
            },
            "duplicates": {
                "jobs": len(self.duplicates),
                "billed_seconds": billed,
                "price": billed * self.price_per_second,
            },
            "warnings": list(self.warnings),
            "runs": [run.model_dump(mode="json") | {"finish_seconds": run.seconds} for run in self.runs],
        }
