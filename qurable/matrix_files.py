"""Files of matrices: npz, with a header that says what is in them. A reader believes nothing of a file it has not checked.

Nothing is pickled. A file holds a member `header.npy`, the UTF-8 bytes of a `MatrixHeader`, and one for each array that it
names; members that it does not name, other types, other sizes and another hash are refused before, or instead of, being used.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from qurable.contracts.base import explain
from qurable.contracts.matrices import MATRIX_VERSION, ArrayShape, MatrixHeader
from qurable.errors import RequestRejected

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

MAX_FILE_BYTES = 256 * 2**20
_MAX_HEADER_BYTES = 64 * 2**20
_MAX_INFLATED_BYTES = 2 * 2**30
_PREFIX_BYTES = 512
"""An npy file of ours begins with at most so many bytes of its own header."""

_HEADER = "header"


@dataclass(frozen=True)
class Matrix:
    """A matrix that was read.

    Attributes:
        header: What the file says of itself, with provenance and confidence.
        arrays: By name, read only; see `docs/kernels.md`.
    """

    header: MatrixHeader
    arrays: "Mapping[str, npt.NDArray[Any]]"

    def __getitem__(self, name: str) -> "npt.NDArray[Any]":
        """An array by its name.

        Raises:
            KeyError: The matrix has none of that name.
        """
        return self.arrays[name]

    def repaired(self) -> "Floats":
        """The kernel among the training samples, shape (n, n), with `spectrum.shift` added to its diagonal.

        That is the least that makes it positive semidefinite where shot noise has made it something else. The file itself holds
        what was measured.

        Raises:
            RequestRejected: It is no kernel.
        """
        import numpy as np

        if self.header.spectrum is None:
            raise RequestRejected(f"matrix {self.header.id!r} holds features: only a kernel can be repaired")
        train: Floats = self.arrays["train"]
        return train + self.header.spectrum.shift * np.eye(len(train))


def write_matrix(header: MatrixHeader, arrays: "Mapping[str, npt.NDArray[Any]]") -> bytes:
    """The bytes of a file; the same matrix gives the same bytes.

    Args:
        header: Without `arrays` and `sha256`, which are put in.
        arrays: Of float64 and int32.
    """
    import numpy as np

    plain = {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}
    shapes = {
        name: ArrayShape.model_validate({"dtype": array.dtype.str, "shape": array.shape})
        for name, array in plain.items()
    }
    whole = header.model_copy(update={"arrays": shapes, "sha256": ""})
    whole = whole.model_copy(update={"sha256": _content(whole, plain)})
    said = np.frombuffer(whole.model_dump_json().encode(), dtype=np.uint8)
    file = io.BytesIO()
    members: dict[str, Any] = {_HEADER: said, **plain}
    np.savez_compressed(file, **members)
    return file.getvalue()


def _content(header: MatrixHeader, arrays: "Mapping[str, npt.NDArray[Any]]") -> str:
    """SHA-256 of a header that has none yet, and of the arrays in the order of their names."""
    found = hashlib.sha256(header.model_copy(update={"sha256": ""}).model_dump_json().encode())
    for name in sorted(arrays):
        found.update(name.encode() + b"\0")
        found.update(arrays[name].tobytes())
    return found.hexdigest()


def read_matrix(source: bytes | str | Path, *, sha256: str | None = None) -> Matrix:
    """Read a matrix from a file or its bytes, and check all of it.

    The hash inside finds what was broken on the way; whoever changes a file on purpose can change it too, so give `sha256`, as
    the matrix's report states it, for a file that others could write.

    Args:
        source: Path or bytes.
        sha256: That the file has to have.

    Raises:
        RequestRejected: It is no such file, of another version, broken, or not the one that is meant.
    """
    name = "the file" if isinstance(source, bytes) else repr(str(source))
    body = source if isinstance(source, bytes) else _bytes_of(Path(source), name)
    if sha256 is not None and hashlib.sha256(body).hexdigest() != sha256:
        raise RequestRejected(
            f"{name} has another SHA-256 than {sha256!r}: it was changed, or is another matrix; download it again"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return _read(archive, name)
    except RequestRejected:
        raise
    except Exception as failure:  # noqa: BLE001  a hostile archive may end in anything that zipfile, zlib and numpy raise
        raise RequestRejected(f"{name} is no readable matrix ({type(failure).__name__}: {failure})") from None


def _bytes_of(path: Path, name: str) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise RequestRejected(f"{name} has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
        return path.read_bytes()
    except OSError as failure:
        raise RequestRejected(f"{name} cannot be read: {failure.strerror}") from None


def _read(archive: zipfile.ZipFile, name: str) -> Matrix:
    members = archive.infolist()
    by_name = {member.filename.removesuffix(".npy"): member for member in members}
    if len(by_name) != len(members) or _HEADER not in by_name:
        raise RequestRejected(f"{name} is no matrix: it has no header, or a member twice")
    if sum(member.file_size for member in members) > _MAX_INFLATED_BYTES:
        raise RequestRejected(f"{name} inflates to more than {_MAX_INFLATED_BYTES:,} bytes")
    header = _header(archive, by_name.pop(_HEADER), name)
    if set(by_name) != set(header.arrays):
        strange = sorted(set(by_name) ^ set(header.arrays))
        raise RequestRejected(f"{name} does not hold the arrays that its header names: {strange[:5]}")
    arrays = {key: _array(archive, by_name[key], shape, name) for key, shape in header.arrays.items()}
    if _content(header, arrays) != header.sha256:
        raise RequestRejected(
            f"{name} does not have the content that its header states: it is broken or was changed"
        )
    _complete(header, name)
    return Matrix(header, arrays)


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> MatrixHeader:
    if member.file_size > _MAX_HEADER_BYTES:
        raise RequestRejected(
            f"{name} has a header of {member.file_size:,} bytes; at most {_MAX_HEADER_BYTES:,}"
        )
    said = _elements(archive, member, "|u1", None, name)
    text = said.tobytes()
    try:
        header = MatrixHeader.read(text)
    except ValidationError as failure:
        raise RequestRejected(explain(failure, f"the header of {name}")) from None
    if header.schema_version != MATRIX_VERSION:
        raise RequestRejected(
            f"{name} has schema version {header.schema_version}; version {MATRIX_VERSION} is read: use a release of qurable that "
            "knows it"
        )
    return header


def _array(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, due: ArrayShape, name: str
) -> "npt.NDArray[Any]":
    import numpy as np

    array = _elements(archive, member, due.dtype, due.shape, name)
    if not np.isfinite(array).all():
        raise RequestRejected(f"{name} holds a number that is not finite in {member.filename!r}")
    array.setflags(write=False)
    return array


def _elements(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, dtype: str, shape: tuple[int, ...] | None, name: str
) -> "npt.NDArray[Any]":
    """The elements of a member, whose size is known to be that of its type and shape before there is room made for them."""
    import numpy as np
    from numpy.lib import format as npy

    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version != (1, 0):
            raise RequestRejected(f"{name} has npy version {version} in {member.filename!r}; 1.0 is read")
        found, fortran, kind = npy.read_array_header_1_0(stream)
        if kind.str != dtype or fortran or (shape is not None and found != shape):
            raise RequestRejected(
                f"{name} holds {kind.str} of shape {found} in {member.filename!r}, and its header says {dtype} of shape {shape}"
            )
        size = int(np.prod(found, dtype=object)) * kind.itemsize
        if not 0 <= member.file_size - size <= _PREFIX_BYTES:
            raise RequestRejected(f"{name} is cut short, or longer than it says, in {member.filename!r}")
        body = stream.read()
    if len(body) != size:
        raise RequestRejected(f"{name} is cut short in {member.filename!r}")
    return np.frombuffer(bytearray(body), dtype=kind).reshape(found)


_ARRAYS = {
    "kernel": ("train", "train_error", "train_lower", "train_upper", "train_job", "x_train"),
    "features": ("values", "values_error", "values_job", "x"),
}


def _complete(header: MatrixHeader, name: str) -> None:
    """Whether a file that is whole is a matrix, too."""
    lacking = [array for array in _ARRAYS[header.kind] if array not in header.arrays]
    if lacking or (header.kind == "kernel") != (header.spectrum is not None):
        raise RequestRejected(f"{name} says it is {header.kind}, and lacks {lacking or 'its spectrum'}")
