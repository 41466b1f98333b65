"""Problems on the command line: JSON documents and programs, for people and for programs."""

import json
from pathlib import Path

import pytest

from tests.cli.shell import qurable
from tests.conftest import Service

PROGRAM = "Maximize\n p: 3 x + 2 y\nSubject To\n w: x + y <= 1\nBinary\n x y\nEnd\n"
RING = {"kind": "maxcut", "num_nodes": 4, "edges": [[0, 1, 1], [1, 2, 1], [2, 3, 1], [3, 0, 1]]}


@pytest.fixture
def ring(tmp_path: Path) -> str:
    file = tmp_path / "ring.json"
    file.write_text(json.dumps(RING), encoding="ascii")
    return str(file)


async def test_run_prints_the_answer_in_the_problems_terms(service: Service, ring: str) -> None:
    """Objective, bound, assignment, how sure it is, and by which method and seed."""
    ended = await qurable(service, "run", ring, "--backend", "classical", "--seed", "4")

    assert ended.code == 0
    assert "served by classical:exact: the classical solver that suits best" in ended.out
    assert "answer   maximize 4, bound 4 (gap 0)" in ended.out
    assert "values   1 0 1 0" in ended.out
    assert "optimality gap 0" in ended.out
    assert "method   enumeration, seed 4" in ended.out


async def test_run_prints_one_document_for_programs(service: Service, ring: str) -> None:
    """With answer and confidence, and no results of circuits."""
    ended = await qurable(service, "run", ring, "--backend", "classical:annealing", "--seed", "4", "--json")

    assert (ended.code, ended.err) == (0, "")
    assert ended.document["answer_kind"] == "classical"
    assert ended.document["results"] == []
    assert ended.document["answer"]["objective"] == 4.0
    assert ended.document["confidence"][0]["kind"] == "optimality_gap"


async def test_a_program_is_run_from_its_file(service: Service, tmp_path: Path) -> None:
    """By its suffix."""
    file = tmp_path / "profit.lp"
    file.write_text(PROGRAM, encoding="ascii")

    ended = await qurable(service, "run", str(file), "--json")

    assert ended.document["served_by"] == "classical:exact"
    assert ended.document["answer"]["assignment"] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("name", "text", "words", "because"),
    [
        ("a.json", json.dumps(RING), ("--shots", "10"), "--shots belong to circuits"),
        ("a.json", json.dumps(RING | {"edges": [[0, 9, 1]]}), (), "an edge refers to variable 9"),
        ("a.json", '{"kind": "qubo", "linear": [NaN]}', (), "finite number"),
        ("a.mps", "prose", (), "is not a program that can be read"),
    ],
)
async def test_bad_problems_are_refused(
    service: Service, tmp_path: Path, name: str, text: str, words: tuple[str, ...], because: str
) -> None:
    """With the thing and the way out."""
    file = tmp_path / name
    file.write_text(text, encoding="ascii")

    ended = await qurable(service, "run", str(file), *words)

    assert ended.code in {2, 4}
    assert because in ended.err
    assert "Traceback" not in ended.err
