"""(a) A warm Bell job against the floor and against the same work called directly; (b) many of them at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.figures import Figure, alternate, heading, ratio
from benchmarks.floor import FIVE_PLAIN, RUNNERS, SAME_STAGES, floor, run_floor
from benchmarks.house import BELL, service
from qurable.client import Qurable

Once = Callable[[], Awaitable[None]]

ROUNDS = 60
JOBS = 200


async def _job(qurable: Qurable) -> None:
    await qurable.run(BELL, shots=1024, backend="aer", seed=7)


def _directly() -> None:
    """The same work without durability: parse, transpile, simulate."""
    from qiskit import qasm2, transpile
    from qiskit_aer import AerSimulator

    circuit = qasm2.loads(BELL, include_path=(), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    simulator = AerSimulator()
    simulator.run(
        transpile(circuit, simulator), shots=1024, seed_simulator=7, memory=True
    ).result().get_counts()


async def _direct() -> None:
    _directly()


async def latency(home: Path) -> None:
    """Part (a)."""
    heading("(a) one warm Bell job at a time")
    async with service(home) as qurable:
        await _job(qurable)
        await _direct()
        for runner_name, runner in RUNNERS.items():
            async with floor(qurable.temporal, runner):
                await run_floor(qurable.temporal, SAME_STAGES)
                figures = await alternate(
                    ROUNDS,
                    job=lambda: _job(qurable),
                    same_stages_as_no_ops=lambda: run_floor(qurable.temporal, SAME_STAGES),
                    five_plain_no_ops=lambda: run_floor(qurable.temporal, FIVE_PLAIN),
                    called_directly=_direct,
                )
            print(f"floor {runner_name}")
            for figure in figures.values():
                print(f"  {figure}")
            job = figures["job"].median
            ratio("  job / same stages as no-ops", job / figures["same_stages_as_no_ops"].median, 1.5)
            ratio("  job / five plain no-ops", job / figures["five_plain_no_ops"].median, 2.0)
            ratio("  job / called directly", job / figures["called_directly"].median)


async def throughput(home: Path) -> None:
    """Part (b)."""
    heading(f"(b) {JOBS} queued Bell jobs")
    async with service(home) as qurable:
        await _job(qurable)
        for runner_name, runner in RUNNERS.items():
            async with floor(qurable.temporal, runner):
                jobs = await _rates(lambda: _job(qurable), lambda: run_floor(qurable.temporal, SAME_STAGES))
            print(f"floor {runner_name}")
            for name, figure in jobs.items():
                print(f"  {name:<56} {JOBS / figure.median:>8.1f}/s")
            ratio(
                "  jobs per second / floor's rate",
                jobs["floor"].median / jobs["jobs"].median,
                0.6,
                at_least=True,
            )


async def _rates(job: Once, no_op: Once) -> dict[str, Figure]:
    async def many(one: Once) -> float:
        began = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(JOBS)))
        return time.perf_counter() - began

    seconds: dict[str, list[float]] = {"jobs": [], "floor": []}
    for _ in range(3):
        seconds["jobs"].append(await many(job))
        seconds["floor"].append(await many(no_op))
    return {name: Figure(name, tuple(values)) for name, values in seconds.items()}
