"""A place that costs money and draws its shots from the seeds that it is given: the same seed, the same counts."""

import io
from collections.abc import Sequence

import numpy as np

from circuits.seeds import seed_at
from qurable.contracts.executions import IsaPub, JobRef, Piece
from qurable.contracts.targets import TargetSnapshot
from tests.fakes.paid import PaidScriptedBackend


class SeededBackend(PaidScriptedBackend):
    """Runs one circuit only: each parameter turns the qubit of its number by rx, and all are read into one byte."""

    async def target(self) -> TargetSnapshot:
        return (await super().target()).model_copy(update={"paid": True})

    async def result(self, job: JobRef) -> Sequence[Piece]:
        return [_drawn(number, pub) for number, pub in enumerate(self.jobs[job.key.tag].pubs)]


def _drawn(number: int, pub: IsaPub) -> Piece:
    angles = np.reshape(pub.bindings.values, (pub.bindings.size, len(pub.bindings.parameters)))
    bits = np.zeros((len(angles), pub.shots, 1), dtype=np.uint8)
    for binding, turned in enumerate(angles):
        draw = np.random.default_rng(seed_at(pub.seed, pub.seeds, binding))
        ones = draw.random((pub.shots, len(turned))) < np.sin(turned / 2) ** 2
        bits[binding, :, 0] = ones @ (1 << np.arange(len(turned)))  # bit i of the byte is qubit i
    body = io.BytesIO()
    np.savez(body, bits=bits)
    return Piece(pub=number, start=0, stop=len(angles), data=body.getvalue())
