"""From raw pieces to results in the author's own registers and shapes.

Bit order: raw outcomes and results both hold classical bit 0 in the lowest bit of the last byte.
"""

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qurable.contracts.arrays import BitArrays, FloatArray, size_of
from qurable.contracts.circuits import Dress
from qurable.contracts.executions import Piece
from qurable.contracts.pubs import EstimatePub, SamplePub, shots_for
from qurable.contracts.results import ErrorOrigin, EstimateResult, RegisterResult, SampleResult
from qurable.errors import ResultRefused

Bytes = npt.NDArray[np.uint8]

_ROWS_AT_ONCE = 200_000
_WITHOUT_SHOTS = frozenset({ErrorOrigin.EXACT, ErrorOrigin.TRUNCATION})


def arrays_of(piece: Piece) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a piece.

    Raises:
        ResultRefused: It is no npz, or holds Python objects.
    """
    try:
        with np.load(io.BytesIO(piece.data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ResultRefused(f"the result of pub {piece.pub} is not readable: {error}") from None


def is_complete(pieces: Sequence[Piece], bindings: int) -> bool:
    """Whether pieces of one pub cover all its bindings."""
    covered = 0
    for piece in sorted(pieces, key=lambda piece: piece.start):
        if piece.start > covered:
            return False
        covered = max(covered, piece.stop)
    return covered >= bindings


def assemble(
    pub: SamplePub | EstimatePub, dress: Dress, num_clbits: int, pieces: Sequence[Piece]
) -> SampleResult | EstimateResult:
    """The result of one pub whose pieces are complete.

    Raises:
        ResultRefused: The pieces have other shapes than the pub asks for.
    """
    if isinstance(pub, SamplePub):
        return _sample(pub, dress, num_clbits, pieces)
    return _estimate(pub, dress, pieces)


def _sample(pub: SamplePub, dress: Dress, num_clbits: int, pieces: Sequence[Piece]) -> SampleResult:
    width = (num_clbits + 7) // 8
    outcomes: Bytes = np.zeros((pub.bindings.size, pub.shots, width), dtype=np.uint8)
    for piece in pieces:
        bits = arrays_of(piece).get("bits")
        due = (piece.stop - piece.start, pub.shots, width)
        if bits is None or bits.shape != due or bits.dtype != np.uint8:
            found = "nothing" if bits is None else f"{bits.dtype} of shape {bits.shape}"
            raise ResultRefused(f"pub {piece.pub} must come back as uint8 of shape {due}, not {found}")
        outcomes[piece.start : piece.stop] = bits
    shape = pub.bindings.shape
    return SampleResult(
        shape=shape,
        shots=pub.shots,
        registers=tuple(
            RegisterResult(
                name=register.name,
                bits=BitArrays.pack(
                    _columns(outcomes, register.bits, num_clbits).tobytes(),
                    shape=shape,
                    num_shots=pub.shots,
                    num_bits=len(register.bits),
                ),
            )
            for register in dress.registers
        ),
        metadata=dress.metadata,
    )


def _columns(outcomes: Bytes, bits: Sequence[int], num_clbits: int) -> Bytes:
    """The bits of one register, packed."""
    if tuple(bits) == tuple(range(num_clbits)):
        return outcomes
    rows = outcomes.reshape(-1, outcomes.shape[-1])
    width = (len(bits) + 7) // 8
    packed: Bytes = np.zeros((rows.shape[0], width), dtype=np.uint8)
    for start in range(0, rows.shape[0], _ROWS_AT_ONCE):
        lowest_first = np.unpackbits(rows[start : start + _ROWS_AT_ONCE, ::-1], axis=1, bitorder="little")
        chosen = np.packbits(lowest_first[:, list(bits)], axis=1, bitorder="little")
        packed[start : start + _ROWS_AT_ONCE] = chosen[:, ::-1]
    return packed


def _estimate(pub: EstimatePub, dress: Dress, pieces: Sequence[Piece]) -> EstimateResult:
    size = size_of(pub.shape)
    evs, stds = np.full(size, np.nan), np.full(size, np.nan)
    for piece in pieces:
        arrays = arrays_of(piece)
        try:
            index = arrays["index"]
            evs[index], stds[index] = arrays["evs"], arrays["stds"]
        except (KeyError, IndexError, ValueError) as error:
            raise ResultRefused(
                f"the values of pub {piece.pub} do not fit shape {pub.shape}: {error}"
            ) from None
    if np.isnan(evs).any() or np.isnan(stds).any():
        raise ResultRefused(
            f"{int(np.isnan(evs).sum())} of {size} expectation values are missing or not numbers"
        )
    shots = shots_for(pub)
    origin = _origin(pieces, shots)
    return EstimateResult(
        shape=pub.shape,
        evs=FloatArray(shape=pub.shape, values=tuple(evs.tolist())),
        stds=FloatArray(shape=pub.shape, values=tuple(stds.tolist())),
        error_origin=origin,
        shots=0 if origin in _WITHOUT_SHOTS else shots,
        target_precision=pub.precision,
        metadata=dress.metadata,
    )


def _origin(pieces: Sequence[Piece], shots: int) -> ErrorOrigin:
    """How the standard errors arose: as the backend says, or else from shots, if there were any.

    Where pieces say different things, the one named last in `ErrorOrigin` has the most to it.

    Raises:
        ResultRefused: A backend names an origin that does not exist.
    """
    said = {piece.notes["error_origin"] for piece in pieces if "error_origin" in piece.notes}
    if not said:
        return ErrorOrigin.SHOTS if shots else ErrorOrigin.EXACT
    try:
        return max((ErrorOrigin(origin) for origin in said), key=list(ErrorOrigin).index)
    except ValueError as error:
        raise ResultRefused(f"how the error bars arose is not known: {error}") from None
