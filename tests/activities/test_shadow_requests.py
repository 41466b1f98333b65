"""What runs in the shadow: the same question to one place, at its own cost, and never the caller's own stages."""

import pytest

from activities.shadows import shadow_of, tighter
from qurable.contracts.budgets import JobBudget
from qurable.contracts.jobs import Hook, Hooks, JobHead, read_request
from qurable.contracts.shadows import ShadowCall, Shadowing
from qurable.errors import ShadowRefused
from qurable.requests import sample
from tests.circuits_at_hand import BELL

STAGE = Hook(activity="mail_the_answer", task_queue="theirs")


def _call(budget: JobBudget | None = None) -> ShadowCall:
    shadowing = Shadowing(rule="look", backend="fake_fez", budget=budget or JobBudget())
    return ShadowCall(job_id="lab-1", project="lab", shadowing=shadowing)


def test_the_question_is_the_same_and_the_rest_is_its_own() -> None:
    """A seed of its own makes the two runs independent; a stage that mails the answer mails it once."""
    job = sample(
        BELL,
        shots=10,
        project="lab",
        user="ada",
        seed=7,
        priority=1,
        hooks=Hooks(before=STAGE, after=STAGE),
        labels={"team": "red"},
        fallback={"leave_house": False, "kinds": ["simulator"], "other_devices": True},
        budget={"qpu_seconds": 9.0},
    )
    shadow = shadow_of(job, _call(JobBudget(qpu_seconds=3.0)))
    head = JobHead.of(shadow)

    assert shadow.model_dump(
        include={"pubs", "project", "user", "labels", "checks", "limits"}
    ) == job.model_dump(include={"pubs", "project", "user", "labels", "checks", "limits"})
    assert (shadow.seed, shadow.hooks, shadow.priority, shadow.backend) == (None, Hooks(), 5, "fake_fez")
    assert (shadow.fallback.policy, shadow.fallback.leave_house, shadow.fallback.kinds) == ("none", False, ())
    assert shadow.budget == JobBudget(qpu_seconds=3.0)
    assert head.id == _call().shadow_id != job.job_id
    assert read_request(shadow.model_dump_json()) == shadow


def test_the_tighter_of_two_budgets_holds() -> None:
    """The rule may not spend what the caller does not, nor the other way round."""
    own, cap = JobBudget(qpu_seconds=5.0, price=2.0, currency="EUR"), JobBudget(price=1.0, currency="EUR")

    assert tighter(own, cap) == JobBudget(qpu_seconds=5.0, price=1.0, currency="EUR")
    assert tighter(JobBudget(), cap) == cap
    assert tighter(own, JobBudget()) == own
    with pytest.raises(ShadowRefused, match="the job's budget is in EUR, the rule's in USD"):
        tighter(own, JobBudget(price=1.0, currency="USD"))
