"""Tasks that look at the guard from inside a child."""

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

from backends.ibm import http, service, tasks
from backends.ibm.bearer import forget_tokens
from backends.ibm.permits import Permit, Watch


def forget(_payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Build the next service anew, and sign in anew."""
    service._services.clear()
    forget_tokens()


def send_jobs(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Send submissions past the primitives, `times` of them, under one permit or none."""
    from qiskit_ibm_runtime.api.exceptions import RequestsApiError

    permit = Permit(time.time() + 60, 5.0) if payload["permit"] else None
    with service.connected(payload, "probing", Watch(permit=permit)) as (client, _):
        for _ in range(payload["times"]):
            with contextlib.suppress(RequestsApiError):  # an empty job is refused
                client._active_api_client._session.post("/jobs", data="{}")


def move(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Drive a client whose insides have moved: `what` says how; it is put back afterwards."""
    from qiskit_ibm_runtime.api import auth, client, session
    from requests.adapters import HTTPAdapter

    forget(None, _emit)
    kept = session.HTTPAdapter, auth.CloudAuth.get_headers, client.RetrySession._initialize_retry
    try:
        match payload["what"]:
            case "adapter":
                del session.HTTPAdapter
            case "header":
                del auth.CloudAuth.get_headers
            case "mount":
                client.RetrySession._initialize_retry = lambda self, *_: self.mount("http://", HTTPAdapter())
            case "session":
                with service.connected(payload, "probing") as (built, _):
                    built._active_api_client._api.session = object()
            case "client":
                with service.connected(payload, "probing") as (built, _):
                    del built._api_clients
        with service.connected(payload, "probing"):
            return "driven all the same"
    finally:
        session.HTTPAdapter, auth.CloudAuth.get_headers, client.RetrySession._initialize_retry = kept
        forget(None, _emit)


def guarded(_payload: Any, _emit: Callable[[Any], None]) -> Any:
    """The tested version, and the one that is installed."""
    from importlib.metadata import version

    return [http.TESTED, version("qiskit-ibm-runtime")]


def with_variables(payload: Any, emit: Callable[[Any], None]) -> Any:
    """The task `within` of `backends.ibm.tasks` while the environment has other `variables`."""
    kept = {name: os.environ.get(name) for name in payload["variables"]}
    os.environ.update(payload["variables"])
    try:
        return getattr(tasks, payload["within"])(payload, emit)
    finally:
        for name, value in kept.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def looked_up(payload: Any, emit: Callable[[Any], None]) -> Any:
    """The task `user` for an account whose instances are looked up at `search`, as at the real provider's."""
    from qiskit_ibm_runtime.accounts import account

    shortcut = "QISKIT_FUNCTIONS_EXPERIMENTAL"
    kept = account.get_global_search_api_url, account.get_global_catalog_api_url, service._FOUND[shortcut]
    account.get_global_search_api_url = account.get_global_catalog_api_url = lambda _: payload["search"]
    service._FOUND[shortcut] = None
    forget(None, emit)
    try:
        return tasks.user(payload, emit)
    finally:
        account.get_global_search_api_url, account.get_global_catalog_api_url, service._FOUND[shortcut] = kept
        forget(None, emit)
