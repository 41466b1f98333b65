"""Every backend, and the fake, answers the same questions."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from backends.aer import AerBackend, AerGpuBackend
from backends.fake_device import FakeDeviceBackend
from isolation.admission import Admission
from isolation.pool import ChildPool
from isolation.runs import Engine
from qurable.contracts.executions import Phase
from qurable.contracts.jobs import Method
from qurable.testing.conformance import Conformance
from qurable.testing.shelf import MemoryShelf
from tests.conftest import MEMORY_MIB
from tests.fakes.scripted import ScriptedBackend

QUESTIONS = [question.__name__ for question in Conformance(ScriptedBackend("x"), MemoryShelf()).questions]


def _ask(conformance: Conformance, question: str) -> Awaitable[None]:
    chosen: Callable[[], Awaitable[None]] = getattr(conformance, question)
    return chosen()


@pytest.fixture
def engine(pool: ChildPool, tmp_path: Path) -> Engine:
    """What simulators run on, without a store."""
    return Engine(pool, Admission(MEMORY_MIB * 2**20, tmp_path), MemoryShelf(), cores=2)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    "method", [Method.STATEVECTOR, Method.STABILIZER, Method.MATRIX_PRODUCT_STATE, Method.DENSITY_MATRIX]
)
async def test_aer_conforms(engine: Engine, question: str, method: Method) -> None:
    """By every simulation method."""
    if method is Method.STABILIZER and question == "bindings_keep_their_order":
        pytest.skip("a free rotation is not Clifford")
    await _ask(Conformance(AerBackend(engine), engine.shelf, method=method), question)


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_noisy_device_conforms(engine: Engine, question: str) -> None:
    """With the noise of a device snapshot."""
    backend = FakeDeviceBackend(engine, "fake_manila")
    await _ask(Conformance(backend, engine.shelf, method=Method.DENSITY_MATRIX, noise=True), question)


@pytest.mark.gpu
@pytest.mark.parametrize("question", QUESTIONS)
async def test_aer_on_a_gpu_conforms(engine: Engine, question: str) -> None:
    """The same code, on the device."""
    backend = AerGpuBackend(engine)
    await backend.target()
    await _ask(Conformance(backend, engine.shelf, method=Method.STATEVECTOR), question)


@pytest.mark.parametrize("question", QUESTIONS)
async def test_the_fake_conforms(question: str) -> None:
    """A fake that broke the Protocol would make every test that uses it worthless."""
    backend = ScriptedBackend("qpu", Phase.QUEUED, Phase.DONE)
    await _ask(Conformance(backend, MemoryShelf()), question)
