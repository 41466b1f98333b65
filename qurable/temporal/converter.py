"""Documents to payloads and back; large ones leave Temporal's history.

Fields that this version does not know are ignored here, and here alone: refusing them would leave a workflow
running for ever on «Failed decoding arguments».
"""

import functools
from typing import Any

from pydantic import TypeAdapter
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    ExternalStorage,
    JSONPlainPayloadConverter,
    StorageDriver,
)

EXTERNAL_BYTES = 256 * 1024
"""Payloads from this size on travel by reference."""

_adapter = functools.lru_cache(maxsize=1024)(TypeAdapter)


class _LenientJson(PydanticJSONPlainPayloadConverter):
    """Pydantic's JSON, with unknown fields ignored when reading."""

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """The value in a payload."""
        adapter: TypeAdapter[Any] = _adapter(Any if type_hint is None else type_hint)
        return adapter.validate_json(payload.data, extra="ignore")


class LenientPayloadConverter(CompositePayloadConverter):
    """Temporal's converters, with this project's JSON."""

    def __init__(self) -> None:
        json = _LenientJson()
        super().__init__(
            *(
                json if isinstance(converter, JSONPlainPayloadConverter) else converter
                for converter in DefaultPayloadConverter.default_encoding_payload_converters
            )
        )


def data_converter(driver: StorageDriver | None = None) -> DataConverter:
    """The converter that clients and workers share.

    Args:
        driver: Where large payloads go; without one they stay in history, up to Temporal's 2 MB.
    """
    storage = (
        None if driver is None else ExternalStorage(drivers=[driver], payload_size_threshold=EXTERNAL_BYTES)
    )
    return DataConverter(
        payload_converter_class=LenientPayloadConverter,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
        external_storage=storage,
    )
