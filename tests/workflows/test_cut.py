"""Cuts: a circuit in fragments that are jobs of their own, put together again with error bars."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from qurable.contracts.cutting import CutReport, CutState
from qurable.contracts.executions import Phase, Submission
from qurable.contracts.reports import State
from qurable.contracts.results import ErrorOrigin
from qurable.errors import (
    FragmentFailed,
    JobCancelled,
    JobFailed,
    JobNotFound,
    KeyReused,
    RequestRejected,
)
from qurable.requests import sample
from store.shelf import StoreShelf
from tests.chaos.harness import until
from tests.conftest import Service, Stack
from tests.cut_at_hand import HALF, MARGINALS, WANTED, exact_marginal, exact_values, two_halves
from tests.fakes.narrow import NarrowBackend

_SECONDS = 150
_SIGMAS = 4.0
"""Of 7 values with fixed seeds: a false alarm has a chance below 10^-3."""

ASKED: dict[str, Any] = {"backend": "aer", "cut": {"qubits": HALF}, "shots": 500, "seed": 5}


def assert_agrees(report: CutReport) -> None:
    """Every value is that of the whole circuit, within its error bar."""
    circuit = two_halves()
    assert report.evs is not None
    assert report.stds is not None
    for value, error, exact in zip(report.evs.values, report.stds.values, exact_values(circuit), strict=True):
        assert 0 < error < 0.2
        assert abs(value - exact) < _SIGMAS * error
    for marginal in report.marginals:
        exact_of = exact_marginal(circuit, marginal.qubits)
        assert sum(marginal.probabilities.values()) == pytest.approx(1.0)
        for outcome, exact in exact_of.items():
            assert abs(marginal.probabilities[outcome] - exact) < _SIGMAS * marginal.errors[outcome]


async def test_a_circuit_twice_as_wide_as_the_fragments_agrees_with_the_whole(service: Service) -> None:
    """What cutting is for; the report says where it was cut, at what overhead, and which jobs ran it."""
    async with asyncio.timeout(_SECONDS):
        price = await service.qurable.price_cut((two_halves(), WANTED), marginals=MARGINALS, **ASKED)
        cut = await service.qurable.cut((two_halves(), WANTED), marginals=MARGINALS, **ASKED)
        report = await cut.report()
        status = await service.qurable.attach_cut(cut.id).status()
        jobs = [await service.qurable.read_report(end.job_id) for end in report.fragments]

    assert_agrees(report)
    assert (report.state, report.error_origin, report.shape) == (
        CutState.COMPLETED,
        ErrorOrigin.BOOTSTRAP,
        (len(WANTED),),
    )
    (place,) = report.price.cuts
    assert (place.kind, place.gate, place.qubits, report.price.overhead) == ("gate", "cx", (1, 2), 9.0)
    assert [piece.qubits for piece in report.price.fragments] == [(0, 1), (2, 3)]
    assert price.model_copy(update={"estimate": report.price.estimate}) == report.price
    assert price.estimate.run_seconds is not None
    assert [end.name for end in report.fragments] == ["A", "B"] == sorted(end.name for end in status.ended)
    assert sum(sum(result.shots for result in job.results) for job in jobs) == price.shots
    assert {job.labels["cut"] for job in jobs} == {cut.id}


@pytest.mark.long
async def test_equal_keys_are_one_cut_and_equal_seeds_one_answer(service: Service) -> None:
    """A second submit pays nothing; another body under the key is refused."""
    async with asyncio.timeout(_SECONDS):
        first = await (await service.qurable.cut((two_halves(), WANTED), key="once", **ASKED)).report()
        same = await service.qurable.cut((two_halves(), WANTED), key="once", **ASKED)
        again = await same.report()
        with pytest.raises(KeyReused):
            await service.qurable.cut((two_halves(), WANTED[:1]), key="once", **ASKED)
        other = await (await service.qurable.cut((two_halves(), WANTED), key="twice", **ASKED)).report()

    assert again == first
    assert other.id != first.id
    assert (other.evs, other.stds) == (first.evs, first.stds)


async def test_a_circuit_that_fits_runs_whole(service: Service) -> None:
    """Cutting costs; nobody pays for it where there is no need."""
    asked = {**ASKED, "cut": {"qubits": 4}, "shots": 4000}
    async with asyncio.timeout(_SECONDS):
        cut = await service.qurable.cut((two_halves(), WANTED), marginals=MARGINALS, **asked)
        report = await cut.report()

    assert_agrees(report)
    assert report.price.whole
    assert report.error_origin is ErrorOrigin.SHOTS
    assert [end.name for end in report.fragments] == ["whole"]
    assert "was not cut" in report.warnings[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"cut": {"qubits": HALF, "max_overhead": 8}},
            r"overhead of 9, in 1 cuts; the limit is 8: .*max_overhead",
        ),
        (
            {"cut": {"qubits": 1, "gates": False}},
            "no cuts bring circuit 'two_halves' to fragments of 1 qubits",
        ),
        (
            {"cut": {"qubits": HALF, "seconds": 0.001}},
            r"passed its limit of 0.001 s: allow more .*cut.seconds",
        ),
        ({"cut": {}}, r"'aer' has no width of its own: .*cut.qubits"),
        ({"shots": None, "precision": 1e-3}, r"takes .* shots of one experiment .*precision of"),
        ({"marginals": ((0, 7),)}, "on 8 qubits, circuit 'two_halves' has 4"),
    ],
)
async def test_what_cannot_be_cut_is_refused_with_the_number_and_the_way_out(
    service: Service, options: dict[str, Any], words: str
) -> None:
    """Before anything is run."""
    asked = {**ASKED, **options}
    if "precision" in options:
        del asked["shots"]
    async with asyncio.timeout(_SECONDS):
        cut = await service.qurable.cut((two_halves(), WANTED), **asked)
        with pytest.raises(JobFailed, match=words):
            await cut.report()
        with pytest.raises(JobNotFound):
            await cut.failed_report()


async def test_sampling_is_refused_with_the_reason(service: Service) -> None:
    """Fragments give no shots of the whole."""
    circuit = two_halves()
    circuit.measure_all()

    with pytest.raises(RequestRejected, match="cannot be sampled"):
        await service.qurable.cut(sample(circuit))


def _on(backend: str, **cut: Any) -> dict[str, Any]:
    return {"backend": backend, "cut": cut, "shots": 50, "seed": 5, "fallback": {"policy": "none"}}


async def test_a_fragment_that_fails_is_run_again_alone(stack: Stack) -> None:
    """Counted at the backend, half as wide as the circuit: the other fragment is sent once, and the whole's values come out."""
    failed: list[str] = []

    def fails_once(submission: Submission) -> bool:
        if not failed:
            failed.append(submission.key.job_id)
        return failed == [submission.key.job_id]

    qpu = NarrowBackend("qpu", fails_once)
    async with asyncio.timeout(_SECONDS), stack(backends={"qpu": qpu}) as service:
        qpu.shelf = StoreShelf(service.database)
        asked = {**_on("qpu"), "marginals": MARGINALS, "shots": 5000}
        cut = await service.qurable.cut((two_halves(), WANTED), **asked)
        report = await cut.report()

    assert_agrees(report)
    lost, *answered = sorted(report.fragments, key=lambda end: end.answered)
    assert report.state is CutState.COMPLETED
    assert (lost.job_id, lost.state, lost.ordinal) == (failed[0], State.FAILED, 0)
    assert {(end.name, end.ordinal) for end in answered} == {(name, int(name == lost.name)) for name in "AB"}
    of_job = Counter(submission.key.job_id for submission in qpu.jobs.values())
    assert of_job.keys() == {end.job_id for end in report.fragments}
    assert all(of_job[end.job_id] == 1 for end in answered)
    again = next(end for end in answered if end.name == lost.name)
    assert _circuits(qpu, lost.job_id) == _circuits(qpu, again.job_id)
    assert report.price.qubits == 2


def _circuits(qpu: NarrowBackend, job_id: str) -> list[str]:
    of_job = [entry for entry in qpu.jobs.values() if entry.key.job_id == job_id]
    return [pub.isa for pub in of_job[0].pubs]


@pytest.mark.long
async def test_what_a_failed_cut_has_is_kept_and_a_rerun_runs_the_rest(stack: Stack) -> None:
    """Nothing that was paid for is paid for again."""
    warm: list[str] = []

    def fails(submission: Submission) -> bool:
        """All of the first job that comes, while the fridge is warm."""
        if not qpu.submitted[1:]:
            warm.append(submission.key.job_id)
        return submission.key.job_id in warm

    qpu = NarrowBackend("qpu", fails)
    async with asyncio.timeout(_SECONDS), stack(backends={"qpu": qpu}) as service:
        cut = await service.qurable.cut((two_halves(), WANTED), **_on("qpu", reruns=0))
        with pytest.raises(JobFailed, match=rf"qurable cut --rerun {cut.id}") as failure:
            await cut.report()
        partial = await cut.failed_report()
        sent = len(qpu.submitted)
        warm.clear()
        again = await service.qurable.run_cut_again(cut.id)
        report = await again.report()
        sent_again = len(qpu.submitted) - sent

    assert failure.value.error.code == FragmentFailed.__name__
    lost = [end for end in partial.fragments if not end.answered]
    assert partial.state is CutState.FAILED
    assert [end.name for end in lost] == failure.value.error.details["fragments"]
    assert report.state is CutState.COMPLETED
    assert sent_again == len(lost)
    assert all(end in report.fragments for end in partial.fragments)


async def test_a_cancelled_cut_cancels_the_jobs_of_its_fragments(stack: Stack) -> None:
    """Jobs are executions of their own: nobody else would withdraw them."""
    qpu = NarrowBackend("qpu")
    qpu.script(Phase.QUEUED)
    async with asyncio.timeout(_SECONDS), stack(backends={"qpu": qpu}) as service:
        cut = await service.qurable.cut((two_halves(), WANTED), **_on("qpu"))
        await until("both are sent", lambda: len(qpu.submitted) == 2)
        await cut.cancel()
        with pytest.raises(JobCancelled):
            await cut.report()
        report = await cut.failed_report()

    assert sorted(qpu.cancelled) == sorted(qpu.submitted)
    assert report.state is CutState.CANCELLED
    assert {end.state for end in report.fragments} == {State.CANCELLED}
