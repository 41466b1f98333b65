"""Sessions and batches of the provider's: one id, under which several jobs run."""

from typing import Any

from backends.ibm.devices import open_device
from backends.ibm.failures import status_of
from backends.ibm.http import clients_of
from qurable.contracts.executions import Submission
from qurable.errors import SessionClosed, TargetUnavailable

_MODES = {"batch": "batch", "session": "dedicated"}
"""IBM's words for the modes that hold several jobs."""


def open_one(service: Any, device: str, mode: str, max_seconds: int | None) -> str:
    """Open a `session` or `batch` on a device; gives back its id.

    Args:
        service: The client's.
        device: With or without `ibm_`.
        mode: One of the two.
        max_seconds: How long it may stay open; None takes the provider's own limit.
    """
    backend = open_device(service, device)
    instance = backend._instance  # noqa: SLF001
    client = next(one for one in clients_of(service) if one._instance == instance)  # noqa: SLF001
    opened = client.create_session(backend.name, instance, max_seconds, _MODES[mode])
    if not isinstance(opened, dict) or not isinstance(opened.get("id"), str):
        raise TargetUnavailable(f"a {mode} was asked for and {opened!r:.80} came")
    return str(opened["id"])


def expect_accepting(service: Any, name: str) -> None:
    """Refuse a session or batch that takes no more jobs.

    Raises:
        SessionClosed: It takes none, or is not known.
    """
    details = read_session(service, name)
    if details.get("state") == "closed" or not details.get("accepting_jobs", True):
        raise SessionClosed(f"session {name!r} takes no more jobs; open a new one")


def mode_of(service: Any, backend: Any, name: str, submission: Submission) -> Any:
    """What a primitive runs in: the device, or a session or batch that is open on it."""
    if not name:
        return backend
    from qiskit_ibm_runtime import Batch, Session

    kind = Batch if submission.ibm.mode == "batch" else Session
    return kind.from_id(name, service, use_fractional_gates=submission.ibm.use_fractional_gates)


def read_session(service: Any, name: str) -> dict[str, Any]:
    """A session's or batch's details.

    Raises:
        SessionClosed: No instance of the account knows it.
    """
    for client in clients_of(service):
        try:
            details = client.session_details(name)
        except Exception as failure:
            if status_of(failure) != 404:
                raise
            continue
        if not isinstance(details, dict):
            raise TargetUnavailable(
                f"the provider answered {details!r:.80} where session {name!r} was asked for"
            )
        return details
    raise SessionClosed(f"the provider does not know session {name!r}; open a new one")
