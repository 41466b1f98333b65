"""Write the JSON Schemas of the documents that cross HTTP, the command line and the client.

    python -m docs.schemas.generate

A test fails while the files differ from what this writes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from qurable.contracts.base import SCHEMA_VERSION, Contract
from qurable.contracts.batches import BatchReport, ItemReport
from qurable.contracts.comparisons import ComparisonReport
from qurable.contracts.cutting import CutReport
from qurable.contracts.fires import FireReport
from qurable.contracts.jobs import JobRequest
from qurable.contracts.matrices import MatrixReport
from qurable.contracts.optimisations import OptimisationReport
from qurable.contracts.precise import PreciseReport
from qurable.contracts.reports import JobReport, JobStatus

FOLDER = Path(__file__).parent

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_NUMBERS: dict[str, Any] = {
    "anyOf": [{"type": "number"}, {"type": "array", "items": {"$ref": "#/$defs/Numbers"}}]
}
_SHORT: dict[str, tuple[dict[str, Any], ...]] = {
    "Circuit": ({"type": "string", "description": "An OpenQASM program; its version line says which."},),
    "Bindings": (
        {
            "type": "object",
            "description": "Values by the parameter's name, each a number or a nested array of one shape.",
            "additionalProperties": {"$ref": "#/$defs/Numbers"},
        },
    ),
    "Observable": (
        {"type": "string", "description": "A label; the rightmost letter acts on qubit 0."},
        {
            "type": "object",
            "description": "Coefficients by label.",
            "minProperties": 1,
            "additionalProperties": {"type": "number"},
        },
    ),
    "Observables": (
        {"$ref": "#/$defs/Observable"},
        {"type": "array", "items": {"$ref": "#/$defs/Observables"}},
    ),
    "Mitigation": ({"const": "readout", "description": "By the calibration that costs nothing."},),
}
"""Shorter ways to write a contract, which its validators read and Pydantic's schema does not know."""


_OF_PATTERNS: Mapping[str, type[Contract]] = {
    "batch-item": ItemReport,
    "batch-report": BatchReport,
    "comparison-report": ComparisonReport,
    "cut-report": CutReport,
    "fire-report": FireReport,
    "loop-report": OptimisationReport,
    "matrix-report": MatrixReport,
    "precise-report": PreciseReport,
}
"""What the commands of patterns print with `--json`, and the client gives back."""


def schemas() -> Mapping[str, dict[str, Any]]:
    """Each schema by the name of its file.

    A request is checked strictly. Reports and statuses may hold fields of a later version, which a reader ignores.
    """
    return {
        "job-request.json": _with_short_forms(_schema("JobRequest", JobRequest, "validation")),
        "job-report.json": _open(_schema("JobReport", JobReport, "serialization")),
        "job-status.json": _open(_schema("JobStatus", JobStatus, "serialization")),
        **{
            f"{name}.json": _open(_schema(contract.__name__, contract, "serialization"))
            for name, contract in _OF_PATTERNS.items()
        },
    }


def _schema(title: str, contract: Any, mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    schema = TypeAdapter(contract).json_schema(mode=mode)
    return {
        "$schema": _DIALECT,
        "$id": f"urn:qurable:schema:{SCHEMA_VERSION}:{title}",
        **schema,
        "title": title,
    }


def _with_short_forms(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a request as people write it: with short forms, and with the kind, which chooses the rest."""
    definitions = dict(schema["$defs"])
    definitions["Circuit"] = definitions["Circuit"] | {"required": []}  # the text says which format it is
    for kind in ("SampleJob", "EstimateJob", "SolveJob"):
        definitions[kind] = definitions[kind] | {"required": ["kind", *definitions[kind]["required"]]}
    for name, forms in _SHORT.items():
        definitions[name] = {"anyOf": [definitions[name], *forms]}
    definitions["Numbers"] = _NUMBERS
    return schema | {"$defs": dict(sorted(definitions.items()))}


def _open(schema: Any) -> Any:
    """The schema without its bans on unknown fields."""
    match schema:
        case dict():
            return {
                name: _open(part)
                for name, part in schema.items()
                if not (name == "additionalProperties" and part is False)
            }
        case list():
            return [_open(part) for part in schema]
    return schema


def text_of(schema: Mapping[str, Any]) -> str:
    """A schema as its file holds it."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every schema beside this file."""
    for name, schema in schemas().items():
        (FOLDER / name).write_text(text_of(schema), encoding="utf-8")
        print(f"docs/schemas/{name}")


if __name__ == "__main__":
    main()
