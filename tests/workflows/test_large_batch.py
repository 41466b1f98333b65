"""Ten thousand items of MQT Bench: history and memory stay flat, and every circuit is compiled once."""

import json
import os
from asyncio import timeout
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mqt.bench import BenchmarkLevel, get_benchmark
from qiskit import QuantumCircuit, qasm3
from qiskit.circuit import Parameter
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from qurable.contracts.reports import State
from qurable.temporal.connect import connected
from tests.chaos.harness import Fleet, house
from tests.conftest import Stack

ITEMS = 10_000
MIB = 2**20

SAMPLED = {
    "bmw_quark_copula": 4,
    "bv": 5,
    "cdkm_ripple_carry_adder": 4,
    "dj": 5,
    "draper_qft_adder": 4,
    "dynamic_qft": 3,
    "ghz": 5,
    "ghz_dynamic": 4,
    "grover": 4,
    "half_adder": 3,
    "hhl": 3,
    "iqpe": 4,
    "modular_adder": 4,
    "multiplier": 4,
    "qftentangled": 5,
    "qpeexact": 4,
    "qpeinexact": 4,
    "rg_qft_multiplier": 4,
    "vbe_ripple_carry_adder": 4,
    "vqe_two_local": 4,
}
ESTIMATED = {
    "bmw_quark_cardinality": 4,
    "graphstate": 6,
    "qaoa": 4,
    "qft": 5,
    "qnn": 4,
    "qwalk": 4,
    "randomcircuit": 4,
    "vqe_real_amp": 4,
    "vqe_su2": 4,
    "wstate": 4,
}
"""Families of MQT Bench and their widths: each is a topology. `full_adder` is not among them, whose circuit is that of `cdkm_ripple_carry_adder`."""

TOPOLOGIES = len(SAMPLED) + len(ESTIMATED)

FLAT = 24 * MIB
"""So much more memory than after a quarter of the items the worker may have at any later look: 3 KiB for each item."""

CHAIN = (
    'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float a;\nqubit[2] q;\nbit[2] c;\n'
    "ry(a) q[0];\ncx q[0], q[1];\nc = measure q;\n"
)


@dataclass(frozen=True)
class Topology:
    """A circuit as text, whose parameters are `a0`, `a1`, ...; an estimate has none of its measurements."""

    text: str
    qubits: int
    parameters: int
    estimated: bool

    def job(self, at: int, angles: list[float]) -> dict[str, Any]:
        """Two askings of each: most with few shots, every eighth with twice as many."""
        often = at % 8 == 0
        values = {f"a{number}": angle for number, angle in enumerate(angles)}
        pub: dict[str, Any] = {"circuit": self.text, "bindings": values}
        if self.estimated:
            pub |= {"observables": "Z" * self.qubits, "precision": 0.2 if often else 0.25}
        else:
            pub |= {"shots": 20 if often else 10}
        return {"kind": "estimate" if self.estimated else "sample", "backend": "aer", "pubs": [pub]}


def topologies() -> Iterator[Topology]:
    """Every circuit once, with its parameters left open."""
    for family, width in (SAMPLED | ESTIMATED).items():
        seed: dict[str, Any] = {"seed": width} if family == "graphstate" else {}
        circuit: QuantumCircuit = get_benchmark(
            family, BenchmarkLevel.ALG, width, random_parameters=False, **seed
        )
        if family in ESTIMATED:
            circuit.remove_final_measurements()
        names = {old: Parameter(f"a{number}") for number, old in enumerate(circuit.parameters)}
        text: str = qasm3.dumps(circuit.assign_parameters(names))
        yield Topology(text, circuit.num_qubits, len(names), family in ESTIMATED)


def written(path: Path) -> Path:
    """Items of every topology in turn, each with angles of its own, and each tenth with a seed of its own."""
    every = tuple(topologies())
    draw = np.random.default_rng(10)
    with path.open("w", encoding="utf-8") as file:
        for at in range(ITEMS):
            topology = every[at % TOPOLOGIES]
            job = topology.job(at // TOPOLOGIES, draw.uniform(0, 6, topology.parameters).tolist())
            seed = {"seed": at} if draw.random() < 0.1 else {}
            file.write(json.dumps(job | seed) + "\n")
    return path


def resident_bytes(fleet: Fleet) -> int:
    """Of the worker's own process, without the children that compile and compute."""
    (worker,) = fleet.pids
    return int(Path(f"/proc/{worker}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf(
        "SC_PAGE_SIZE"
    )


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_ten_thousand_items_keep_history_and_memory_flat(tmp_path: Path) -> None:
    """30 circuits, sampled and estimated, by a worker that is a process of its own and a server as it is shipped."""
    lines = written(tmp_path / "jobs.jsonl")
    async with house(tmp_path / "house", workers=1) as home, timeout(800):
        batch = await home.qurable.batch(lines)
        tally: Counter[State] = Counter()
        kinds: Counter[str] = Counter()
        numbers, job_ids, memory = set(), set(), []
        async for item in batch.results():
            tally[item.state] += 1
            numbers.add(item.item)
            job_ids.add(item.job_id)
            kinds.update(result.kind for result in item.results)
            if not len(numbers) % 250:
                memory.append(resident_bytes(home.fleet))
        report = await batch.report()
        reports = [await home.qurable.read_report(job_id) for job_id in sorted(job_ids)]
        async with connected(address=home.server.target, home=tmp_path) as temporal:
            runs, longest = await _runs(temporal, batch.id)
        deaths = home.fleet.deaths

    caches = Counter(found.provenance.circuits[0].cache for found in reports if found.provenance)
    print(
        f"{report.groups} groups, {report.chunks} jobs, circuits of the cache {dict(caches)}, {runs} runs of at most {longest} events, "
        f"{(report.ended - report.accepted).total_seconds():.1f} s, {[size // MIB for size in memory]} MiB"
    )
    assert tally == {State.COMPLETED: ITEMS}
    assert numbers == set(range(ITEMS))
    assert kinds.keys() == {"sample", "estimate"}
    assert (TOPOLOGIES, report.groups, report.chunks > report.groups) == (30, 60, True)
    assert (caches["miss"], caches.total()) == (TOPOLOGIES, report.chunks)
    assert (
        longest < 200
    )  # what the workflow keeps grows with jobs, of which there are about a hundred, and not with items
    assert deaths == 0
    assert max(memory) - memory[len(memory) // 4] < FLAT


@pytest.mark.long
async def test_a_batch_goes_on_as_another_run(stack: Stack, tmp_path: Path) -> None:
    """On a server that soon suggests to continue as new, runs of the workflow hand over what is in flight."""
    items, groups = 160, 80
    lines = tmp_path / "jobs.jsonl"
    jobs = [
        {
            "kind": "sample",
            "backend": "aer",
            "pubs": [{"circuit": CHAIN, "bindings": {"a": at}, "shots": 10 + at % groups}],
        }
        for at in range(items)
    ]
    lines.write_text("".join(json.dumps(job) + "\n" for job in jobs), encoding="utf-8")
    flags = {"limit.historyCount.suggestContinueAsNew": "16"}
    async with stack(server_flags=flags) as service, timeout(120):
        batch = await service.qurable.batch(lines)
        ended = Counter([(item.item, item.state) async for item in batch.results()])
        runs, _ = await _runs(service.temporal, batch.id)

    assert ended == Counter((number, State.COMPLETED) for number in range(items))
    assert runs > 1


async def _runs(temporal: Client, batch_id: str) -> tuple[int, int]:
    """How many runs the workflow had, and the events of the longest."""
    run_id, runs, longest = None, 0, 0
    while True:
        history = await temporal.get_workflow_handle(batch_id, run_id=run_id or None).fetch_history()
        runs, longest = runs + 1, max(longest, len(history.events))
        first = history.events[0]
        assert first.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
        run_id = first.workflow_execution_started_event_attributes.continued_execution_run_id
        if not run_id:
            return runs, longest
