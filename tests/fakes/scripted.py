"""A backend that does as it is told, and remembers what it was asked."""

import asyncio
import io
from collections.abc import Sequence

import numpy as np

from qurable.contracts.arrays import size_of
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.executions import (
    Cancelled,
    IsaPub,
    JobRef,
    JobState,
    Phase,
    Piece,
    Submission,
    SubmissionKey,
)
from qurable.contracts.jobs import Method
from qurable.contracts.targets import AnswerKind, TargetDocument, TargetOperation, TargetSnapshot
from qurable.errors import HybridError
from qurable.names import Queue


class ScriptedBackend:
    """Hardware-like: jobs are submitted, polled and fetched.

    Every job goes through the scripted phases, one per look; the last stays. Results read all zeros.

    Args:
        name: As registered.
        *phases: What `state` answers in turn.
        refuses: What `submit` raises.
        lose_answer: `submit` accepts the job and then raises this, once.
    """

    def __init__(
        self,
        name: str,
        *phases: Phase,
        refuses: HybridError | None = None,
        lose_answer: HybridError | None = None,
        failure: ErrorDocument | None = None,
    ) -> None:
        self.name = name
        self._phases = list(phases or (Phase.DONE,))
        self._refuses = refuses
        self._lose_answer = lose_answer
        self._failure = failure
        self._looks: dict[str, int] = {}
        self.jobs: dict[str, Submission] = {}
        self.submitted: list[str] = []
        self.cancelled: list[str] = []
        self.queued = asyncio.Event()

    def script(self, *phases: Phase) -> None:
        """What `state` answers from now on."""
        self._phases = list(phases)
        self._looks.clear()

    async def target(self) -> TargetSnapshot:
        return TargetSnapshot(
            name=self.name,
            answer_kind=AnswerKind.HARDWARE,
            num_qubits=5,
            version="1",
            submit_queue=Queue.SUBMIT,
            run_queue=Queue.HARDWARE,
        )

    async def target_document(self, method: Method = Method.AUTOMATIC) -> TargetDocument:
        names = ("cx", "h", "measure", "rz", "sx", "x")
        return TargetDocument(operations=tuple(TargetOperation(name=name) for name in names))

    async def submit(self, submission: Submission) -> JobRef:
        if self._refuses is not None:
            raise self._refuses
        tag = submission.key.tag
        if tag not in self.jobs:
            self.jobs[tag] = submission
            self.submitted.append(tag)
        if self._lose_answer is not None:
            lost, self._lose_answer = self._lose_answer, None
            raise lost
        return JobRef(backend=self.name, key=submission.key, handle=f"{self.name}-{tag}")

    async def find(self, key: SubmissionKey) -> JobRef | None:
        if key.tag not in self.jobs:
            return None
        return JobRef(backend=self.name, key=key, handle=f"{self.name}-{key.tag}")

    async def state(self, job: JobRef) -> JobState:
        tag = job.key.tag
        if tag in self.cancelled:
            return JobState(phase=Phase.CANCELLED)
        if tag not in self.jobs:
            return JobState(phase=Phase.LOST)
        look = self._looks.get(tag, 0)
        self._looks[tag] = look + 1
        phase = self._phases[min(look, len(self._phases) - 1)]
        if phase is Phase.QUEUED:
            self.queued.set()
        return JobState(phase=phase, error=self._failure if phase is Phase.FAILED else None)

    async def result(self, job: JobRef) -> Sequence[Piece]:
        submission = self.jobs[job.key.tag]
        return [_zeros(number, pub) for number, pub in enumerate(submission.pubs)]

    async def cancel(self, key: SubmissionKey) -> Cancelled:
        if key.tag not in self.jobs:
            return Cancelled(found=False, final=Phase.LOST)
        if key.tag not in self.cancelled:
            self.cancelled.append(key.tag)
        return Cancelled(found=True, final=Phase.CANCELLED)


def _zeros(number: int, pub: IsaPub) -> Piece:
    size = size_of(pub.bindings.shape)
    body = io.BytesIO()
    if pub.observables is None:
        np.savez(body, bits=np.zeros((size, pub.shots, (pub.num_clbits + 7) // 8), dtype=np.uint8))
    else:
        values = len(pub.observables.items) * max(size, 1)
        np.savez(body, index=np.arange(values), evs=np.ones(values), stds=np.zeros(values))
    return Piece(pub=number, start=0, stop=size, data=body.getvalue())
