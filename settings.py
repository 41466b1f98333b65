"""The environment as one frozen object; read by the composition roots and by nobody else."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from circuits.source import SourceLimits
from isolation.admission import default_capacity_bytes, default_folder
from isolation.limits import MIB
from qurable.contracts.ibm import Generation
from qurable.contracts.stages import Pace
from qurable.errors import RequestRejected
from qurable.home import data_home
from qurable.names import PROJECT_PATTERN, Queue

EVERYDAY_QUEUES = tuple(queue for queue in Queue if queue is not Queue.GPU)
"""What a worker serves that is not told otherwise: the GPU is most often another machine's."""


def _default_cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


def _variable(field: str) -> str:
    return "QURABLE_" + field.upper()


class IbmAccount(BaseModel):
    """One account at IBM, without its secrets: those stay where the client looks for them.

    Attributes:
        name: Of an account saved with the client; None for the environment's, or the saved default.
        filename: Of the file of saved accounts; None for the client's own.
        instance: CRN or name of the instance.
        projects: Projects that it pays for.
        price_per_second: What a QPU second costs.
        currency: Of the price.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    filename: str | None = None
    instance: str | None = None
    projects: tuple[Annotated[str, Field(pattern=PROJECT_PATTERN)], ...] = ()
    price_per_second: float | None = Field(default=None, ge=0)
    currency: str = Field(default="USD", min_length=1, max_length=8)


class Settings(BaseSettings):
    """What a worker or gateway is told; variables begin with `QURABLE_`.

    Attributes:
        home: Data folder.
        exports: Folder of the exports of schedules, in the data folder unless its path is absolute.
        database_url: The store; by default SQLite in the data folder. May hold a password.
        queues: Task queues this worker serves; empty means all but the GPU's.
        cores: Processor cores that simulations may use.
        memory_mib: Memory that simulations on this machine may take together; by default four fifths.
        admission_folder: Where workers on this machine share out its memory.
        heartbeat: A stage whose worker is silent for this long is given to another.
        stage_timeout: Start-to-close timeout of a stage that computes nothing long.
        compile_timeout: Start-to-close timeout of parsing and transpiling.
        graceful_stop: How long a stopping worker lets stages finish.
        openqasm2_bytes: Longest OpenQASM 2 text.
        openqasm3_bytes: Longest OpenQASM 3 text.
        max_operations: Most operations of a circuit, definitions written out.
        max_jobs_in_stage: Stages of one queue that this worker runs at once; fewer where they compute.
        ibm_accounts: Accounts at IBM by label, as JSON; without one, what `qiskit-ibm-runtime` finds by itself pays.
        ibm_primitives: Which generation of IBM's primitives is used: `executor` (client-side) or `v2`.
        ibm_submissions_per_minute: How many jobs IBM lets an account's user submit in a minute.
        ibm_send_within: How long after a job was claimed for sending it may still be sent.
        ibm_read_timeout: How long IBM's answer to a submission may take.
        ibm_tag_lag: How long IBM's index of tags may take to show a new job.
        poll_shortest: Between two looks at a job elsewhere that is about to start or end.
        poll_longest: Between two looks at one far back in its queue.
        reconcile_every: How often jobs at providers without a living owner are looked for.
        reconcile_grace: How old such a job must be before it is cancelled.
        strategy: YAML file with the strategy table, in place of the one that is shipped.
        health_address: `host:port` of the worker's health endpoint; empty for none.
        metrics_address: `host:port` where Prometheus finds metrics; empty for none.
        gateway_address: `host:port` of the gateway; loopback until there is authentication.
        gateway_hosts: What others call the gateway, as a JSON list; without it only loopback is listened on.
        log_level: debug, info, warning or error.
    """

    model_config = SettingsConfigDict(env_prefix="QURABLE_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=data_home)
    exports: Path = Path("exports")
    database_url: SecretStr | None = None
    queues: tuple[Queue, ...] = ()
    cores: int = Field(default_factory=_default_cores, ge=1)
    memory_mib: int | None = Field(default=None, ge=256)
    admission_folder: Path = Field(default_factory=default_folder)
    heartbeat: timedelta = timedelta(seconds=5)
    stage_timeout: timedelta = timedelta(minutes=2)
    compile_timeout: timedelta = timedelta(minutes=10)
    graceful_stop: timedelta = timedelta(seconds=10)
    openqasm2_bytes: int = Field(default=SourceLimits.openqasm2_bytes, ge=1)
    openqasm3_bytes: int = Field(default=SourceLimits.openqasm3_bytes, ge=1)
    max_operations: int = Field(default=SourceLimits.expanded_gates, ge=1)
    max_jobs_in_stage: int = Field(default=32, ge=1)
    ibm_accounts: dict[Annotated[str, Field(pattern=PROJECT_PATTERN)], IbmAccount] = Field(
        default_factory=dict
    )
    ibm_primitives: Generation = Generation.EXECUTOR
    ibm_submissions_per_minute: int = Field(default=5, ge=1)
    ibm_send_within: timedelta = Field(
        default=timedelta(seconds=30), gt=timedelta(0), le=timedelta(minutes=5)
    )
    ibm_read_timeout: timedelta = Field(
        default=timedelta(seconds=20), gt=timedelta(0), le=timedelta(seconds=60)
    )
    ibm_tag_lag: timedelta = Field(default=timedelta(seconds=10), ge=timedelta(0), le=timedelta(minutes=10))
    poll_shortest: timedelta = Field(default=timedelta(seconds=1), gt=timedelta(0))
    poll_longest: timedelta = Field(default=timedelta(seconds=60), gt=timedelta(0))
    reconcile_every: timedelta = Field(default=timedelta(minutes=5), ge=timedelta(seconds=1))
    reconcile_grace: timedelta = Field(default=timedelta(minutes=2), ge=timedelta(0))
    strategy: Path | None = None
    health_address: str = ""
    metrics_address: str = ""
    gateway_address: str = "127.0.0.1:8000"
    gateway_hosts: tuple[str, ...] = ()
    log_level: str = "info"

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The environment, with words of a command line before it.

        Raises:
            RequestRejected: Naming each variable that holds what it cannot.
        """
        try:
            return cls(**given)
        except ValidationError as failure:
            problems = [
                f"{_variable(str(error['loc'][0]))}: {error['msg']}" if error["loc"] else error["msg"]
                for error in failure.errors(include_url=False, include_context=False)
            ]
            raise RequestRejected("the settings are not acceptable: " + "; ".join(problems)) from None
        except SettingsError as failure:  # a list that is not written as JSON
            raise RequestRejected(f"the settings are not acceptable: {failure}") from None

    @model_validator(mode="after")
    def _owners_come_by_in_time(self) -> Self:
        if self.reconcile_grace <= self.poll_longest:
            raise ValueError(
                f"QURABLE_RECONCILE_GRACE ({self.reconcile_grace}) must be longer than QURABLE_POLL_LONGEST "
                f"({self.poll_longest}): a job whose owner comes by more rarely would be taken for abandoned"
            )
        return self

    @property
    def store_url(self) -> str:
        """The store's URL with its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home / 'store.db'}"

    @property
    def exports_folder(self) -> Path:
        """Folder that schedules export to."""
        return self.home / self.exports

    @property
    def capacity_bytes(self) -> int:
        """Memory that simulations on this machine may take together."""
        return default_capacity_bytes() if self.memory_mib is None else self.memory_mib * MIB

    @property
    def served_queues(self) -> tuple[Queue, ...]:
        """Task queues this worker serves."""
        return self.queues or EVERYDAY_QUEUES

    @property
    def source_limits(self) -> SourceLimits:
        """Bounds on circuit texts."""
        return SourceLimits(
            openqasm2_bytes=self.openqasm2_bytes,
            openqasm3_bytes=self.openqasm3_bytes,
            expanded_gates=self.max_operations,
        )

    def pace(self, *, search_attributes: bool) -> Pace:
        """What a job's workflow is told when it is accepted."""
        return Pace(
            heartbeat=self.heartbeat,
            stage=self.stage_timeout,
            compile=self.compile_timeout,
            search_attributes=search_attributes,
        )
