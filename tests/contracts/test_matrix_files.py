"""Files of matrices: round trips, and everything that a hostile or broken one may hold."""

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qurable.contracts.matrices import MatrixHeader, Spectrum
from qurable.errors import RequestRejected
from qurable.matrix_files import read_matrix, write_matrix

KERNEL = np.array([[1.0, 0.25], [0.25, 1.0]])


def header(**changes: Any) -> MatrixHeader:
    """Of a kernel of two samples."""
    said: dict[str, Any] = {
        "kind": "kernel",
        "id": "lab-matrix-1",
        "units": {"train": "probability, dimensionless"},
        "parameters": ("x0",),
        "confidence": {"level": 0.95},
        "spectrum": Spectrum(smallest=-0.5, largest=1.25, shift=0.5),
        "provenance": {"jobs": []},
        "arrays": {},
    }
    return MatrixHeader(**said | changes)


def arrays(**changes: Any) -> dict[str, Any]:
    """Of a kernel of two samples."""
    plain: dict[str, Any] = {
        name: KERNEL.copy() for name in ("train", "train_error", "train_lower", "train_upper")
    }
    plain |= {"train_job": np.zeros((2, 2), dtype=np.int32), "x_train": np.array([[0.1], [0.2]])}
    return plain | changes


def file() -> bytes:
    """A sound one."""
    return write_matrix(header(), arrays())


def members(body: bytes) -> dict[str, bytes]:
    """What is in a file, by member."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: dict[str, bytes]) -> bytes:
    """A file of these members."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return body.getvalue()


def npy(array: Any, **options: Any) -> bytes:
    """As `numpy.save` writes it."""
    body = io.BytesIO()
    np.save(body, array, **options)
    return body.getvalue()


def said(document: Any) -> bytes:
    """A header member of any document."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return npy(np.frombuffer(text, dtype=np.uint8))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """From bytes and from a path, with the hash that a report states; the same matrix gives the same bytes."""
    body = file()
    path = tmp_path / "kernel.npz"
    path.write_bytes(body)

    for source in (body, path, str(path)):
        matrix = read_matrix(source, sha256=hashlib.sha256(body).hexdigest())
        assert np.array_equal(matrix["train"], KERNEL)
        assert matrix.header.provenance == {"jobs": []}
    assert body == file()
    with pytest.raises(ValueError, match="read-only"):
        matrix["train"][0, 0] = 2.0
    with np.load(path, allow_pickle=False) as plain:  # anybody else's reader takes it, too
        assert np.array_equal(plain["train"], KERNEL)


def test_a_kernel_is_repaired_where_that_is_asked_for_alone() -> None:
    """The file holds what was measured, and says by how much it has to be shifted."""
    matrix = read_matrix(file())

    assert np.array_equal(matrix.repaired(), KERNEL + 0.5 * np.eye(2))
    assert np.array_equal(matrix["train"], KERNEL)
    features = header(kind="features", spectrum=None)
    plain = {"values": KERNEL, "values_error": KERNEL, "values_job": np.zeros(2, np.int32), "x": KERNEL}
    with pytest.raises(RequestRejected, match="only a kernel"):
        read_matrix(write_matrix(features, plain)).repaired()


class Bomb:
    """Runs code where somebody unpickles it."""

    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('unpickled')",))


def _with(**parts: bytes) -> Callable[[], bytes]:
    return lambda: zipped(members(file()) | {f"{name}.npy": part for name, part in parts.items()})


def _header_with(**changes: Any) -> Callable[[], bytes]:
    def changed() -> bytes:
        parts = members(file())
        document = json.loads(np.load(io.BytesIO(parts["header.npy"])).tobytes())
        return zipped(parts | {"header.npy": said(document | changes)})

    return changed


def _lacks(name: str) -> Callable[[], bytes]:
    return lambda: zipped({key: part for key, part in members(file()).items() if key != f"{name}.npy"})


def _huge() -> bytes:
    """A few bytes that claim to be 2^60 numbers."""
    claims = npy(np.zeros((2, 2)))
    return zipped(
        members(file()) | {"train.npy": claims.replace(b"(2, 2), }    ", b"(1073741824, 1073741824), }")}
    )


def _bomb() -> bytes:
    """Inflates to more than anybody has room for."""
    body = bytearray(zipped(members(file()) | {"train.npy": bytes(1000)}))
    at = body.rindex(b"train.npy") - 46 + 24  # its uncompressed size in the central directory
    body[at : at + 4] = b"\xfe\xff\xff\xff"
    return bytes(body)


def _twice() -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, part in [*members(file()).items(), ("train", members(file())["train.npy"])]:
            archive.writestr(name, part)
    return body.getvalue()


def _flipped() -> bytes:
    body = bytearray(file())
    at = body.index(b"train.npy") + 60
    body[at] ^= 0xFF
    return bytes(body)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "no readable matrix"),
    "no zip": (lambda: b"PK\x03\x04 but no more", "no readable matrix"),
    "a pickle": (lambda: pickle.dumps(Bomb()), "no readable matrix"),
    "cut short": (lambda: file()[:-200], "no readable matrix"),
    "a byte flipped": (_flipped, "matrix|header|content"),
    "another number": (_with(train=npy(2 * KERNEL)), "does not have the content"),
    "a pickled array": (
        _with(train=npy(np.array([[Bomb(), 1], [2, 3]], dtype=object), allow_pickle=True)),
        r"\|O of shape",
    ),
    "a pickle for an array": (_with(train=pickle.dumps(Bomb())), "no readable matrix"),
    "text for an array": (_with(train=b"1, 2"), "no readable matrix"),
    "single precision": (_with(train=npy(KERNEL.astype(np.float32))), "<f4 of shape"),
    "the other byte order": (_with(train=npy(KERNEL.astype(">f8"))), ">f8 of shape"),
    "columns first": (_with(train=npy(np.asfortranarray(np.arange(4.0).reshape(2, 2)))), "of shape"),
    "another shape": (_with(train=npy(np.ones((3, 3)))), r"\(3, 3\)"),
    "more than it says": (_with(train=npy(KERNEL) + bytes(5000)), "cut short, or longer"),
    "less than it says": (_with(train=npy(KERNEL)[:-8]), "cut short"),
    "a shape of 2^60": (_huge, "of shape"),
    "a bomb": (_bomb, "inflates to more|no readable matrix"),
    "a member twice": (_twice, "a member twice"),
    "an array too many": (_with(more=npy(KERNEL)), "does not hold the arrays"),
    "an array too few": (_lacks("train"), "does not hold the arrays"),
    "no header": (_lacks("header"), "no header"),
    "a header that is no JSON": (_with(header=said(b"{")), "the header"),
    "a header of other fields": (_with(header=said({"kind": "kernel"})), "the header"),
    "a header of floats": (_with(header=npy(np.ones(10))), "<f8 of shape"),
    "another format": (_header_with(format="somebody-else's"), "the header"),
    "a later version": (_header_with(schema_version=2), "schema version 2; version 1 is read"),
    "another id": (_header_with(id="lab-matrix-2"), "does not have the content"),
    "another hash": (_header_with(sha256="0" * 64), "does not have the content"),
    "a type that runs code": (
        _header_with(arrays={"train": {"dtype": "|O", "shape": [2, 2]}}),
        "the header",
    ),
    "numbers that are none": (
        lambda: write_matrix(header(), arrays(train=np.array([[1.0, np.nan], [np.nan, 1.0]]))),
        "not finite",
    ),
    "half a kernel": (lambda: write_matrix(header(), {"train": KERNEL}), "lacks"),
    "a kernel without its spectrum": (lambda: write_matrix(header(spectrum=None), arrays()), "its spectrum"),
}


@pytest.mark.parametrize(("made", "why"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_sound_file_is_refused(made: Callable[[], bytes], why: str) -> None:
    """With a reason, before anything is unpickled or much memory is asked for."""
    with pytest.raises(RequestRejected, match=why):
        read_matrix(made())


def test_another_file_than_the_report_names_is_refused(tmp_path: Path) -> None:
    """Whoever changes a file can change the hash inside it; the report's they cannot."""
    forged = write_matrix(header(), arrays(train=np.eye(2)))

    assert np.array_equal(read_matrix(forged)["train"], np.eye(2))
    with pytest.raises(RequestRejected, match="another SHA-256"):
        read_matrix(forged, sha256=hashlib.sha256(file()).hexdigest())
    with pytest.raises(RequestRejected, match="cannot be read"):
        read_matrix(tmp_path / "none.npz")
