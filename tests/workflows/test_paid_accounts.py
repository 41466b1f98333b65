"""Several accounts side by side, one per project; and what of a job leaves the house, or is told of an account."""

import base64
import binascii
import json
import logging
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Gate, Parameter

from emulator.serving import ACCOUNT, INSTANCE
from emulator.tokens import user_of
from isolation.pool import Nursery
from qurable.contracts.ibm import Generation, IbmOptions
from qurable.contracts.reports import State
from qurable.contracts.results import SampleResult
from qurable.errors import JobFailed
from qurable.requests import estimate, sample
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack, running_service
from tests.emulator.running import EmulatorProcess
from tests.paid import DEVICE, FAST, Paid, fair_weather, known_ids, save_account

_KEYS = {"lab": "the-labs-secret-key-0123456789", "shop": "the-shops-secret-key-9876543210"}
_INSTANCES = {"lab": INSTANCE, "shop": f"{ACCOUNT}00000000-0000-0000-0000-000000000002::"}


@pytest.fixture(scope="module")
async def house(
    tmp_path_factory: pytest.TempPathFactory,
    nursery: Nursery,
    ibm_nursery: Nursery,
    emulated_ibm: EmulatorProcess,
) -> AsyncIterator[Paid]:
    """A service with two accounts beside the environment's."""
    file = tmp_path_factory.mktemp("accounts") / "accounts.json"
    for label in _KEYS:
        save_account(file, label, url=emulated_ibm.url, token=_KEYS[label], instance=_INSTANCES[label])
    accounts = {
        label: {
            "name": label,
            "filename": str(file),
            "projects": [f"{label}-{part}" for part in ("physics", "chemistry")],
            "price_per_second": price,
            "currency": "EUR",
        }
        for label, price in (("lab", 0.5), ("shop", 2.0))
    }
    home = tmp_path_factory.mktemp("house")
    async with running_service(
        home, nursery, ibm_nursery=ibm_nursery, **FAST, ibm_accounts=accounts
    ) as service:
        yield Paid(service, emulated_ibm)


@pytest.fixture
async def paying(house: Paid, ibm_account: None) -> Paid:
    """That service in fair weather."""
    await fair_weather(house.control)
    return Paid(house.service, house.emulator, await known_ids(house.control))


@pytest.mark.parametrize(("label", "price"), [("lab", 0.5), ("shop", 2.0)])
async def test_each_projects_jobs_go_to_its_own_account(paying: Paid, label: str, price: float) -> None:
    """The provider sees another user and another instance; the report says which account, in its own money."""
    report = await paying.service.run(sample(BELL, shots=100, backend=DEVICE, project=f"{label}-physics"))

    job = await paying.one()
    (record,) = report.provider_jobs
    assert (job["user"], job["instance"]) == (user_of(_KEYS[label]), _INSTANCES[label])
    assert (report.served_by, record.account) == (f"{DEVICE}@{label}", label)
    assert report.price == pytest.approx(price * report.qpu_seconds)
    assert report.currency == "EUR"


async def test_other_projects_pay_with_the_default_account(paying: Paid) -> None:
    """The environment's, which no setting names."""
    report = await paying.service.run(sample(BELL, shots=100, backend=DEVICE, project="elsewhere"))

    job = await paying.one()
    assert job["user"] == user_of("emulator")
    assert (report.served_by, report.provider_jobs[0].account) == (DEVICE, "default")


async def test_another_projects_account_is_refused(paying: Paid) -> None:
    """Whoever may ask for a job may not choose whose money it costs."""
    for project in ("lab-physics", "elsewhere"):
        error = await paying.refused(sample(BELL, shots=100, backend=f"{DEVICE}@shop", project=project))

        assert isinstance(error, JobFailed)
        assert error.error.code == "RequestRejected"
        assert "'shop'" in error.error.message
    assert await paying.taken() == []


@pytest.mark.long
async def test_one_accounts_refusal_stops_no_other_account(paying: Paid) -> None:
    """Rates are counted per user: the shop's wait is not the lab's."""
    await paying.control.settings(submissions_per_minute=1)
    await paying.service.run(sample(BELL, shots=100, backend=DEVICE, project="shop-physics"))
    waiting = await paying.service.qurable.submit(
        sample(BELL, shots=100, backend=DEVICE, project="shop-chemistry")
    )
    await paying.until_ended(waiting, "submit-0", "waiting")

    report = await paying.service.run(sample(BELL, shots=100, backend=DEVICE, project="lab-physics"))
    await paying.control.settings(submissions_per_minute=None)
    late = await waiting.result()

    assert (report.state, late.state) == (State.COMPLETED, State.COMPLETED)


async def test_no_key_is_told_to_history_store_logs_or_errors(
    paying: Paid, caplog: pytest.LogCaptureFixture
) -> None:
    """Jobs that were answered, refused and withdrawn; Temporal's database, the store and the payloads, byte by byte."""
    caplog.set_level(logging.DEBUG)
    await paying.service.run(sample(BELL, shots=100, backend=DEVICE, project="lab-physics"))
    await paying.control.tokens(accept=["another"], revoke=True)
    refused = await paying.refused(sample(BELL, shots=100, backend=DEVICE, project="shop-physics"))

    assert isinstance(refused, JobFailed)
    assert refused.error.code == "AccountRefused"
    told = [caplog.text, str(refused), refused.error.model_dump_json()]
    async for execution in paying.service.temporal.list_workflows("", limit=50):
        handle = paying.service.temporal.get_workflow_handle(execution.id, run_id=execution.run_id)
        told.append((await handle.fetch_history()).to_json())
    files = [file for file in paying.service.settings.home.rglob("*") if file.is_file()]
    assert any(file.name == "store.db" for file in files)
    assert any(file.name == "temporal.db" for file in files)
    for key in _KEYS.values():
        assert not [text[:80] for text in told if key in text]
        assert not [file for file in files if key.encode() in file.read_bytes()]


CANARY = "canary"


def telltale(*, measured: bool) -> QuantumCircuit:
    """A circuit with the author's word wherever a circuit takes one."""
    qubits, bits = QuantumRegister(2, f"{CANARY}qubits"), ClassicalRegister(2, f"{CANARY}bits")
    circuit = QuantumCircuit(qubits, *([bits] if measured else []), name=f"{CANARY}-circuit")
    circuit.metadata = {f"{CANARY}-word": f"{CANARY}-value"}
    inner = QuantumCircuit(2, name=f"{CANARY}gate")
    inner.h(0)
    inner.cx(0, 1)
    gate: Gate = inner.to_gate(label=f"{CANARY}-gate-label")
    circuit.append(gate, [0, 1])
    circuit.rx(Parameter(f"{CANARY}angle"), 0, label=f"{CANARY}-label")
    circuit.barrier(label=f"{CANARY}-barrier")
    if measured:
        circuit.measure([0, 1], [0, 1])
    return circuit


def everything(text: str) -> Iterator[bytes]:
    """A text, and what is packed into it: JSON in JSON, base64, compressed circuits."""
    yield text.encode()
    try:
        document = json.loads(text)
    except ValueError:
        yield from _unpacked(text)
        return
    for word in _strings(document):
        yield from everything(word) if word != text else _unpacked(word)


def _strings(document: Any) -> Iterator[str]:
    match document:
        case str():
            yield document
        case list():
            for entry in document:
                yield from _strings(entry)
        case dict():
            for name, entry in document.items():
                yield name
                yield from _strings(entry)


def _unpacked(text: str) -> Iterator[bytes]:
    try:
        body = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return
    yield body
    try:
        yield zlib.decompress(body)
    except zlib.error:
        return


@pytest.mark.parametrize(
    "generation", [Generation.EXECUTOR, pytest.param(Generation.V2, marks=pytest.mark.long)]
)
async def test_no_word_of_the_user_leaves_the_house(paid_stack: PaidStack, generation: Generation) -> None:
    """Names, labels, metadata and registers are put back into the result; the provider sees none of them."""
    names: dict[str, Any] = {
        "labels": {f"{CANARY}-key": f"{CANARY}-text"},
        "project": f"{CANARY}-project",
        "ibm": IbmOptions(mode="session"),
        "backend": DEVICE,
    }
    async with paid_stack(ibm_primitives=generation) as paid:
        await paid.control.forget_log()
        sampled = await paid.service.run(
            sample((telltale(measured=True), [[0.1], [0.2]]), shots=100, key=f"{CANARY}-1", **names)
        )
        await paid.service.run(
            estimate((telltale(measured=False), ["ZZ", "XI"], [0.1]), key=f"{CANARY}-2", **names)
        )
        log = json.dumps(await paid.control.log())
        jobs = json.dumps(await paid.taken())

        seen = [part.lower() for part in (*everything(log), *everything(jobs))]
        (result,) = sampled.results
        assert isinstance(result, SampleResult)
        assert [register.name for register in result.registers] == [f"{CANARY}bits"]
        assert result.metadata == {f"{CANARY}-word": f"{CANARY}-value"}
        assert any(part.startswith(b"qiskit") for part in seen)  # circuits were unpacked
        assert not [part[:200] for part in seen if CANARY.encode() in part]


def test_the_search_for_words_finds_them_where_circuits_hide_them() -> None:
    """A circuit as the client would send it without this house's care."""
    from qiskit_ibm_runtime import RuntimeEncoder

    body = json.dumps({"params": {"pubs": [telltale(measured=True)]}}, cls=RuntimeEncoder)
    log = json.dumps([{"body": body}])

    assert CANARY not in log
    assert any(CANARY.encode() in part for part in everything(log))
