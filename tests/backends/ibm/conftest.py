"""One emulated provider and one child for all tests of the client's driver."""

from collections.abc import AsyncIterator

import pytest

from isolation.pool import ChildPool, Nursery
from tests.backends.ibm.driving import KEY, Driver
from tests.emulator.running import EmulatorProcess


@pytest.fixture(scope="session")
async def provider(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmulatorProcess]:
    emulator = EmulatorProcess(tmp_path_factory.mktemp("provider"))
    emulator.start()
    await emulator.ready()
    yield emulator
    emulator.stop()


@pytest.fixture(scope="session")
async def child(provider: EmulatorProcess) -> AsyncIterator[ChildPool]:
    environment = provider.environment | {"QISKIT_IBM_TOKEN": KEY}
    async with (
        Nursery(preload=("qiskit_ibm_runtime",), environment=environment) as nursery,
        ChildPool(nursery, 1) as pool,
    ):
        yield pool


@pytest.fixture
async def driver(provider: EmulatorProcess, child: ChildPool) -> AsyncIterator[Driver]:
    """Fair weather, and the account of the child's environment."""
    control = provider.control
    await control.settings(
        submissions_per_minute=None, hold=False, tag_lag_seconds=0, usage_limit_seconds=36_000
    )
    await control.forget_log()
    yield Driver(child, provider, {})
    await control.clear()
    await control.tokens(revoke=False, accept=None)
