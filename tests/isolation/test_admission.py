"""Memory shared out among all workers of a machine: never too much, never lost, and nobody starves."""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isolation import admission
from isolation.admission import Admission, Lease, Waiting, default_capacity_bytes, machine_memory_bytes
from isolation.limits import MIB
from tests.chaos.harness import until

CAPACITY = 100
PATIENT, AGED = 3600.0, 0.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "admission"


def _claimant(folder: Path, *words: str) -> "subprocess.Popen[str]":
    """Another worker on the machine."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.isolation.claimant", str(folder), str(CAPACITY), *words],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


async def _taken(admission: Admission, ticket: str, size: int) -> Lease:
    lease = await admission.take(ticket, size)
    assert isinstance(lease, Lease)
    return lease


async def _waits(admission: Admission, ticket: str, size: int) -> Waiting:
    waiting = await admission.take(ticket, size)
    assert isinstance(waiting, Waiting)
    return waiting


def _leases(folder: Path) -> list[Path]:
    return list(folder.glob("lease-*"))


async def test_bytes_are_granted_up_to_the_capacity(folder: Path) -> None:
    """A job that does not fit beside the others waits, and is told why."""
    shared = Admission(CAPACITY, folder)
    first, second = await _taken(shared, "a", 60), await _taken(shared, "b", 40)
    waiting = await _waits(shared, "c", 1)
    first.release()
    third = await _taken(shared, "c", 60)

    assert waiting == Waiting(used_bytes=100, ahead=0)
    for lease in (second, third):
        lease.release()


async def test_a_lease_is_given_back_once(folder: Path) -> None:
    """A second release must not give back what another holds by then."""
    shared = Admission(CAPACITY, folder)
    first = await _taken(shared, "a", CAPACITY)
    first.release()
    second = await _taken(shared, "b", CAPACITY)
    first.release()

    assert await _waits(shared, "c", 1)
    second.release()


async def test_workers_of_one_machine_share_its_memory(folder: Path) -> None:
    """Two workers that each believed in the whole machine would make it swap."""
    shared = Admission(CAPACITY, folder)
    with _claimant(folder, "hold", "70") as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "granted\n"
        waiting = await _waits(shared, "a", 40)
        fits = await _taken(shared, "b", 30)
        other.communicate("done\n")

    assert waiting.used_bytes == 70
    fits.release()
    (await _taken(shared, "a", CAPACITY)).release()


async def test_a_killed_holder_gives_its_lease_back(folder: Path) -> None:
    """The kernel sees to it, so that nobody has to clean up after a kill -9."""
    shared = Admission(CAPACITY, folder)
    with _claimant(folder, "hold", "100") as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "granted\n"
        assert await _waits(shared, "a", 1)
        other.kill()

    (await _taken(shared, "a", CAPACITY)).release()
    assert _leases(folder) == []


async def test_a_small_job_may_overtake_while_the_large_one_is_young(folder: Path) -> None:
    """Otherwise memory would lie idle."""
    shared = Admission(CAPACITY, folder, patience_seconds=PATIENT)
    running = await _taken(shared, "running", 60)
    await _waits(shared, "large", 80)

    small = await _taken(shared, "small", 40)
    small.release()
    running.release()


async def test_small_jobs_do_not_starve_a_large_one(folder: Path) -> None:
    """Once it has waited long enough, what becomes free is kept for it."""
    shared = Admission(CAPACITY, folder, patience_seconds=AGED)
    running = [await _taken(shared, f"running-{number}", 50) for number in range(2)]
    await _waits(shared, "large", 80)
    overtaken = 0
    while running:
        running.pop().release()
        for number in range(5):
            overtaken += isinstance(await shared.take(f"small-{number}", 50), Lease)
        large = await shared.take("large", 80)

    assert overtaken == 0
    assert isinstance(large, Lease)
    large.release()


async def test_a_small_job_still_runs_beside_what_is_kept_for_the_large_one(folder: Path) -> None:
    """Ageing reserves the large job's bytes and no more."""
    shared = Admission(CAPACITY, folder, patience_seconds=AGED)
    running = await _taken(shared, "running", 30)
    await _waits(shared, "large", 80)
    running.release()

    small = await _taken(shared, "small", 20)
    (await _taken(shared, "large", 80)).release()
    small.release()


async def test_the_line_is_served_in_order(folder: Path) -> None:
    """Whoever asks knows how many stand before it."""
    shared = Admission(CAPACITY, folder, patience_seconds=AGED)
    running = await _taken(shared, "running", CAPACITY)
    ahead = [(await _waits(shared, f"job-{number}", 60)).ahead for number in range(4)]
    running.release()
    served = []
    for _ in range(4):
        for number in (3, 2, 1, 0):
            if number in served:
                continue
            match await shared.take(f"job-{number}", 60):
                case Lease() as lease:
                    served.append(number)
                    lease.release()

    assert ahead == [0, 1, 2, 3]
    assert served == [0, 1, 2, 3]


async def test_a_job_that_is_given_up_holds_nobody_up(folder: Path) -> None:
    """A cancelled job's place in the line goes at once."""
    shared = Admission(CAPACITY, folder, patience_seconds=AGED)
    running = await _taken(shared, "running", 60)
    await _waits(shared, "large", 80)
    await _waits(shared, "small", 40)
    shared.forget("large")

    (await _taken(shared, "small", 40)).release()
    running.release()


async def test_a_job_whose_worker_died_in_the_line_is_forgotten(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It renews its ticket with every question; one that does not ask any more is gone."""
    shared = Admission(CAPACITY, folder, patience_seconds=AGED)
    running = await _taken(shared, "running", 60)
    await _waits(shared, "large", 80)
    monkeypatch.setattr(admission, "_TICKET_SECONDS", 0.0)

    (await _taken(shared, "small", 40)).release()
    running.release()


async def test_a_cancelled_question_leaves_no_lease(folder: Path) -> None:
    """It is asked in a thread, which grants bytes after everybody has gone home."""
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    class Slow(Admission):
        def _take(self, ticket: str, size_bytes: int) -> Lease | Waiting:
            begun.set()
            go_on.wait(10)
            try:
                return super()._take(ticket, size_bytes)
            finally:
                ended.set()

    asking = asyncio.create_task(Slow(CAPACITY, folder).take("a", CAPACITY))
    await asyncio.to_thread(begun.wait, 10)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    go_on.set()
    await asyncio.to_thread(ended.wait, 10)

    await until("the lease is given back", lambda: _granted(folder))


def _granted(folder: Path) -> bool:
    match Admission(CAPACITY, folder)._take("again", CAPACITY):
        case Lease() as lease:
            lease.release()
            return True
    return False


async def test_a_torn_ticket_is_no_ticket(folder: Path) -> None:
    """A worker may die while it writes one."""
    shared = Admission(CAPACITY, folder, patience_seconds=AGED)
    (folder / "wait-torn").write_text('{"since": 1')
    (folder / "wait-empty").touch()

    (await _taken(shared, "torn", CAPACITY)).release()


async def test_memory_that_others_use_is_not_granted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The capacity is an intention; what is free decides."""
    shared = Admission(1000 * MIB, folder)
    monkeypatch.setattr(admission, "_meminfo", lambda entry: 200 * MIB)

    assert await _waits(shared, "large", 300 * MIB)
    (await _taken(shared, "small", 200 * MIB)).release()


async def test_a_crowded_machine_still_runs_small_jobs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a Bell circuit would wait for a day because a browser is open."""
    shared = Admission(1000 * MIB, folder)
    monkeypatch.setattr(admission, "_meminfo", lambda entry: 0)

    (await _taken(shared, "bell", 64 * MIB)).release()


def test_a_container_has_the_memory_of_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`/proc/meminfo` shows the whole machine."""
    limit = tmp_path / "memory.max"
    limit.write_text(f"{512 * MIB}\n", encoding="ascii")
    monkeypatch.setattr(admission, "_CGROUP_LIMITS", (tmp_path / "absent", limit))

    assert machine_memory_bytes() == 512 * MIB
    assert default_capacity_bytes() == int(0.8 * 512 * MIB)


def test_no_limit_is_the_whole_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second version of cgroups writes `max` where there is none."""
    limit = tmp_path / "memory.max"
    limit.write_text("max\n", encoding="ascii")
    monkeypatch.setattr(admission, "_CGROUP_LIMITS", (limit,))

    assert machine_memory_bytes() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 7), st.integers(1, CAPACITY)),
        st.tuples(st.just("release"), st.integers(0, 7), st.just(0)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("patience", [AGED, PATIENT])
@given(steps=STEPS)
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_order_of_events_grants_too_much(patience: float, steps: list[tuple[str, int, int]]) -> None:
    """Whatever comes, what is granted fits; and once all is given back, everything is free again."""
    with tempfile.TemporaryDirectory() as name:
        shared, held = (
            Admission(CAPACITY, Path(name), patience_seconds=patience),
            dict[int, tuple[int, Lease]](),
        )
        for what, job, size in steps:
            if what == "release":
                if job in held:
                    held.pop(job)[1].release()
            elif job not in held:
                answer = shared._take(f"job-{job}", size)
                used = sum(granted for granted, _ in held.values())
                if isinstance(answer, Lease):
                    held[job] = (size, answer)
                    assert used + size <= CAPACITY
                else:
                    assert answer.used_bytes == used
        for _, lease in held.values():
            lease.release()
        for job in range(8):
            shared.forget(f"job-{job}")
        last = shared._take("last", CAPACITY)
        assert isinstance(last, Lease)
        last.release()


def _usage(journal: Path) -> Iterator[int]:
    """Bytes in use after every line of the claimants' journal."""
    used = 0
    for line in journal.read_text(encoding="ascii").splitlines():
        used += int(line)
        yield used


async def test_many_workers_never_take_more_than_there_is(folder: Path) -> None:
    """Four of them, asking for random amounts as fast as they can."""
    sizes = random.Random(7)
    claimants = [
        _claimant(folder, "churn", *(str(sizes.randint(1, CAPACITY)) for _ in range(40))) for _ in range(4)
    ]
    await until("all have ended", lambda: all(one.poll() is not None for one in claimants), 60)
    for claimant in claimants:
        claimant.communicate()

    usage = list(_usage(folder / "journal"))
    assert [claimant.returncode for claimant in claimants] == [0, 0, 0, 0]
    assert len(usage) == 320
    assert max(usage) <= CAPACITY
    assert usage[-1] == 0
