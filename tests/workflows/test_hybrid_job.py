"""The story of a job, told to its end and to its several bad ends."""

import asyncio
from datetime import timedelta

import pytest
from qiskit import QuantumCircuit

from qurable.client import Job
from qurable.contracts.executions import Cancelled, Phase, SubmissionKey
from qurable.contracts.jobs import Limits, Method, Requirements, SimulatorOptions
from qurable.contracts.reports import State
from qurable.errors import ExecutionFailed, JobCancelled, JobFailed, KeyReused, TargetUnavailable
from qurable.requests import sample
from tests.circuits_at_hand import BELL
from tests.conftest import Service, Stack
from tests.fakes.scripted import ScriptedBackend


class Unhelpful(ScriptedBackend):
    """A place that takes nothing back."""

    async def cancel(self, key: SubmissionKey) -> Cancelled:
        raise ExecutionFailed(f"{key.tag} is not taken back")


async def test_a_bell_circuit_comes_back_as_a_report(service: Service) -> None:
    """Counts, who served it, and every state with its time."""
    report = await service.run(BELL, shots=1000, seed=7, backend="aer")

    assert set(report.counts()) == {"00", "11"}
    assert sum(report.counts().values()) == 1000
    assert (report.state, report.served_by, report.degraded) == (State.COMPLETED, "aer", False)
    assert [event.state for event in report.events] == [
        State.ACCEPTED,
        State.VALIDATED,
        State.COMPILED,
        State.SUBMITTED,
        State.RUNNING,
        State.POST_PROCESSING,
        State.COMPLETED,
    ]
    assert all(
        earlier.at <= later.at for earlier, later in zip(report.events, report.events[1:], strict=False)
    )


async def test_the_same_seed_gives_the_same_counts(service: Service) -> None:
    """A seed is worth its name only if a second job repeats the first."""
    first = await service.run(BELL, shots=1000, seed=11)
    second = await service.run(BELL, shots=1000, seed=11)
    other = await service.run(BELL, shots=1000, seed=12)

    assert first.id != second.id
    assert first.counts() == second.counts()
    assert first.counts() != other.counts()


async def test_shots_of_a_large_state_are_run_where_two_do_not_fit(service: Service) -> None:
    """Aer shares its memory out among shots side by side, and runs none where it is less than two states."""
    circuit = QuantumCircuit(23, 2)
    circuit.x(0)
    for qubit in range(22):
        circuit.cx(qubit, qubit + 1)
    circuit.measure(22, 0)
    circuit.x(22)
    circuit.measure(22, 1)
    report = await service.run(
        circuit, shots=2, backend="aer", simulator=SimulatorOptions(method=Method.STATEVECTOR)
    )

    assert report.counts() == {"01": 2}


async def test_the_same_key_is_the_same_job(service: Service) -> None:
    """A caller that retries must not start a second job."""
    first = await service.run(BELL, shots=100, key="same-key")
    second = await service.run(BELL, shots=100, key="same-key")

    assert second == first
    assert service.journal.steps(first.id).count("accept") == 1


async def test_a_key_with_another_body_is_a_conflict(service: Service) -> None:
    """Silently answering another question would be worse than an error."""
    await service.run(BELL, shots=100, key="conflict")

    with pytest.raises(KeyReused, match="another body"):
        await service.run(BELL, shots=101, key="conflict")


async def test_a_failed_job_gives_its_failure_to_a_second_start(service: Service) -> None:
    """The same key is the same job, failed or not."""
    broken = BELL.replace("cx q", "cy2 q")

    for _ in range(2):
        with pytest.raises(JobFailed, match="line 6, column 1") as failure:
            await service.run(broken, key="fails")
        assert failure.value.error.code == "CircuitRejected"


async def test_hardware_is_submitted_polled_and_fetched(stack: Stack) -> None:
    """A backend that is no simulator goes through the queue, and its states show."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED, Phase.QUEUED, Phase.RUNNING, Phase.DONE)

    async with stack(backends={"qpu": qpu}) as service:
        report = await service.run(BELL, shots=10, backend="qpu")

    assert report.counts() == {"00": 10}
    assert report.served_by == "qpu"
    assert State.RUNNING in [event.state for event in report.events]
    assert len(qpu.submitted) == 1


async def test_a_lost_answer_is_adopted_not_submitted_again(stack: Stack) -> None:
    """The provider took the job and the answer was lost: the retry finds it."""
    qpu = ScriptedBackend("qpu", Phase.DONE, lose_answer=TargetUnavailable("the connection was reset"))

    async with stack(backends={"qpu": qpu}) as service:
        report = await service.run(BELL, shots=10, backend="qpu")

    assert report.state is State.COMPLETED
    assert len(qpu.submitted) == 1


async def _cancelled_in_the_queue(service: Service, qpu: ScriptedBackend) -> Job:
    job = await service.qurable.submit(BELL, shots=10, backend="qpu")
    await asyncio.wait_for(qpu.queued.wait(), 30)
    await job.cancel()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(job.result(), 30)
    return job


async def test_a_cancelled_job_is_withdrawn_from_the_provider(stack: Stack) -> None:
    """Cancelling in the queue cancels the provider's job."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)

    async with stack(backends={"qpu": qpu}) as service:
        job = await _cancelled_in_the_queue(service, qpu)
        status = await job.status()

    assert status.state is State.CANCELLED
    assert qpu.cancelled == qpu.submitted


async def test_a_cancelled_job_is_cancelled_though_nobody_takes_it_back(stack: Stack) -> None:
    """It says that something may run yet; what became of the withdrawal is not what became of the job."""
    qpu = Unhelpful("qpu", Phase.QUEUED)

    async with stack(backends={"qpu": qpu}) as service:
        job = await _cancelled_in_the_queue(service, qpu)
        report = await service.qurable.read_report(job.id)

    assert report.state is State.CANCELLED
    assert report.error is not None
    assert "what it has on 'qpu' is left to the reconciler" in report.error.message


async def test_a_deadline_calls_the_job_off(stack: Stack) -> None:
    """A total limit ends in an honest failure, with nothing left at the provider."""
    qpu = ScriptedBackend("qpu", Phase.QUEUED)

    async with stack(backends={"qpu": qpu}) as service:
        work = sample(
            BELL, shots=10, backend="qpu", fallback="none", limits=Limits(total=timedelta(seconds=1))
        )
        with pytest.raises(JobFailed, match="in all") as failure:
            await service.run(work)

    assert failure.value.error.code == "DeadlineReached"
    assert qpu.cancelled == qpu.submitted


async def test_a_refusal_of_the_provider_ends_the_job_with_its_reason(stack: Stack) -> None:
    """A job fails with the provider's own words, after its class's number of attempts."""
    qpu = ScriptedBackend("qpu", refuses=TargetUnavailable("down for maintenance"))

    async with stack(backends={"qpu": qpu}) as service:
        with pytest.raises(JobFailed, match="down for maintenance"):
            await service.run(BELL, shots=10, backend="qpu", fallback="none")


async def test_a_job_that_is_cancelled_at_once_is_on_record(service: Service) -> None:
    """A key whose job was cancelled must not start it after all, once Temporal has forgotten."""
    job = await service.qurable.submit(BELL, shots=10, key="cancelled-at-once")
    await job.cancel()
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(job.result(), 30)

    report = await service.qurable.read_report(job.id)
    assert report.state is State.CANCELLED
    assert report.error is not None


async def test_requirements_find_the_narrowest_device_with_its_noise(service: Service) -> None:
    """A backend that is chosen by what it offers runs as one that is named."""
    report = await service.run(BELL, shots=2000, seed=7, backend=Requirements(noisy=True, min_qubits=5))

    assert report.served_by.startswith("fake_")
    assert report.route.rungs[0].target.num_qubits == 5
    assert report.provenance is not None
    assert report.provenance.noise == report.route.rungs[0].target.target
    assert set(report.counts()) == {"00", "01", "10", "11"}
