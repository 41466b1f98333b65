"""What decides an answer is put together once; what is missing is not made up."""

import pytest

from qurable.contracts.targets import AnswerKind, TargetSnapshot
from qurable.errors import JobFailed
from qurable.names import Queue
from tests.circuits_at_hand import BELL
from tests.conftest import Stack
from tests.fakes.scripted import ScriptedBackend


class _Nameless(ScriptedBackend):
    """A noisy simulator whose snapshot forgets to say which target's noise it has."""

    async def target(self) -> TargetSnapshot:
        changes = {
            "answer_kind": AnswerKind.NOISY_SIMULATOR,
            "simulator": True,
            "submit_queue": Queue.WORKFLOWS,
        }
        return (await super().target()).model_copy(update=changes)


async def test_a_noisy_simulator_is_never_run_without_its_noise(stack: Stack) -> None:
    """Counts without noise under a noisy backend's name would be believed."""
    twin = _Nameless("twin")

    async with stack(backends={"twin": twin}) as service:
        with pytest.raises(
            JobFailed, match=r"'twin' simulates a device's noise and its route names no target"
        ) as failure:
            await service.run(BELL, shots=10, backend="twin")

    assert failure.value.error.code == "InternalError"
    assert twin.submitted == []
