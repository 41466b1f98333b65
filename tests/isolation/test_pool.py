"""Tasks in children: what comes back, what a dead child is reported as, and that nothing stays behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from isolation.limits import MIB, Limits
from isolation.pool import ChildPool, Nursery
from qurable.errors import ChildCrashed, InternalError, JobTooLarge, OutOfMemory, OutOfTime
from tests.chaos.harness import DEADLINE_SECONDS, family, is_alive, is_simulating, until

LIMITS = Limits(memory_bytes=512 * MIB, wall_seconds=30.0)


async def _run(pool: ChildPool, task: str, payload: Any = None, limits: Limits = LIMITS) -> Any:
    return await pool.call(f"tests.isolation.tasks:{task}", payload, limits)


async def _crash(pool: ChildPool, *how: Any, limits: Limits = LIMITS) -> Any:
    return await pool.call("isolation.child:crash", list(how), limits, what="the experiment")


@pytest.fixture
async def nursery_alone() -> AsyncIterator[Nursery]:
    """A nursery of the test's own, whose zygote may be killed."""
    async with Nursery() as nursery:
        await nursery.start()
        yield nursery


def _zygote(nursery: Nursery) -> int:
    assert nursery._zygote is not None
    return nursery._zygote.process.pid


def _running(folder: Path) -> list[int]:
    """Children that have said in a folder that they run."""
    return [int(file.name) for file in folder.iterdir() if not file.name.startswith(".")]


async def test_a_fresh_child_has_run_nothing_and_runs_nothing_more(pool: ChildPool) -> None:
    """For a library that keeps state of its own in its process."""
    warm = await _run(pool, "whoami")
    fresh = [await pool.call("tests.isolation.tasks:whoami", None, LIMITS, fresh=True) for _ in range(2)]

    assert len({warm, *fresh}) == 3
    assert await _run(pool, "whoami") == warm


async def test_a_task_gives_back_plain_data(pool: ChildPool) -> None:
    """Everything that msgpack knows survives the way there and back."""
    payload = {
        "none": None,
        "yes": True,
        "int": 2**63,
        "float": 0.1,
        "text": "θ",
        "bytes": b"\0\xff",
        "list": [1, []],
    }

    assert await _run(pool, "echo", payload) == payload


async def test_what_a_task_emits_comes_before_its_result_and_in_order(pool: ChildPool) -> None:
    """Finished pieces are kept while the rest still runs, so their order matters."""
    heard: list[Any] = []

    async def hear(event: Any) -> None:
        heard.append(event)

    answer = await pool.call("tests.isolation.tasks:echo", list(range(100)), LIMITS, hear)

    assert heard == list(range(100)) == answer


async def test_fifty_megabytes_pass_both_ways(pool: ChildPool) -> None:
    """A large result is one frame, not a reason to crash."""
    payload = os.urandom(50 * 10**6)

    assert await _run(pool, "echo", payload) == payload


async def test_an_error_of_the_tree_arrives_as_its_class(pool: ChildPool) -> None:
    """The caller decides by class; details are for programs."""
    with pytest.raises(JobTooLarge, match="needs 9 qubits") as refused:
        await _run(pool, "refuse")

    assert refused.value.details == {"needed": 9, "limit": 5}


@pytest.mark.parametrize(("task", "named"), [("fail", "LookupError"), ("panic", "_PanicError")])
async def test_any_other_exception_is_a_defect_with_its_name(pool: ChildPool, task: str, named: str) -> None:
    """Also one that is no `Exception`, as panics of Rust extensions are."""
    with pytest.raises(InternalError, match=named) as defect:
        await _run(pool, task)

    assert "Traceback" in defect.value.details["trace"]


async def test_only_tasks_of_this_project_are_run(pool: ChildPool) -> None:
    """A name from a stored document must not become a call of anything."""
    with pytest.raises(InternalError, match="not a task of this project"):
        await pool.call("os:system", "true", LIMITS)


async def test_a_memory_limit_is_reported_as_such(pool: ChildPool) -> None:
    """The message names the task and what it was granted."""
    with pytest.raises(OutOfMemory, match=r"experiment needed more than its 512 MiB"):
        await _crash(pool, "allocate", 2**32)


async def test_the_memory_limit_counts_from_what_an_idle_child_has(pool: ChildPool) -> None:
    """Otherwise Qiskit's own size would decide what a task gets."""
    assert await _crash(pool, "allocate", 500 * MIB) == 500 * MIB


async def test_the_memory_limit_ends_with_the_task(pool: ChildPool) -> None:
    """A small task must not leave its limit to the large one that gets the same child."""
    first = await _run(pool, "whoami", limits=Limits(memory_bytes=MIB, wall_seconds=30))
    size = await _crash(pool, "allocate", 300 * MIB)
    second = await _run(pool, "whoami")

    assert (first, size) == (second, 300 * MIB)


async def test_a_wall_limit_is_reported_and_the_child_is_killed(pool: ChildPool, tmp_path: Path) -> None:
    """A hanging task would hold its slot for ever."""
    with pytest.raises(OutOfTime, match=r"passed its limit of 0\.5 s") as late:
        await _run(pool, "mark_then_wait", str(tmp_path), Limits(512 * MIB, wall_seconds=0.5))

    (pid,) = _running(tmp_path)
    await until("the child is gone", lambda: not is_alive(pid))
    assert late.value.details == {"limit_seconds": 0.5}


async def test_a_processor_time_limit_is_reported(pool: ChildPool) -> None:
    """A task that burns many cores is bounded in what it burns, not only in how long."""
    with pytest.raises(OutOfTime, match="used up its 1 s of processor time"):
        await _crash(pool, "spin", limits=Limits(512 * MIB, wall_seconds=30, cpu_seconds=1))


async def test_processor_time_counts_from_the_start_of_the_task(pool: ChildPool) -> None:
    """A child that has worked for others begins at zero."""
    limits = Limits(512 * MIB, wall_seconds=30, cpu_seconds=1)

    assert [await _run(pool, "echo", number, limits) for number in range(50)] == list(range(50))


@pytest.mark.parametrize(
    ("how", "reported"),
    [
        (("exit", 3), "exit code 3"),
        (("signal", signal.SIGSEGV), "signal SIGSEGV"),
        (("signal", signal.SIGABRT), "signal SIGABRT"),
        (("signal", signal.SIGKILL), "killed from outside"),
    ],
)
async def test_a_dead_child_is_reported_as_what_it_died_of(
    pool: ChildPool, how: tuple[str, int], reported: str
) -> None:
    """Out of memory, time and a crash have different ways out."""
    with pytest.raises(ChildCrashed, match=f"the experiment .*{reported}"):
        await _crash(pool, *how)


async def test_last_words_are_in_the_message(pool: ChildPool) -> None:
    """An assertion of a C++ library says on its standard error what it was."""
    with pytest.raises(ChildCrashed, match="Assertion `n > 0' failed"):
        await _run(pool, "say_and_die", ["main.cc:7: Assertion `n > 0' failed", int(signal.SIGABRT)])


@pytest.mark.parametrize("words", ["what():  std::bad_alloc", "memory allocation of 4096 bytes failed"])
async def test_an_abort_for_want_of_memory_is_no_crash(pool: ChildPool, words: str) -> None:
    """C++ and Rust abort where Python raises; the way out is the same."""
    with pytest.raises(OutOfMemory, match=words.split("(")[0]):
        await _run(pool, "say_and_die", [words, int(signal.SIGABRT)])


async def test_words_of_an_earlier_task_are_nobodys_last_words(nursery: Nursery) -> None:
    """A child that once printed of memory and later crashes for another reason has crashed."""
    async with ChildPool(nursery, 1) as pool:
        await _run(pool, "mutter", "MemoryError")
        with pytest.raises(ChildCrashed) as crash:
            await _crash(pool, "signal", signal.SIGSEGV)

    assert "MemoryError" not in crash.value.message


async def test_cancelling_kills_the_child_within_a_second(pool: ChildPool, tmp_path: Path) -> None:
    """Aer does not listen while it runs, so there is no other way to stop it.

    The quickest of some counts: on a busy machine any one may wait for a processor.
    """
    took = [await _cancelling(pool, tmp_path) for _ in range(5)]

    assert min(took) < 1.0


async def _cancelling(pool: ChildPool, folder: Path) -> float:
    """Seconds from a task's cancellation until its child is gone."""
    before = set(_running(folder))
    task = asyncio.create_task(_run(pool, "mark_then_wait", str(folder)))
    (pid,) = await until("the task runs", lambda: set(_running(folder)) - before)
    cancelled = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until("the child is gone", lambda: not is_alive(pid))
    return time.monotonic() - cancelled


async def test_a_child_is_kept_warm_for_the_next_task(nursery: Nursery) -> None:
    """A fork is cheap, a warm transpiler is cheaper."""
    async with ChildPool(nursery, 1) as pool:
        pids = {await _run(pool, "whoami") for _ in range(5)}

    assert len(pids) == 1


@pytest.mark.parametrize("task", ["refuse", "echo"])
async def test_a_refusal_costs_no_child(nursery: Nursery, task: str) -> None:
    """A bad request is daily business."""
    async with ChildPool(nursery, 1) as pool:
        before = await _run(pool, "whoami")
        await asyncio.gather(_run(pool, task), return_exceptions=True)
        after = await _run(pool, "whoami")

    assert before == after


@pytest.mark.parametrize("task", ["fail", "panic"])
async def test_a_child_is_replaced_after_a_defect(nursery: Nursery, task: str) -> None:
    """Nobody knows what state a task left behind that failed in no foreseen way."""
    async with ChildPool(nursery, 1) as pool:
        before = await _run(pool, "whoami")
        with pytest.raises(InternalError):
            await _run(pool, task)
        after = await _run(pool, "whoami")

    await until("the first child is gone", lambda: not is_alive(before))
    assert before != after


async def test_a_swollen_child_is_replaced(nursery: Nursery) -> None:
    """Memory that a library keeps would otherwise be nobody's."""
    async with ChildPool(nursery, 1) as pool:
        swollen = await _run(pool, "swell", 800, Limits(2048 * MIB, wall_seconds=30))
        after = await _run(pool, "whoami")

    assert swollen != after


async def test_tasks_wait_in_order(nursery: Nursery, tmp_path: Path) -> None:
    """First come, first served: nobody waits for ever."""
    ended: list[int] = []

    async def one(number: int) -> None:
        await _run(pool, "echo", number)
        ended.append(number)

    async with ChildPool(nursery, 1) as pool:
        first = asyncio.create_task(_run(pool, "wait_for_file", str(tmp_path / "go")))
        await asyncio.sleep(0)
        others = [asyncio.create_task(one(number)) for number in range(10)]
        await asyncio.sleep(0)
        (tmp_path / "go").touch()
        await asyncio.gather(first, *others)

    assert ended == list(range(10))


async def test_at_most_as_many_tasks_run_as_there_are_places(nursery: Nursery, tmp_path: Path) -> None:
    """More children than cores would only slow each other down."""
    async with ChildPool(nursery, 2) as pool:
        tasks = [asyncio.create_task(_run(pool, "mark_then_wait", str(tmp_path))) for _ in range(4)]
        await until("two run", lambda: len(_running(tmp_path)) == 2)
        third = asyncio.create_task(asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))
        assert len(_running(tmp_path)) == 2
        tasks[0].cancel()
        await until("the next has taken its place", lambda: len(_running(tmp_path)) == 3)
        await third
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_child_finds_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Circuits come from strangers: their process knows no password, token or descriptor of the worker."""
    secrets = {
        "QURABLE_DATABASE_URL": "postgresql://me:hunter2@db/store",
        "QISKIT_IBM_TOKEN": "hunter2",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "TEMPORAL_API_KEY": "hunter2",
        "LD_PRELOAD_SECRET": "hunter2",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    async with Nursery() as nursery, ChildPool(nursery, 1) as pool:
        found = await _run(pool, "environment")

    assert not set(secrets) & set(found["variables"])
    assert "hunter2" not in str(found["variables"])
    assert sorted(target.split(":")[0] for target in found["descriptors"] if target) == [
        "/dev/null",
        "/memfd",
        "/memfd",
        "socket",
    ]


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_two_hundred_calls_leave_no_descriptor_and_no_process(nursery_alone: Nursery) -> None:
    """A worker lives for months."""

    async def one(number: int) -> None:
        match number % 5:
            case 0:
                await _crash(pool, "exit", 1)
            case 1:
                await _run(pool, "fail")
            case 2:
                await asyncio.wait_for(_run(pool, "wait_for_file", "/nowhere"), 0.005)
            case _:
                await _run(pool, "echo", number)

    descriptors = _descriptors()
    async with ChildPool(nursery_alone, 2) as pool:
        await asyncio.gather(*(one(number) for number in range(200)), return_exceptions=True)
    await until("as many descriptors as before", lambda: _descriptors() <= descriptors)

    zygote = _zygote(nursery_alone)
    await until("the zygote has no children left", lambda: list(family(zygote)) == [zygote])
    kept = nursery_alone._zygote
    assert kept is not None
    await until("the worker has heard of every end", lambda: not kept.exits)
    assert not kept.forked


async def test_a_killed_zygote_is_replaced(nursery_alone: Nursery) -> None:
    """The next task neither fails nor gets one of the children that died with it."""
    async with ChildPool(nursery_alone, 1) as pool:
        child, killed = await _run(pool, "whoami"), _zygote(nursery_alone)
        os.kill(killed, signal.SIGKILL)
        await until("the child has died with the zygote", lambda: not is_alive(child))
        await until("the zygote is gone, and no zombie", lambda: not Path(f"/proc/{killed}").exists())

        assert await _run(pool, "echo", "well") == "well"
        assert _zygote(nursery_alone) != killed


async def test_a_task_says_so_when_the_zygote_dies_under_it(nursery_alone: Nursery, tmp_path: Path) -> None:
    """It may be tried again, which its class says."""
    async with ChildPool(nursery_alone, 1) as pool:
        task = asyncio.create_task(_run(pool, "mark_then_wait", str(tmp_path)))
        await until("the task runs", lambda: _running(tmp_path))
        os.kill(_zygote(nursery_alone), signal.SIGKILL)
        with pytest.raises(ChildCrashed):
            await asyncio.wait_for(task, DEADLINE_SECONDS)


async def test_a_child_that_dies_before_its_task_comes_is_not_waited_for(nursery_alone: Nursery) -> None:
    """Its last word may arrive before anybody listens; to wait for another would be for ever."""
    child = await nursery_alone.fork()
    os.kill(child.pid, signal.SIGKILL)

    assert await asyncio.wait_for(child.exited, DEADLINE_SECONDS) == -signal.SIGKILL
    nursery_alone.kill(child)


async def test_cancelling_a_fork_leaves_nothing(nursery_alone: Nursery) -> None:
    """Ctrl-C may come at any moment, also between asking for a child and getting it."""
    async with ChildPool(nursery_alone, 1) as pool:
        await _run(pool, "echo", 1)
    zygote = _zygote(nursery_alone)
    await until("the first child is gone", lambda: list(family(zygote)) == [zygote])
    descriptors = _descriptors()
    for _ in range(20):
        forking = asyncio.create_task(nursery_alone.fork())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        forking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await forking

    await until("no child is left", lambda: list(family(zygote)) == [zygote])
    assert _descriptors() == descriptors


def _keeper(folder: Path, busy: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "tests.isolation.keeper", str(folder), busy]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


@pytest.mark.parametrize("busy", ["spin", "idle"])
async def test_children_die_with_a_killed_worker(tmp_path: Path, busy: str) -> None:
    """Even while they are busy: a simulation that nobody waits for would take the next worker's memory."""
    process = _keeper(tmp_path, busy)
    try:
        await until("the child is at work", lambda: (tmp_path / "at-work").exists())
        relatives = [pid for pid in family(process.pid) if pid != process.pid]
        assert len(relatives) == 2
        if busy == "spin":
            await until("the child burns time", lambda: is_simulating(relatives[1]))
    finally:
        process.kill()
        process.wait()

    await until("zygote and children are gone", lambda: not any(is_alive(pid) for pid in relatives))
