"""What a withdrawal says of a job: its answer is used only where nothing else of it can be alive."""

import pytest

from qurable.contracts.executions import Cancelled, Phase
from qurable.contracts.stages import Withdrawn

_DONE = Cancelled(found=True, final=Phase.DONE)
_GONE = Cancelled(found=True, final=Phase.CANCELLED)


@pytest.mark.parametrize(
    ("withdrawn", "all_done"),
    [
        (Withdrawn(found=(_DONE,)), True),
        (Withdrawn(found=(_DONE, _GONE)), False),
        (Withdrawn(found=(_DONE,), left=1), False),
        (Withdrawn(), False),
    ],
)
def test_a_job_had_ended_before_its_withdrawal_where_every_submission_had(
    withdrawn: Withdrawn,
    all_done: bool,
) -> None:
    """One that nobody could be asked about may run yet."""
    assert withdrawn.all_done is all_done
