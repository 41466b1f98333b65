"""Ten thousand items: history and memory stay flat, and every circuit is compiled once."""

import asyncio
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from qurable.contracts.reports import State
from store import jobs
from tests.conftest import Stack

ITEMS, TOPOLOGIES = 10_000, 30
MIB = 2**20


def circuit(topology: int) -> str:
    """A chain of its own length and pattern."""
    qubits = 2 + topology % 6
    pairs = "\n".join(f"cx q[{at}], q[{at + 1}];" for at in range(qubits - 1))
    turns = "\n".join(f"ry(a) q[{at}];" for at in range(qubits))
    layers = "\n".join(f"{turns}\n{pairs}" for _ in range(1 + topology // 6))
    return f'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float a;\nqubit[{qubits}] q;\nbit[{qubits}] c;\n{layers}\nc = measure q;\n'


def written(path: Path) -> Path:
    """Items of every topology in turn, each tenth with a seed of its own."""
    circuits = [circuit(topology) for topology in range(TOPOLOGIES)]
    with path.open("w", encoding="utf-8") as file:
        for at in range(ITEMS):
            pub = {"circuit": circuits[at % TOPOLOGIES], "bindings": {"a": at / ITEMS}, "shots": 10}
            seed = {"seed": at} if at % 10 == 0 else {}
            file.write(json.dumps({"kind": "sample", "backend": "aer", "pubs": [pub], **seed}) + "\n")
    return path


def resident_bytes() -> int:
    """Of this process, which is the worker."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.long
async def test_ten_thousand_items_keep_history_and_memory_flat(stack: Stack, tmp_path: Path) -> None:
    """On a server that soon suggests to continue as new, so that runs of the workflow hand over what is in flight."""
    flags = {"limit.historyCount.suggestContinueAsNew": "16"}
    async with stack(server_flags=flags) as service, asyncio.timeout(500):
        batch = await service.qurable.batch(written(tmp_path / "jobs.jsonl"))
        tally: Counter[State] = Counter()
        numbers, job_ids, memory = set(), set(), []
        async for item in batch.results():
            tally[item.state] += 1
            numbers.add(item.item)
            job_ids.add(item.job_id)
            if not len(numbers) % 500:
                memory.append(resident_bytes())
        report = await batch.report()
        reports = [await service.database.read(jobs.find_report, job_id) for job_id in sorted(job_ids)]
        runs, longest = await _runs(service.temporal, batch.id)

    caches = Counter(
        found.provenance.circuits[0].cache for found in reports if found is not None and found.provenance
    )
    print(
        f"{report.chunks} jobs, circuits of the cache {dict(caches)}, {runs} runs of at most {longest} events, "
        f"{(report.ended - report.accepted).total_seconds():.1f} s, {memory[0] // MIB} to {memory[-1] // MIB} MiB"
    )
    assert tally == {State.COMPLETED: ITEMS}
    assert numbers == set(range(ITEMS))
    assert (report.groups, caches["miss"], caches.total()) == (TOPOLOGIES, TOPOLOGIES, report.chunks)
    assert runs > 1
    assert longest < 5_000
    assert max(memory) - memory[len(memory) // 4] < 150 * MIB


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
