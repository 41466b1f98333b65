"""What went wrong at the provider, as an error of this project; nothing of the client's own leaves a child.

The answer on the wire decides, since the client hides status codes and wraps one failure in another. Where every
exchange went well, the class of the client's exception does. No message holds a key or a token.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from backends.ibm.bearer import secrets
from backends.ibm.permits import Exchange, Watch
from backends.ibm.reach import hindrance
from qurable.errors import (
    AccountRefused,
    BackendNotInstalled,
    ExecutionFailed,
    HybridError,
    JobLost,
    JobTooLarge,
    OutOfTime,
    RequestRejected,
    SessionClosed,
    SubmissionUnclear,
    TargetClosed,
    TargetSaturated,
    TargetUnavailable,
    UnknownBackend,
    UnsupportedCircuit,
    UsageExhausted,
)

_QRT = "qiskit_ibm_runtime"

CLASSES: Mapping[str, type[HybridError]] = {
    f"{_QRT}.exceptions.IBMError": TargetUnavailable,
    f"{_QRT}.exceptions.IBMAccountError": AccountRefused,
    f"{_QRT}.exceptions.IBMBackendError": TargetUnavailable,
    f"{_QRT}.exceptions.IBMBackendApiProtocolError": TargetUnavailable,
    f"{_QRT}.exceptions.IBMBackendValueError": RequestRejected,
    f"{_QRT}.exceptions.IBMBackendApiError": TargetUnavailable,
    f"{_QRT}.exceptions.IBMInputValueError": UnsupportedCircuit,
    f"{_QRT}.exceptions.IBMNotAuthorizedError": AccountRefused,
    f"{_QRT}.exceptions.IBMApiError": TargetUnavailable,
    f"{_QRT}.exceptions.IBMRuntimeError": TargetUnavailable,
    f"{_QRT}.exceptions.RuntimeProgramNotFound": BackendNotInstalled,
    f"{_QRT}.exceptions.RuntimeJobFailureError": ExecutionFailed,
    f"{_QRT}.exceptions.RuntimeJobNotFound": JobLost,
    f"{_QRT}.exceptions.RuntimeInvalidStateError": TargetUnavailable,
    f"{_QRT}.exceptions.RuntimeJobTimeoutError": TargetUnavailable,
    f"{_QRT}.exceptions.RuntimeJobMaxTimeoutError": OutOfTime,
    f"{_QRT}.api.exceptions.ApiError": TargetUnavailable,
    f"{_QRT}.api.exceptions.RequestsApiError": TargetUnavailable,
    f"{_QRT}.api.exceptions.AuthenticationLicenseError": AccountRefused,
    f"{_QRT}.api.exceptions.ApiIBMProtocolError": TargetUnavailable,
    f"{_QRT}.api.exceptions.UserTimeoutExceededError": TargetUnavailable,
    f"{_QRT}.accounts.exceptions.AccountsError": AccountRefused,
    f"{_QRT}.accounts.exceptions.InvalidAccountError": AccountRefused,
    f"{_QRT}.accounts.exceptions.AccountNotFoundError": AccountRefused,
    f"{_QRT}.accounts.exceptions.AccountAlreadyExistsError": AccountRefused,
    f"{_QRT}.accounts.exceptions.CloudResourceNameResolutionError": AccountRefused,
    "qiskit.providers.exceptions.QiskitBackendNotFoundError": UnknownBackend,
    "ibm_cloud_sdk_core.api_exception.ApiException": TargetUnavailable,
    "requests.exceptions.RequestException": TargetUnavailable,
    "urllib3.exceptions.HTTPError": TargetUnavailable,
    "pydantic_core._pydantic_core.ValidationError": RequestRejected,
    "builtins.ValueError": RequestRejected,
}
"""What an exception of the client's means where every exchange went well. Subclasses mean what their base means."""

_CLIENT = (_QRT, "requests", "urllib3", "ibm_cloud_sdk_core", "ibm_platform_services", "jwt")

_REFUSED_CODES: Mapping[str, type[HybridError]] = {
    "1004": TargetClosed,
    "1007": UnknownBackend,
    "1200": AccountRefused,
    "1201": AccountRefused,
    "1202": TargetSaturated,
}
"""Error codes whose meaning IBM publishes and whose status says less. Source: https://quantum.cloud.ibm.com/docs/errors"""

_SESSION = re.compile(
    r"\b(session|batch)\b.*\b(closed|ended|expired|inactive|not (open|active|accept\w*|found)|no longer)",
    re.IGNORECASE | re.DOTALL,
)
_CLOSED = re.compile(
    r"maintenance|reserv(ed|ation)|dedicated|offline|retired|not (currently )?(available|operational|accepting jobs)",
    re.IGNORECASE,
)
_USAGE = re.compile(
    r"\busage\b.*(limit|exceed|reach)|instance limit|\bquota\b|no more time", re.IGNORECASE | re.DOTALL
)

_JOB = re.compile(r"/jobs/[^/]+$")

_HIDDEN = re.compile(
    r"(?i)\b(bearer|apikey|basic)\s+[\w.~+/=-]+|\beyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=://)[^/\s]+(?=@)"
)
_UNCLEAR_REFUSALS = frozenset({408, 425, 499})
"""Answers in the 400s that say nothing of whether the request was carried out."""

_MAX_TEXT = 500


@contextmanager
def translated(watch: Watch, doing: str, *, signing_in: bool = False) -> Iterator[None]:
    """Turn whatever is raised inside into an error of this project.

    Args:
        watch: What was sent meanwhile.
        doing: What was tried, for the message.
        signing_in: Whether it is the account that is being looked up: what the client then calls a wrong input is
            a wrong account.

    Raises:
        HybridError: With `sent`, `status` and `code` in its details: whether a submission may have reached the
            provider, the HTTP status and IBM's error code.
    """
    try:
        yield
    except HybridError as error:
        if watch.permit is not None and watch.permit.sent and watch.permit.exchange is not None:
            raise _of_submission(watch.permit.exchange, watch, doing) from None
        raise _told(type(error), error.message + _outage(error, watch), watch, **error.details) from None
    except BaseException as error:
        plain = isinstance(error, Exception) and not isinstance(error, MemoryError)
        if not plain and (watch.permit is None or not watch.permit.sent):
            raise  # the child says what that is, or dies of it
        found = _of_wire(watch, doing) or _of_class(error, watch, doing, signing_in=signing_in)
        if found is None:
            raise  # a defect of ours
        raise found from None


def _outage(error: HybridError, watch: Watch) -> str:
    """What the provider answered, where the client hides it behind a place that is not there and has asked more since."""
    down = [exchange for exchange in watch.exchanges if (exchange.status or 0) >= 500]
    if not down or not isinstance(error, TargetUnavailable):
        return ""
    return f": {down[-1].path!r} answered {down[-1].status}"


def scrub(text: str) -> str:
    """A text without keys and tokens, and not longer than a few lines."""
    for secret in secrets():
        text = text.replace(secret, "***")
    return _HIDDEN.sub("***", text)[:_MAX_TEXT]


def _told(kind: type[HybridError], message: str, watch: Watch, **details: Any) -> HybridError:
    failed = watch.failed
    known = {
        "sent": watch.permit is not None and watch.permit.sent,
        "status": None if failed is None else failed.status,
        "code": None if failed is None else _words(failed)[0],
    }
    return kind(scrub(message), **(known | details))


def _of_wire(watch: Watch, doing: str) -> HybridError | None:
    """What the wire says; None where every exchange went well."""
    permit = watch.permit
    if permit is not None and permit.exchange is not None:
        return _of_submission(permit.exchange, watch, doing)
    failed = watch.failed
    return None if failed is None else of_question(failed, watch, doing)


def _of_submission(exchange: Exchange, watch: Watch, doing: str) -> HybridError:
    hindered = hindrance(exchange)
    if hindered is not None:
        return _told(hindered[0], f"{doing}: {hindered[1]}", watch)
    _, text = _words(exchange)
    status = exchange.status
    if not exchange.sent:
        return _told(TargetUnavailable, f"{doing}: nothing was sent, {_no_answer(exchange)}", watch)
    if status is None or not 400 <= status < 500 or status in _UNCLEAR_REFUSALS:
        how = _no_answer(exchange) if status is None else f"the answer was {status} {text}".rstrip()
        return _told(
            SubmissionUnclear,
            f"{doing}: {how}; whether the job was taken will show when it is looked for",
            watch,
            status=status,
        )
    return _refusal(exchange, watch, doing)


def of_question(exchange: Exchange, watch: Watch, doing: str) -> HybridError:
    """The error that a failed request, other than a submission, amounts to."""
    hindered = hindrance(exchange)
    if hindered is not None:
        return _told(hindered[0], f"{doing}: {hindered[1]}", watch)
    status = exchange.status
    if (
        status is not None
        and exchange.path.endswith("/identity/token")
        and 400 <= status < 500
        and status != 429
    ):
        return _told(
            AccountRefused,
            f"{doing}: IBM Cloud refuses the API key ({status}): make a new one and give it to the worker",
            watch,
        )
    if status is None or not 400 <= status < 500:
        how = _no_answer(exchange) if status is None else f"{exchange.path!r} answered {status}"
        return _told(TargetUnavailable, f"{doing}: {how}", watch)
    return _refusal(exchange, watch, doing)


def _refusal(exchange: Exchange, watch: Watch, doing: str) -> HybridError:
    """The error that an answer in the 400s amounts to."""
    code, text = _words(exchange)
    kind = _REFUSED_CODES.get(str(code)) or _kind_of(exchange, text)
    message = f"{doing}: IBM refused with {exchange.status}{f', code {code}' if code else ''}: {text or 'no reason given'}"
    if issubclass(kind, TargetSaturated):
        return _told(kind, message, watch, retry_after=_retry_after(exchange))
    return _told(kind, message + _WAYS_OUT.get(kind, ""), watch)


_WAYS_OUT: Mapping[type[HybridError], str] = {
    AccountRefused: "; check the token and the instance of the account",
    UsageExhausted: "; wait for the next period, or raise the instance's limit",
    TargetClosed: "; choose another device, or wait until it opens",
    SessionClosed: "; open a new one",
}


def _kind_of(exchange: Exchange, text: str) -> type[HybridError]:
    status, path = exchange.status, exchange.path
    plain: dict[int | None, type[HybridError]] = {
        401: AccountRefused,
        402: UsageExhausted,
        413: JobTooLarge,
        429: TargetSaturated,
    }
    if status in plain:
        return plain[status]
    if _SESSION.search(text) or (status == 404 and "/sessions" in path):
        return SessionClosed
    if _USAGE.search(text):
        return UsageExhausted
    if _CLOSED.search(text):
        return TargetClosed
    if status == 403:
        return AccountRefused
    if exchange.is_submission:
        # IBM's API reference: 409 says that the instance's usage limit is exceeded.
        return {404: UnknownBackend, 409: UsageExhausted}.get(status or 0, RequestRejected)
    if status == 404:
        if "/backends/" in path:
            return UnknownBackend
        # Only of the job itself: a result or metrics that are not there yet make no job lost, and none paid again.
        return JobLost if _JOB.search(path) else TargetUnavailable
    return RequestRejected if status in (400, 422) else TargetUnavailable


def _of_class(error: BaseException, watch: Watch, doing: str, *, signing_in: bool) -> HybridError | None:
    """What the client's exception says; None for one that did not come out of the client."""
    kind = translation_of(type(error))
    through_client = _came_through_client(error)
    if kind in (None, RequestRejected) and not through_client:
        return None
    if signing_in and error.__cause__ is not None:
        kind = None  # the client blames the token for whatever it fails of
    elif kind in (RequestRejected, UnsupportedCircuit):
        if signing_in:
            kind = AccountRefused
        elif watch.permit is None or type(error).__name__ == "JSONDecodeError":
            kind = None  # only a submission holds anything that a caller could change
    if kind is None:  # the client reads answers as if they had to be well-formed
        return _told(
            TargetUnavailable, f"{doing}: the answer cannot be read ({type(error).__name__}: {error})", watch
        )
    return _told(kind, f"{doing}: {error}", watch)


def translation_of(kind: type[BaseException]) -> type[HybridError] | None:
    """The class that stands for a class of exceptions, its own or its nearest base's; None where neither is listed."""
    for base in kind.__mro__:
        found = CLASSES.get(f"{base.__module__}.{base.__qualname__}")
        if found is not None:
            return found
    return None


def status_of(failure: BaseException) -> int | None:
    """The HTTP status that an exception of the client's carries, or hides; None where there is none."""
    seen: BaseException | None = failure
    while seen is not None:
        response = getattr(seen, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(status, int):
            return status
        seen = seen.__cause__ or seen.__context__
    return None


def _came_through_client(error: BaseException) -> bool:
    step = error.__traceback__
    while step is not None:
        if str(step.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in _CLIENT:
            return True
        step = step.tb_next
    return False


def _words(exchange: Exchange) -> tuple[Any, str]:
    """IBM's error code, None where there is none, and its text."""
    answer = exchange.document()
    if not isinstance(answer, dict):
        return None, ""
    errors = answer.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else answer.get("error")
    if not isinstance(first, dict):
        return None, str(first or answer.get("message") or answer.get("errorMessage") or "")
    code = first.get("code")
    return code if isinstance(code, int | str) else None, str(first.get("message") or "")


def _no_answer(exchange: Exchange) -> str:
    cause: BaseException | None = exchange.failure
    names: list[str] = []
    while cause is not None and len(names) < 4:
        names.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return (
        f"{exchange.method} {exchange.path!r} had no whole answer ({' of '.join(names)}: {exchange.failure})"
    )


def _retry_after(exchange: Exchange) -> float | None:
    """Seconds to wait as the answer says, None where it says nothing."""
    said = exchange.headers.get("Retry-After", "").strip()
    if said.isdigit():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
