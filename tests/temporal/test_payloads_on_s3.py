"""Large payloads on S3: the same jobs, with an object store in the folder's place."""

import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from isolation.pool import Nursery
from qurable.temporal.converter import EXTERNAL_BYTES
from tests.conftest import Service, running_service

pytestmark = pytest.mark.long

BUCKET = "payloads"
WIDE = """OPENQASM 3.0;
include "stdgates.inc";
qubit[80] q;
bit[80] c;
h q;
c = measure q;
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of an object store on this machine, with one bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    _answer(urllib.request.Request(f"{address}/{BUCKET}", method="PUT"))
    try:
        yield address
    finally:
        server.stop()


def _answer(request: urllib.request.Request | str) -> bytes:
    with urllib.request.urlopen(request, timeout=10) as answer:
        body: bytes = answer.read()
        return body


def objects(s3: str) -> dict[str, int]:
    """Sizes of the bucket's objects, by key."""
    listing = ET.fromstring(_answer(f"{s3}/{BUCKET}?list-type=2"))
    names = {"": listing.tag.partition("}")[0].lstrip("{")}
    return {
        entry.findtext("Key", "", names): int(entry.findtext("Size", "0", names))
        for entry in listing.findall("Contents", names)
    }


@pytest.fixture
async def service_on_s3(
    s3: str, tmp_path: Path, nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """A service whose large payloads go to the bucket; credentials and address as of AWS."""
    monkeypatch.setenv("QURABLE_PAYLOADS", f"s3://{BUCKET}")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    async with running_service(tmp_path, nursery) as service:
        yield service


async def test_a_large_result_travels_by_the_bucket(service_on_s3: Service, s3: str) -> None:
    """In a cluster no folder is everybody's; the answer comes through the object store, whole."""
    before = objects(s3)
    report = await service_on_s3.run(WIDE, shots=100_000, seed=7, backend="aer")

    assert sum(report.counts().values()) == 100_000
    new = {key: size for key, size in objects(s3).items() if key not in before}
    assert any(size >= EXTERNAL_BYTES for size in new.values()), new
    assert not (service_on_s3.settings.home / "payloads").exists()


async def test_a_large_request_travels_by_the_bucket(service_on_s3: Service, s3: str) -> None:
    """What is sent is as large as what comes back."""
    before = objects(s3)
    report = await service_on_s3.run(WIDE + "// padding\n" * 30_000, shots=10, seed=7, backend="aer")

    assert sum(report.counts().values()) == 10
    assert max(size for key, size in objects(s3).items() if key not in before) >= EXTERNAL_BYTES


async def test_small_payloads_stay_in_history(service_on_s3: Service, s3: str) -> None:
    """A round trip to an object store would cost more than the whole job."""
    before = objects(s3)
    await service_on_s3.run(WIDE, shots=10, seed=7, backend="aer")

    assert objects(s3) == before
