"""What the tasks of a loop's child are given."""

from collections.abc import Sequence
from typing import Any

from isolation.limits import MIB, Limits
from isolation.runs import CHILD_OVERHEAD_BYTES
from qurable.contracts.optimisations import PreparedLoop
from store.optimisations import Block

_FIXED_BYTES = 64 * MIB
_WIDEST = 60
_NO_LIMIT_SECONDS = 7 * 24 * 3600.0


def state_bytes(prepared: PreparedLoop) -> int:
    """Memory of one evaluation: the state, and as much beside it."""
    return 32 * (1 << min(prepared.qubits, _WIDEST)) + _FIXED_BYTES


def chunk_limits(prepared: PreparedLoop) -> Limits:
    """Bounds of a child that evaluates; an iteration takes the time it takes."""
    return Limits(state_bytes(prepared) + CHILD_OVERHEAD_BYTES, wall_seconds=_NO_LIMIT_SECONDS)


def turn_limits() -> Limits:
    """Bounds of a child that asks the optimiser and evaluates nothing."""
    return Limits(_FIXED_BYTES + CHILD_OVERHEAD_BYTES, wall_seconds=_NO_LIMIT_SECONDS)


def chunk_payload(prepared: PreparedLoop, log: Sequence[Block]) -> dict[str, Any]:
    """The loop, and its log so far."""
    return {
        "name": prepared.loop.id,
        "prepared": prepared.model_dump_json(),
        "log": [
            {"sizes": list(block.sizes), "x": block.x, "values": block.values, "backend": block.backend}
            for block in log
        ],
    }
