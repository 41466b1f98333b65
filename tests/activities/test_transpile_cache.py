"""Each circuit is transpiled once: by equal jobs at once, by later ones, by other workers on the same store."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from qiskit import QuantumCircuit
from qiskit.circuit import ClassicalRegister, Parameter, QuantumRegister
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp
from sqlalchemy import Connection, func, select, update

from isolation.pool import ChildPool, Nursery
from qurable.contracts.jobs import TranspileOptions
from qurable.contracts.reports import CircuitProvenance, JobReport, State
from qurable.errors import ChildCrashed
from store.database import now, utc
from store.schema import transpiles as rows
from tests.chaos.harness import until
from tests.conftest import Service, running_service

COMPILE = "circuits.compilation:compile_circuits"


@dataclass
class Compiler:
    """Counts what is really compiled, and holds it up or breaks it where a test wants that.

    Attributes:
        calls: Compilations begun.
        go_on: They wait for it.
        breaks: So many of them fail.
    """

    calls: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    breaks: int = 0

    async def __call__(self, compiling: Callable[[], Awaitable[Any]]) -> Any:
        self.calls += 1
        if self.breaks:
            self.breaks -= 1
            raise ChildCrashed("transpiling crashed its process (signal SIGSEGV)")
        await self.go_on.wait()
        return await compiling()


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Compiler]:
    """What stands between every pool and its children."""
    compiler, call = Compiler(), ChildPool.call
    compiler.go_on.set()

    async def counting(pool: ChildPool, task: str, *args: Any, **options: Any) -> Any:
        if task != COMPILE:
            return await call(pool, task, *args, **options)
        return await compiler(lambda: call(pool, task, *args, **options))

    monkeypatch.setattr(ChildPool, "call", counting)
    yield compiler
    compiler.go_on.set()


@pytest.fixture(scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, nursery: Nursery
) -> AsyncIterator[tuple[Service, Service]]:
    """Two services, each with its own Temporal and worker, on one store."""
    folder: Path = tmp_path_factory.mktemp("shared")
    url = SecretStr(f"sqlite:///{folder / 'store.db'}")
    async with (
        running_service(folder / "one", nursery, database_url=url) as one,
        running_service(folder / "two", nursery, database_url=url) as two,
    ):
        yield one, two


def _ladder(salt: Any, *, register: str = "q", name: str = "ladder") -> QuantumCircuit:
    """A circuit large enough for the store's cache, and another one for every salt."""
    qubits, bits = QuantumRegister(5, register), ClassicalRegister(5, f"{register}_out")
    circuit = QuantumCircuit(qubits, bits, name=name)
    for layer in range(15):
        for qubit in range(5):
            circuit.rx(salt + 0.1 * layer, qubit)
        for qubit in range(layer % 2, 4, 2):
            circuit.cx(qubit, qubit + 1)
    circuit.measure(qubits, bits)
    return circuit


def _only(report: JobReport) -> CircuitProvenance:
    assert report.provenance is not None
    (circuit,) = report.provenance.circuits
    return circuit


def _rows(connection: Connection, /) -> int:
    return connection.execute(select(func.count()).select_from(rows)).scalar_one()


def _abandon(connection: Connection, /) -> None:
    """Have the newest circuit claimed by somebody who will not compile it."""
    newest = connection.execute(select(rows.c.key).order_by(rows.c.created_at.desc()).limit(1)).scalar_one()
    claim = {"compiled": None, "holder": "killed", "held_until": now() + timedelta(seconds=1)}
    connection.execute(update(rows).where(rows.c.key == newest).values(claim))


def _held_until(connection: Connection, /) -> datetime:
    """When the youngest claim runs out."""
    newest = select(rows.c.held_until).order_by(rows.c.created_at.desc()).limit(1)
    return utc(connection.execute(newest).scalar_one())


def _uncacheable() -> QuantumCircuit:
    """An evolution is known by its definition alone, which has a choice in it."""
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.append(PauliEvolutionGate(SparsePauliOp("ZX"), time=0.3), (0, 1))
    circuit.measure_all()
    return circuit


def _detail(report: JobReport) -> str:
    return next(event.detail for event in report.events if event.state is State.COMPILED)


async def test_ten_equal_jobs_transpile_once(shared: tuple[Service, Service], compiler: Compiler) -> None:
    """They come at once, on two workers, under other names; one compiles, the others wait for it."""
    compiler.go_on.clear()
    before = await shared[0].database.read(_rows)
    running = [
        asyncio.create_task(
            shared[number % 2].run(
                _ladder(0.3, register=f"r{number}", name=f"job {number}"), shots=10, backend="fake_manila"
            )
        )
        for number in range(10)
    ]
    await until("one of them compiles", lambda: compiler.calls)
    compiler.go_on.set()
    reports = await asyncio.gather(*running)

    assert compiler.calls == 1
    assert sorted(_only(report).cache for report in reports) == ["hit"] * 9 + ["miss"]
    assert len({_only(report).isa for report in reports}) == 1
    assert await shared[0].database.read(_rows) == before + 1


async def test_a_hit_says_what_it_saved(shared: tuple[Service, Service], compiler: Compiler) -> None:
    """Also on another worker, which knows the circuit from the store alone."""
    first, second = [await service.run(_ladder(0.4), shots=10, seed=1, backend="aer") for service in shared]

    assert compiler.calls == 1
    assert (_only(first).cache, _only(first).saved_seconds) == ("miss", 0.0)
    assert _only(second).cache == "hit"
    assert _only(second).saved_seconds > 0
    assert "0 of 1 from the cache" in _detail(first)
    assert "1 of 1 from the cache" in _detail(second)
    assert first.results == second.results


async def test_what_decides_the_outcome_decides_the_cache(
    shared: tuple[Service, Service], compiler: Compiler
) -> None:
    """Another level, seed or target is another ISA circuit."""
    wishes: list[dict[str, Any]] = [
        {"backend": "fake_manila"},
        {"backend": "fake_manila", "transpile": TranspileOptions(level=3)},
        {"backend": "fake_manila", "transpile": TranspileOptions(seed=5)},
        {"backend": "fake_quito"},
        {"backend": "aer"},
    ]
    reports = [await shared[0].run(_ladder(0.5), shots=10, **wish) for wish in wishes]

    assert [_only(report).cache for report in reports] == ["miss"] * 5
    assert compiler.calls == 5


async def test_shots_seed_and_key_do_not(shared: tuple[Service, Service], compiler: Compiler) -> None:
    """They have no say in compilation."""
    for shots, seed in ((10, 1), (20, 1), (10, 2)):
        await shared[0].run(_ladder(0.6), shots=shots, seed=seed)

    assert compiler.calls == 1


async def test_a_parameterised_circuit_is_compiled_once_for_many_bindings(
    shared: tuple[Service, Service], compiler: Compiler
) -> None:
    """A sweep of a thousand bindings, and the next sweep, are one compilation."""
    theta = Parameter("theta")
    values = [[math.pi * step / 40] for step in range(40)]
    first = await shared[0].run((_ladder(theta), values), shots=5)
    second = await shared[1].run((_ladder(theta), values[::-1]), shots=5)

    assert compiler.calls == 1
    assert (_only(first).cache, _only(second).cache) == ("miss", "hit")


async def test_an_unknown_construct_is_compiled_every_time(
    shared: tuple[Service, Service], compiler: Compiler
) -> None:
    """What the hash does not cover is not guessed; the job runs all the same."""
    reports = [await shared[0].run(_uncacheable(), shots=10, seed=3) for _ in range(2)]

    assert compiler.calls == 2
    assert [_only(report).cache for report in reports] == ["off", "off"]
    assert reports[0].results == reports[1].results


async def test_a_crash_of_the_first_is_not_the_answer_of_the_others(
    shared: tuple[Service, Service], compiler: Compiler
) -> None:
    """They try for themselves, by the class of the error."""
    compiler.breaks = 1
    reports = await asyncio.gather(*(service.run(_ladder(0.8), shots=10, seed=1) for service in shared))

    assert compiler.calls == 2
    assert reports[0].results == reports[1].results


async def test_a_claim_of_a_killed_worker_is_taken_over(
    shared: tuple[Service, Service], compiler: Compiler
) -> None:
    """Nobody fills it; it runs out."""
    await shared[0].run(_ladder(0.9), shots=10)
    await shared[0].database.write(_abandon)
    report = await shared[1].run(_ladder(0.9), shots=10)

    assert _only(report).cache == "miss"
    assert compiler.calls == 2


async def test_a_claim_is_kept_for_as_long_as_the_work_takes(
    shared: tuple[Service, Service], compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transpilation may take minutes; its claim does not run out while its holder lives."""
    monkeypatch.setattr("activities.transpile._PATIENCE", timedelta(seconds=0.6))
    compiler.go_on.clear()
    jobs = [asyncio.create_task(service.run(_ladder(1.1), shots=10)) for service in shared]
    await until("one of them compiles", lambda: compiler.calls)
    begun = now()

    async def renewed() -> bool:
        return await shared[0].database.read(_held_until) >= begun + timedelta(seconds=2)

    await until("the claim is renewed", renewed, 30)
    compiler.go_on.set()
    await asyncio.gather(*jobs)

    assert compiler.calls == 1


async def test_a_cancelled_job_does_not_take_the_others_with_it(
    shared: tuple[Service, Service], compiler: Compiler
) -> None:
    """It may be the one that compiles for all of them."""
    compiler.go_on.clear()
    first = await shared[0].qurable.submit(_ladder(1.2), shots=10)
    await until("it compiles", lambda: compiler.calls)
    second = await shared[0].qurable.submit(_ladder(1.2), shots=10)
    await until("the other comes to it", lambda: "prepare" in shared[0].journal.steps(second.id))
    await first.cancel()
    await until("the other compiles", lambda: compiler.calls == 2)
    compiler.go_on.set()

    assert (await asyncio.wait_for(second.result(), 60)).state is State.COMPLETED
