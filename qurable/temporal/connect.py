"""Connect to Temporal: as its own environment configuration says, else to the embedded server that runs."""

import asyncio
import atexit
import contextlib
import gc
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile
from temporalio.runtime import Runtime
from temporalio.service import RPCError

from qurable.errors import ServiceUnreachable
from qurable.home import data_home
from qurable.names import NAMESPACE_RETENTION_DAYS, Attribute
from qurable.temporal.converter import data_converter
from qurable.temporal.embedded import find_running
from qurable.temporal.storage import payload_driver

# For programs that do not use `run_main`: one in seven would abort at its exit, with its work done.
atexit.register(gc.collect)

_RPC = timedelta(seconds=10)
_AGAIN_SECONDS = 0.2


def configured() -> bool:
    """Whether Temporal's own environment configuration names a service."""
    return ClientConfigProfile.load().address is not None


@contextlib.asynccontextmanager
async def connected(
    *,
    address: str | None = None,
    home: Path | None = None,
    runtime: Runtime | None = None,
    patience_seconds: float = 0.0,
) -> AsyncIterator[Client]:
    """A Temporal client with this project's converter.

    Args:
        address: `host:port`; by default as `TEMPORAL_ADDRESS` or the profile says, else the embedded server.
        home: Data folder; by default `QURABLE_HOME`.
        runtime: Of the SDK, for metrics.
        patience_seconds: Keep trying for this long, for workers that start before the service.

    Raises:
        ServiceUnreachable: Nobody answers, or nothing is configured and nothing runs.
    """
    home = home or data_home()
    options: dict[str, Any] = dict(ClientConfigProfile.load().to_client_connect_config())
    if address is not None:
        options["target_host"] = address
    elif "target_host" not in options:
        running = find_running(home)
        if running is None:
            raise ServiceUnreachable(
                f"no Temporal service is configured and none runs for {home}: set TEMPORAL_ADDRESS, or start one with `make up`"
            )
        options["target_host"] = running.target
    if runtime is not None:
        options["runtime"] = runtime
    async with payload_driver(home) as driver:
        yield await _patiently(options | {"data_converter": data_converter(driver)}, patience_seconds)


async def _patiently(options: dict[str, Any], patience_seconds: float) -> Client:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_seconds
    while True:
        try:
            return await Client.connect(**options)
        except (RuntimeError, RPCError) as failure:
            if loop.time() >= deadline:
                reason = str(failure).splitlines()[0][:200]
                raise ServiceUnreachable(
                    f"Temporal does not answer at {options['target_host']} ({reason}): start it, for instance with `make up`, or set "
                    "TEMPORAL_ADDRESS"
                ) from None
        await asyncio.sleep(_AGAIN_SECONDS)


async def keep_history(client: Client, days: int = NAMESPACE_RETENTION_DAYS) -> None:
    """Have the namespace of an embedded server keep finished workflows for longer than its day."""
    retention = Duration()
    retention.FromTimedelta(timedelta(days=days))
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=retention)
        ),
        timeout=_RPC,
    )


async def register_search_attributes(client: Client) -> bool:
    """Register this project's search attributes where the server lets us; whether all are there."""
    types = {
        Attribute.DEGRADED: IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
        Attribute.QUBITS: IndexedValueType.INDEXED_VALUE_TYPE_INT,
        Attribute.QPU_SECONDS: IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
    }
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace), timeout=_RPC
        )
        missing = {
            str(attribute): types.get(attribute, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD)
            for attribute in Attribute
            if attribute not in listed.custom_attributes
        }
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing),
                timeout=_RPC,
            )
    except RPCError:
        return False
    return True


def identity() -> str:
    """Who this process is, for Temporal's records."""
    return f"{os.getpid()}@{os.uname().nodename}"
