"""Where the gateway listens, and under which names it is served.

There is no authentication yet: whoever reaches the gateway may spend its owner's money. So it listens on loopback
alone, unless it is told by which names others reach it.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from qurable.errors import RequestRejected

_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Address:
    """Where to listen.

    Attributes:
        host: Name or number, IPv6 without brackets.
        port: 0 takes a free one.
        names: What a request may call the gateway. A page in a browser may reach loopback under a name of the
            attacker's; it is not served.
    """

    host: str
    port: int
    names: tuple[str, ...]

    @classmethod
    def of(cls, address: str, names: Sequence[str] = ()) -> "Address":
        """An address that may be listened on.

        Args:
            address: `host:port`.
            names: Those by which others reach it; none for a gateway that serves its own machine alone.

        Raises:
            RequestRejected: It is no address, or it is reached from elsewhere and nobody said so.
        """
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        if not host or not port.isdecimal() or len(port) > 5 or int(port) > 65535:
            raise RequestRejected(f"QURABLE_GATEWAY_ADDRESS={address!r} is not host:port")
        if not names and not _is_loopback(host):
            raise RequestRejected(
                f"QURABLE_GATEWAY_ADDRESS={address!r} is reached from other machines, and there is no "
                f"authentication yet: give a loopback address such as 127.0.0.1:{port}; or, behind something that "
                "authenticates, name in QURABLE_GATEWAY_HOSTS what the gateway is called there"
            )
        own = f"[{host}]" if ":" in host else host
        return cls(host, int(port), (*_OWN_NAMES, own, *names))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
