"""Why a job ended as it did: what `qurable why` shows, on one page."""

from qurable.contracts.base import Contract
from qurable.contracts.changes import Change
from qurable.contracts.checks import Verdict
from qurable.contracts.explanations import Contender, ErrorBudget, Explanation
from qurable.contracts.reports import Attempt, JobReport, State
from qurable.contracts.routes import Considered
from qurable.contracts.sharing import Share


class Why(Contract):
    """A job's report, without its results and records: what was decided, on which grounds.

    Attributes:
        id: Job id.
        state: How it ended.
        asked: Backend preference in one line.
        served_by: Who answered, empty where nobody did.
        because: Why it came from there, or why there is no answer, in one sentence.
        explanation: How the answer came about; None where there is none.
        verdict: What was made of it, and by which rule.
        error_budget: How far it is off, by source, and what would halve that.
        against: It, and the best of the other kind, by cost, time and quality.
        considered: Every place that was thought of, with the verdict on it.
        taken: Those that were on the route, in order.
        tried: Those that were asked and did not answer.
        changes: What was changed about it on each place after something had failed there, in order.
        shared: Its part of a provider job that it shared; None where it shared none.
    """

    id: str
    state: State
    asked: str
    served_by: str = ""
    because: str
    explanation: Explanation | None = None
    verdict: Verdict | None = None
    error_budget: ErrorBudget = ErrorBudget()
    against: tuple[Contender, ...] = ()
    considered: tuple[Considered, ...] = ()
    taken: tuple[str, ...] = ()
    tried: tuple[Attempt, ...] = ()
    changes: tuple[Change, ...] = ()
    shared: Share | None = None

    @classmethod
    def of(cls, report: JobReport) -> "Why":
        """From a job's report."""
        return cls(
            id=report.id,
            state=report.state,
            asked=report.asked,
            served_by=report.served_by,
            because=report.because,
            explanation=report.explanation,
            verdict=report.verdict,
            error_budget=report.error_budget,
            against=report.against,
            considered=report.route.considered,
            taken=tuple(rung.name for rung in report.route.rungs),
            tried=report.tried,
            changes=report.changes,
            shared=report.shared,
        )
