"""Kill -9 between an answer and its shadow, and in it: the answer is out already, and there is one shadow all the same."""

from collections.abc import AsyncIterator

import pytest

from qurable.contracts.rollout import RolloutChange, RolloutRule, RolloutWhen
from qurable.contracts.shadows import ShadowRun
from qurable.requests import AnyJob, sample
from tests.chaos.harness import House, house, until
from tests.circuits_at_hand import BELL

LINES = (
    "finish-0:kept",
    "plan_shadow:begun",
    "plan_shadow:kept",
    "compare_shadow:begun",
    "compare_shadow:kept",
)
"""Failpoints from the answer to the record of its shadow."""

RULE = RolloutRule(
    name="look", backend="classical:clifford", share=1.0, shadow=True, when=RolloutWhen(asked="aer")
)


@pytest.fixture(scope="module")
async def chaos(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Two workers that are started again whenever they die, in a house whose jobs have shadows."""
    async with house(tmp_path_factory.mktemp("shadows")) as chaos:
        await chaos.qurable.set_rollout(RolloutChange(rule=RULE, by="ada"))
        yield chaos


def _job(failpoint: str) -> AnyJob:
    return sample(BELL, shots=500, seed=7, backend="aer", key=failpoint)


async def _shadow_of(chaos: House, job_id: str) -> ShadowRun | None:
    # The rule has no line before its first shadow is on record, which the answer does not wait for.
    runs = (run for rule in (await chaos.qurable.rollout()).shadows for run in rule.latest)
    return next((run for run in runs if run.answer.job_id == job_id), None)


@pytest.mark.long
@pytest.mark.parametrize("failpoint", LINES)
async def test_an_answer_has_one_shadow_whoever_dies(chaos: House, failpoint: str) -> None:
    """The caller gets the same counts, nothing runs twice, and the difference is written down."""
    chaos.arm(failpoint)
    report = await chaos.qurable.run(_job(failpoint))
    run: ShadowRun = await until("the shadow has ended", lambda: _shadow_of(chaos, report.id))
    of_this = [job.id for job in await chaos.qurable.list(limit=1000) if job.shadow_of == report.id]

    assert chaos.was_reached(failpoint), f"no worker ever came to {failpoint}"
    assert report.counts() == (await chaos.qurable.run(_job(f"{failpoint}, in peace"))).counts()
    assert of_this == [run.shadow.job_id]
    assert run.p_value is not None
    assert chaos.repeated(report.id) == chaos.repeated(run.shadow.job_id) == []
