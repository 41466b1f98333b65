"""Why a request never reached the provider: a certificate that is not trusted, or a proxy on the way."""

import re
import ssl
from urllib.parse import unquote

from requests.exceptions import ProxyError
from requests.utils import select_proxy
from urllib3.exceptions import ProxyError as TunnelError

from backends.ibm.bearer import hide
from backends.ibm.permits import Exchange
from qurable.errors import HybridError, TargetUnavailable, TargetUntrusted

_DEEPEST = 8
_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})")
_WANTS_CREDENTIALS = 407


def proxy_of(url: str, proxies: dict[str, str] | None) -> str:
    """Host and port of the proxy that a request goes through, empty for none; its credentials are kept out of messages."""
    address = (select_proxy(url, proxies) or "").rpartition("://")[2]
    # The last @ ends them: who wrote the address may not have quoted what is in a password.
    credentials, _, place = address.rpartition("@")
    hide(credentials, unquote(credentials))
    return place.partition("/")[0]


def hindrance(exchange: Exchange) -> tuple[type[HybridError], str] | None:
    """The class and the words for what kept a request from the provider; None where nothing between them did."""
    causes = _causes(exchange.failure)
    through = f" through the proxy {exchange.proxy!r}" if exchange.proxy else ""
    untrusted = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if untrusted is not None:
        mine = any(isinstance(cause, TunnelError) for cause in causes)
        whose = f"the proxy {exchange.proxy!r}" if mine else f"{exchange.host!r}{through}"
        return TargetUntrusted, (
            f"the certificate of {whose} is not trusted ({untrusted.verify_message}): nothing was sent; have it renewed or the address "
            "corrected, or where an authority of your own signs it, name that in REQUESTS_CA_BUNDLE on the worker"
        )
    if not exchange.proxy:
        return None
    refused = next(filter(None, (_REFUSED.search(str(cause)) for cause in causes)), None)
    status = int(refused[1]) if refused else exchange.status
    if status == _WANTS_CREDENTIALS:
        return TargetUnavailable, (
            f"the proxy {exchange.proxy!r} refuses the credentials it was given, or wants some (407): nothing reached "
            f"{exchange.host!r}; write them into HTTPS_PROXY or the saved account's `proxies`"
        )
    if refused:
        return (
            TargetUnavailable,
            f"the proxy {exchange.proxy!r} does not connect to {exchange.host!r} ({status})",
        )
    if exchange.status is None and not exchange.sent:
        silent = any(isinstance(cause, ProxyError | TunnelError | TimeoutError) for cause in causes)
        what = "does not answer" if silent else f"was of no use ({type(exchange.failure).__name__})"
        return TargetUnavailable, (
            f"the proxy {exchange.proxy!r} {what}: nothing reached {exchange.host!r}; correct HTTPS_PROXY or the saved account's "
            "`proxies`, or wait until it is back"
        )
    return None


def _causes(failure: BaseException | None) -> list[BaseException]:
    """An exception and what it came of, outermost first."""
    causes: list[BaseException] = []
    while failure is not None and len(causes) < _DEEPEST:
        causes.append(failure)
        failure = failure.__cause__ or failure.__context__
    return causes
