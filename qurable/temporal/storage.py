"""Where payloads go that are too large for Temporal's history: a local folder, or S3.

Blobs are kept under the SHA-256 of their bytes, so that a payload that is sent twice is stored once. They
outlive Temporal's retention; nothing here deletes them.
"""

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from qurable.errors import RequestRejected, ServiceUnreachable

_MAX_S3_BYTES = 512 * 2**20


class FolderDriver(StorageDriver):
    """Blobs in a folder that every client and worker can reach.

    Args:
        folder: Created when the first blob comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.expanduser()

    def name(self) -> str:
        """The name that references carry."""
        return "folder"

    def type(self) -> str:
        """The kind of driver."""
        return "qurable.folder"

    async def store(
        self,
        context: StorageDriverStoreContext,  # noqa: ARG002  Temporal's interface
        payloads: Sequence[Payload],
    ) -> list[StorageDriverClaim]:
        """Keep payloads."""
        return list(await asyncio.gather(*(asyncio.to_thread(self._put, payload) for payload in payloads)))

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,  # noqa: ARG002  Temporal's interface
        claims: Sequence[StorageDriverClaim],
    ) -> list[Payload]:
        """Fetch payloads, each checked against its hash.

        Raises:
            ServiceUnreachable: A blob is not there, or not what it was.
        """
        return list(
            await asyncio.gather(
                *(asyncio.to_thread(self._get, claim.claim_data["sha256"]) for claim in claims)
            )
        )

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _put(self, payload: Payload) -> StorageDriverClaim:
        body = payload.SerializeToString(deterministic=True)
        key = hashlib.sha256(body).hexdigest()
        path = self._path(key)
        if not path.exists():
            self._write(path, body)
        return StorageDriverClaim({"sha256": key, "size": str(len(body))})

    def _write(self, path: Path, body: bytes) -> None:
        """Write a blob so that it is there whole or not at all."""
        partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(body)
            partial.replace(path)
        except OSError as failure:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise ServiceUnreachable(
                f"a payload of {len(body):,} bytes cannot be kept in {self._folder} ({failure.strerror}): free some space there, or "
                "set QURABLE_PAYLOADS to another place"
            ) from None

    def _get(self, key: str) -> Payload:
        try:
            body = self._path(key).read_bytes()
        except FileNotFoundError:
            raise ServiceUnreachable(
                f"payload {key} is not in {self._folder}: clients and workers must share QURABLE_HOME, or set QURABLE_PAYLOADS to a "
                "place that all of them reach"
            ) from None
        if hashlib.sha256(body).hexdigest() != key:
            raise ServiceUnreachable(
                f"payload {key} in {self._folder} is damaged: its bytes have another hash"
            )
        return Payload.FromString(body)


@contextlib.asynccontextmanager
async def payload_driver(home: Path, place: str | None = None) -> AsyncIterator[StorageDriver]:
    """The driver that a place asks for.

    Args:
        home: Data folder; large payloads go to `payloads` in it unless a place is named.
        place: `s3://BUCKET` (credentials as of AWS), or a folder; by default `QURABLE_PAYLOADS`.

    Raises:
        RequestRejected: The place is none of these, or its library is not installed.
    """
    place = place or os.environ.get("QURABLE_PAYLOADS") or str(home / "payloads")
    parts = urlsplit(place)
    if parts.scheme in {"", "file"}:
        yield FolderDriver(Path(parts.path or place))
    elif parts.scheme == "s3" and parts.netloc:
        async with _s3(parts.netloc) as driver:
            yield driver
    else:
        raise RequestRejected(
            f"QURABLE_PAYLOADS={place!r} is no place for payloads: give a folder, or s3://BUCKET"
        )


@contextlib.asynccontextmanager
async def _s3(bucket: str) -> AsyncIterator[StorageDriver]:
    try:
        import aioboto3
        from temporalio.contrib.aws.s3driver import S3StorageDriver
        from temporalio.contrib.aws.s3driver.aioboto3 import new_aioboto3_client
    except ImportError:
        raise RequestRejected("payloads on S3 need the extra: pip install 'qurable[s3]'") from None
    async with aioboto3.Session().client("s3") as client:
        yield S3StorageDriver(new_aioboto3_client(client), bucket, max_payload_size=_MAX_S3_BYTES)
