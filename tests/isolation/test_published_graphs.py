"""QAOA on graphs that others have published, beside the closed form of one layer and all assignments."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from circuits.loop_preparation import prepare_loop
from circuits.source import SourceLimits
from isolation.loops import end_loop, run_chunk
from qurable.contracts.optimisations import PreparedLoop
from qurable.contracts.problems import MaxCut, ProblemAnswer
from qurable.optimising import as_optimisation, problem_file

TESTS = Path(__file__).parents[1]
G11 = TESTS / "instances" / "g11_first_16.gset"
G14 = TESTS / "instances" / "g14_first_12.gset"
PETERSEN = TESTS.parent / "examples" / "maxcut" / "petersen.csv"
"""Petersen's graph: three-regular, and not bipartite."""

THREE_REGULAR = 0.692
"""Of the optimum, at least, for one layer on a three-regular graph: Farhi, Goldstone and Gutmann, arXiv:1411.4028."""

Floats = npt.NDArray[np.float64]


def _optimised(file: Path, **fields: Any) -> tuple[MaxCut, Any]:
    """The graph of a file, and what a loop over one layer of QAOA ends with."""
    read = problem_file(file, table="maxcut" if file.suffix == ".csv" else None)
    loop = as_optimisation(read, "qaoa:1", optimiser={"name": "cobyla"}, seed=3, key="k", **fields)
    payload = {"loop": loop.model_dump_json(), "limits": asdict(SourceLimits())}
    prepared: str = prepare_loop(payload, lambda _: None)
    graph = PreparedLoop.read(prepared).problem
    assert isinstance(graph, MaxCut)
    log: list[Any] = []
    asked = {"name": str(file), "prepared": prepared, "shots": loop.shots}
    assert run_chunk({**asked, "log": [], "seconds": 600.0}, log.append)["stopped_by"] is not None
    x = np.frombuffer(b"".join(block["x"] for block in log)).reshape(-1, 2)
    best = x[np.argmax(np.frombuffer(b"".join(block["values"] for block in log)))]
    return graph, end_loop({**asked, "log": log, "best": best.tobytes()}, lambda _: None)


def _closed_form(graph: MaxCut, gamma: Any, beta: Any) -> Any:
    """The expected cut of one layer: Wang, Hadfield, Jiang and Rieffel, Phys. Rev. A 97, 022304 (2018), theorem 1.

    An edge of weight -1 gains what one of weight 1 gains, by not being cut, where no triangles are.
    """
    near: dict[int, set[int]] = {node: set() for node in range(graph.num_nodes)}
    for u, v, _ in graph.edges:
        near[u].add(v)
        near[v].add(u)
    total: Any = 0.0
    for u, v, weight in graph.edges:
        triangles, d, e = len(near[u] & near[v]), len(near[u]) - 1, len(near[v]) - 1
        assert weight == 1 or (weight == -1 and not triangles)
        gained = np.sin(4 * beta) * np.sin(gamma) * (np.cos(gamma) ** d + np.cos(gamma) ** e) / 4
        lost = np.cos(gamma) ** (d + e - 2 * triangles) * (1 - np.cos(2 * gamma) ** triangles) / 4
        total = total + weight / 2 + gained - np.sin(2 * beta) ** 2 * lost
    return total


def _most(graph: MaxCut) -> float:
    """The largest cut, by trying all."""
    sides = np.arange(2 ** (graph.num_nodes - 1))
    cuts = np.zeros(len(sides))
    for u, v, weight in graph.edges:
        cuts += weight * ((sides >> u ^ sides >> v) & 1)
    return float(cuts.max())


@pytest.mark.parametrize("file", [G14, PETERSEN, G11])
def test_one_layer_of_qaoa_is_as_good_as_one_layer_can_be(file: Path) -> None:
    """Every angle was tried in the closed form, and the best assignment that is drawn is the best of all."""
    graph, ended = _optimised(file)
    gamma, beta = np.meshgrid(np.linspace(0, math.pi, 301), np.linspace(0, math.pi / 2, 301))
    able = float(_closed_form(graph, gamma, beta).max())

    assert ended["value"] == pytest.approx(_closed_form(graph, *np.frombuffer(ended["x"])), abs=1e-9)
    assert ended["value"] == pytest.approx(able, abs=2e-3)
    assert ProblemAnswer.read(ended["answer"]).objective == _most(graph)


@pytest.mark.parametrize("file", [PETERSEN, G11])
def test_one_layer_keeps_its_bound_on_published_graphs_of_degree_three(file: Path) -> None:
    """A weight of -1 is won by not cutting, so that what is won of a graph is its cut and the weights below 0."""
    graph, ended = _optimised(file)
    below = -sum(weight for _, _, weight in graph.edges if weight < 0)

    assert ended["value"] + below >= THREE_REGULAR * (_most(graph) + below)


@pytest.mark.parametrize("file", [G14, PETERSEN, G11])
def test_a_loop_with_shots_ends_within_3_sigma_of_the_exact_value(file: Path) -> None:
    """At the parameters it ends with; its error bar is about what so many shots of that spread give."""
    graph, ended = _optimised(file, shots=2000, stop={"evaluations": 60})
    exact = float(_closed_form(graph, *np.frombuffer(ended["x"])))

    assert 0 < ended["error"] < math.sqrt(len(graph.edges) / 2000)
    assert abs(ended["value"] - exact) <= 3 * ended["error"]
