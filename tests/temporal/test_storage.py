"""Large payloads leave Temporal's history, and come back whole or not at all."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverClaim

from qurable.errors import RequestRejected, ServiceUnreachable
from qurable.requests import sample
from qurable.temporal.converter import EXTERNAL_BYTES
from qurable.temporal.storage import FolderDriver, payload_driver
from tests.circuits_at_hand import BELL, brickwork
from tests.conftest import Stack

CONTEXT: Any = None


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _payload(size: int) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=b"x" * size)


async def test_a_payload_comes_back_as_it_was_and_is_kept_once(tmp_path: Path) -> None:
    """Its name is the hash of its bytes, so a retry stores nothing again."""
    driver = FolderDriver(tmp_path)
    first, second, other = await driver.store(CONTEXT, [_payload(10), _payload(10), _payload(11)])

    assert await driver.retrieve(CONTEXT, [first, other]) == [_payload(10), _payload(11)]
    assert first == second
    assert len(_files(tmp_path)) == 2


async def test_a_payload_that_is_not_there_names_the_way_out(tmp_path: Path) -> None:
    """A worker with another data folder cannot read what the client kept in its own."""
    (claim,) = await FolderDriver(tmp_path / "one").store(CONTEXT, [_payload(10)])

    with pytest.raises(ServiceUnreachable, match=r"must share QURABLE_HOME, or set QURABLE_PAYLOADS"):
        await FolderDriver(tmp_path / "another").retrieve(CONTEXT, [claim])


async def test_a_damaged_payload_is_not_believed(tmp_path: Path) -> None:
    """A bit that turned on the disk must not become an answer."""
    driver = FolderDriver(tmp_path)
    (claim,) = await driver.store(CONTEXT, [_payload(10)])
    (file,) = _files(tmp_path)
    file.write_bytes(b"y" + file.read_bytes()[1:])

    with pytest.raises(ServiceUnreachable, match="is damaged: its bytes have another hash"):
        await driver.retrieve(CONTEXT, [StorageDriverClaim(claim.claim_data)])


async def test_a_full_disk_is_said_and_leaves_no_half_payload(small_disk: Path) -> None:
    """Which a later reader would take for the whole."""
    driver = FolderDriver(small_disk)
    with pytest.raises(
        ServiceUnreachable, match=r"cannot be kept in .*No space left.*: free some space there"
    ):
        await driver.store(CONTEXT, [_payload(20 * 2**20)])

    assert _files(small_disk) == []
    assert len(await driver.store(CONTEXT, [_payload(2**20)])) == 1


@pytest.mark.parametrize("place", ["ftp://somewhere/else", "s3://", "http://bucket"])
async def test_a_place_that_is_none_is_refused(tmp_path: Path, place: str) -> None:
    """By what was written, and what may be."""
    with pytest.raises(RequestRejected, match=r"is no place for payloads: give a folder, or s3://BUCKET"):
        async with payload_driver(tmp_path, place):
            pytest.fail("it was taken")


async def test_a_large_job_leaves_a_small_history(stack: Stack) -> None:
    """Request and report are beyond 256 KiB each; none of it is in the server's database."""
    large = sample(brickwork(12, 1500), BELL, shots=100_000, backend="aer")
    async with stack() as service:
        report = await service.run(large)
        events = [
            event async for event in service.temporal.get_workflow_handle(report.id).fetch_history_events()
        ]
        blobs = [path.stat().st_size for path in _files(service.settings.home / "payloads")]
        again = await service.qurable.result(report.id)

    sizes = [len(str(MessageToDict(event))) for event in events]
    assert max(sizes) < EXTERNAL_BYTES
    assert sum(sizes) < EXTERNAL_BYTES
    assert max(blobs) > EXTERNAL_BYTES
    assert sum(report.results[0].counts().values()) == 100_000  # type: ignore[union-attr]
    assert again == report
