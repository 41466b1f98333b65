"""When a loop ends: a function of its evaluations alone, so that a loop that was killed ends where it would have."""

from circuits.optimisers.protocol import AskTell, Floats
from qurable.contracts.optimisations import StopReason, StopRules


class Stopping:
    """Watches a loop's iterations.

    Args:
        rules: Of the loop; values are minimised here.
        sign: -1 where the loop's own objective is maximised.
        evaluations: Made before it began to watch.
    """

    def __init__(self, rules: StopRules, sign: float, evaluations: int = 0) -> None:
        self._rules = rules
        self._target = None if rules.target is None else sign * rules.target
        self._best = float("inf")
        self._level = float("inf")
        self._idle = 0
        self.evaluations = evaluations

    def told(self, values: Floats) -> None:
        """An iteration's values, shape (k,)."""
        self.evaluations += len(values)
        self._best = min(self._best, float(values.min()))
        if self._best < self._level - self._rules.improvement:
            self._level, self._idle = self._best, 0
        else:
            self._idle += 1

    def reason(self, optimiser: AskTell) -> StopReason | None:
        """Why there is no next iteration; None where there is one."""
        rules = self._rules
        if self._target is not None and self._best <= self._target:
            return StopReason.TARGET
        if optimiser.over or optimiser.reach < rules.tolerance:
            return StopReason.CONVERGED
        if rules.plateau is not None and self._idle >= rules.plateau:
            return StopReason.PLATEAU
        if self.evaluations + len(optimiser.ask()) > rules.evaluations:
            return StopReason.EVALUATIONS
        return None
