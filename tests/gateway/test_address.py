"""Where the gateway may listen."""

import pytest

from gateway.address import Address
from qurable.errors import RequestRejected
from settings import Settings


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("127.0.0.1:8000", "127.0.0.1", 8000),
        ("127.0.0.5:0", "127.0.0.5", 0),
        ("[::1]:8000", "::1", 8000),
        ("localhost:80", "localhost", 80),
    ],
)
def test_loopback_addresses_are_listened_on(address: str, host: str, port: int) -> None:
    """All the names that this machine has for itself."""
    found = Address.of(address)

    assert (found.host, found.port) == (host, port)


def test_nobody_else_is_served_by_default() -> None:
    """Who changes nothing is reached by nobody."""
    chosen = Settings()

    assert chosen.gateway_hosts == ()
    assert Address.of(chosen.gateway_address).host == "127.0.0.1"


@pytest.mark.parametrize("address", ["0.0.0.0:8000", "[::]:8000", "10.0.0.1:8000", "somewhere:8000"])
def test_other_addresses_need_to_be_told_so(address: str) -> None:
    """Without authentication everybody who reaches the gateway may spend the owner's money."""
    with pytest.raises(RequestRejected, match="no authentication yet: give a loopback address"):
        Address.of(address)

    assert "gateway.example" in Address.of(address, ["gateway.example"]).names


@pytest.mark.parametrize("names", [(), ("gateway",)])
@pytest.mark.parametrize(
    "address", ["", ":8000", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:" + "9" * 5000]
)
def test_what_is_no_address_is_refused(address: str, names: tuple[str, ...]) -> None:
    """An empty host would mean all of them."""
    with pytest.raises(RequestRejected, match="is not host:port"):
        Address.of(address, names)
