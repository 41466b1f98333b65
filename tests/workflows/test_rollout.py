"""Rollout rules hold from the next job on, are named by the reports, and leave running jobs alone."""

from typing import Any

import pytest

from qurable.contracts.reports import State
from qurable.contracts.rollout import RolloutChange, RolloutRule
from qurable.errors import RequestRejected, UnknownBackend
from qurable.requests import sample
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack, Stack
from tests.paid import DEVICE


def _bell(**options: Any) -> Any:
    return sample(BELL, shots=100, **{"backend": "aer", **options})


def _set(name: str, backend: str, **fields: object) -> RolloutChange:
    rule = RolloutRule.model_validate({"name": name, "backend": backend, **fields})
    return RolloutChange(rule=rule, by="ada")


async def test_a_kill_switch_is_for_the_next_job_and_not_for_the_running_one(paid_stack: PaidStack) -> None:
    """Nothing is restarted, and what is paid for runs to its end."""
    async with paid_stack(strategy=None) as paid:
        qurable = paid.service.qurable
        await paid.control.settings(hold=True)
        running = await qurable.submit(_bell(backend=DEVICE))
        await paid.until_ended(running, "await_start-0", "waiting")
        await qurable.set_rollout(_set("stop", "ibm:*", kill=True, reason="billing is being looked into"))
        avoided = await paid.service.run(_bell(backend=DEVICE))
        await paid.control.settings(hold=False)
        untouched = await running.result()
        stood = await qurable.set_rollout(RolloutChange(remove="stop", by="grace"))
        after = await qurable.route(_bell(backend=DEVICE))
        taken = await paid.taken()

    assert (untouched.state, untouched.served_by) == (State.COMPLETED, DEVICE)
    assert (avoided.state, avoided.served_by) == (State.DEGRADED, "fake_manila")
    assert "rollout rule 'stop' (set by ada at " in avoided.because
    assert "billing is being looked into" in avoided.because
    assert len(taken) == 1
    assert after.rungs[0].name == DEVICE
    assert stood.rules == ()
    assert [(change.by, change.rule is None) for change in stood.changes] == [("grace", True), ("ada", False)]


async def test_a_share_goes_there_first_and_back_where_it_does_not_answer(stack: Stack) -> None:
    """The label of who was asked stays honest: what was asked by name came from elsewhere."""
    async with stack() as service:
        qurable = service.qurable
        await qurable.set_rollout(_set("all", "fake_manila", share=1.0, when={"asked": "aer"}))
        sent = await service.run(_bell())
        kept = await service.run(_bell(fallback="none"))
        other = await service.run(_bell(backend="auto"))
        with pytest.raises(RequestRejected, match="rule 'all' sends 1 of the jobs to 'fake_manila'"):
            await qurable.set_rollout(_set("more", "fake_torino", cohort=["user:ada"]))
        with pytest.raises(UnknownBackend, match="'fake_manilla'"):
            await qurable.set_rollout(_set("none", "fake_manilla", share=0.5, when={"asked": "auto"}))
        with pytest.raises(RequestRejected, match="stands for many: name one"):
            await qurable.set_rollout(_set("many", "ibm:*", share=0.5))
        with pytest.raises(RequestRejected, match="no rollout rule 'nine'; there are all"):
            await qurable.set_rollout(RolloutChange(remove="nine", by="ada"))
        await qurable.set_rollout(_set("off", "fake_manila", kill=True, when={"project": "default"}))
        back = await service.run(_bell())
        stood = await qurable.rollout()

    assert (sent.served_by, sent.degraded) == ("fake_manila", True)
    assert "rollout rule 'all' (set by ada at " in sent.because
    assert "sends 1 of the jobs to 'fake_manila'" in sent.because
    assert [rung.name for rung in sent.route.rungs] == ["fake_manila", "aer"]
    assert [report.served_by for report in (kept, other, back)] == ["aer", "aer", "aer"]
    assert any("rollout rule 'off'" in entry.because for entry in back.route.considered)
    assert [entry.rule.name for entry in stood.rules] == ["all", "off"]
