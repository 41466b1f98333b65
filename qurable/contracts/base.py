"""The base of all contracts, and how a document becomes bytes and a digest."""

import hashlib
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

SCHEMA_VERSION = 1
"""Version of the job and report documents. A worker reads every version up to its own."""


class Contract(BaseModel):
    """A frozen document. Unknown fields are an error at the edges and ignored inside Temporal."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ser_json_inf_nan="strings",
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )

    @classmethod
    def read(cls, document: bytes | str) -> Self:
        """Read a stored or received document, ignoring fields that this version does not know."""
        return cls.model_validate_json(document, extra="ignore")


def digest(document: BaseModel | bytes | str, *, length: int = 64) -> str:
    """SHA-256 of a document's canonical JSON, or of the given bytes, as `length` hex characters."""
    if isinstance(document, BaseModel):
        document = document.model_dump_json()
    if isinstance(document, str):
        document = document.encode()
    return hashlib.sha256(document).hexdigest()[:length]


def explain(failure: ValidationError, what: str) -> str:
    """A validation failure as one sentence per problem, each naming the field."""
    problems = []
    for error in failure.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in error["loc"]) or what
        problems.append(f"{where}: {error['msg'].removeprefix('Value error, ')}")
    return f"{what} is not acceptable: " + "; ".join(problems[:5])
