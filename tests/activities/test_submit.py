"""What decides an answer is put together once; what is missing is not made up."""

import pytest
from qiskit import QuantumCircuit

from qurable.contracts.targets import AnswerKind, TargetSnapshot
from qurable.errors import JobFailed
from qurable.names import Queue
from qurable.requests import estimate
from tests.circuits_at_hand import BELL
from tests.conftest import Service, Stack
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


def _one_busy_of(width: int) -> QuantumCircuit:
    circuit = QuantumCircuit(width)
    circuit.ry(0.4, 0)
    return circuit


async def test_idle_qubits_that_are_read_with_errors_are_counted(service: Service) -> None:
    """A density matrix of the one busy qubit is 64 bytes, of the sixteen that are read 64 GiB."""
    report = await service.run(
        estimate((_one_busy_of(16), "Z" * 16), precision=0.05, seed=1, backend="fake_torino")
    )

    assert report.provenance is not None
    assert report.provenance.method == "statevector"
    assert 0.3 < float(report.to_primitive_result()[0].data.evs) < 1.0


async def test_too_many_of_them_are_refused_with_the_sizes(service: Service) -> None:
    """At once, not by the child that runs out of memory."""
    with pytest.raises(JobFailed, match=r"keeps 60 qubits busy.* takes .*, this machine grants") as failure:
        await service.run(
            estimate((_one_busy_of(60), "Z" * 60), precision=0.05, seed=1, backend="fake_torino")
        )

    assert "await_done-0" not in service.journal.steps(failure.value.details["job_id"])
