"""What an error looks like outside the process that met it."""

from typing import Any

from pydantic import Field

from qurable.contracts.base import Contract


class ErrorDocument(Contract):
    """An error as a document.

    Attributes:
        code: Name of the class in `qurable.errors`.
        message: One sentence that names the thing, the limit and the way out.
        details: Values a program may want: line, column, limits, sizes.
    """

    code: str
    message: str
    details: dict[str, Any] = Field(default_factory=dict)
