"""Programs that speak to the service end as they should, whichever way they were written."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.architecture.imports import ROOT
from tests.circuits_at_hand import BELL
from tests.conftest import Service

ASYNC = f"""
import asyncio
from qurable import Qurable

async def main():
    async with Qurable.connect() as qurable:
        job = await qurable.submit({BELL!r}, shots=10, key="exit")
        async for _ in job.events():
            pass
        await job.result()

asyncio.run(main())
"""

PRIMITIVE = """
from qiskit import QuantumCircuit
from qurable import QurableSampler

circuit = QuantumCircuit(1, 1)
circuit.measure(0, 0)
QurableSampler(run_name="exit").run([circuit], shots=10).result()
"""

ROUNDS = 20
_AT_ONCE = 4
_SECONDS = 60


@pytest.mark.long
@pytest.mark.parametrize("program", [ASYNC, PRIMITIVE], ids=["async client", "primitive"])
async def test_a_program_that_is_done_ends_with_zero(service: Service, tmp_path: Path, program: str) -> None:
    """The SDK aborts some programs at their exit; a script's answer must not end in a core dump."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "TEMPORAL_ADDRESS": service.server.target,
        "QURABLE_HOME": str(service.settings.home),
    }
    free = asyncio.Semaphore(_AT_ONCE)

    async def ended() -> int | None:
        async with free, asyncio.timeout(_SECONDS):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                program,
                cwd=tmp_path,
                env=environment,
                stderr=asyncio.subprocess.DEVNULL,
            )
            return await process.wait()

    assert await asyncio.gather(*(ended() for _ in range(ROUNDS))) == [0] * ROUNDS
