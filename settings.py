"""The environment as one frozen object; read by the composition roots and by nobody else."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from circuits.source import SourceLimits
from isolation.admission import default_capacity_bytes, default_folder
from isolation.limits import MIB
from qurable.contracts.stages import Pace
from qurable.errors import RequestRejected
from qurable.home import data_home
from qurable.names import Queue

EVERYDAY_QUEUES = tuple(queue for queue in Queue if queue is not Queue.GPU)
"""What a worker serves that is not told otherwise: the GPU is most often another machine's."""


def _default_cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


def _variable(field: str) -> str:
    return "QURABLE_" + field.upper()


class Settings(BaseSettings):
    """What a worker or gateway is told; variables begin with `QURABLE_`.

    Attributes:
        home: Data folder.
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
        max_jobs_in_stage: Stages of one queue that this worker runs at once.
        health_address: `host:port` of the worker's health endpoint; empty for none.
        metrics_address: `host:port` where Prometheus finds metrics; empty for none.
        gateway_address: `host:port` of the gateway; loopback until there is authentication.
        gateway_hosts: What others call the gateway, as a JSON list; without it only loopback is listened on.
        log_level: debug, info, warning or error.
    """

    model_config = SettingsConfigDict(env_prefix="QURABLE_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=data_home)
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
                f"{_variable(str(error['loc'][0]) if error['loc'] else '')}: {error['msg']}"
                for error in failure.errors(include_url=False, include_context=False)
            ]
            raise RequestRejected("the settings are not acceptable: " + "; ".join(problems)) from None
        except SettingsError as failure:  # a list that is not written as JSON
            raise RequestRejected(f"the settings are not acceptable: {failure}") from None

    @property
    def store_url(self) -> str:
        """The store's URL with its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home / 'store.db'}"

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
