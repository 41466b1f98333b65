"""What the provider says of its devices, asked of them and not of the client's caches."""

import difflib
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from backends.ibm.failures import status_of
from backends.ibm.http import clients_of
from qurable.errors import TargetClosed, TargetUnavailable, UnknownBackend

PREFIX = "ibm_"

_OPEN = frozenset({"", "active", "available"})
"""What a device that works off its queue says of itself."""


def list_devices(service: Any) -> list[tuple[Any, str, int]]:
    """(client, name, qubits) of every device of the account, each once.

    Raises:
        TargetUnavailable: The list cannot be read, which the client would call empty, or is empty, as after an outage.
    """
    found: dict[str, tuple[Any, str, int]] = {}
    for client in clients_of(service):
        answer = client._api.backends()  # noqa: SLF001  `list_backends` takes any answer for a list
        listed = answer.get("devices") if isinstance(answer, dict) else None
        if not isinstance(listed, list):
            raise TargetUnavailable(
                f"the provider answered {answer!r:.80} where its list of devices was asked for"
            )
        for entry in listed:
            name, qubits = entry.get("name"), entry.get("qubits")
            if isinstance(name, str) and isinstance(qubits, int) and entry.get("class") != "mock":
                found.setdefault(name, (client, name, qubits))
    if not found:
        raise TargetUnavailable("the provider lists no devices at all; that is taken for an outage")
    return list(found.values())


def live_status(client: Any, name: str) -> dict[str, Any]:
    """A device's status of this moment: `operational`, `message`, `pending_jobs`."""
    said = client.backend_status(name)
    message = str(said["status_msg"])
    return {
        "operational": bool(said["operational"]) and message.lower() in _OPEN,
        "message": message,
        "pending_jobs": int(said["pending_jobs"]),
    }


def live_statuses(service: Any, min_qubits: int) -> list[dict[str, Any]]:
    """Every device that is wide enough, with its status; one whose status cannot be read is not operational.

    Raises:
        Exception: The list, or every status, cannot be read.
    """
    found: list[dict[str, Any]] = []
    failures: list[Exception] = []
    for client, name, qubits in list_devices(service):
        if qubits < min_qubits:
            continue
        entry = {"name": name, "qubits": qubits, "operational": False, "message": "", "pending_jobs": 0}
        try:
            entry |= live_status(client, name)
        except Exception as failure:
            if status_of(failure) == 401:
                raise
            failures.append(failure)
            entry["message"] = "its status cannot be read"
        found.append(entry)
    if failures and len(failures) == len(found):
        raise failures[-1]
    return found


def expect_open(backend: Any) -> None:
    """Refuse a device that would take a job and leave it lying.

    Raises:
        TargetClosed: It is in maintenance, reserved, or not operational.
    """
    said = backend.status()
    if not said.operational or said.status_msg.lower() not in _OPEN:
        raise TargetClosed(
            f"device {backend.name!r} takes no jobs now (it says {said.status_msg!r}): choose another, or wait"
        )


def read_device(service: Any, asked: str) -> dict[str, Any]:
    """One device in full, as it is calibrated now.

    Raises:
        UnknownBackend: The account has no such device; near names are in the message.
    """
    from circuits.targets import describe_target

    listed = {name: client for client, name, _ in list_devices(service)}
    name = asked if asked in listed else with_prefix(asked)
    if name not in listed:
        raise _unknown(asked, listed)
    backend = open_device(service, name)
    backend.refresh()  # the client keeps a configuration for as long as it lives
    document = describe_target(backend.target)
    configuration = backend.configuration()
    calibrated = getattr(backend.properties(), "last_update_date", None)
    return live_status(listed[name], name) | {
        "name": name,
        "qubits": int(configuration.n_qubits),
        "version": str(backend.backend_version or ""),
        "calibrated": _utc(calibrated) if isinstance(calibrated, datetime) else None,
        "document": document.model_dump_json(),
        "fractional_document": _fractional(service, name),
        "dynamic": bool(document.control_flow),
        "max_shots": getattr(configuration, "max_shots", None),
        "max_circuits": getattr(configuration, "max_experiments", None),
        "rep_delay": getattr(configuration, "default_rep_delay", None),
        "rep_delay_range": list(getattr(configuration, "rep_delay_range", ())) or None,
        "dt": getattr(configuration, "dt", None),
    }


def read_status(service: Any, asked: str) -> dict[str, Any]:
    """A device's status of this moment, as `live_status` gives it.

    Raises:
        UnknownBackend: The account has no such device; near names are in the message.
    """
    listed = {name: client for client, name, _ in list_devices(service)}
    name = asked if asked in listed else with_prefix(asked)
    if name not in listed:
        raise _unknown(asked, listed)
    return live_status(listed[name], name)


def open_device(service: Any, asked: str, *, use_fractional_gates: bool = False) -> Any:
    """The client's backend for a device.

    Raises:
        UnknownBackend: The account has no such device; near names are in the message.
        TargetUnavailable: The client could not read what it needs, and says that there is no such device.
    """
    from qiskit.providers.exceptions import QiskitBackendNotFoundError

    name = with_prefix(asked)
    try:
        return service.backend(name, use_fractional_gates=use_fractional_gates)
    except QiskitBackendNotFoundError:
        listed = [known for _, known, _ in list_devices(service)]
    if name in listed:
        _forget_configuration(service, name)
        raise TargetUnavailable(f"the provider's configuration of device {name!r} could not be read")
    raise _unknown(asked, listed)


def _forget_configuration(service: Any, name: str) -> None:
    """Drop what the client keeps of a device's configuration, or it never asks again for what it could not read."""
    service._backend_configs.pop(name, None)  # noqa: SLF001
    for client in clients_of(service):
        client._configuration_registry.pop(name, None)  # noqa: SLF001


def with_prefix(name: str) -> str:
    """A device's name as IBM writes it."""
    return name if name.startswith(PREFIX) else PREFIX + name


def _fractional(service: Any, name: str) -> str | None:
    """The target with fractional gates, None for a device without them."""
    from qiskit_ibm_runtime.exceptions import IBMInputValueError

    from circuits.targets import describe_target

    try:
        backend = service.backend(name, use_fractional_gates=True)
    except IBMInputValueError:
        return None
    return describe_target(backend.target).model_dump_json()


def _utc(calibrated: datetime) -> str:
    return calibrated.astimezone(UTC).isoformat()


def _unknown(asked: str, listed: Collection[str]) -> UnknownBackend:
    near = difflib.get_close_matches(with_prefix(asked), listed, n=3, cutoff=0.5)
    return UnknownBackend(
        f"this account has no device {asked!r}"
        + (
            f"; did you mean {' or '.join(map(repr, near))}?"
            if near
            else f"; it has {', '.join(map(repr, sorted(listed)[:5])) or 'none'}"
        ),
        near=near,
    )
