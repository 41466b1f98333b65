"""Jobs are priced and run in children: what a client sent is never parsed where jobs are kept."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from emulator.jobs import Job
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool, Nursery
from qurable.errors import ChildCrashed, HybridError

_log = logging.getLogger(__name__)

_PRICE_LIMITS = Limits(memory_bytes=4096 * MIB, wall_seconds=120.0)
_RUN_LIMITS = Limits(memory_bytes=4096 * MIB, wall_seconds=1800.0)
_TRIES = 2


@dataclass(frozen=True)
class Calibrated:
    """A device as it is calibrated.

    Attributes:
        backend: Its name.
        properties: JSON text, where they are not the snapshot's own.
    """

    backend: str
    properties: str | None


Material = Callable[[Job], Awaitable[tuple[str, Calibrated]]]
"""Gives what a job is computed from: JSON text of its parameters, and the device."""

Computed = Callable[[Job, str | None, str | None], Awaitable[None]]
"""Is told of a job, its result's text, or why it cannot be computed."""


@dataclass(frozen=True)
class Estimate:
    """What a job will take.

    Attributes:
        executions: Circuits times shots, broadcast.
        qpu_seconds: By IBM's published formula.
        refusal: Why it cannot be emulated honestly, as IBM's code and a message.
    """

    executions: int
    qpu_seconds: float
    refusal: tuple[int, str] | None


class Computing:
    """Runs accepted jobs at once, in order, whatever the emulated queue: their results wait for their time.

    Args:
        material: Of a job.
        computed: Told of each end.
        size: Jobs that are computed at once.
    """

    def __init__(self, material: Material, computed: Computed, size: int = 1) -> None:
        self._material = material
        self._computed = computed
        self._nursery = Nursery(preload=("qiskit_ibm_runtime",))
        self._pricing = ChildPool(self._nursery, 1)
        self._running = ChildPool(self._nursery, size)
        self._size = size
        self._waiting: asyncio.Queue[Job] = asyncio.Queue()
        self._current: dict[str, asyncio.Task[None]] = {}
        self._workers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Let the children's modules load while requests are answered already."""
        await self._nursery.__aenter__()
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._size)]
        return self

    async def __aexit__(self, *exception: object) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._pricing.__aexit__(*exception)
        await self._running.__aexit__(*exception)
        await self._nursery.__aexit__(*exception)

    async def price(self, program: str, params: str, device: Calibrated) -> Estimate:
        """What a job will take.

        Raises:
            HybridError: Its parameters cannot be read.
        """
        payload = _payload(program, params, device)
        found: Mapping[str, Any] = await self._pricing.call(
            "emulator.execution:describe", payload, _PRICE_LIMITS, what="reading the job"
        )
        refusal = found["refusal"]
        return Estimate(
            int(found["executions"]),
            float(found["qpu_seconds"]),
            None if refusal is None else (int(refusal["code"]), str(refusal["message"])),
        )

    def take(self, job: Job) -> None:
        """Compute a job when those before it are done."""
        self._waiting.put_nowait(job)

    def drop(self, job: Job) -> None:
        """Nobody needs its result any more."""
        if job.id in self._current:
            self._current[job.id].cancel()

    async def _work(self) -> None:
        while True:
            job = await self._waiting.get()
            if job.final:
                continue
            self._current[job.id] = asyncio.create_task(self._compute(job))
            try:
                await asyncio.wait({self._current[job.id]})
            finally:
                computing = self._current.pop(job.id)
                computing.cancel()
                (ended,) = await asyncio.gather(computing, return_exceptions=True)
            if isinstance(ended, Exception):  # as where the disk is full; the next start computes it again
                _log.error("job %s could not be computed", job.id, exc_info=ended)

    async def _compute(self, job: Job) -> None:
        params, device = await self._material(job)
        payload = {**_payload(job.program, params, device), "seed": job.seed, "noise": job.noise}
        try:
            found = await self._run(payload)
        except HybridError as error:
            await self._computed(job, None, f"{error.code}: {error.message}")
        else:
            await self._computed(job, str(found["body"]), None)

    async def _run(self, payload: dict[str, Any]) -> Mapping[str, Any]:
        """The result; a child that dies by itself is given a second chance."""
        for _ in range(_TRIES - 1):
            with contextlib.suppress(ChildCrashed):
                return await self._call(payload)
        return await self._call(payload)

    async def _call(self, payload: dict[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await self._running.call(
            "emulator.execution:run", payload, _RUN_LIMITS, what="running the job"
        )
        return found


def _payload(program: str, params: str, device: Calibrated) -> dict[str, Any]:
    payload = {"program": program, "params": params, "backend": device.backend}
    return payload if device.properties is None else {**payload, "properties": device.properties}
