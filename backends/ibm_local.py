"""`ibm:fake_<device>`: IBM's local testing mode, the real client's primitives on a device snapshot, without an account.

For rehearsing what IBM's hardware would be given. Circuits, values and observables take the way they take to the
provider, and results the way back; in between the client itself runs them on Aer with the snapshot's noise. There is
no queue, no session and no price: `mode`, `max_time` and `max_execution_time` do nothing here. Options that would
change an answer, and that the client ignores in this mode, are refused.
"""

import functools
import math
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from backends.fake_device import FakeDeviceBackend, list_devices
from backends.ibm.options import refuse_inexpressible
from circuits.seeds import seed_at, stretches
from isolation.limits import MIB, Limits
from isolation.runs import Engine
from qurable.backend import Beat
from qurable.contracts.executions import IsaPub, JobRef, JobState, Phase, Piece, Slice, Submission
from qurable.contracts.ibm import Generation, IbmOptions
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import ExecutionFailed, OutOfMemory, RequestRejected

PREFIX = "ibm:fake_"

_READ_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=120.0)
_RUN_SECONDS = 30 * 24 * 3600.0
_OVERHEAD_BYTES = 1536 * MIB
"""The client, and the noise of a whole device, beside what a run computes on."""

_PIECE_EXECUTIONS = 100_000
"""A killed run repeats at most the piece that was under way; each is cut to about this many shots."""


async def devices(engine: Engine, min_qubits: int) -> list[str]:
    """Names of the backends that are wide enough, the narrowest first."""
    found = [
        (snapshot.num_qubits or 0, snapshot.name)
        for snapshot in await list_devices(engine)
        if (snapshot.num_qubits or 0) >= min_qubits
    ]
    return [f"ibm:{name}" for _, name in sorted(found)]


class IbmLocalBackend(FakeDeviceBackend):
    """One device snapshot, run by IBM's client.

    Args:
        engine: What it runs on.
        name: `ibm:fake_` and the device.
        generation: Of the primitives. The estimator of the client-side one measures every qubit of the device, which
            Aer cannot simulate for wide ones.
    """

    def __init__(self, engine: Engine, name: str, generation: Generation = Generation.V2) -> None:
        super().__init__(engine, name)
        self._generation = generation

    def _describe(self, device: TargetSnapshot) -> TargetSnapshot:
        """The snapshot's width, version and date, under this backend's name."""
        return device.model_copy(
            update={
                "name": self.name,
                "emulated": True,
                "description": f"IBM's local testing mode with the noise of a {device.num_qubits}-qubit device snapshot",
            }
        )

    async def submit(self, submission: Submission) -> JobRef:
        """Keep the submission; refuse what this mode cannot do.

        Raises:
            RequestRejected: Options without effect here, or exact values.
            JobTooLarge: One of its runs needs more than the machine grants.
        """
        _refuse_ignored(submission, self._generation, self.name)
        return await super().submit(submission)

    async def state(self, job: JobRef) -> JobState:
        """Done when every piece is kept."""
        if await self._engine.shelf.withdrawn(job.key):
            return JobState(phase=Phase.CANCELLED)
        missing = await self._missing(await self._submission(job))
        return JobState(phase=Phase.QUEUED if missing else Phase.DONE)

    async def run(self, job: JobRef, beat: Beat) -> None:
        """Run the pieces that are not kept yet, one after another: each is a job of the client's.

        Raises:
            StillWaiting: The machine has no room yet.
        """
        submission = await self._submission(job)
        missing = await self._missing(submission)
        if not missing:
            return
        needed = max(_memory_bytes(submission.pubs[piece.pub]) for piece in missing)
        async with self._room(job, needed):
            for done, piece in enumerate(missing):
                beat(f"{done} of {len(missing)} pieces done")
                await self._run_piece(submission, piece)

    async def _run_piece(self, submission: Submission, piece: Slice) -> None:
        pub = submission.pubs[piece.pub]
        payload = {
            "device": self._device,
            "generation": str(self._generation),
            "submission": submission.model_dump_json(),
            "slice": piece.model_dump(),
            "circuit": await self._engine.shelf.artifact(pub.isa),
            "threads": self._engine.cores,
        }
        limits = Limits(memory_bytes=_memory_bytes(pub), wall_seconds=_RUN_SECONDS)
        brought = await self._engine.pool.call(
            "backends.ibm_local:rehearse", payload, limits, what="IBM's local testing mode"
        )
        await self._engine.shelf.keep_pieces(submission.key, [Piece(**brought)])
        self._engine.failpoint("simulation:piece_kept")

    async def _missing(self, submission: Submission) -> list[Slice]:
        finished = await self._engine.shelf.finished(submission.key)
        return [
            piece for piece in _division(submission) if (piece.pub, piece.start, piece.stop) not in finished
        ]


def _division(submission: Submission) -> Sequence[Slice]:
    """The pieces of a submission; they depend on it alone."""
    pieces = []
    for number, pub in enumerate(submission.pubs):
        length = max(1, _PIECE_EXECUTIONS // max(1, pub.shots))
        pieces += [
            Slice(pub=number, start=start, stop=min(start + length, last))
            for first, last in stretches(pub.seeds, pub.bindings.size)
            for start in range(first, last, length)
        ]
    return pieces


def _memory_bytes(pub: IsaPub) -> int:
    return pub.memory_bytes + _OVERHEAD_BYTES


def _refuse_ignored(submission: Submission, generation: Generation, name: str) -> None:
    options = submission.ibm
    refuse_inexpressible(options, submission.kind, generation)
    if any(not pub.shots for pub in submission.pubs):
        raise RequestRejected(
            f"{name!r} gives no exact values, as hardware does not; name a precision or shots, or use 'aer'"
        )
    ignored = ["init_qubits", "rep_delay", "use_fractional_gates"]
    if generation is Generation.V2:
        ignored += ["dynamical_decoupling", "twirling", "resilience"]
        if options.resilience_level:
            raise _ignores(name, "resilience_level")
    for option in ignored:
        if getattr(options, option) != getattr(IbmOptions(), option):
            raise _ignores(name, option)


def _ignores(name: str, option: str) -> RequestRejected:
    return RequestRejected(
        f"option {option!r} has no effect in IBM's local testing mode, so {name!r} does not take it: leave it out, or rehearse on the "
        "emulator (`qurable emulate`)",
        option=option,
    )


def rehearse(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: run a piece of a submission with IBM's client in its local testing mode.

    The piece starting at binding k runs with the pub's seed + 2113 k + 1: the client takes the seed 0 for none.

    Args:
        payload: `{"device", "generation", "submission": document, "slice", "circuit": QPY, "threads"}`.

    Returns:
        The piece's fields.

    Raises:
        OutOfMemory: Aer has not enough for it.
        ExecutionFailed: The client or Aer cannot run it.
    """
    from qiskit.exceptions import QiskitError

    from backends.ibm.pubs import post
    from backends.ibm.results import pieces
    from backends.ibm.split import DeviceLimits

    submission = Submission.read(payload["submission"])
    piece = Slice.model_validate(payload["slice"])
    pub = submission.pubs[piece.pub]
    began = time.perf_counter()
    simulator = _simulator(payload["device"], str(pub.method), payload["threads"])
    local: dict[str, Any] = {"seed_simulator": seed_at(pub.seed, pub.seeds, piece.start) + 1}
    if payload["generation"] == Generation.EXECUTOR:
        local["angle_decimals"] = 15  # its own 5 would change the angles
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = post(
                simulator,
                submission,
                [piece],
                {pub.isa: payload["circuit"]},
                generation=Generation(payload["generation"]),
                device=DeviceLimits(rep_delay_range=(0.0, math.inf)),
                local=local,
            ).result()
    except QiskitError as error:
        reason = str(error.message)[:500]
        if "memory" in reason.lower():
            raise OutOfMemory(f"Aer refused the circuit: {reason}") from None
        raise ExecutionFailed(f"IBM's local testing mode could not run it: {reason}") from None
    return pieces(result, submission, [piece], seconds=time.perf_counter() - began)[0]


@functools.lru_cache(maxsize=4)
def _simulator(device: str, method: str, threads: int) -> Any:
    """Aer as IBM's local testing mode sets it up for a snapshot."""
    from qiskit_aer import AerSimulator
    from qiskit_ibm_runtime.fake_provider import FakeProviderForBackendV2

    snapshot = FakeProviderForBackendV2().backend(device)
    return AerSimulator.from_backend(snapshot, method=method, max_parallel_threads=threads)
