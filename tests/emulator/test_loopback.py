"""Loopback alone, although there is no password."""

import pytest
import requests

from emulator.loopback import is_loopback
from tests.emulator.running import EmulatorProcess


@pytest.mark.parametrize("host", ["localhost", "quantum.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "::1"])
def test_a_name_of_this_machine_is_one(host: str) -> None:
    """Names below localhost never leave it."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "attacker.example", "localhost.attacker.example", "10.0.0.1", "0.0.0.0"]
)
def test_any_other_name_is_none(host: str) -> None:
    """A page may reach loopback under a name of its own."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Host": "127.0.0.1.attacker.example:8917"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
    ],
)
def test_strangers_are_not_served(emulator: EmulatorProcess, headers: dict[str, str]) -> None:
    """Neither other names nor other pages."""
    answer = requests.post(
        f"{emulator.url}/control/faults", data='{"mode": "drop"}', headers=headers, timeout=30
    )

    assert answer.status_code == 403
    assert requests.get(f"{emulator.url}/control/faults", timeout=30).json() == {"faults": []}
