"""IBM's devices answer the questions that every backend is asked, with either generation of primitives."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from backends.ibm.accounts import Accounts
from backends.ibm.provider import Provider, Rules
from backends.ibm_runtime import IbmBackend, backend_name, device_of
from isolation.pool import ChildPool, Nursery
from qurable.contracts.ibm import Generation
from qurable.testing.conformance import Conformance
from qurable.testing.shelf import MemoryShelf
from store.database import Database
from store.ledger import StoreLedger
from store.shelf import StoreShelf
from tests.emulator.running import EmulatorProcess
from tests.fakes.scripted import ScriptedBackend
from tests.paid import DEVICE, fair_weather

QUESTIONS = [question.__name__ for question in Conformance(ScriptedBackend("x"), MemoryShelf()).questions]


@pytest.fixture(scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """A real store: what is sent is decided in its rows."""
    async with Database(f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}") as database:
        yield database


@pytest.fixture(scope="module")
async def children(ibm_nursery: Nursery) -> AsyncIterator[ChildPool]:
    """Two children, which stay from question to question."""
    async with ChildPool(ibm_nursery, 2) as pool:
        yield pool


@pytest.fixture(params=[Generation.EXECUTOR, pytest.param(Generation.V2, marks=pytest.mark.long)])
async def provider(
    request: pytest.FixtureRequest, store: Database, children: ChildPool, emulated_ibm: EmulatorProcess
) -> Provider:
    """What the devices are reached with, in fair weather."""
    await fair_weather(emulated_ibm.control)
    rules = Rules(
        generation=request.param,
        per_minute=None,
        send_within=timedelta(seconds=2),
        read_timeout=timedelta(seconds=2),
        tag_lag=timedelta(0),
    )
    return Provider(
        asking=children,
        sending=children,
        shelf=StoreShelf(store),
        ledger=StoreLedger(store),
        accounts=Accounts(environment=emulated_ibm.environment, home=Path("none")),
        rules=rules,
    )


@pytest.mark.parametrize("question", QUESTIONS)
async def test_ibms_devices_conform(provider: Provider, question: str) -> None:
    """The same questions as for a simulator, through the real client; the emulated device's answers are noisy or not."""
    conformance = Conformance(IbmBackend(DEVICE, provider), provider.shelf, noise=True)
    ask: Callable[[], Awaitable[None]] = getattr(conformance, question)

    await ask()


async def test_two_processes_with_one_store_send_a_submission_once(
    provider: Provider, emulated_ibm: EmulatorProcess
) -> None:
    """The row decides, not the backend that asks."""
    one, other = IbmBackend(DEVICE, provider), IbmBackend(DEVICE, provider)
    before = len((await emulated_ibm.control.state())["jobs"])
    submission = await Conformance(one, provider.shelf)._bell()

    first, second = await one.submit(submission), await other.submit(submission)
    found = await other.find(submission.key)

    assert first == second == found
    assert len((await emulated_ibm.control.state())["jobs"]) == before + 1


async def test_a_job_is_found_by_its_tag_where_the_store_forgot_it(
    provider: Provider, emulated_ibm: EmulatorProcess, tmp_path: Path
) -> None:
    """A store that was restored from before has no row, and the provider's tags do."""
    submission = await Conformance(IbmBackend(DEVICE, provider), provider.shelf)._bell()
    sent = await IbmBackend(DEVICE, provider).submit(submission)
    async with Database(f"sqlite:///{tmp_path / 'restored.db'}") as empty:
        restored = Provider(
            asking=provider.asking,
            sending=provider.sending,
            shelf=provider.shelf,
            ledger=StoreLedger(empty),
            accounts=provider.accounts,
            rules=provider.rules,
        )
        backend = IbmBackend(DEVICE, restored)
        found, adopted = await backend.find(submission.key), await backend.submit(submission)

    assert found == adopted == sent


def test_names_are_those_of_the_provider_with_its_prefix() -> None:
    """`ibm:torino` is IBM's `ibm_torino`, whoever pays."""
    account = Accounts(environment={"QISKIT_IBM_TOKEN": "x"}).labelled("default")

    assert backend_name("ibm_torino", account) == "ibm:torino"
    assert backend_name("ibm_torino", account.model_copy(update={"label": "lab"})) == "ibm:torino@lab"
    assert (
        device_of("ibm:torino") == device_of("ibm:torino@lab") == device_of("ibm:ibm_torino") == "ibm_torino"
    )
