"""CSV and Parquet tables: what their columns mean, and in which row and column something is wrong."""

import base64
import io
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from circuits.problem_files import index_base, read_problem
from qurable.contracts.optimisations import ProblemFile
from qurable.contracts.problems import MaxCut, Qubo
from qurable.errors import BackendNotInstalled, RequestRejected

PATH = MaxCut(num_nodes=3, edges=((0, 1, 1.0), (1, 2, 2.5)))


def _csv(text: str, **more: Any) -> Any:
    return read_problem(ProblemFile.model_validate({"format": "csv", "text": text, **more})).problem


def _parquet(columns: dict[str, Any], **more: Any) -> Any:
    packed = io.BytesIO()
    pq.write_table(pa.table(columns), packed)
    text = base64.b64encode(packed.getvalue()).decode()
    return read_problem(ProblemFile.model_validate({"format": "parquet", "text": text, **more})).problem


@pytest.mark.parametrize(
    "text",
    [
        "u,v,weight\n0,1,1\n1,2,2.5\n",
        "\ufeffWeight;Target;Source\r\n1;1;0\r\n2.5;2;1\r\n",
        "u\tv\tweight\n0\t1\t1e0\n\n1.0\t2\t2.5\n",
    ],
    ids=["commas", "semicolons and a mark", "tabs"],
)
def test_columns_say_by_their_names_what_they_are(text: str) -> None:
    """In any order, whatever divides them."""
    assert _csv(text) == PATH


def test_parquet_holds_the_same() -> None:
    """As data frames write it: whole numbers or not."""
    assert _parquet({"u": [0, 1], "v": [1.0, 2.0], "weight": [1.0, 2.5]}) == PATH
    assert _parquet({"i": [0, 1], "j": [0, 0], "value": [1.5, 2]}) == Qubo(
        linear=(1.5, 0.0), quadratic=((0, 1, 2.0),)
    )


def test_entries_of_a_qubo_add_up_on_either_side_of_the_diagonal() -> None:
    """As in coo; and a table may be told to be one."""
    wanted = Qubo(linear=(1.0, 0.0), quadratic=((0, 1, 5.0),))

    assert _csv("i,j,value\n0,0,1\n0,1,2\n1,0,3\n") == wanted
    assert _csv("u,v,weight\n0,0,1\n0,1,2\n1,0,3\n", table="qubo") == wanted


def test_a_matrix_is_a_qubo_or_where_it_is_said_a_graph() -> None:
    """With names of columns or without, and as data frames write it, with names of rows."""
    qubo = Qubo(linear=(1.0, -2.0), quadratic=((0, 1, 3.0),))

    assert _csv("1,1\n2,-2\n") == _csv("a,b\n1,1\n2,-2\n") == _csv(",a,b\na,1,1\nb,2,-2\n") == qubo
    assert _parquet({"a": [1, 2], "b": [1, -2]}) == qubo
    assert _csv("0,1,0\n1,0,2.5\n0,2.5,0\n", table="maxcut") == PATH


def test_tables_count_from_0_unless_their_owner_says_1() -> None:
    """One off, and another graph is solved."""
    file = ProblemFile.model_validate(
        {"format": "csv", "text": "u,v,weight\n1,2,1\n2,3,2.5\n", "index_base": 1}
    )

    assert read_problem(file).problem == PATH
    assert (index_base(file), index_base(file.model_copy(update={"index_base": None}))) == (1, 0)


def test_an_edge_that_comes_again_is_warned_of() -> None:
    """A list with both directions counts every edge twice."""
    found = read_problem(ProblemFile.model_validate({"format": "csv", "text": "u,v\n0,1\n1,0\n1,2\n"}))

    assert found.warnings == (
        "the csv file names edges again that it has named before, 1 times: their weights add up",
    )


@pytest.mark.parametrize(
    ("text", "words", "more"),
    [
        ("", "is empty", {}),
        ("u,v\n", "no edges", {}),
        ("u,v,weight\n0,1,heavy\n", "line 2, column 'weight': 'heavy' is no finite number", {}),
        ("u,v,weight\n0,1,1\n0,2,inf\n", "line 3, column 'weight': 'inf'", {}),
        ("u,v,weight\n0,1,1e999\n", "line 2, column 'weight': '1e999'", {}),
        ("u,v\n0,-1\n", "line 2, column 'v': index -1 is out of range", {}),
        ("u,v\n0,1\n0,1\n", None, {}),
        ("u,v\n0,1000000000\n", "line 2, column 'v': index 1e[+]09 is out of range", {}),
        ("u,v\n0.5,1\n", "line 2, column 'u': '0.5' is no index", {}),
        ("u,v\n0,0\n", "line 2, column 'v': an edge from a node to itself", {}),
        ("u,v\n0\n", "line 2: 1 cells, the table has 2 columns", {}),
        ("u,v,wieght\n0,1,5\n", r"u, v, weight are read, each once: leave out \['wieght'\]", {}),
        ("u,v,v\n0,1,5\n", "what is there twice", {}),
        ("i,j\n0,1\n", "1 rows and 2 columns", {}),
        ("1,2\n3,4\n5,6\n", "3 rows and 2 columns, and a matrix is square", {}),
        ("1,2\n3,x\n", "line 2, column '2': 'x'", {}),
        ("0,1\n2,0\n", "line 2, column '1': 2 there and 1 on the other side", {"table": "maxcut"}),
        ("1,1\n1,0\n", "line 1, column '1': an edge from a node to itself", {"table": "maxcut"}),
        ('u,v\n0,"1\n', "the csv file, line", {}),
        ("0" + ",0" * 2000 + "\n", "a matrix is square", {}),
    ],
)
def test_what_is_wrong_with_a_csv_is_said(text: str, words: str | None, more: dict[str, Any]) -> None:
    """With row and column."""
    if words is None:
        assert len(_csv(text).edges) == 2
        return
    with pytest.raises(RequestRejected, match=words):
        _csv(text, **more)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"u": [0], "v": ["Vienna"]}, "column 'v' holds string"),
        ({"u": [0, 1], "v": [1, None]}, "row 2, column 'v': 'None'"),
        ({"u": [0], "v": [1], "weight": [float("nan")]}, "row 1, column 'weight': 'nan'"),
        ({"u": [[0]], "v": [1]}, "column 'u' holds list"),
        ({"u": [True], "v": [1]}, "column 'u' holds bool"),
    ],
)
def test_what_is_wrong_with_a_parquet_table_is_said(columns: dict[str, Any], words: str) -> None:
    """With row and column."""
    with pytest.raises(RequestRejected, match=words):
        _parquet(columns)


def test_a_parquet_file_that_unpacks_to_too_much_is_not_unpacked() -> None:
    """Ten million equal rows take a few kilobytes."""
    with pytest.raises(RequestRejected, match="10,000,000 cells"):
        _parquet({"u": pa.DictionaryArray.from_arrays(pa.array([0] * 10_000_000), pa.array([7]))})


@pytest.mark.parametrize("text", ["no base64!", base64.b64encode(b"PAR1 and no more PAR1").decode(), ""])
def test_what_is_no_parquet_is_said_to_be_none(text: str) -> None:
    """Whatever it is."""
    with pytest.raises(RequestRejected, match="parquet file"):
        read_problem(ProblemFile.model_validate({"format": "parquet", "text": text}))


def test_without_its_library_parquet_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the way out is said."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BackendNotInstalled, match="dependency group 'tables', or send the table as CSV"):
        read_problem(ProblemFile.model_validate({"format": "parquet", "text": ""}))


@pytest.mark.parametrize(
    ("form", "more", "words"),
    [
        ("dimod", {"index_base": 1}, "index_base says nothing of a dimod file"),
        ("lp", {"index_base": 0}, "index_base says nothing of a lp file"),
        ("coo", {"table": "maxcut"}, "table says nothing of a coo file"),
    ],
)
def test_what_says_nothing_of_a_format_is_refused(form: str, more: dict[str, Any], words: str) -> None:
    """Rather than left out in silence."""
    with pytest.raises(RequestRejected, match=words):
        read_problem(ProblemFile.model_validate({"format": form, "text": "", **more}))
