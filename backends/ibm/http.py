"""Everything this project changes of the client's transport, in one place.

As it comes, the client retries what it cannot know to be unanswered, a submission among it, waits for an answer
without end, and sends the API key itself where no token is to be had. In a child that drives it, `install`
replaces the adapter of every session, and the header with the token, so that

- nothing is ever sent twice: no retries, no redirects;
- every connection and every answer has a time limit, and every answer a size limit;
- a submission needs a `Permit`, which is good for one and until its fence, checked before its bytes leave;
- only a bearer token is ever sent, and its age is measured here, whatever the provider's clock says.

What went over the wire is noted in a `Watch`, since the client hides status codes and swallows failures.
"""

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import TooManyRedirects
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from backends.ibm.bearer import bearer_headers
from backends.ibm.permits import Exchange, Watch
from backends.ibm.reach import proxy_of
from qurable.errors import BackendNotInstalled, InternalError, ResultRefused

TESTED = "0.51.0"
"""The client's version that the tests were run with."""

CONNECT_SECONDS = 5.0
_CHUNK = 2**20
_KEPT_BODY = 64 * 1024


_watch = Watch()
_leaving: Exchange | None = None


@contextlib.contextmanager
def watching(watch: Watch) -> Iterator[Watch]:
    """Note in `watch` whatever is sent inside; a child runs one task at a time."""
    global _watch
    before, _watch = _watch, watch
    try:
        yield watch
    finally:
        _watch = before


class _Fenced(HTTPConnection):
    """A connection that asks before each piece of a submission leaves."""

    _joining = False

    def connect(self) -> None:
        self._joining = True  # what a proxy is told first is no part of the request
        try:
            super().connect()
        finally:
            self._joining = False

    def send(self, data: Any) -> None:
        if not self._joining:
            if self.sock is None:
                self.connect()
            if _leaving is not None:
                if _leaving.is_submission and _watch.permit is not None:
                    _watch.permit.pass_fence()
                else:
                    _leaving.sent = True
        super().send(data)


class _FencedTls(_Fenced, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Fenced


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _FencedTls


_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _TlsPool}


class GuardedAdapter(HTTPAdapter):
    """Sends every request at most once, and a submission only under a permit; whatever it is asked to be, it does not retry."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As in the base class, with connections that ask before they send."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """As in the base class, with connections that ask before they send."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,  # noqa: ARG002
        timeout: Any = None,  # noqa: ARG002
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Response:
        """Send one request and read its whole answer, within the limits of the watch.

        Raises:
            InternalError: A submission without a permit, or a second one under it; nothing was sent.
            TargetUnavailable: The permit has ended; nothing was sent.
            ResultRefused: The answer is larger than allowed.
            requests.RequestException: It could not be carried out; the exchange says whether it was sent.
        """
        watch = _watch
        url = urlsplit(request.url or "")
        exchange = Exchange(
            request.method or "",
            url.path,
            host=url.netloc.rpartition("@")[2],
            proxy=proxy_of(request.url or "", proxies),
        )
        read_seconds = watch.read_seconds
        if exchange.is_submission:
            if watch.permit is None:
                raise InternalError("a submission was tried without a permit; nothing was sent")
            watch.permit.spend(exchange)
            read_seconds = watch.permit.read_seconds
        watch.exchanges.append(exchange)
        try:
            with _leaving_as(exchange):
                response = super().send(request, True, (CONNECT_SECONDS, read_seconds), verify, cert, proxies)
                exchange.status, exchange.headers = response.status_code, response.headers
                _read_whole(response, watch.max_body_bytes, exchange)
            _stay(response)
        except BaseException as failure:
            exchange.failure = failure
            raise
        return response


@contextlib.contextmanager
def _leaving_as(exchange: Exchange) -> Iterator[None]:
    global _leaving
    before, _leaving = _leaving, exchange
    try:
        yield
    finally:
        _leaving = before


def _stay(response: Response) -> None:
    if response.is_redirect:  # the API has none, and a submission must not be sent on
        raise TooManyRedirects(f"redirected with {response.status_code}", response=response)


def _read_whole(response: Response, limit: int, exchange: Exchange) -> None:
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_content(_CHUNK):
        size += len(chunk)
        if size > limit:
            response.close()
            raise ResultRefused(
                f"the answer to {exchange.method} {exchange.path} is larger than {limit / 2**20:,.0f} MiB",
                limit_bytes=limit,
            )
        chunks.append(chunk)
    body = b"".join(chunks)
    response._content = body  # noqa: SLF001  where `requests` keeps a body that was read
    exchange.body = body[:_KEPT_BODY]


def install() -> None:
    """Put the guard where the client and the libraries under it take their transport from; repeatable.

    Raises:
        BackendNotInstalled: The client is missing, or is not built as the tested one.
    """
    try:
        from ibm_cloud_sdk_core import base_service  # type: ignore[import-untyped]
        from qiskit_ibm_runtime.api import auth, session
        from requests import sessions
    except ImportError as missing:
        raise moved(f"{missing}") from None
    for place, name in (
        (sessions, "HTTPAdapter"),
        (session, "HTTPAdapter"),
        (base_service, "SSLHTTPAdapter"),
    ):
        if not hasattr(place, name):
            raise moved(f"{place.__name__} has no {name}")
        setattr(place, name, GuardedAdapter)
    if not hasattr(auth.CloudAuth, "get_headers"):
        raise moved("CloudAuth has no get_headers")
    auth.CloudAuth.get_headers = bearer_headers


def clients_of(service: Any) -> list[Any]:
    """The client's connections, one per instance, the one in use first.

    Raises:
        BackendNotInstalled: One of them would send past the guard, since the client is not built as the tested one.
    """
    try:
        clients = {id(one): one for one in (service._active_api_client, *service._api_clients.values())}  # noqa: SLF001
        for client in clients.values():
            _check(client)
    except AttributeError as absent:
        raise moved(str(absent)) from None
    by_instance = {client._instance: client for client in clients.values()}  # noqa: SLF001
    return list(by_instance.values())


def _check(client: Any) -> None:
    session = client._session  # noqa: SLF001
    if client._api.session is not session:  # noqa: SLF001
        raise moved("its requests use another session than the one that is guarded")
    if not isinstance(session.get_adapter(f"{session.base_url}/jobs"), GuardedAdapter):
        raise moved("the guard is not mounted on its session")
    if type(session.auth).get_headers is not bearer_headers or not hasattr(session.auth.tm, "request_token"):
        raise moved("its sessions sign in in another way")


def moved(what: str) -> BackendNotInstalled:
    """The error that the installed client is not built as the tested one."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = f"qiskit-ibm-runtime {version('qiskit-ibm-runtime')} is installed"
    except PackageNotFoundError:
        installed = "qiskit-ibm-runtime is not installed"
    return BackendNotInstalled(
        f"IBM's client cannot be driven safely: {what}. {installed}, {TESTED} was tested; install that version"
    )
