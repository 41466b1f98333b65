"""Batches: grouped, run in chunks as jobs, each item with an end of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from qurable.batches import Batch
from qurable.contracts.batches import BatchState, ItemReport
from qurable.contracts.reports import State
from qurable.errors import JobFailed, JobNotFound, KeyReused, RequestRejected
from qurable.requests import estimate, sample
from tests.chaos.harness import until
from tests.conftest import Service

ANSATZ = """OPENQASM 3.0;
include "stdgates.inc";
input float a;
input float b;
qubit[2] q;
bit[2] c;
ry(a) q[0];
cx q[0], q[1];
rz(b) q[1];
ry(b) q[1];
c = measure q;
"""
INVERSE = ANSATZ.replace("ry(a) q[0]", "ry(1/a) q[0]")
STATE = ANSATZ.replace("c = measure q;\n", "")


def item(a: float, **fields: Any) -> dict[str, Any]:
    """A line of a batch; parameters come in no particular order."""
    pub = {"circuit": ANSATZ, "bindings": {"b": 0.2, "a": a}, "shots": 200}
    return {"kind": "sample", "backend": "aer", "pubs": [pub], **fields}


def written(path: Path, *items: Any) -> Path:
    """A file of JSON lines."""
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in items]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


async def ended(batch: Batch) -> dict[int, ItemReport]:
    """Every item by its number."""
    return {found.item: found async for found in batch.results()}


async def test_items_give_the_counts_of_jobs_of_their_own(service: Service, tmp_path: Path) -> None:
    """With a seed of its own or with one that was minted: twenty items are two jobs and one circuit."""
    lines = [item(0.1 * at, labels={"at": str(at)}) for at in range(20)]
    lines[3] |= {"seed": 11, "key": "mine"}
    lines[19] |= {"seed": 12}

    batch = await service.qurable.batch(written(tmp_path / "jobs.jsonl", *lines))
    found, report = await ended(batch), await batch.report()

    assert (report.state, report.counts) == (BatchState.COMPLETED, {State.COMPLETED: 20})
    assert (report.groups, report.chunks) == (1, 2)
    assert [found[at].labels for at in range(20)] == [{"at": str(at)} for at in range(20)]
    assert (found[3].seed, found[3].key, found[3].line, found[19].seed) == (11, "mine", 4, 12)
    for at in (0, 3, 4, 19):
        values = {"a": 0.1 * at, "b": 0.2}
        alone = await service.run((ANSATZ, values), shots=200, backend="aer", seed=found[at].seed)
        assert found[at].counts() == alone.counts()
    compiled = [
        await service.qurable.read_report(job_id) for job_id in {one.job_id for one in found.values()}
    ]
    caches = [job.provenance.circuits[0].cache for job in compiled if job.provenance is not None]
    assert len(caches) == 2
    assert caches.count("miss") <= 1


async def test_a_batch_is_no_job(service: Service, tmp_path: Path) -> None:
    """Its id says so wherever a job's is asked for, and its report is not taken for one."""
    batch = await service.qurable.batch(written(tmp_path / "jobs.jsonl", item(0.1)))
    await batch.report()

    for asked in (service.qurable.status, service.qurable.result):
        with pytest.raises(JobNotFound, match="no job's id"):
            await asked(batch.id)


async def test_estimates_keep_the_shape_of_their_observables(service: Service) -> None:
    """What is not an item of the same question runs beside them."""
    jobs = [
        estimate((STATE, ["ZI", "XX", "IZ"], {"a": 0.3 * at, "b": 0.1}), precision=0.0, backend="aer")
        for at in range(3)
    ]
    sweep = sample((ANSATZ, {"a": [0.1, 0.2], "b": [0.3, 0.4]}), shots=10, backend="aer")

    batch = await service.qurable.batch([*jobs, sweep])
    found, report = await ended(batch), await batch.report()

    assert (report.groups, report.all_answered) == (2, True)
    for at, job in enumerate(jobs):
        (ours,), (alone,) = found[at].results, (await service.run(job)).results
        assert ours.kind == alone.kind == "estimate"
        assert ours.shape == (3,)
        assert ours.evs.values == pytest.approx(alone.evs.values)
    assert (found[3].index, found[3].results[0].shape) == (None, (2,))


async def test_an_item_that_fails_fails_alone_and_alone_is_run_again(service: Service) -> None:
    """One of the bindings divides by zero, which no look at the lines could tell."""
    jobs = [sample((INVERSE, {"a": at - 5.0, "b": 0.1}), shots=50, backend="aer") for at in range(20)]

    batch = await service.qurable.batch(jobs, key="divides by zero")
    first = await batch.report()
    again = await service.qurable.run_batch_again(batch.id)
    second = await again.report()

    assert (first.state, first.counts) == (BatchState.PARTIAL, {State.COMPLETED: 19, State.FAILED: 1})
    (failed,) = first.failed
    assert (failed.item, failed.error is not None and "not finite" in failed.error.message) == (5, True)
    assert second.counts == first.counts
    assert second.chunks == first.chunks + 1
    assert second.failed[0].job_id != failed.job_id
    assert len(await ended(again)) == 20


async def test_what_is_no_batch_is_refused_or_left_out(service: Service, tmp_path: Path) -> None:
    """By the number of each broken line, before anything runs."""
    lines = [item(0.1), "", "not JSON", item(0.2), {"kind": "sample"}, item(0.3, project="others")]
    file = written(tmp_path / "broken.jsonl", *lines)

    stopped = await service.qurable.batch(file)
    with pytest.raises(JobFailed, match=r"line 3: .*line 5: .*line 6: .*'others'") as refusal:
        await stopped.report()
    assert refusal.value.error.details["lines"] == [3, 5, 6]
    with pytest.raises(JobFailed):
        await ended(stopped)
    went_on = await service.qurable.batch(file, key="broken", on_error="go-on")
    report = await went_on.report()
    assert [line.line for line in report.broken] == [3, 5, 6]
    assert (report.counts, report.all_answered) == ({State.COMPLETED: 2}, False)
    assert (await service.qurable.batch(file, key="broken", on_error="go-on")).id == went_on.id
    with pytest.raises(KeyReused):
        await service.qurable.batch([item_job(0.5)], key="broken")
    with pytest.raises(RequestRejected, match="empty"):
        await service.qurable.batch([])
    with pytest.raises(RequestRejected, match="1,000,000 lines; at most 100,000"):
        await service.qurable.batch(written(tmp_path / "long.jsonl", *["{}"] * 1_000_000))


def item_job(a: float) -> Any:
    """As `item`, as a job."""
    return sample((ANSATZ, {"a": a, "b": 0.2}), shots=10, backend="aer")


async def test_what_differs_in_names_formatting_and_angles_runs_as_one_circuit(service: Service) -> None:
    """And gives the counts of jobs of their own, under the names of its own registers."""
    numbers = STATE.replace("input float a;\ninput float b;\n", "")
    renamed = ANSATZ.replace("(a)", "(theta)").replace("float a", "float theta").replace("c;", "read;")
    renamed = renamed.replace("c =", "// the same\nread =")
    written = [
        numbers.replace("(a)", f"({0.1 + 0.2 * at})").replace("(b)", f"({0.3 * at})")
        + f"c{at} = measure q;\n"
        for at in range(1, 6)
    ]
    written = [text.replace("] c;", f"] c{at};") for at, text in enumerate(written, 1)]
    turned = numbers.replace("(a)", "(pi/2)").replace("(b)", "(pi)") + "c = measure q;\n"
    jobs = [
        *(sample((text, {}), shots=300, backend="aer") for text in written),
        sample((ANSATZ, {"a": 0.7, "b": 0.9}), shots=300, backend="aer"),
        sample((renamed, {"theta": 1.7, "b": 1.9}), shots=300, backend="aer"),
        sample((turned, {}), shots=300, backend="aer"),
    ]

    batch = await service.qurable.batch(jobs)
    found, report = await ended(batch), await batch.report()

    assert (report.state, report.groups, report.chunks) == (BatchState.COMPLETED, 3, 3)
    for at, job in enumerate(jobs):
        alone = await service.run(job.model_copy(update={"key": f"alone {at}", "seed": found[at].seed}))
        (ours,), (own,) = found[at].results, alone.results
        assert ours.kind == own.kind == "sample"
        assert [register.name for register in ours.registers] == [register.name for register in own.registers]
        assert found[at].counts() == alone.counts()


async def test_a_cancelled_batch_cancels_its_jobs(service: Service) -> None:
    """They are executions of their own. One waits for a stage of its caller's that nobody runs."""
    hook = {"before": {"activity": "never", "task_queue": "nobody"}}
    jobs = [item_job(0.1), sample(ANSATZ, hooks=hook, backend="aer")]
    batch = await service.qurable.batch(jobs, project="cancelled")
    items = aiter(batch.results())
    answered = await anext(items)

    (waiting,) = await until("the other job is accepted", lambda: _accepted(service))
    await batch.cancel()
    (cancelled,) = [found async for found in items]
    report = await batch.report()

    assert (answered.state, cancelled.state) == (State.COMPLETED, State.CANCELLED)
    assert (report.state, report.counts[State.CANCELLED]) == (BatchState.CANCELLED, 1)
    assert cancelled.job_id == waiting.id
    assert (await service.qurable.status(waiting.id)).state is State.CANCELLED


async def test_a_job_that_was_terminated_is_not_run_again_until_somebody_asks(service: Service) -> None:
    """Whoever terminated it in Temporal wanted it to end; its items say so, and its halves are not tried."""
    hook = {"before": {"activity": "never", "task_queue": "nobody"}}
    job = sample(ANSATZ, hooks=hook, backend="aer")
    batch = await service.qurable.batch([item_job(0.1), job], project="terminated")
    items = aiter(batch.results())
    await anext(items)

    (waiting,) = await until("the other job is accepted", lambda: _accepted(service, "terminated"))
    await service.temporal.get_workflow_handle(waiting.id).terminate(reason="not tonight")
    (terminated,) = [found async for found in items]
    report = await batch.report()

    assert (terminated.state, terminated.job_id) == (State.CANCELLED, waiting.id)
    assert terminated.error is not None
    assert terminated.error.message.endswith("was terminated: not tonight")
    assert (report.state, report.chunks) == (BatchState.PARTIAL, 2)


async def _accepted(service: Service, project: str = "cancelled") -> Any:
    return await service.qurable.list(project=project, states=[State.ACCEPTED])
