"""A workflow of the caller's own, with a job in the middle."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from examples.user_workflow.activities import TASK_QUEUE, agreement, write_program
    from qurable.contracts.jobs import Hook, Hooks
    from qurable.temporal.in_workflow import run_job

_TIMEOUT = timedelta(seconds=30)


@workflow.defn
class ParityCheck:
    """Write a program, run it, and say how well its qubits agree."""

    @workflow.run
    async def run(self, qubits: int, backend: str) -> float:
        """Share of the shots in which all qubits agree."""
        program = await workflow.execute_activity(write_program, qubits, start_to_close_timeout=_TIMEOUT)
        judge = Hook(activity="agreement", task_queue=TASK_QUEUE)
        report = await run_job(
            program, step="sample", shots=1000, seed=7, backend=backend, hooks=Hooks(after=judge)
        )
        return float(report.derived)


ACTIVITIES = (write_program, agreement)
