"""Loops that begin with a file or end with a registered objective, on a real service: answers in the terms of the question."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qurable.contracts.optimisations import LoopState
from qurable.errors import JobFailed, RequestRejected
from qurable.optimising import problem_file
from tests.circuits.test_tsplib import FIVE
from tests.circuits.test_whole_programs import KNAPSACK
from tests.cli.shell import qurable
from tests.conftest import Service
from tests.isolation.test_composed_objective import NUMBER, SECTOR
from tests.variational_at_hand import H2, H2_ENERGY

_SECONDS = 120

_QUICK: dict[str, Any] = {"optimiser": {"name": "cobyla"}, "stop": {"evaluations": 60}, "seed": 3}


async def test_a_tour_is_answered_as_a_tour_and_compared_as_one(service: Service, tmp_path: Path) -> None:
    """From a TSPLIB file: the cities by their numbers, beside the shortest tour with its proof."""
    file = tmp_path / "four.tsp"
    file.write_text(FIVE, encoding="ascii")
    async with asyncio.timeout(_SECONDS):
        loop = await service.qurable.optimise(file, "qaoa:1", **_QUICK)
        report = await loop.report()

    assert (report.state, report.warnings) == (LoopState.COMPLETED, ())
    assert report.reading is not None
    assert (report.reading.format, report.reading.index_base) == ("tsplib", 1)
    assert report.reading.meaning == "a tour of 4 cities on 9 qubits, penalty 20"
    assert report.reference is not None
    assert report.reference.answer is not None
    assert (report.reference.solver, report.reference.certain, report.reference.value) == (
        "held_karp",
        True,
        20.0,
    )
    assert report.answer is not None
    assert (report.answer.feasible, report.answer.objective) == (True, 20.0)  # 1,024 of 512 assignments
    assert report.answer.tour[0] == report.reference.answer.tour[0] == "1"
    assert set(report.answer.tour) == {"1", "2", "3", "4"}


@pytest.mark.long
async def test_a_program_is_answered_by_the_names_of_its_variables(service: Service, tmp_path: Path) -> None:
    """On the command line: the loop's values beside those of the classical solver, and whether they are feasible."""
    file = tmp_path / "knapsack.lp"
    file.write_text(KNAPSACK, encoding="ascii")
    ended = await qurable(
        service,
        *("optimize", str(file), "--ansatz", "qaoa:1", "--optimiser", "cobyla", "--evaluations", "60"),
        *("--seed", "3"),
    )

    assert ended.code == 0, ended.err
    lines = [line.strip() for line in ended.out.splitlines()]
    assert any(
        line.startswith("file          lp: a program of 4 whole numbers and 2 constraints on 8 qubits")
        for line in lines
    )
    assert any(line.startswith("classical variables") and line.endswith("a=0 b=1 c=1 n=2") for line in lines)
    assert any(line.startswith("feasible") and line.endswith("yes") for line in lines)


@pytest.mark.long
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
async def test_a_table_of_edges_is_read_where_files_are_read(
    service: Service, tmp_path: Path, suffix: str
) -> None:
    """In a child whose memory is limited, counted from 1 where its owner says so."""
    file = tmp_path / f"square{suffix}"
    if suffix == ".csv":
        file.write_text("u,v\n1,2\n2,3\n3,4\n4,1\n", encoding="ascii")
    else:
        pq.write_table(pa.table({"u": [1, 2, 3, 4], "v": [2, 3, 4, 1]}), file)
    async with asyncio.timeout(_SECONDS):
        loop = await service.qurable.optimise(problem_file(file, index_base=1), "qaoa:1", **_QUICK)
        report = await loop.report()

    assert report.reading is not None
    assert (report.reading.format, report.reading.index_base) == (suffix[1:], 1)
    assert report.reading.meaning == "a graph of 4 nodes and 4 edges, whose cut is to be large"
    assert report.answer is not None
    assert report.answer.objective == 4.0


@pytest.mark.long
async def test_the_command_line_names_an_objective_and_its_data(service: Service, tmp_path: Path) -> None:
    """For a loop's document with several observables; data without an objective are refused."""
    file = tmp_path / "loop.json"
    wanted = {"kind": "optimisation", "observables": [H2, NUMBER], "ansatz": {"family": "real_amplitudes"}}
    file.write_text(json.dumps(wanted), encoding="ascii")
    data = '{"targets": [1.0], "weight": 3}'
    begun = ("optimize", str(file), "--evaluations", "40", "--seed", "3", "--json")
    ended = await qurable(service, *begun, "--objective", "penalised", "--objective-data", data)
    refused = await qurable(service, *begun, "--objective-data", data)

    assert ended.code == 0, ended.err
    assert ended.document["provenance"]["objective"]["name"] == "penalised"
    assert refused.code == 2
    assert "--objective-data belong to an --objective" in refused.err


async def test_a_registered_objective_is_in_the_report_by_its_version(service: Service) -> None:
    """H2 in the sector of one particle; the report says whose function it was, and what its source was."""
    async with asyncio.timeout(_SECONDS):
        loop = await service.qurable.optimise(
            [H2, NUMBER],
            "real_amplitudes:1",
            objective=SECTOR["objective"],
            optimiser={"name": "cobyla"},
            stop={"tolerance": 1e-3},
            seed=3,
        )
        report = await loop.report()

    assert report.value == pytest.approx(H2_ENERGY, abs=1.6e-3)
    assert report.reference is None
    told = report.provenance["objective"]
    assert (told["name"], told["package"], told["function"]) == (
        "penalised",
        "qurable-service",
        "circuits.objective_functions:penalised",
    )
    assert len(told["digest"]) == 64


async def test_an_objective_that_breaks_ends_the_loop_with_its_reason(service: Service) -> None:
    """Two quantities and one target: the function's own error, the iteration, and what it was told."""
    async with asyncio.timeout(_SECONDS):
        loop = await service.qurable.optimise(
            [H2, NUMBER, "ZZ"], "real_amplitudes:1", objective=SECTOR["objective"], seed=3
        )
        with pytest.raises(JobFailed) as failure:
            await loop.report()

    assert failure.value.error.code == "OptimisationFailed"
    assert "in iteration 0, the objective 'penalised' raised ValueError" in failure.value.error.message


async def test_a_list_of_observables_needs_an_objective(service: Service) -> None:
    """And an objective that nobody registered is refused by the worker."""
    with pytest.raises(RequestRejected, match="needs an `objective`"):
        await service.qurable.optimise([H2, NUMBER], "real_amplitudes:1")
    loop = await service.qurable.optimise([H2, NUMBER], "real_amplitudes:1", objective="nobody", seed=3)
    with pytest.raises(JobFailed, match="no objective 'nobody' is registered"):
        await loop.report()
