"""Runs the circuits of MQT Bench a few at a time, and prints what became of each at the end."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from qiskit import QuantumCircuit

from benchmarks.routes import HEADING
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from tests.accuracy.command_line import qurable
from tests.accuracy.families import CLIENT, SHOTS, Case, exported
from tests.conftest import Service

AT_ONCE = 3
"""Command lines at a time: most of one is Python starting."""

_JUDGED = Limits(memory_bytes=8192 * MIB, wall_seconds=600.0)
_PROPERTY = "accuracy"


@dataclass(frozen=True)
class Runs:
    """A case's report, twice over."""

    first: dict[str, Any]
    second: dict[str, Any]


class Bench:
    """Sends circuits to the service and judges what comes back."""

    def __init__(self, service: Service, pool: ChildPool, folder: Path) -> None:
        self._service = service
        self._pool = pool
        self._folder = folder
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run_twice(self, case: Case) -> Runs:
        """The case's circuit, run two times with the same seed; once where that takes too long."""
        circuit = case.circuit()
        if case.once:
            only = await self.run(case, circuit)
            return Runs(only, only)
        first, second = await asyncio.gather(self.run(case, circuit), self.run(case, circuit))
        return Runs(first, second)

    async def run(self, case: Case, circuit: QuantumCircuit) -> dict[str, Any]:
        """The report of a circuit, as the command line prints it."""
        async with self._slots:
            if case.form is CLIENT:
                report = await self._service.qurable.run(circuit, shots=SHOTS, seed=case.seed)
                return report.document()
            file = self._folder / f"{case}-{id(circuit)}.qasm"
            file.write_text(exported(circuit, case.form), encoding="utf-8")
            return await qurable(
                *("run", file, "--shots", SHOTS, "--seed", case.seed, "--json"),
                target=self._service.server.target,
                home=self._service.settings.home,
            )

    async def judge(self, case: Case, report: dict[str, Any]) -> dict[str, Any]:
        """What the tests say of a report, if the case's circuit is what should have run."""
        payload = {
            "case": [case.family, case.width, case.form],
            "registers": report["results"][0]["registers"],
        }
        verdict: dict[str, Any] = await self._pool.call("tests.accuracy.references:judge", payload, _JUDGED)
        return verdict


def row(name: str, report: dict[str, Any], verdict: dict[str, Any], bound: float) -> tuple[str, str]:
    """A line of the table, as a property of the test that made it: tests may run in several processes."""
    distance = "" if verdict["distance"] is None else f"{verdict['distance']:.4f}"
    usual = "" if verdict["null_quantile"] is None else f"{verdict['null_quantile']:.4f}"
    return _PROPERTY, (
        f"{name:<44} {report['provenance']['method']:<22} {verdict['statistic']:>10.2f} "
        f"{verdict['degrees_of_freedom']:>5} {verdict['p_value']:>10.3g} {bound:>9.2g} {distance:>8} {usual:>8}  {verdict['test']}"
    )


@pytest.fixture(scope="session")
async def bench(
    request: pytest.FixtureRequest, service: Service, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    """One for all circuits."""
    nursery = request.getfixturevalue("nursery")
    async with ChildPool(nursery, 2) as pool:
        yield Bench(service, pool, tmp_path_factory.mktemp("circuits"))


@pytest.fixture(scope="session")
async def runs(
    request: pytest.FixtureRequest, bench: Bench
) -> AsyncIterator[Mapping[Case, asyncio.Task[Runs]]]:
    """The runs of every case that is to be tested, under way already."""
    asked = [item for item in request.session.items if "runs" in getattr(item, "fixturenames", ())]
    cases = [item.callspec.params["case"] for item in asked]  # type: ignore[attr-defined]
    tasks = {case: asyncio.create_task(bench.run_twice(case)) for case in dict.fromkeys(cases)}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


_HEADING = f"{'circuit':<44} {'method':<22} {'statistic':>10} {'df':>5} {'p-value':>10} {'bound':>9} {'distance':>8} {'null 99%':>8}  test"

_TABLES = {
    _PROPERTY: ("MQT Bench against exact and direct references", _HEADING),
    "routes": (
        "Thirty jobs by every route that could answer; other work on the machine is in the times",
        HEADING,
    ),
}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The tables, whatever the verbosity."""
    ended = [test for how in ("passed", "failed") for test in terminalreporter.getreports(how)]
    for kind, (title, heading) in _TABLES.items():
        rows = [text for test in ended for name, text in test.user_properties if name == kind]
        if rows:
            terminalreporter.section(title)
            for line in (heading, *rows):
                terminalreporter.write_line(line)
