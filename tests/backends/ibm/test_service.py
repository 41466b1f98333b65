"""Accounts as the client reads them, and what happens when one is refused."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from qiskit_ibm_runtime import QiskitRuntimeService

from backends.ibm.service import EMULATOR_INSTANCE
from emulator.serving import INSTANCE
from qurable.errors import AccountRefused, HybridError, TargetUnavailable
from tests.backends.ibm.driving import KEY, Driver


def _save(driver: Driver, file: Path, token: str, instance: str | None = INSTANCE) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        QiskitRuntimeService.save_account(
            token=token,
            url=f"{driver.emulator.url}/experimental",
            instance=instance,
            channel="ibm_quantum_platform",
            filename=str(file),
            name="lab",
            overwrite=True,
        )


async def test_the_environments_account_the_saved_one_and_the_emulators_live_side_by_side(
    driver: Driver, tmp_path: Path
) -> None:
    """Every project may have its own; a child serves them all, and each is counted as its own user."""
    file = tmp_path / "accounts.json"
    _save(driver, file, "another-key-0123456789")
    users = {}
    for _ in range(2):
        for account in ({}, {"filename": str(file), "name": "lab"}, {"emulator": driver.emulator.url}):
            driver.account = account
            users[str(account)] = (await driver.ask("user"))["user"]

    assert len(set(users.values())) == 3


async def test_a_refused_account_works_again_once_it_is_repaired(driver: Driver, tmp_path: Path) -> None:
    """A service that was built with the wrong key is not kept."""
    file = tmp_path / "accounts.json"
    _save(driver, file, "the-wrong-key-0123456789")
    driver.account = {"filename": str(file), "name": "lab"}
    await driver.emulator.control.tokens(accept=[KEY])

    error = await driver.refused("user")
    _save(driver, file, KEY)

    assert isinstance(error, AccountRefused)
    assert "the-wrong-key" not in str(error)
    assert (await driver.ask("user"))["user"]


async def test_a_key_that_is_withdrawn_and_given_back_works_again(driver: Driver) -> None:
    """The same key: only the token has to be asked for anew."""
    await driver.ask("user")
    await driver.emulator.control.tokens(revoke=True, accept=["somebody else's"])
    refused = await driver.refused("user")
    await driver.emulator.control.tokens(accept=None)

    assert isinstance(refused, AccountRefused)
    assert (await driver.ask("user"))["user"]


async def test_a_token_that_expires_while_a_job_waits_is_renewed(driver: Driver) -> None:
    """By the provider's clock, which need not be ours: it refuses the token, and gets a new one."""
    job = await driver.post("waiting")
    await driver.emulator.control.tokens(revoke=True)

    assert len(await driver.ask("look", ids=[job])) == 1
    await driver.emulator.control.tokens(revoke=True)
    assert await driver.post("waiting")
    assert await driver.submissions() == 2


@pytest.mark.parametrize(
    "account", [{"name": "nobody's"}, {"filename": "/nowhere/accounts.json"}, {"instance": "none"}]
)
async def test_an_account_that_does_not_exist_is_refused(driver: Driver, account: dict[str, str]) -> None:
    """The next rung may answer; the operator reads which account it was."""
    driver.account = {"label": "lab"} | account
    if "filename" in account:
        driver.account["name"] = "lab"

    error = await driver.refused("user")

    assert isinstance(error, AccountRefused)
    assert "'lab'" in error.message


_PROBE = "tests.backends.ibm.probes:looked_up"
_SEARCH = "POST /v3/resources/search"


@pytest.mark.parametrize("instance", [None, INSTANCE])
async def test_an_accounts_instances_are_looked_up(
    driver: Driver, tmp_path: Path, instance: str | None
) -> None:
    """At the real provider the client asks other services of IBM Cloud first; they go through the same guard."""
    file = tmp_path / "accounts.json"
    _save(driver, file, KEY, instance)
    driver.account = {"filename": str(file), "name": "lab"}

    found = await driver.ask(_PROBE, search=driver.emulator.url)

    assert found["instance"] == INSTANCE
    assert found["plan"]
    assert any(line["path"].endswith("/resources/search") for line in await driver.emulator.control.log())


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"mode": "status", "status": 401, "times": None}, AccountRefused),
        ({"mode": "status", "status": 403}, AccountRefused),
        ({"mode": "status", "status": 503}, TargetUnavailable),
        ({"mode": "drop"}, TargetUnavailable),
        ({"mode": "hold"}, TargetUnavailable),
        ({"mode": "body", "body": "<html>"}, TargetUnavailable),
        (None, TargetUnavailable),
    ],
)
async def test_instances_that_cannot_be_looked_up_are_an_outage_or_a_refusal(
    driver: Driver, tmp_path: Path, fault: dict[str, Any] | None, kind: type[HybridError]
) -> None:
    """The client says «use a valid token» to all of them, and waits for a minute where nobody answers."""
    file = tmp_path / "accounts.json"
    _save(driver, file, KEY, None)
    driver.account = {"filename": str(file), "name": "lab"}
    if fault is not None:
        await driver.emulator.control.fault(_SEARCH, **fault)

    place = "http://provider.invalid" if fault is None else driver.emulator.url
    error = await driver.refused(_PROBE, search=place, read_seconds=0.5)

    assert type(error) is kind


async def test_no_key_ever_left_the_house(driver: Driver) -> None:
    """Requests carry a token that lives for an hour, and never what makes tokens."""
    await driver.emulator.control.fault("POST /identity/token", "status", status=503)
    await driver.forget()
    await driver.refused("look", ids=["x"])
    await driver.ask("look", ids=["x"])

    schemes = {line["headers"].get("authorization", "") for line in await driver.emulator.control.log()}

    assert {scheme.partition(" ")[0].lower() for scheme in schemes} <= {"", "bearer"}


def test_the_emulators_instance_is_the_one_it_has() -> None:
    """Each side writes it down by itself, as neither may import the other."""
    assert EMULATOR_INSTANCE == INSTANCE
