"""What a primitive of IBM's gives back, checked and cut into pieces of the submission's own shapes.

The client hands on whatever the service's answer decodes to: None, text, a list. Nothing is believed before its
type, its number of pubs, and their shapes, shots, registers and numbers are those of what was sent. Quasi-probability
methods may give values outside of an observable's range; they are results.

Bit order: outcomes are packed as in Qiskit's `BitArray`, classical bit 0 in the lowest bit of the last byte.
"""

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.primitives import BitArray, PrimitiveResult

from backends.ibm.neutral import register_bits
from backends.ibm.split import Row, rows
from circuits.suppression import mitigation
from qurable.contracts.executions import IsaPub, Slice, Submission
from qurable.contracts.results import ErrorOrigin
from qurable.errors import ResultRefused

Bytes = npt.NDArray[np.uint8]
Arrays = dict[str, Any]

_NOTE_ITEMS, _NOTE_DEPTH = 64, 5
"""Metadata beyond this is left out of the notes."""


def pieces(
    result: Any, submission: Submission, slices: Sequence[Slice], *, seconds: float = 0.0
) -> list[dict[str, Any]]:
    """The result of a part of a submission, one piece per slice.

    Args:
        result: What the client's job gave, of either generation.
        submission: What was sent.
        slices: Which part of it.
        seconds: Of the whole run, as far as it is known; noted in the first piece.

    Returns:
        Arguments of `Piece`: `data` is an npz with `bits`, or with `index`, `evs`, `stds` and, where IBM gives it,
        `ensemble`, the standard errors as if all shots were one pool.

    Raises:
        ResultRefused: Saying what came, and what should have.
    """
    if not isinstance(result, PrimitiveResult):
        raise ResultRefused(
            f"IBM's answer is no result but {_described(result)}: the job must be fetched again, or run again"
        )
    found = _Cursor(list(result))
    taken = []
    for number, piece in enumerate(slices):
        arrays, notes = _piece(submission, piece, found)
        body = io.BytesIO()
        np.savez(body, **arrays)
        taken.append(
            {
                "pub": piece.pub,
                "start": piece.start,
                "stop": piece.stop,
                "data": body.getvalue(),
                "notes": notes | _run_notes(result.metadata),
                "seconds": 0.0 if number else seconds,
            }
        )
    found.must_be_empty()
    return taken


class _Cursor:
    """The pub results that are not read yet."""

    def __init__(self, found: list[Any]) -> None:
        self._found = found
        self._read = 0

    def look(self) -> Any:
        """The next one, which stays.

        Raises:
            ResultRefused: There is none.
        """
        if self._read >= len(self._found):
            raise ResultRefused(f"IBM's result has {len(self._found)} pubs, and more were sent")
        return self._found[self._read]

    def take(self) -> Any:
        """The next one."""
        pub_result = self.look()
        self._read += 1
        return pub_result

    def must_be_empty(self) -> None:
        """Refuse what was not asked for."""
        if self._read != len(self._found):
            raise ResultRefused(f"IBM's result has {len(self._found)} pubs; {self._read} were sent")


def _piece(submission: Submission, piece: Slice, found: _Cursor) -> tuple[Arrays, dict[str, Any]]:
    pub = submission.pubs[piece.pub]
    wanted = list(rows(pub.bindings, pub.observables, piece.start, piece.stop))
    inner = () if pub.observables is None else (len(wanted[0].results) if wanted else 0,)
    notes: dict[str, Any] = {"shots": pub.shots}
    read: list[Arrays] = []
    for chunk in _chunks(wanted, inner, found):
        pub_result = found.take()
        # A circuit without parameters is sent once for each binding, without that axis.
        shape = inner if _shape(pub_result) == inner else (len(chunk), *inner)
        if pub.observables is None:
            read.append(_sampled(pub_result, pub, piece.pub, shape, len(chunk), notes))
        else:
            read.append(_estimated(pub_result, submission, piece.pub, shape, chunk, notes))
        notes |= _pub_notes(pub_result)
    names = read[0].keys() if read else ()
    return {name: np.concatenate([arrays[name] for arrays in read]) for name in names}, notes


def _chunks(wanted: Sequence[Row], inner: tuple[int, ...], found: _Cursor) -> list[list[Row]]:
    """The bindings by the pub that brings them: all in one, or one in each."""
    if not wanted:
        return []
    if _shape(found.look()) == (len(wanted), *inner):
        return [list(wanted)]
    return [[row] for row in wanted]


def _shape(pub_result: Any) -> tuple[int, ...] | None:
    data = getattr(pub_result, "data", None)
    for name in _fields(data):
        value = getattr(data, name)
        if isinstance(value, BitArray):
            return tuple(value.shape)
        if name == "evs":
            return tuple(np.shape(value))
    return None


def _fields(data: Any) -> list[str]:
    return list(data.keys()) if hasattr(data, "keys") else []


def _sampled(
    pub_result: Any, pub: IsaPub, number: int, shape: tuple[int, ...], count: int, notes: dict[str, Any]
) -> Arrays:
    data = pub_result.data
    registers: list[tuple[list[int], Bytes]] = []
    for name in _fields(data):
        register = getattr(data, name)
        try:
            places = register_bits(name)
        except ValueError:
            places = []
        if not isinstance(register, BitArray) or not places or max(places) >= pub.num_clbits:
            raise ResultRefused(f"pub {number}: register {name!r} of the result is not one that was sent")
        if tuple(register.shape) != shape or register.num_bits != len(places):
            raise ResultRefused(
                f"pub {number}: register {name!r} has shape {register.shape} and {register.num_bits} bits; {shape} and "
                f"{len(places)} are due"
            )
        if register.num_shots < pub.shots:
            raise ResultRefused(
                f"pub {number}: {register.num_shots} shots came, {pub.shots} were asked for and may have been paid for"
            )
        notes["shots_run"] = register.num_shots  # twirling rounds up; the first ones are kept
        packed = register.array.reshape(count, register.num_shots, -1)[:, : pub.shots]
        if packed.dtype != np.uint8 or (len(places) % 8 and (packed[..., 0] >> (len(places) % 8)).any()):
            raise ResultRefused(
                f"pub {number}: register {name!r} holds outcomes wider than its {len(places)} bits"
            )
        registers.append((places, packed))
    if missing := sorted(set(range(pub.num_clbits)).difference(*(places for places, _ in registers))):
        raise ResultRefused(f"pub {number}: classical bits {missing[:8]} are missing from the result")
    return {"bits": _merged(registers, (count, pub.shots, pub.num_clbits))}


def _merged(registers: Sequence[tuple[list[int], Bytes]], shape: tuple[int, int, int]) -> Bytes:
    """All registers as one, packed; shape is (bindings, shots, bits)."""
    if len(registers) == 1 and registers[0][0] == list(range(shape[2])):
        return np.ascontiguousarray(registers[0][1])
    bits: Bytes = np.zeros(shape, dtype=np.uint8)
    for places, packed in registers:
        bits[..., places] = np.unpackbits(packed[..., ::-1], axis=-1, count=len(places), bitorder="little")
    return np.packbits(bits, axis=-1, bitorder="little")[..., ::-1]


def _estimated(
    pub_result: Any,
    submission: Submission,
    number: int,
    shape: tuple[int, ...],
    chunk: Sequence[Row],
    notes: dict[str, Any],
) -> Arrays:
    data = pub_result.data
    arrays: Arrays = {"index": np.array([flat for row in chunk for flat in row.results], dtype=np.int64)}
    stds = _with_errors_of_points(data, notes)
    arrays["evs"] = _numbers(getattr(data, "evs", None), f"pub {number}: evs", shape)
    arrays["stds"] = _numbers(stds, f"pub {number}: stds", shape)
    if (arrays["stds"] < 0).any():
        raise ResultRefused(f"pub {number}: a standard error is negative ({arrays['stds'].min()})")
    pooled = getattr(data, "ensemble_standard_error", None)
    if pooled is not None:
        arrays["ensemble"] = _numbers(pooled, f"pub {number}: ensemble_standard_error", shape)
    notes["error_origin"] = str(_origin(pub_result, submission, arrays["stds"]))
    return arrays


def _with_errors_of_points(data: Any, notes: dict[str, Any]) -> Any:
    """Standard errors; where a fit to noise factors has none, the largest of the values that it was fitted to.

    A fit that meets its points exactly, as where noise changes nothing, has an infinite one by the client's account.
    """
    stds: Any = getattr(data, "stds", None)
    points: Any = getattr(data, "ensemble_stds_noise_factors", None)
    if points is None or np.shape(points)[:-1] != np.shape(stds) or np.isfinite(stds).all():
        return stds
    unknown = ~np.isfinite(stds)
    notes["stds_of_noise_factors"] = int(unknown.sum())
    return np.where(unknown, np.max(points, axis=-1), stds)


def _numbers(values: Any, what: str, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise ResultRefused(f"{what} are no real numbers but {_described(values)} of {array.dtype}")
    if array.shape != shape:
        raise ResultRefused(f"{what} have shape {array.shape}; {shape} is due")
    if not np.isfinite(array).all():
        raise ResultRefused(f"{what}: {int((~np.isfinite(array)).sum())} of {array.size} are not finite")
    return array.astype(np.float64).ravel()


def _origin(pub_result: Any, submission: Submission, stds: npt.NDArray[np.float64]) -> ErrorOrigin:
    """How the standard errors arose, from what was asked and what the result says of itself."""
    asked = (pub_result.metadata or {}).get("target_precision")
    if isinstance(asked, float) and stds.size and bool(np.isclose(stds, asked, rtol=1e-9, atol=0).all()):
        return ErrorOrigin.TARGET_PRECISION
    fields = _fields(pub_result.data)
    if "evs_extrapolated" in fields:
        return ErrorOrigin.EXTRAPOLATION
    effect = mitigation(submission.ibm, "estimate")
    twirled = effect.twirls_gates or effect.twirls_measurements
    # Local testing mode takes no notice of twirling, and then gives no pooled errors to compare with.
    return ErrorOrigin.ENSEMBLE if twirled and "ensemble_standard_error" in fields else ErrorOrigin.SHOTS


def _pub_notes(pub_result: Any) -> dict[str, Any]:
    """What the result says of one pub, but for the circuit's metadata, of which none was sent."""
    metadata = pub_result.metadata or {}
    kept = ("target_precision", "num_randomizations", "resilience", "compilation")
    return {name: _plain(metadata[name]) for name in kept if metadata.get(name)}


def _run_notes(metadata: Any) -> dict[str, Any]:
    """When it ran on the QPU, as far as the result says."""
    if not isinstance(metadata, Mapping):
        return {}
    spans = (metadata.get("execution") or {}).get("execution_spans")
    if spans is None:
        spans = getattr(metadata.get("executor"), "chunk_timing", None)
    times = [
        [moment.isoformat() for moment in (span.start, span.stop)]
        for span in list(spans or ())[:_NOTE_ITEMS]
        if isinstance(getattr(span, "start", None), datetime)
        and isinstance(getattr(span, "stop", None), datetime)
    ]
    return {"execution_spans": times} if times else {}


def _plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON holds it; what is too deep or too long is named by its type."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if np.isfinite(value) else str(value)
        case np.generic():
            return _plain(value.item(), depth)
        case np.ndarray():
            return _plain(value.tolist(), depth)
        case Mapping() if depth < _NOTE_DEPTH:
            return {str(name): _plain(entry, depth + 1) for name, entry in list(value.items())[:_NOTE_ITEMS]}
        case list() | tuple() if depth < _NOTE_DEPTH:
            return [_plain(entry, depth + 1) for entry in value[:_NOTE_ITEMS]]
    return type(value).__name__


def _described(value: Any) -> str:
    """A value in a few words, for messages."""
    if isinstance(value, str):
        return f"text ({value[:80]!r})"
    return "nothing" if value is None else f"a {type(value).__name__}"
