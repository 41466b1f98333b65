"""Exports: tables to which every fire of a schedule adds one row for each of its jobs, and none of them twice.

CSV is written here, Parquet by `activities/parquet_exports.py`.
"""

import csv
import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from activities import parquet_exports
from qurable.contracts.fires import Fire
from qurable.contracts.reports import JobReport
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.errors import RequestRejected
from qurable.home import made

JOB_ID = "job_id"
"""The column that tells rows apart."""

COLUMNS = (
    *(
        "schedule",
        "scheduled",
        "position",
        JOB_ID,
        "kind",
        "state",
        "asked",
        "served_by",
        "degraded",
        "ended",
    ),
    *("objective", "standard_error", "bound", "feasible", "assignment", "results"),
    *("qpu_seconds", "price", "currency", "error"),
)

_MOST_VALUES = 64
_MOST_OUTCOMES = 8


def path_of(folder: Path, name: str) -> Path:
    """A file below the folder of exports.

    Raises:
        RequestRejected: A link leads it out of there, or what writes it is not installed.
    """
    parquet_exports.refuse_without_library(name)
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise RequestRejected(f"export {name!r} leads out of the folder of exports: name a file in it")
    return path


def row_of(
    fire: Fire, position: int, report: JobReport, results: Sequence[SampleResult | EstimateResult]
) -> dict[str, Any]:
    """What an export says of a job; large results are left to the store."""
    answer = report.answer
    return {
        "schedule": fire.schedule,
        "scheduled": fire.moment,
        "position": position,
        JOB_ID: report.id,
        "kind": report.kind,
        "state": str(report.state),
        "asked": report.asked,
        "served_by": report.served_by,
        "degraded": report.degraded,
        "ended": report.events[-1].at.isoformat() if report.events else "",
        "objective": answer.objective if answer else None,
        "standard_error": answer.standard_error if answer else None,
        "bound": answer.bound if answer else None,
        "feasible": answer.feasible if answer else None,
        "assignment": json.dumps(answer.assignment) if answer and answer.assignment is not None else None,
        "results": json.dumps([_brief(result) for result in results]) if results else None,
        "qpu_seconds": report.qpu_seconds,
        "price": report.price,
        "currency": report.currency,
        "error": report.error.code if report.error else "",
    }


def _brief(result: SampleResult | EstimateResult) -> Any:
    """Expectation values, or the outcomes that came most often."""
    if isinstance(result, EstimateResult):
        return list(result.evs.values[:_MOST_VALUES])
    return dict(list(result.counts().items())[:_MOST_OUTCOMES])


def add_rows(path: Path, rows: Sequence[dict[str, Any]]) -> int:
    """Add rows of jobs that the file has none of; gives back how many.

    The file is written anew beside itself and takes its own place, so that whoever reads it, or is killed here, finds it
    whole. A column that somebody has added stays.

    Raises:
        RequestRejected: It cannot be written, or is no export.
    """
    made(path.parent)
    try:
        with path.with_name(f".{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _add(path, rows)
    except OSError as failure:
        raise RequestRejected(
            f"the export {str(path)!r} cannot be written ({failure.strerror}): free some space, or correct its permissions"
        ) from None


def _add(path: Path, rows: Sequence[dict[str, Any]]) -> int:
    partial = path.with_name(f".{path.name}.partial")
    if path.suffix == parquet_exports.SUFFIX:
        number = parquet_exports.added(path, partial, COLUMNS, JOB_ID, rows)
    else:
        number = _added(path, partial, rows)
    if number:
        partial.replace(path)
    return number


def _added(path: Path, partial: Path, rows: Sequence[dict[str, Any]]) -> int:
    header, standing = _read(path)
    known = {row[JOB_ID] for row in standing}
    new = [row for row in rows if row[JOB_ID] not in known]
    if not new:
        return 0
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*header, *(name for name in COLUMNS if name not in header)])
        writer.writeheader()
        writer.writerows([*standing, *new])
        file.flush()
        os.fsync(file.fileno())
    return len(new)


def _read(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    if not path.exists():
        return [], []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        header = list(reader.fieldnames or ())
    if JOB_ID not in header and header:
        raise RequestRejected(f"{str(path)!r} is no export: it has no column {JOB_ID!r}; name another file")
    return header, rows
