"""Waiting for somebody's word: one question at a time, and one decision for each."""

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from qurable.contracts.approvals import Approval, Decision, Question
from qurable.contracts.reports import State
from qurable.errors import (
    ApprovalRefused,
    ApprovalTimedOut,
    DeadlineAtRisk,
    DecisionRefused,
    NotAnApprover,
    RequestRejected,
)
from workflows.failures import RungGivenUp, final

_NOBODY = "nobody"


class Approvals:
    """What a job has asked, and what was decided.

    Attributes:
        question: That is open now.
    """

    def __init__(self) -> None:
        self.question: Question | None = None
        self._decided: dict[tuple[int, str], Decision] = {}
        self._last: Decision | None = None

    def decided(self, question: Question) -> Decision | None:
        """What was decided about the same rung of the same plan before, however often it begins again."""
        return self._decided.get((question.rung, question.route))

    def check(self, decision: Decision, state: State) -> None:
        """Refuse a decision that does not count.

        Raises:
            ApplicationError: With an error that says why.
        """
        question = self.question
        if question is None:
            raise final(DecisionRefused(self._nothing_is_asked(state)))
        terms = question.terms
        if terms.approvers and decision.by not in terms.approvers:
            raise final(
                NotAnApprover(
                    f"{decision.by!r} may not decide about job {question.job_id!r}: ask {', '.join(terms.approvers)}"
                )
            )
        if terms.not_by and decision.by == terms.not_by:
            raise final(
                NotAnApprover(
                    f"{decision.by!r} may not decide about a job of their own: four eyes are asked for"
                )
            )
        if not decision.route or not question.route.startswith(decision.route):
            raise final(
                DecisionRefused(
                    f"the decision is about plan {decision.route[:12]!r}, and job {question.job_id!r} waits with plan "
                    f"{question.route[:12]!r}: look at what it costs now, and decide again"
                )
            )
        if decision.via in ("timeout", "deadline"):
            raise final(
                RequestRejected(f"a person decides: via is client, cli or http, not {decision.via!r}")
            )
        if decision.approve and decision.cap is not None and decision.cap < (terms.estimate or 0.0):
            raise final(
                RequestRejected(
                    f"a cap of {decision.cap:g} {terms.unit} is below the estimate of {terms.estimate:g} {terms.unit}: it could "
                    "not be sent; name a higher one, or refuse",
                    estimate=terms.estimate,
                )
            )

    def _nothing_is_asked(self, state: State) -> str:
        if self._last is None:
            return f"the job does not wait for anybody's word: it is {state}"
        verb = "approved" if self._last.approve else "refused"
        return (
            f"{self._last.by!r} has {verb} it already: {self._last.reason}; of two decisions the first stands"
        )

    def take(self, decision: Decision) -> Decision:
        """Close the question with a decision that counts; gives it back as it stands."""
        question = self.question
        assert question is not None  # noqa: S101  `check` has seen to it
        cap = (decision.cap or question.terms.cap) if decision.approve else None
        taken = decision.model_copy(update={"route": question.route, "at": workflow.now(), "cap": cap})
        self._decided[question.rung, question.route] = self._last = taken
        self.question = None
        return taken

    def wait(self, question: Question, share: timedelta | None) -> Coroutine[Any, Any, Decision]:
        """Ask at once, and give back what waits for somebody's decision, or for what stands where nobody decides in time.

        Args:
            question: To be asked.
            share: What the rung may use of the job's deadline; None for as long as it takes.
        """
        self.question = question
        return self._wait(question, share)

    async def _wait(self, question: Question, share: timedelta | None) -> Decision:
        left = question.expires - workflow.now()
        at_risk = share is not None and share < left
        until = max(timedelta(0), share if share is not None and at_risk else left)
        try:
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self.question is None,
                    timeout=until,
                    timeout_summary=f"approval of {question.backend}",
                )
        except asyncio.CancelledError:
            self.question = None
            raise
        return self.decided(question) or self.take(_by_itself(question, at_risk=at_risk))


def _by_itself(question: Question, *, at_risk: bool) -> Decision:
    """What stands where nobody has decided."""
    if at_risk:
        reason = "nobody decided in time; the rest of the job's deadline is for the places below it"
        return Decision(approve=False, by=_NOBODY, reason=reason, via="deadline")
    terms = question.terms
    return Decision(
        approve=terms.at_timeout == "approve",
        by=_NOBODY,
        reason=f"nobody decided within {terms.timeout}",
        via="timeout",
    )


def refusal(standing: Approval, decision: Decision) -> RungGivenUp | ApplicationError:
    """What a job goes on with that may not be sent: the rungs below, or its end."""
    question = standing.question
    asked = f"{question.backend!r} needed an approval ({question.terms.because})"
    if decision.via == "deadline":
        return RungGivenUp(DeadlineAtRisk(f"{asked}; {decision.reason}").document())
    if decision.via == "timeout":
        error = ApprovalTimedOut(
            f"{asked}, and {decision.reason}: send it again under a new key once somebody can decide",
            approvers=list(question.terms.approvers),
        )
        return final(error) if question.terms.at_timeout == "refuse" else RungGivenUp(error.document())
    return RungGivenUp(
        ApprovalRefused(f"{asked}, and {decision.by} refused: {decision.reason}", by=decision.by).document()
    )


def described(question: Question) -> str:
    """A question for the web UI's current details."""
    terms = question.terms
    who = ", ".join(f"`{name}`" for name in terms.approvers) or "anybody"
    but = f", but not `{terms.not_by}`" if terms.not_by else ""
    then = {"refuse": "the job ends", "approve": "it is sent", "next_rung": "the next rung answers"}
    return "\n".join(
        [
            f"\n**Approval is asked** for `{question.backend}`: {terms.because}",
            f"\ncost: {cost(question)}",
            f"\nwho may decide: {who}{but}; until {question.expires:%Y-%m-%d %H:%M:%S} UTC, then {then[terms.at_timeout]}",
            f"\n`qurable approve {question.job_id} --as NAME --reason TEXT`",
        ]
    )


def cost(question: Question) -> str:
    """What it is expected to cost, and the most it may."""
    terms = question.terms
    if terms.estimate is None or terms.cap is None:
        return "nobody can say"
    return f"up to {terms.estimate:.2f} {terms.unit} expected, {terms.cap:.2f} {terms.unit} at most"
