"""JSON objects, for the formats that are such."""

import json
from collections.abc import Mapping
from typing import Any

from qurable.contracts.optimisations import ProblemFile
from qurable.errors import RequestRejected


def document(file: ProblemFile) -> Mapping[str, Any]:
    """The object that a file holds.

    Raises:
        RequestRejected: It holds none.
    """
    try:
        found = json.loads(file.text)
    except ValueError as error:
        raise RequestRejected(f"the {file.format} file is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise RequestRejected(f"the {file.format} file holds no JSON object")
    return found
