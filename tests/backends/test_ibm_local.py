"""IBM's local testing mode: the real client on device snapshots, without an account."""

import io
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from qiskit.circuit import QuantumCircuit

from backends.fake_device import FakeDeviceBackend
from backends.ibm_local import IbmLocalBackend, devices
from isolation.admission import Admission
from isolation.pool import ChildPool
from isolation.runs import Engine
from qurable.contracts.executions import Submission
from qurable.contracts.ibm import DynamicalDecoupling, Generation, IbmOptions, Resilience
from qurable.contracts.targets import AnswerKind
from qurable.errors import RequestRejected, UnknownBackend
from qurable.testing.conformance import Conformance
from qurable.testing.shelf import MemoryShelf
from tests.backends.ibm.submissions import GENERATIONS, Lab, submission
from tests.conftest import MEMORY_MIB
from tests.fakes.scripted import ScriptedBackend

QUESTIONS = [question.__name__ for question in Conformance(ScriptedBackend("x"), MemoryShelf()).questions]


@pytest.fixture
def engine(pool: ChildPool, tmp_path: Path) -> Engine:
    """What simulators run on, without a store."""
    return Engine(pool, Admission(MEMORY_MIB * 2**20, tmp_path), MemoryShelf(), cores=2)


@pytest.mark.parametrize("question", QUESTIONS)
async def test_it_conforms(engine: Engine, question: str) -> None:
    """As every backend does."""
    backend = IbmLocalBackend(engine, "ibm:fake_manila")
    ask: Callable[[], Awaitable[None]] = getattr(Conformance(backend, engine.shelf, noise=True), question)
    await ask()


async def test_it_is_a_rehearsal_and_says_so(engine: Engine) -> None:
    """Nobody may take its answers for a QPU's."""
    snapshot = await IbmLocalBackend(engine, "ibm:fake_manila").target()

    assert (snapshot.answer_kind, snapshot.emulated, snapshot.paid) == (
        AnswerKind.NOISY_SIMULATOR,
        True,
        False,
    )


async def test_it_compiles_for_the_device_of_the_snapshot(engine: Engine) -> None:
    """The same circuit as for the simulator of that snapshot."""
    local = await IbmLocalBackend(engine, "ibm:fake_manila").target_document()

    assert local == await FakeDeviceBackend(engine, "fake_manila").target_document()


async def test_a_wrong_name_has_near_ones(engine: Engine) -> None:
    """A typo costs a second, not a search."""
    with pytest.raises(UnknownBackend, match="fake_manila"):
        await IbmLocalBackend(engine, "ibm:fake_manilla").target()


async def test_devices_are_listed_by_width(engine: Engine) -> None:
    """Whoever asks for any device of IBM's, and has no account, gets the smallest that fits."""
    found = await devices(engine, 5)

    assert all(name.startswith("ibm:fake_") for name in found)
    assert found.index("ibm:fake_manila") < found.index("ibm:fake_brisbane") < found.index("ibm:fake_torino")
    assert "ibm:fake_armonk" not in found  # one qubit


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (IbmOptions(resilience_level=2), "resilience_level"),
        (IbmOptions(resilience=Resilience(zne_mitigation=True)), "resilience"),
        (IbmOptions(dynamical_decoupling=DynamicalDecoupling()), "dynamical_decoupling"),
        (IbmOptions(rep_delay=1e-4), "rep_delay"),
    ],
)
async def test_what_the_client_would_ignore_is_refused(
    engine: Engine, options: IbmOptions, named: str
) -> None:
    """An answer without the mitigation that was asked for is another answer."""
    asked = await _bell(engine, options, observables="ZZ")

    with pytest.raises(RequestRejected, match=f"{named}.*no effect"):
        await IbmLocalBackend(engine, "ibm:fake_manila").submit(asked)


async def test_mode_and_time_limits_are_taken(engine: Engine) -> None:
    """They decide about queue and price, of which there are none, and not about the answer."""
    asked = await _bell(engine, IbmOptions(mode="session", max_execution_time=60))

    assert await IbmLocalBackend(engine, "ibm:fake_manila").submit(asked)


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_the_answer_is_the_noisy_device_s(engine: Engine, generation: Generation) -> None:
    """A Bell pair on Manila: mostly equal bits, some that are not."""
    backend = IbmLocalBackend(engine, "ibm:fake_manila", generation)
    job = await backend.submit(await _bell(engine, IbmOptions()))
    await backend.run(job, lambda _: None)
    (piece,) = await backend.result(job)

    bits = np.load(io.BytesIO(piece.data))["bits"]
    unequal = float(np.isin(bits, (0b01, 0b10)).mean())
    assert bits.shape == (1, 4000, 1)
    assert 0.005 < unequal < 0.15


async def _bell(engine: Engine, options: IbmOptions, observables: str | None = None) -> Submission:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    lab = Lab()
    asked = submission(lab.pub(circuit, shots=4000, observables=observables), options=options)
    for body in lab.circuits.values():
        await engine.shelf.keep_artifact("isa", body)
    return asked
