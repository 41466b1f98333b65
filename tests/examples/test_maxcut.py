"""The example of a cut, run as its readers run it: what it prints, and what its picture shows."""

import asyncio
import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from examples.maxcut.maxcut import GRAPH, cut, edges_of
from tests.conftest import Service
from tests.examples.test_script_and_notebook import EXAMPLES, environment

_SECONDS = 120


@pytest.mark.long
async def test_the_largest_cut_is_measured_and_drawn(service: Service, tmp_path: Path) -> None:
    """12 of the 15 edges of Petersen's graph; two layers cut more than one can on graphs of degree 3, and guessing half."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / "maxcut" / "maxcut.py",
        cwd=tmp_path,
        env=environment(service),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_SECONDS):
        printed, complaints = (stream.decode() for stream in await process.communicate())
    assert process.returncode == 0, complaints
    found = re.search(r"mean cut (\S+) of 12, ", printed)
    tree = ET.fromstring((tmp_path / "maxcut.svg").read_text(encoding="utf-8"))
    words = [element.text or "" for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    best = [entry.split() for entry in words if re.fullmatch(r"\d+   [01]{10}", entry)]

    assert found is not None
    assert float(found.group(1)) > 15 * 0.692
    assert "best measured cut 12: " in printed
    assert len(list(tree.iter("{http://www.w3.org/2000/svg}polyline"))) == 2
    assert [int(value) for value, _ in best] == sorted((int(value) for value, _ in best), reverse=True)
    assert best[0][0] == "12"
    assert all(cut(edges_of(GRAPH), bits) == int(value) for value, bits in best)


def test_the_graph_is_petersen_s() -> None:
    """Ten nodes of degree 3, no triangle and no square, and the largest cut is 12."""
    edges = edges_of(GRAPH)
    neighbours = {node: {u + v - node for u, v, _ in edges if node in (u, v)} for node in range(10)}

    assert all(len(others) == 3 for others in neighbours.values())
    assert all(
        len(neighbours[one] & neighbours[other]) == (0 if other in neighbours[one] else 1)
        for one in range(10)
        for other in range(one)
    )
    assert max(cut(edges, f"{number:010b}") for number in range(1024)) == 12
