"""`classical:<solver>` for jobs that carry a problem: the solvers under the contract of every backend.

The handle is the hash of the whole submission, with the problem, the seed and the limit. The answer is one piece,
kept under the handle before `run` returns; a worker that is killed before that leaves nothing, and the next one
computes the same again.
"""

import io
import time
from collections.abc import Sequence

import numpy as np
from pydantic import ValidationError

from circuits.assembly import arrays_of
from fallback.solvers.problems import SOLVERS, check_installed
from fallback.solvers.protocol import ProblemPayload, Solution, versions_of
from isolation.limits import MIB, Limits
from isolation.runs import Engine
from isolation.simulation import SimulatedBackend
from qurable.backend import Beat, QuantumBackend
from qurable.contracts.executions import JobRef, JobState, Phase, Piece, ProblemTask, Submission
from qurable.contracts.jobs import Method
from qurable.contracts.targets import AnswerKind, TargetDocument, TargetSnapshot
from qurable.errors import InternalError, JobTooLarge, ResultRefused, UnsupportedCircuit
from qurable.names import Queue

_ADDRESS_SPACE_BYTES = 3072 * MIB
"""What libraries reserve beyond what they use: numba's compiler most of all."""

_GRACE_SECONDS = 60.0
"""After its own limit a solver still has to put its answer together."""


class ProblemBackend(SimulatedBackend):
    """One solver.

    Args:
        name: As registered, `classical:<solver>`.
        engine: What it runs on.
    """

    def __init__(self, name: str, engine: Engine) -> None:
        super().__init__(name, engine)
        self._solver = SOLVERS[name]

    async def target(self) -> TargetSnapshot:
        """It reads no circuit; the solver decides about a problem.

        Raises:
            BackendNotInstalled: One of the solver's libraries is absent.
        """
        check_installed(self.name)
        return TargetSnapshot(
            name=self.name,
            answer_kind=AnswerKind.CLASSICAL,
            simulator=True,
            solves_problems=True,
            version=", ".join(f"{name} {at}" for name, at in versions_of(self._solver.distributions).items()),
            submit_queue=Queue.WORKFLOWS,
            run_queue=Queue.CLASSICAL,
            description=self._solver.description,
        )

    async def target_document(self, method: Method = Method.AUTOMATIC) -> TargetDocument:  # noqa: ARG002
        """There is none.

        Raises:
            UnsupportedCircuit: Always.
        """
        raise UnsupportedCircuit(
            f"backend {self.name!r} answers problems and runs no circuits: ask for it with a problem alone"
        )

    async def submit(self, submission: Submission) -> JobRef:
        """Keep the submission; refuse what can never fit.

        Raises:
            UnsupportedCircuit: It carries no problem, or not this solver's.
            JobTooLarge: It needs more memory than the machine grants.
        """
        if submission.problem is None:
            raise UnsupportedCircuit(
                f"backend {self.name!r} answers problems and runs no circuits: give the job's `problem`"
            )
        found = self._solver.fits(submission.problem.problem)
        if not found.suits:
            raise UnsupportedCircuit(f"backend {self.name!r} does not suit: {found.because}")
        capacity = self._engine.admission.capacity_bytes
        if found.memory_bytes > capacity:
            raise JobTooLarge(
                f"backend {self.name!r} takes {found.memory_bytes / MIB:,.0f} MiB for this problem; this machine grants "
                f"{capacity / MIB:,.0f} MiB at most: use a worker on a larger machine (QURABLE_MEMORY_MIB)",
                needed_bytes=found.memory_bytes,
                limit_bytes=capacity,
            )
        return self._ref(submission.key, await self._engine.shelf.keep_submission(submission))

    async def state(self, job: JobRef) -> JobState:
        """Done when the answer is kept."""
        if await self._engine.shelf.withdrawn(job.key):
            return JobState(phase=Phase.CANCELLED)
        await self._submission(job)
        kept = await self._engine.shelf.finished(job.key)
        return JobState(phase=Phase.DONE if kept else Phase.QUEUED)

    async def run(self, job: JobRef, beat: Beat) -> None:
        """Have the solver answer in a child, and keep its answer; return at once if it is there.

        Raises:
            StillWaiting: The machine has no room for it yet.
            HybridError: The solver has no answer.
        """
        task = (await self._submission(job)).problem
        if task is None:
            raise InternalError(f"job {job.key.tag} of {self.name!r} carries no problem")
        if await self._engine.shelf.finished(job.key):
            return
        check_installed(self.name)
        found = self._solver.fits(task.problem)
        async with self._room(job, found.memory_bytes):
            beat(f"{self._solver.name}: {found.because}")
            began = time.monotonic()
            answer = await self._answer(task, found.memory_bytes)
            piece = Piece(pub=0, start=0, stop=1, data=_packed(answer), seconds=time.monotonic() - began)
            self._engine.failpoint("problem:solved")
            await self._engine.shelf.keep_pieces(job.key, [piece])
            self._engine.failpoint("problem:kept")

    async def _answer(self, task: ProblemTask, memory_bytes: int) -> str:
        seconds = task.within.total_seconds()
        payload = ProblemPayload(task.problem, task.seed, seconds).pack()
        limits = Limits(memory_bytes + _ADDRESS_SPACE_BYTES, wall_seconds=seconds + _GRACE_SECONDS)
        answer: str = await self._engine.pool.call(
            "fallback.solvers.problems:solve_problem",
            {"backend": self.name, **payload},
            limits,
            what=f"the solver {self._solver.name!r}",
        )
        return answer


def _packed(answer: str) -> bytes:
    body = io.BytesIO()
    np.savez_compressed(body, solution=np.frombuffer(answer.encode(), dtype=np.uint8))
    return body.getvalue()


def solution_of(pieces: Sequence[Piece]) -> Solution:
    """The answer that a solver's run kept.

    Raises:
        ResultRefused: There is none.
    """
    try:
        return Solution.read(arrays_of(pieces[0])["solution"].tobytes())
    except (IndexError, KeyError, ValidationError) as error:
        raise ResultRefused(f"the solver's run kept no readable answer: {error}") from None


def problem_backends(engine: Engine) -> dict[str, QuantumBackend]:
    """Every solver's backend by its name."""
    return {name: ProblemBackend(name, engine) for name in SOLVERS}
