"""Accounts that cannot be used: a wrong key, a wrong instance, a name that is none, a host that is dead."""

from collections.abc import AsyncIterator

import pytest

from emulator.serving import ACCOUNT, INSTANCE
from isolation.pool import Nursery
from qurable.errors import JobFailed
from qurable.requests import sample
from tests.chaos.ports import free_port
from tests.circuits_at_hand import BELL
from tests.conftest import running_service
from tests.emulator.running import EmulatorProcess
from tests.paid import DEVICE, FAST, Paid, fair_weather, save_account

_GOOD, _WRONG = "a-good-key-of-some-length", "a-wrong-key-of-some-length"

_ACCOUNTS = {
    "token": ("AccountRefused", "refuses the API key"),
    "instance": ("AccountRefused", "instance"),
    "nobody": ("AccountRefused", "'nobody'"),
    "name": ("TargetUnavailable", "signing in"),
    "tls": ("TargetUnavailable", "SSL"),
    "host": ("TargetUnavailable", "no whole answer"),
}
"""What is wrong with each account, and what is said of it; an outage is asked after some more times first."""


@pytest.fixture(scope="module")
async def misfits(
    tmp_path_factory: pytest.TempPathFactory,
    nursery: Nursery,
    ibm_nursery: Nursery,
    emulated_ibm: EmulatorProcess,
) -> AsyncIterator[Paid]:
    """A service whose every account has something wrong with it; the project of that name pays by it."""
    home = tmp_path_factory.mktemp("misfits")
    file, other = home / "accounts.json", f"{ACCOUNT[:-9]}stranger:{INSTANCE.rsplit(':', 3)[1]}::"
    port = emulated_ibm.port
    save_account(file, "token", url=emulated_ibm.url, token=_WRONG, instance=INSTANCE)
    save_account(file, "instance", url=emulated_ibm.url, token=_GOOD, instance=other)
    save_account(file, "name", url="http://quantum.invalid", token=_GOOD, instance=INSTANCE)
    save_account(file, "tls", url=f"https://127.0.0.1:{port}", token=_GOOD, instance=INSTANCE)
    save_account(file, "host", url=f"http://127.0.0.1:{free_port()}", token=_GOOD, instance=INSTANCE)
    accounts = {label: {"name": label, "filename": str(file), "projects": [label]} for label in _ACCOUNTS}
    async with running_service(
        home, nursery, ibm_nursery=ibm_nursery, **FAST, ibm_accounts=accounts
    ) as service:
        yield Paid(service, emulated_ibm)


@pytest.mark.parametrize(
    "account",
    [
        pytest.param(name, marks=pytest.mark.long if code == "TargetUnavailable" else ())
        for name, (code, _) in _ACCOUNTS.items()
    ],
)
async def test_an_account_that_cannot_be_used_says_why_and_tells_no_secret(
    misfits: Paid, account: str
) -> None:
    """Within the minute that a test gives a job; the client alone would wait for a minute at every call."""
    await fair_weather(misfits.control)
    await misfits.control.tokens(accept=[_GOOD])

    refused = await misfits.refused(sample(BELL, shots=100, backend=DEVICE, project=account))
    assert isinstance(refused, JobFailed)
    error = refused.error

    code, words = _ACCOUNTS[account]
    assert error.code == code, error.message
    assert words in error.message
    assert _GOOD not in error.model_dump_json()
    assert _WRONG not in error.model_dump_json()
