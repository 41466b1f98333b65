"""Start the caller's workflow and print what it found."""

import uuid

from examples.user_workflow.activities import TASK_QUEUE
from examples.user_workflow.workflows import ParityCheck
from qurable.temporal.connect import connected
from qurable.temporal.run_main import run_main


async def main() -> None:
    """Check the parity of five qubits on a noisy simulator."""
    async with connected() as client:
        found = await client.execute_workflow(
            ParityCheck.run, args=[5, "fake_manila"], id=f"parity-{uuid.uuid4()}", task_queue=TASK_QUEUE
        )
    print(f"all five qubits agree in {found:.1%} of the shots")


if __name__ == "__main__":
    run_main(main())
