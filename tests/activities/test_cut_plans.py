"""What planning a cut refuses before it looks for one, and what jobs side by side take together."""

from typing import Any

import pytest

from activities import cut_plans
from activities.cut_plans import CutPlans, summed
from qurable.contracts.executions import Seconds
from qurable.contracts.routes import Estimate
from qurable.cutting import as_cut
from qurable.errors import RequestRejected
from tests.circuits_at_hand import BELL


async def test_without_the_library_cutting_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker without the dependency group says which one it lacks; nothing is asked of anybody."""
    nobody: Any = None
    monkeypatch.setattr(cut_plans, "absent", list)
    planning = CutPlans(nobody, nobody, nobody, nobody, nobody, nobody, nobody)

    with pytest.raises(
        RequestRejected, match=r"'qiskit_addon_cutting' is not installed here: .*group `cutting`"
    ):
        await planning._plan(as_cut((BELL, ["ZZ"]), backend="aer"))


def test_an_estimate_of_all_jobs_is_known_where_each_ones_is() -> None:
    """Seconds and money add up, waits pass side by side; what one job cannot say nobody can."""
    one = Estimate(wait_seconds=5, qpu_seconds=Seconds(low=1, high=2), price=3.0, currency="USD")
    two = Estimate(wait_seconds=9, qpu_seconds=Seconds(low=2, high=4), price=6.0, currency="USD")

    assert summed([one, two]) == Estimate(
        wait_seconds=9, qpu_seconds=Seconds(low=3, high=6), price=9.0, currency="USD"
    )
    assert summed([one, Estimate()]).price is None
    assert summed([one, Estimate()]).qpu_seconds is None
