"""The real client's service for an account, kept from task to task in the child that built it."""

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from backends.ibm import http
from backends.ibm.account import Account
from backends.ibm.bearer import forget_tokens
from backends.ibm.failures import of_question, translated
from backends.ibm.permits import MAX_BODY_BYTES, READ_SECONDS, Watch
from qurable.errors import AccountRefused

Answer = TypeVar("Answer")

EMULATOR_TOKEN = "emulator"  # noqa: S105  no secret: the emulator takes any
EMULATOR_INSTANCE = (
    "crn:v1:bluemix:public:quantum-computing:us-east:a/emulator:00000000-0000-0000-0000-000000000001::"
)
"""The instance that an emulator is asked for where the account names none."""

_BY_ACCOUNT = ("IAM_URL", "QISKIT_FUNCTIONS_EXPERIMENTAL")
"""Variables by which the client is turned to an emulator; other accounts have them as the child found them."""

_FOUND = {name: os.environ.get(name) for name in _BY_ACCOUNT}

_RESOLVER = "timeout:2 attempts:1"
"""For glibc: a dead name server is noticed in seconds, since no time limit of the client's covers it."""

_services: dict[str, Any] = {}


def ask(payload: Mapping[str, Any], doing: str, question: Callable[[Any, Watch], Answer]) -> Answer:
    """Ask the account's service something that may be asked twice.

    A token that is refused is renewed once, and the question asked again: tokens expire while a job waits, and
    the provider's clock need not be ours.

    Args:
        payload: With `account`; `read_seconds` and `max_body_bytes` where they differ from the usual.
        doing: What is asked, for messages.
        question: Is given the service, and the watch over what it sends.

    Raises:
        HybridError: As `failures.translated` says.
    """
    try:
        with connected(payload, doing) as (service, watch):
            return question(service, watch)
    except AccountRefused as refused:
        if refused.details.get("status") != 401:
            raise
    with connected(payload, doing) as (service, watch):
        return question(service, watch)


@contextlib.contextmanager
def connected(
    payload: Mapping[str, Any], doing: str, watch: Watch | None = None
) -> Iterator[tuple[Any, Watch]]:
    """The service of an account, its requests guarded and watched, its failures translated.

    Raises:
        AccountRefused: The account is not to be found, or was refused; the service is built anew the next time.
        HybridError: As `failures.translated` says.
    """
    account = Account.model_validate(payload["account"])
    watch = watch or Watch(
        read_seconds=payload.get("read_seconds", READ_SECONDS),
        max_body_bytes=payload.get("max_body_bytes", MAX_BODY_BYTES),
    )
    _prepare(account)
    http.install()
    with http.watching(watch):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                service = _service(account, watch)
                with translated(watch, doing):
                    http.clients_of(service)
                    yield service, watch
                    http.clients_of(service)  # it makes new ones as it goes
        except AccountRefused:
            _services.pop(_key(account), None)
            forget_tokens()
            raise


def _prepare(account: Account) -> None:
    """Set what the client reads from the environment, and keep it silent: it logs and warns of keys."""
    os.environ["USAGE_DATA_OPT_OUT"] = "True"
    os.environ.setdefault("RES_OPTIONS", _RESOLVER)
    wanted = (
        _FOUND
        if account.emulator is None
        else {"IAM_URL": account.emulator, "QISKIT_FUNCTIONS_EXPERIMENTAL": "1"}
    )
    for name, value in wanted.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    for name in ("qiskit_ibm_runtime", "ibm_cloud_sdk_core", "ibm-cloud-sdk-core", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _key(account: Account) -> str:
    return account.model_dump_json(include={"name", "filename", "instance", "emulator"})


def _service(account: Account, watch: Watch) -> Any:
    key = _key(account)
    if key not in _services:
        doing = f"signing in with account {account.label!r}"
        with translated(watch, doing, signing_in=True):
            service = _build(account)
            _refuse_outage(watch, doing)
        _services[key] = service
    return _services[key]


def _build(account: Account) -> Any:
    from qiskit_ibm_runtime import QiskitRuntimeService

    if account.emulator is not None:
        api = f"{account.emulator.rstrip('/')}/api/v1"
        return QiskitRuntimeService(
            channel="ibm_quantum_platform",
            token=EMULATOR_TOKEN,
            instance=account.instance or EMULATOR_INSTANCE,
            url=account.emulator,
            url_resolver=lambda *_: api,
        )
    return QiskitRuntimeService(name=account.name, filename=account.filename, instance=account.instance)


def _refuse_outage(watch: Watch, doing: str) -> None:
    """The client takes a list of devices that it could not read for an empty one, and keeps it."""
    lists = [exchange for exchange in watch.exchanges if exchange.path.endswith("/backends")]
    failed = [exchange for exchange in lists if exchange.failed]
    signing_in = [exchange for exchange in watch.exchanges if exchange.path.endswith("/identity/token")]
    for exchange in (*signing_in, *failed):
        outage = exchange.status is None or exchange.status >= 500 or exchange.status in (401, 429)
        if exchange.failed and (outage or not lists or len(failed) == len(lists)):
            raise of_question(exchange, watch, doing)
