"""The lines of a batch: read in a child, and items that ask the same put together."""

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from temporalio import activity

from activities.boundary import beat
from circuits.batch_groups import comparable, put_together, ready
from circuits.source import SourceLimits
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.batches import BatchHead
from qurable.errors import HybridError, RequestRejected

_READ_LIMITS = Limits(memory_bytes=4096 * MIB, wall_seconds=300.0, cpu_seconds=300.0)
_FORM_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=240.0, cpu_seconds=240.0)
_COMPARED_AT_ONCE = 200
_BYTES_AT_ONCE = 4 * MIB
"""Of requests whose circuits a child compares; one that is too much for it takes no more than these down with it."""


class BatchLines:
    """Reads lines.

    Args:
        pool: Children that read.
        source_limits: What a circuit may be.
    """

    def __init__(self, pool: ChildPool, source_limits: SourceLimits) -> None:
        self._pool = pool
        self._source_limits = source_limits

    async def read(self, head: BatchHead, lines: bytes) -> dict[str, Any]:
        """Groups of items, each item with a seed, and the lines that are broken.

        Raises:
            RequestRejected: The batch is empty or too long, or a line is broken and it is to stop then.
        """
        read = await self._read(head, lines)
        together = await self._together(read["groups"])
        return {**read, "groups": ready(together, head.id)}

    async def _read(self, head: BatchHead, lines: bytes) -> Any:
        payload = {"lines": lines, "project": head.project, "qpy": head.qpy}
        read = await self._pool.call(
            "circuits.batch_file:read_batch", payload, _READ_LIMITS, what="reading the batch"
        )
        broken = read["broken"]
        if broken and (head.on_error == "stop" or not read["groups"]):
            named = "; ".join(f"line {line}: {problem}" for line, problem in broken[:5])
            raise RequestRejected(
                f"the batch has broken lines, and none of it runs: {named}"
                f"{'; and others' if len(broken) > 5 else ''}; mend them, or go on without them (on_error 'go-on')",
                lines=[line for line, _ in broken],
            )
        return read

    async def _together(self, groups: list[Any]) -> list[Any]:
        """Groups whose circuits are the same but for names, formatting and angles as one."""
        at = comparable(groups)
        slices = list(_slices(at, [len(group["request"]) for group in groups]))
        forms: dict[int, Any] = {}
        for done in asyncio.as_completed([self._forms(part, groups) for part in slices]):
            forms |= await done
            beat(f"compared {len(forms)} of {len(at)} circuits")
        return put_together(groups, forms)

    async def _forms(self, part: Sequence[int], groups: Sequence[Any]) -> dict[int, Any]:
        """The forms of some circuits; none where one of them is more than a child can bear."""
        payload = {
            "limits": dataclasses.asdict(self._source_limits),
            "requests": [groups[at]["request"] for at in part],
        }
        try:
            found = await self._pool.call(
                "circuits.batch_forms:read_forms", payload, _FORM_LIMITS, what="comparing circuits"
            )
        except HybridError as failure:
            activity.logger.warning("%d circuits of a batch are not compared: %s", len(part), failure.message)
            return {}
        return {at: form for at, form in zip(part, found, strict=True) if form is not None}


def _slices(numbers: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of groups, as many at a time as a child compares."""
    part: list[int] = []
    held = 0
    for at in numbers:
        if part and (len(part) >= _COMPARED_AT_ONCE or held + sizes[at] > _BYTES_AT_ONCE):
            yield part
            part, held = [], 0
        part.append(at)
        held += sizes[at]
    if part:
        yield part
