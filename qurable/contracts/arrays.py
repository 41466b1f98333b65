"""Arrays in documents: floats as flat lists with a shape, bits packed and compressed."""

import base64
import math
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from qurable.contracts.base import Contract

if TYPE_CHECKING:
    import numpy as np


def size_of(shape: tuple[int, ...]) -> int:
    """Number of elements of an array of this shape; the empty shape holds one."""
    return math.prod(shape)


def flatten(value: Any) -> tuple[tuple[int, ...], list[Any]]:
    """Shape and elements, in C order, of a nested list or an array-like.

    Raises:
        ValueError: The nesting is ragged.
    """
    if hasattr(value, "ravel") and hasattr(value, "shape"):  # an empty array's lists would lose axes
        return tuple(value.shape), value.ravel().tolist()
    if hasattr(value, "tolist") and not isinstance(value, list | tuple):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return (), [value]
    if not value:
        return (0,), []
    parts = [flatten(item) for item in value]
    if any(shape != parts[0][0] for shape, _ in parts):
        raise ValueError(f"a ragged array: parts of shape {sorted({shape for shape, _ in parts})}")
    return (len(value), *parts[0][0]), [element for _, elements in parts for element in elements]


class FloatArray(Contract):
    """Real numbers with a shape.

    Attributes:
        shape: As NumPy's; the empty shape is a single number.
        values: Elements in C order (last axis fastest).
    """

    shape: tuple[int, ...] = ()
    values: tuple[float, ...]

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, value: Any) -> Any:
        if isinstance(value, dict | FloatArray):
            return value
        shape, values = flatten(value)
        return {"shape": shape, "values": values}

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if len(self.values) != size_of(self.shape):
            raise ValueError(
                f"shape {self.shape} holds {size_of(self.shape)} values, {len(self.values)} are given"
            )
        return self

    def to_numpy(self) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """The numbers as a NumPy array of this shape."""
        import numpy as np

        return np.array(self.values, dtype=np.float64).reshape(self.shape)


class BitArrays(Contract):
    """Shots of one classical register, for every element of a pub's shape, in the order they were taken.

    Bit order: as in Qiskit's `BitArray`. Each shot is `ceil(num_bits / 8)` bytes, most significant first, so
    that bit 0 of the register is the lowest bit of the last byte, and the rightmost character of a bitstring.

    Attributes:
        shape: Broadcast shape of the pub.
        num_shots: Shots per element.
        num_bits: Width of the register.
        data: The bytes in C order (shape, shot, byte), deflated and in base64.
    """

    shape: tuple[int, ...] = ()
    num_shots: int = Field(ge=0)
    num_bits: int = Field(ge=0)
    data: str = Field(repr=False)

    @property
    def num_bytes(self) -> int:
        """Bytes per shot."""
        return (self.num_bits + 7) // 8

    @classmethod
    def pack(cls, raw: bytes, *, shape: tuple[int, ...], num_shots: int, num_bits: int) -> Self:
        """Deflate packed shots into a document."""
        data = base64.b64encode(zlib.compress(raw, 1)).decode("ascii")
        return cls(shape=shape, num_shots=num_shots, num_bits=num_bits, data=data)

    @cached_property
    def raw(self) -> bytes:
        """The packed bytes.

        Raises:
            ValueError: The bytes are not as many as shape, shots and width say.
        """
        expected = size_of(self.shape) * self.num_shots * self.num_bytes
        inflater = zlib.decompressobj()
        raw = inflater.decompress(base64.b64decode(self.data), expected + 1)
        if len(raw) != expected:
            raise ValueError(f"{len(raw)} or more bytes where {expected} are due")
        return raw

    def _shots(self, index: int) -> Iterator[bytes]:
        width = self.num_bytes
        start = index * self.num_shots * width
        return (self.raw[at : at + width] for at in range(start, start + self.num_shots * width, width))

    def bitstrings(self, index: int = 0) -> list[str]:
        """Outcomes in shot order, of one element of the shape (flat index); qubit order as in the class."""
        if not self.num_bits:
            return [""] * self.num_shots
        return [format(int.from_bytes(shot, "big"), f"0{self.num_bits}b") for shot in self._shots(index)]

    def counts(self, index: int = 0) -> dict[str, int]:
        """How often each bitstring came, of one element of the shape (flat index), most frequent first."""
        if not self.num_bits:
            return {"": self.num_shots} if self.num_shots else {}
        tally = Counter(self._shots(index))
        return {
            format(int.from_bytes(shot, "big"), f"0{self.num_bits}b"): number
            for shot, number in sorted(tally.items(), key=lambda item: (-item[1], item[0]))
        }

    def to_numpy(self) -> "np.ndarray[Any, np.dtype[np.uint8]]":
        """The packed bytes, shape (*shape, num_shots, num_bytes)."""
        import numpy as np

        return np.frombuffer(self.raw, dtype=np.uint8).reshape(*self.shape, self.num_shots, self.num_bytes)
