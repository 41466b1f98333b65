"""What the control API may set. All seconds are of the emulator's clock."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emulator.answers import Refusal


class Settings(BaseModel):
    """Knobs of the emulated service.

    Attributes:
        hold: No job starts.
        prepare_seconds: From the status Running until the job is on the QPU.
        seconds_per_queued_job: QPU time of each job of other people's queue.
        tag_lag_seconds: After so long a job, or a change of its tags, shows up in searches by tag.
        usage_lag_seconds: After so long from its end a job's usage is final.
        submissions_per_minute: Of jobs, per user; None for no limit.
        usage_limit_seconds: QPU seconds that an instance may consume; None for no limit.
        price_per_second: USD per QPU second.
        run_factor: Times the QPU time of jobs accepted from now on.
        bill_variation: Most that a job's QPU time differs from the formula, as a fraction.
        noise: Jobs accepted from now on run with the device's noise.
        max_executions: Of one job.
        max_tags: Of one job.
        max_tag_characters: Of one tag.
        max_body_bytes: Of one request.
        token_seconds: Real seconds that a token lives; clients compare it with their own clock.
        session_max_ttl_seconds: Longest life of a session from its first job.
        session_interactive_ttl_seconds: A session without jobs for so long goes inactive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hold: bool = False
    prepare_seconds: float = Field(default=2.0, ge=0)
    seconds_per_queued_job: float = Field(default=30.0, ge=0)
    tag_lag_seconds: float = Field(default=0.0, ge=0)
    usage_lag_seconds: float = Field(default=5.0, ge=0)
    submissions_per_minute: int | None = Field(default=5, ge=0)
    usage_limit_seconds: float | None = Field(default=36_000.0, ge=0)
    price_per_second: float = Field(default=1.6, ge=0)
    run_factor: float = Field(default=1.0, gt=0)
    bill_variation: float = Field(default=0.03, ge=0, lt=1)
    noise: bool = True
    max_executions: int = Field(default=5_000_000, ge=1)
    max_tags: int = Field(default=8, ge=0)
    max_tag_characters: int = Field(default=86, ge=1)
    max_body_bytes: int = Field(default=64 * 2**20, ge=1)
    token_seconds: float = Field(default=3600.0, gt=0)
    session_max_ttl_seconds: float = Field(default=28_800.0, gt=0)
    session_interactive_ttl_seconds: float = Field(default=60.0, ge=0)

    def changed(self, changes: dict[str, Any]) -> Self:
        """With other values.

        Raises:
            Refusal: No such setting, or no such value; each is named.
        """
        try:
            return type(self).model_validate({**self.model_dump(), **changes})
        except ValidationError as failure:
            problems = "; ".join(f"{error['loc'][0]}: {error['msg']}" for error in failure.errors())
            raise Refusal(400, 1200, f"the settings are not acceptable: {problems}") from None
