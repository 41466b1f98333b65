"""Exports of schedules: rows are added once, and a file is whole at every moment."""

import csv
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from activities.exports import COLUMNS, JOB_ID, add_rows, path_of, row_of
from qurable.contracts.arrays import FloatArray
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.fires import Fire
from qurable.contracts.problems import ProblemAnswer
from qurable.contracts.reports import JobReport, State
from qurable.contracts.results import ErrorOrigin, EstimateResult
from qurable.errors import RequestRejected

FIRE = Fire(schedule="nightly", project="p", at=datetime(2026, 11, 1, 1, tzinfo=UTC))


def _report(number: int, **fields: Any) -> JobReport:
    return JobReport(
        id=f"job-{number}", project="p", kind="solve", state=State.COMPLETED, asked="auto", **fields
    )


def _rows(*numbers: int) -> list[dict[str, Any]]:
    return [row_of(FIRE, number, _report(number), []) for number in numbers]


def _read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


FORMATS = pytest.mark.parametrize("name", ["nightly.csv", "nightly.parquet"])


@FORMATS
def test_a_row_is_written_once(tmp_path: Path, name: str) -> None:
    """A run that begins again, or is backfilled, adds what is not there."""
    path = tmp_path / "deep" / name

    assert [add_rows(path, _rows(*numbers)) for numbers in ((1, 2), (1, 2), (2, 3))] == [2, 0, 1]
    assert [row[JOB_ID] for row in _read(path)] == ["job-1", "job-2", "job-3"]
    assert list(_read(path)[0]) == list(COLUMNS)


@FORMATS
def test_runs_that_end_at_once_lose_no_row(tmp_path: Path, name: str) -> None:
    """Each waits for the others."""
    path = tmp_path / name
    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(lambda number: add_rows(path, _rows(number, 100)), range(40)))

    assert sum(added) == 41
    assert len(_read(path)) == 41


@FORMATS
def test_what_a_killed_run_left_behind_is_written_over(tmp_path: Path, name: str) -> None:
    """The file itself was whole all the time."""
    path = tmp_path / name
    add_rows(path, _rows(1))
    (tmp_path / f".{name}.partial").write_text("schedule,sch")
    add_rows(path, _rows(2))

    assert [row[JOB_ID] for row in _read(path)] == ["job-1", "job-2"]


def test_a_column_that_somebody_added_stays(tmp_path: Path) -> None:
    """And one that this version has beyond the file's comes after it."""
    path = tmp_path / "nightly.csv"
    path.write_text('remark,job_id\n"good, they say",job-1\n')
    add_rows(path, _rows(1, 2))
    first, second = _read(path)

    assert (first["remark"], first["state"]) == ("good, they say", "")
    assert (second["remark"], second["state"]) == ("", "completed")


def test_a_file_that_is_no_export_is_left_alone(tmp_path: Path) -> None:
    """Somebody's own table must not be spoilt by a wrong name."""
    path = tmp_path / "prices.csv"
    path.write_text("day,price\n1,2\n")
    with pytest.raises(RequestRejected, match="is no export: it has no column 'job_id'"):
        add_rows(path, _rows(1))

    assert path.read_text() == "day,price\n1,2\n"


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    """The name says nothing of it; the folder may hold somebody's link."""
    exports = tmp_path / "exports"
    exports.mkdir()
    (exports / "out").symlink_to(tmp_path)

    assert path_of(exports, "in/nightly.csv") == exports / "in" / "nightly.csv"
    with pytest.raises(RequestRejected, match="leads out of the folder"):
        path_of(exports, "out/nightly.csv")


def test_a_row_says_what_was_found_and_what_went_wrong() -> None:
    """In the problem's terms, or as values; large results stay in the store."""
    answer = ProblemAnswer(kind="maxcut", objective=7.0, bound=8.0, assignment=(0.0, 1.0), feasible=True)
    estimated = EstimateResult(
        evs=FloatArray(shape=(2,), values=(0.5, -0.25)),
        stds=FloatArray(shape=(2,), values=(0.0, 0.0)),
        error_origin=ErrorOrigin.EXACT,
        shape=(2,),
    )
    solved = row_of(FIRE, 1, _report(1, answer=answer), [])
    valued = row_of(FIRE, 2, _report(2), [estimated])
    error = ErrorDocument(code="BudgetExceeded", message="no")
    failed = row_of(FIRE, 3, _report(3, error=error).model_copy(update={"state": State.FAILED}), [])

    assert (solved["objective"], solved["bound"], solved["assignment"]) == (7.0, 8.0, "[0.0, 1.0]")
    assert (solved["schedule"], solved["scheduled"], solved["position"]) == ("nightly", FIRE.moment, 1)
    assert valued["results"] == "[[0.5, -0.25]]"
    assert (failed["state"], failed["error"], failed["objective"]) == ("failed", "BudgetExceeded", None)


def test_in_parquet_numbers_are_numbers_and_what_is_missing_is_null(tmp_path: Path) -> None:
    """A data frame of it needs no parsing, even where the first nights had no objective."""
    path = tmp_path / "nightly.parquet"
    answer = ProblemAnswer(kind="maxcut", objective=7.0, assignment=(0.0, 1.0), feasible=True)
    add_rows(path, _rows(1))
    add_rows(path, [row_of(FIRE, 2, _report(2, answer=answer), [])])
    first, second = _read(path)

    assert pq.read_schema(path).field("objective").type == pa.float64()
    assert (first["objective"], first["feasible"], first["position"]) == (None, None, 1)
    assert (second["objective"], second["feasible"], second["degraded"]) == (7.0, True, False)


def test_in_parquet_a_column_that_somebody_added_stays(tmp_path: Path) -> None:
    """With its type."""
    path = tmp_path / "nightly.parquet"
    pq.write_table(pa.table({"rating": [5], JOB_ID: ["job-1"]}), path)
    add_rows(path, _rows(1, 2))
    first, second = _read(path)

    assert (first["rating"], first["state"]) == (5, None)
    assert (second["rating"], second["state"]) == (None, "completed")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"day": [1]}, "is no export: it has no column 'job_id'"),
        ({JOB_ID: ["job-9"], "objective": ["seven"]}, "columns of other types"),
        (None, "is no Parquet file"),
    ],
)
def test_a_parquet_file_that_is_no_export_is_left_alone(
    tmp_path: Path, columns: dict[str, Any] | None, words: str
) -> None:
    """Somebody's own table must not be spoilt by a wrong name."""
    path = tmp_path / "prices.parquet"
    if columns is None:
        path.write_text("day,price\n")
    else:
        pq.write_table(pa.table(columns), path)
    before = path.read_bytes()
    with pytest.raises(RequestRejected, match=words):
        add_rows(path, _rows(1))

    assert path.read_bytes() == before


def test_without_its_library_parquet_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the library's name, and the way out."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert path_of(tmp_path, "nightly.csv") == tmp_path / "nightly.csv"
    with pytest.raises(RequestRejected, match=r"'nightly.parquet' needs 'pyarrow'.*or name a .csv"):
        path_of(tmp_path, "nightly.parquet")
