"""An emulated provider, and a child that drives the real client against it."""

import functools
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from qiskit.circuit import QuantumCircuit

from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.executions import Submission
from qurable.contracts.ibm import Generation
from qurable.errors import HybridError
from tests.backends.ibm.submissions import Lab, submission, whole
from tests.chaos.harness import until
from tests.emulator.running import EmulatorProcess

DEVICE = "ibm_manila"
KEY = "the-key-that-must-not-show-0123456789"
READ_SECONDS = 2.0

SOON = Limits(memory_bytes=2048 * MIB, wall_seconds=40.0)
"""Nothing that goes wrong may take longer: then the child is killed and `OutOfTime` is not the class that is expected."""


@functools.cache
def bell() -> tuple[Lab, Submission]:
    """A Bell pair on the device, compiled once."""
    lab = Lab("FakeManilaV2")
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return lab, submission(lab.pub(circuit, shots=100))


@dataclass
class Driver:
    """Tasks of `backends.ibm.tasks` in one child, and the provider they talk to.

    Attributes:
        pool: With one child.
        emulator: The provider.
        account: Whose tasks they are.
        pieces: What `fetch` emitted last.
    """

    pool: ChildPool
    emulator: EmulatorProcess
    account: dict[str, Any]
    pieces: list[Any] = field(default_factory=list)

    async def ask(self, task: str, **payload: Any) -> Any:
        """A task's answer."""
        self.pieces.clear()

        async def keep(piece: Any) -> None:
            self.pieces.append(piece)

        asked = {"account": self.account, "read_seconds": READ_SECONDS} | payload
        module, _, name = task.rpartition(":")
        return await self.pool.call(f"{module or 'backends.ibm.tasks'}:{name}", asked, SOON, keep)

    async def refused(self, task: str, **payload: Any) -> HybridError:
        """The error a task ends with."""
        with pytest.raises(HybridError) as caught:
            await self.ask(task, **payload)
        error = caught.value
        assert KEY not in str(error)
        assert KEY not in str(error.details)
        return error

    async def forget(self) -> None:
        """Let the child sign in anew."""
        await self.ask("tests.backends.ibm.probes:forget")

    def posting(self, tag: str, generation: Generation = Generation.V2, **changes: Any) -> dict[str, Any]:
        """Payload of a `post`."""
        lab, asked = bell()
        return {
            "device": DEVICE,
            "tags": [tag],
            "session": "",
            "generation": str(generation),
            "submission": asked.model_dump_json(),
            "slices": [piece.model_dump() for piece in whole(asked)],
            "circuits": lab.circuits,
            "not_after": time.time() + 60,
        } | changes

    async def post(self, tag: str, generation: Generation = Generation.V2, **changes: Any) -> str:
        """Submit; gives back the job's id."""
        answer = await self.ask("post", **self.posting(tag, generation, **changes))
        return str(answer["id"])

    async def fetch(self, job_id: str) -> list[Any]:
        """The pieces of a job's result."""
        await self.ask("fetch", **self.fetching(job_id))
        return self.pieces

    def fetching(self, job_id: str) -> dict[str, Any]:
        """Payload of a `fetch`."""
        _, asked = bell()
        return {
            "id": job_id,
            "submission": asked.model_dump_json(),
            "slices": [piece.model_dump() for piece in whole(asked)],
        }

    async def finish(self, job_id: str) -> None:
        """Put the provider's clock forward until the job has ended."""

        async def ended() -> bool:
            await self.emulator.control.advance(60)
            return (await self.emulator.control.job(job_id))["status"] not in ("Queued", "Running")

        await until("the job has ended", ended)

    async def jobs(self, tag: str) -> list[str]:
        """Ids of the jobs that the provider has under a tag, whatever its index says."""
        state = await self.emulator.control.state()
        return [job["id"] for job in state["jobs"] if tag in job["tags"]]

    async def submissions(self) -> int:
        """How many submissions reached the provider since its log was forgotten."""
        log = await self.emulator.control.log()
        return sum(line["method"] == "POST" and line["path"].endswith("/jobs") for line in log)
