"""Comparisons: the same request at several places, each as a job of its own, side by side; and hedged runs."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.worker import Replayer

from isolation.pool import Nursery
from qurable.comparing import as_comparison
from qurable.contracts.comparisons import ComparisonReport, ComparisonState
from qurable.contracts.executions import Cancelled, Phase, SubmissionKey
from qurable.contracts.reports import State
from qurable.errors import JobCancelled, JobFailed, JobNotFound, KeyReused, RequestRejected, TargetClosed
from qurable.requests import estimate, sample, solve
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.conftest import Service, running_service
from tests.fakes.scripted import ScriptedBackend
from workflows.comparison import Comparison

BELL_UNMEASURED = BELL.partition("measure")[0]
ONE = BELL.replace("h q[0];", "x q[0];").replace("cx q[0], q[1];", "")
TRIANGLE = {"kind": "maxcut", "num_nodes": 4, "edges": [(0, 1, 1), (1, 2, 1), (0, 2, 1), (2, 3, 1)]}
CUT_OF_TWO = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[4];
creg c[4];
x q[0];
h q[2];
measure q -> c;
"""
"""Cuts two or three of the four edges."""


DOWN = TargetClosed("down for maintenance")
SHUT = TargetClosed("shut for good")


class Stubborn(ScriptedBackend):
    """A place whose jobs wait, and that takes its time to confirm a cancellation."""

    def __init__(self, name: str) -> None:
        super().__init__(name, Phase.QUEUED)
        self.asked = asyncio.Event()
        self.confirms = asyncio.Event()

    async def cancel(self, key: SubmissionKey) -> Cancelled:
        self.asked.set()
        await self.confirms.wait()
        return await super().cancel(key)


STUBBORN = Stubborn("stubborn")


@pytest.fixture(scope="module")
def places() -> dict[str, ScriptedBackend]:
    """Places that do as they are told; each that is waited for is one test's own."""
    slow = {name: ScriptedBackend(name, Phase.QUEUED) for name in ("slow", "waiting", "waiting_too", "early")}
    refusing = {"down": ScriptedBackend("down", refuses=DOWN), "shut": ScriptedBackend("shut", refuses=SHUT)}
    return {**slow, **refusing, "second": ScriptedBackend("second"), "stubborn": STUBBORN}


@pytest.fixture(scope="module")
async def service(
    tmp_path_factory: pytest.TempPathFactory, nursery: Nursery, places: dict[str, ScriptedBackend]
) -> AsyncIterator[Service]:
    """A service that has them, in the place of the one that all tests share."""
    async with running_service(tmp_path_factory.mktemp("places"), nursery, backends={**places}) as service:
        yield service


async def compared(service: Service, work: Any, **options: Any) -> ComparisonReport:
    """A comparison's report, within a minute."""
    async with asyncio.timeout(60):
        return await (await service.qurable.compare(work, **options)).report()


async def _replays(service: Service, comparison_id: str) -> None:
    """What was decided in the workflow is decided again from its history, as by a worker that takes over."""
    history = await service.temporal.get_workflow_handle(comparison_id).fetch_history()
    replayer = Replayer(workflows=[Comparison], data_converter=service.temporal.data_converter)
    await replayer.replay_workflow(history)


async def test_places_that_agree_and_one_that_is_noisy(service: Service) -> None:
    """Two noiseless places differ by chance alone, the noisy one by more; all three are jobs of their own."""
    report = await compared(
        service,
        sample(BELL, shots=4000, seed=7, key="side-by-side"),
        on=["aer", "classical:clifford", "fake_manila"],
    )
    differ = {pair.places: pair.differ for pair in report.pairs}
    jobs = [await service.qurable.read_report(leg.job_id) for leg in report.legs]

    assert report.state is ComparisonState.COMPLETED
    assert [leg.served_by for leg in report.legs] == ["aer", "classical:clifford", "fake_manila"]
    assert differ == {
        ("aer", "classical:clifford"): False,
        ("aer", "fake_manila"): True,
        ("classical:clifford", "fake_manila"): True,
    }
    (alike,) = report.pairs[0].pubs
    assert alike.total_variation is not None
    assert 0 < alike.total_variation.expected < alike.total_variation.null_quantile < 0.1
    assert {job.labels["comparison"] for job in jobs} == {report.id}
    assert jobs[0].provenance is not None
    assert jobs[1].provenance is not None
    assert jobs[0].provenance.seed != jobs[1].provenance.seed
    assert report.decided is not None
    assert report.decided.weights["fake_manila"] < report.decided.weights["aer"]
    assert sum(report.decided.weights.values()) == pytest.approx(1)
    assert sum(report.decided.outcomes[0].outcomes.values()) == pytest.approx(1)


async def test_values_are_compared_in_standard_errors(service: Service) -> None:
    """Two noiseless places agree within theirs; the mean by survival estimate lies among them."""
    job = estimate((BELL_UNMEASURED, ["ZZ", "XX", "ZI"]), precision=0.02, seed=3, key="values")
    report = await compared(service, job, on=["aer", "fake_manila", "classical:clifford"])
    pairs = {pair.places: pair for pair in report.pairs}
    noisy = pairs["aer", "fake_manila"].pubs[0]

    assert pairs["aer", "classical:clifford"].differ is False
    assert max(abs(value) for value in noisy.deviations if value is not None) > 2
    assert report.decided is not None
    (mean,) = report.decided.values
    assert mean.evs.values == pytest.approx((1, 1, 0), abs=0.2)
    assert all(0 < error < 0.02 for error in mean.stds.values[:2])


async def test_a_problem_is_decided_by_its_objective_and_beside_a_classical_solver(service: Service) -> None:
    """Nobody has to name the solver; what every other place is behind it by is in its row."""
    report = await compared(
        service, solve(TRIANGLE, CUT_OF_TWO, shots=200, seed=5, key="objective"), on=["aer", "fake_manila"]
    )
    rows = {leg.place: leg for leg in report.legs}

    assert list(rows) == ["aer", "fake_manila", "classical"]
    assert rows["classical"].served_by.startswith("classical:")
    assert (rows["classical"].objective, rows["classical"].behind) == (3, 0)
    assert report.rule == "best_objective"
    assert report.decided is not None
    assert report.decided.answer is not None
    assert report.decided.answer.objective == 3
    assert report.decided.job_id == rows[report.decided.place].job_id
    assert all(row.behind == pytest.approx(3 - (row.objective or 0)) for row in rows.values())


async def test_more_than_half_of_the_places_are_a_majority(service: Service) -> None:
    """One vote each for its most frequent outcome; with two that differ nothing is decided, and the report says so."""
    agreed = await compared(
        service,
        sample(ONE, shots=300, seed=1, key="majority"),
        on=["aer", "fake_manila", "classical:clifford"],
        decide="majority",
    )

    assert agreed.decided is not None
    assert agreed.decided.outcomes[0].outcomes == {"01": 1.0}
    assert agreed.decided.weights == {"aer": 1.0, "fake_manila": 1.0, "classical:clifford": 1.0}


async def test_a_place_that_fails_is_a_row_and_all_that_fail_are_a_failure(service: Service) -> None:
    """What stood in for it would not be its answer: nobody does, and the others go on."""
    half = await compared(service, sample(BELL, shots=10, key="half"), on=["down", "aer"])
    nobody = await service.qurable.compare(sample(BELL, shots=10, key="nobody"), on=["down", "shut"])
    with pytest.raises(JobFailed, match=r"maintenance.*for good"):
        await asyncio.wait_for(nobody.report(), 60)
    stored = await nobody.stored()

    failed, answered = half.legs
    assert failed.error is not None
    assert (failed.error.code, failed.served_by) == ("TargetClosed", "")
    assert answered.state is State.COMPLETED
    assert half.decided is not None
    assert half.decided.weights == {"aer": 1.0}
    assert stored.state is ComparisonState.FAILED
    assert [leg.error.code for leg in stored.legs if leg.error] == ["TargetClosed", "TargetClosed"]


async def test_the_first_good_answer_is_kept_and_the_loser_is_withdrawn(
    service: Service, places: dict[str, ScriptedBackend]
) -> None:
    """The place is asked again whether its job is really gone, and only then there is a report."""
    slow = places["slow"]
    hedged = await service.qurable.hedge(
        sample(BELL, shots=100, seed=7, key="hedged"), on=["slow", "aer"], after="1s"
    )
    report = await asyncio.wait_for(hedged.report(), 60)
    answer = await hedged.answer()
    again = await service.qurable.hedge(
        sample(BELL, shots=100, seed=7, key="hedged"), on=["slow", "aer"], after="1s"
    )
    from_elsewhere = await service.qurable.attach_comparison(hedged.id).report()
    single = await service.run(sample(BELL, shots=100, seed=7, backend="aer", key="alone"))

    loser, winner = report.legs
    assert report.decided is not None
    assert (report.decided.place, report.decided.job_id) == ("aer", winner.job_id)
    assert winner.good
    assert slow.cancelled == slow.submitted != []
    assert loser.state is State.CANCELLED
    assert loser.withdrawal is not None
    assert loser.withdrawal.confirmed
    assert not loser.withdrawal.finished
    assert answer.counts() == single.counts()
    assert again.id == hedged.id
    assert from_elsewhere == report
    await _replays(service, hedged.id)


async def test_the_answer_is_there_before_the_loser_is_gone_and_the_report_is_not(service: Service) -> None:
    """Whoever is in a hurry has the answer; a report would say what is not known yet."""
    hedged = await service.qurable.hedge(
        sample(BELL, shots=100, key="hurry"), on=["stubborn", "aer"], after="1s"
    )
    answer = await asyncio.wait_for(hedged.answer(), 60)
    await asyncio.wait_for(STUBBORN.asked.wait(), 60)
    with pytest.raises(TimeoutError):
        await hedged.report(wait=timedelta(seconds=2))
    standing = await hedged.status()
    STUBBORN.confirms.set()
    report = await asyncio.wait_for(hedged.report(), 60)

    assert answer.served_by == "aer"
    assert (standing.state, standing.taken) == (ComparisonState.WITHDRAWING, "aer")
    assert [leg.state for leg in standing.legs] == ["withdrawing", "ended"]
    assert report.legs[0].withdrawal is not None
    assert report.legs[0].withdrawal.confirmed


async def test_a_place_that_answers_in_time_is_the_only_one_that_is_asked(
    service: Service, places: dict[str, ScriptedBackend]
) -> None:
    """A hedge that is not needed costs nothing."""
    hedged = await service.qurable.hedge(
        sample(BELL, shots=100, key="in-time"), on=["aer", "second"], after="1h"
    )
    report = await asyncio.wait_for(hedged.report(), 60)

    assert places["second"].submitted == []
    assert report.decided is not None
    assert report.decided.place == "aer"
    assert (report.legs[1].state, report.legs[1].job_id, report.legs[1].withdrawal) == (None, "", None)


async def test_a_place_that_fails_makes_room_for_the_next_at_once(service: Service) -> None:
    """There is nothing to wait for; an hour's delay is for a place that may still answer."""
    hedged = await service.qurable.hedge(sample(BELL, shots=100, key="room"), on=["down", "aer"], after="1h")
    report = await asyncio.wait_for(hedged.report(), 60)

    assert report.decided is not None
    assert report.decided.place == "aer"


async def test_cancelling_a_comparison_cancels_every_place(
    service: Service, places: dict[str, ScriptedBackend]
) -> None:
    """It ends once each has confirmed that; the report keeps what they had by then."""
    slow, slower = places["waiting"], places["waiting_too"]
    comparison = await service.qurable.compare(
        sample(BELL, shots=100, key="cancelled"), on=["waiting", "aer", "waiting_too"]
    )
    await asyncio.wait_for(asyncio.gather(slow.queued.wait(), slower.queued.wait()), 60)

    async def answered() -> bool:
        return any(leg.place == "aer" and leg.state == "ended" for leg in (await comparison.status()).legs)

    await until("aer has answered", answered, 60)
    await comparison.cancel()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(comparison.report(), 60)
    stored = await comparison.stored()
    await _replays(service, comparison.id)

    assert (slow.cancelled, slower.cancelled) == (slow.submitted, slower.submitted)
    assert len(slow.submitted) == len(slower.submitted) == 1
    assert stored.state is ComparisonState.CANCELLED
    assert [leg.state for leg in stored.legs] == [State.CANCELLED, State.COMPLETED, State.CANCELLED]
    assert [leg.withdrawal and leg.withdrawal.confirmed for leg in stored.legs] == [True, None, True]


async def test_a_comparison_that_is_cancelled_at_once_asks_nobody_for_long(
    service: Service, places: dict[str, ScriptedBackend]
) -> None:
    """Wherever it is caught, it ends as cancelled, and whatever was sent is withdrawn."""
    early = places["early"]
    comparison = await service.qurable.compare(sample(BELL, shots=100, key="at-once"), on=["early", "down"])
    await comparison.cancel()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(comparison.report(), 60)

    assert (await comparison.status()).state is ComparisonState.CANCELLED
    assert early.cancelled == early.submitted
    try:
        stored = await comparison.stored()
    except JobNotFound:  # it was caught before it was taken in
        assert early.submitted == []
    else:
        assert stored.state is ComparisonState.CANCELLED


async def test_what_is_over_is_not_run_again_and_another_request_has_no_part_in_it(service: Service) -> None:
    """The key stands for the request, its places and how it is decided."""
    first = await service.qurable.compare(sample(BELL, shots=50, seed=1, key="kept"), on=["aer", "classical"])
    report = await asyncio.wait_for(first.report(), 60)
    again = await service.qurable.compare(sample(BELL, shots=50, seed=1, key="kept"), on=["aer", "classical"])

    assert await again.report() == report
    with pytest.raises(KeyReused):
        await service.qurable.compare(sample(BELL, shots=50, seed=1, key="kept"), on=["aer", "fake_manila"])


@pytest.mark.parametrize(
    ("on", "decide", "named"),
    [
        (["aer", "nowhere"], "auto", "no backend 'nowhere'"),
        (["aer", "classical"], "by_lot", "no decision 'by_lot'.*fidelity_weighted, first_good, majority"),
        (["aer", "classical"], "best_objective", "does not fit.*fidelity_weighted, first_good, majority"),
    ],
)
async def test_what_the_service_refuses(service: Service, on: list[str], decide: str, named: str) -> None:
    """Before anything runs; the message names what would do."""
    refused = await service.qurable.compare(sample(BELL, shots=50), on=on, decide=decide)

    with pytest.raises(JobFailed, match=named):
        await asyncio.wait_for(refused.report(), 60)


@pytest.mark.parametrize(
    ("on", "options", "named"),
    [
        ([], {}, "on: Tuple should have at least 1"),
        (["aer"], {}, "name two places"),
        (["aer", "aer"], {}, "named twice"),
        (["aer", "auto"], {}, "'auto' is no place"),
        ("aer", {}, "list of places"),
        ([f"fake_{number}" for number in range(9)], {}, "at most 8"),
        (["aer", "classical"], {"decide": "By Lot!"}, "decide"),
        (["aer", "classical"], {"after": "soon"}, "soon"),
        (["aer", "classical"], {"after": "1s", "decide": "majority"}, "first good"),
        (["aer", "classical"], {"shots": 0}, "shots"),
    ],
)
async def test_what_the_client_refuses(
    service: Service, on: list[str], options: dict[str, Any], named: str
) -> None:
    """Naming the thing and the way out."""
    with pytest.raises(RequestRejected, match=named):
        as_comparison(BELL, on, **options)
