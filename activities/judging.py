"""The trust boundary: an answer is looked at before it is recorded, and explained where it is believed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from activities.references import References
from activities.reporting import Kept
from circuits.asked_checks import Reference, asked
from circuits.error_budget import Ran, budget_of
from circuits.explanation import contenders, explain
from circuits.runnable import pubs_of
from circuits.verdict_rules import Answered, always
from circuits.verdicts import verdict_of
from qurable.contracts.base import digest
from qurable.contracts.checks import ClassicalAnswer, Passed, Ruling, Verdict
from qurable.contracts.confidence import Confidence
from qurable.contracts.explanations import Contender, ErrorBudget, Explanation
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.contracts.problems import ProblemAnswer
from qurable.contracts.reports import Provenance
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.twins import TwinRecord
from qurable.errors import AnswerRefused

_FAILED_TOLD = 10
"""Failed checks that the details of a refusal hold: they travel with every attempt."""


@dataclass(frozen=True)
class Judged:
    """An answer that is believed, and why.

    Attributes:
        verdict: Accept or down-rank.
        explanation: How it came about.
        error_budget: How far it is off.
        against: It and the best of the other kind.
    """

    verdict: Verdict
    explanation: Explanation
    error_budget: ErrorBudget
    against: tuple[Contender, ...]


class Judge:
    """Judges answers.

    Args:
        references: Bring what answers are compared with.
    """

    def __init__(self, references: References) -> None:
        self._references = references

    async def judge(
        self,
        request: SampleJob | EstimateJob | SolveJob,
        held: Kept,
        results: Sequence[SampleResult | EstimateResult],
        answer: ProblemAnswer | None,
        provenance: Provenance,
        confidence: Sequence[Confidence],
        twins: Sequence[TwinRecord],
    ) -> Judged:
        """Look at an answer, and explain it.

        Raises:
            AnswerRefused: Naming the rule that decided.
        """
        checks = request.checks
        brought = await self._references.bring(request, checks, held)
        problem = None if isinstance(request, EstimateJob) else request.problem
        pubs = () if held.rung.target.solves_problems else pubs_of(request)[1]
        answered = Answered(pubs, results, problem, answer)

        def look() -> Verdict:
            findings = [
                *always(answered),
                *asked(answered, checks, brought, seed=_seed(held)),
            ]
            return verdict_of(findings, checks.level)

        verdict = await asyncio.to_thread(look)
        if verdict.ruling is Ruling.REFUSE:
            failed = [check for check in verdict.checks if check.outcome is Passed.FAILED]
            raise AnswerRefused(
                f"the answer of {held.rung.name!r} is refused by its check {verdict.because}",
                rule=verdict.rule,
                failed=[check.model_dump(mode="json") for check in failed[:_FAILED_TOLD]],
            )
        ran = Ran(
            answered,
            held.rung,
            held.route,
            provenance.circuits,
            confidence,
            sum(piece.seconds for piece in held.pieces),
            request.ibm,
        )
        solver = _solver(request, brought) or await self._references.cheap_answer(request, held)
        return Judged(
            verdict,
            explain(ran, provenance.method, verdict, twins),
            await asyncio.to_thread(budget_of, ran),
            contenders(ran, solver),
        )


def _solver(request: SampleJob | EstimateJob | SolveJob, brought: dict[int, Reference]) -> Reference | None:
    """What a solver brought for a check; None where none was asked for."""
    asked_for = [
        brought[number]
        for number, check in enumerate(request.checks.items)
        if isinstance(check, ClassicalAnswer)
    ]
    return next((reference for reference in asked_for if reference.answer is not None), None)


def _seed(held: Kept) -> int:
    """Of dealings and draws: the same for the same job, so that a stage that runs again finds the same."""
    return int(digest(f"checks\0{held.submitted.job.key.job_id}")[:8], 16)
