"""Whose account pays, how much it may, and on which device; without all of it the tests are skipped, and say why.

The account is the one that `qiskit-ibm-runtime` finds: `QISKIT_IBM_TOKEN` and what belongs to it, or the default one
among saved accounts.
"""

import os
from dataclasses import dataclass

import pytest

from backends.ibm.accounts import Accounts
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool, Nursery
from qurable.errors import AccountRefused

_FOUND = {
    name: value
    for name, value in os.environ.items()
    if name.startswith(("QISKIT_IBM_", "QISKIT_FUNCTIONS_", "IAM_URL")) or name == "HOME"
}
"""As the shell has them: the other tests run without."""

_BUDGET = "HARDWARE_BUDGET_SECONDS"
_DEVICE = "HARDWARE_DEVICE"
_ASKING = Limits(memory_bytes=4096 * MIB, wall_seconds=120.0)


@dataclass(frozen=True)
class Hardware:
    """What may be used.

    Attributes:
        device: IBM's name of it.
        budget_seconds: QPU seconds that one run of these tests may use.
        remaining_seconds: QPU seconds that the account has left, None where the provider names no limit.
        emulated: Whether an emulator of this machine stands in.
    """

    device: str
    budget_seconds: int
    remaining_seconds: float | None
    emulated: bool


@pytest.fixture(scope="session")
def _asked(_own_home: None) -> tuple[int, Accounts]:
    """The budget and the account.

    Without a budget these tests do not even look for an account: whoever runs all tests pays nothing.
    """
    words = os.environ.get(_BUDGET, "")
    if not words.isdecimal() or int(words) < 1:
        pytest.skip(f"{_BUDGET} names no QPU seconds that may be paid for: run `make hardware BUDGET=10`")
    accounts = Accounts(environment=_FOUND)
    try:
        accounts.of_project("default")
    except AccountRefused as refused:
        pytest.skip(refused.message)
    return int(words), accounts


@pytest.fixture
async def hardware(_asked: tuple[int, Accounts], monkeypatch: pytest.MonkeyPatch) -> Hardware:
    """A device and what may be spent on it; the environment has the account again.

    The device is the named one, else the first by name that takes jobs: the same all day, unless it goes down, so that
    the key of the day finds its job again.
    """
    budget, accounts = _asked
    for name, value in _FOUND.items():
        monkeypatch.setenv(name, value)
    account = accounts.of_project("default")
    payload = {"account": account.model_dump()}
    async with Nursery(("qiskit_ibm_runtime",), _FOUND) as nursery, ChildPool(nursery, 1) as pool:
        owner = await pool.call("backends.ibm.tasks:user", payload, _ASKING, what="reading the account")
        usage, remaining = owner["usage"], owner["usage"]["remaining_seconds"]
        if usage["reached"] or (remaining is not None and remaining < budget):
            pytest.skip(f"the account has {remaining} QPU seconds left of its limit, the budget is {budget}")
        device = os.environ.get(_DEVICE, "")
        if not device:
            listed = {**payload, "min_qubits": 2}
            found = await pool.call("backends.ibm.tasks:devices", listed, _ASKING, what="listing devices")
            names = sorted(one["name"] for one in found if one["operational"])
            if not names:
                pytest.skip("no device of the account takes jobs now")
            device = names[0]
    return Hardware(device, budget, remaining, account.emulator is not None)
