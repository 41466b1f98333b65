"""Registered objectives: which one a loop names, and which one answered to the name."""

from typing import Annotated, Any

from pydantic import Field, JsonValue, model_validator

from qurable.contracts.base import Contract

_LARGEST_DATA = 64 * 2**10


class ObjectiveCall(Contract):
    """A registered objective, by its name alone or with what it is to be told.

    Attributes:
        name: As it is registered in the entry-point group `qurable.objectives`.
        data: JSON that every call is given.
        seconds: How long one call may take.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,80}$")
    data: dict[str, JsonValue] = Field(default_factory=dict, repr=False)
    seconds: Annotated[float, Field(gt=0, le=600)] = 10.0

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _small(self) -> "ObjectiveCall":
        size = len(self.model_dump_json())
        if size > _LARGEST_DATA:
            raise ValueError(f"the data of an objective take {size:,} bytes, {_LARGEST_DATA:,} at most")
        return self


class KnownObjective(Contract):
    """What answers to an objective's name on a worker.

    Attributes:
        name: As it is registered.
        function: `module:function`.
        package: Distribution that registers it.
        version: Of the package.
        digest: SHA-256 of the source of its module; empty where there is none to read.
    """

    name: str
    function: str
    package: str
    version: str
    digest: str
