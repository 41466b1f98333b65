"""How a submission is divided into jobs of the provider's, and how long each is expected to take.

Pure and cheap: no circuit is loaded. Equal submissions give equal parts. Bindings may be parted, shots of one
binding never are; pubs share a job where they ask for the same number of shots.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from circuits.qpu_time import (
    MAX_EXECUTIONS,
    REP_DELAY_SECONDS,
    count_executions,
    qpu_seconds_range,
    seconds_to_reserve,
)
from circuits.suppression import suppression
from qurable.contracts.arrays import size_of
from qurable.contracts.bindings import Bindings
from qurable.contracts.executions import IsaPub, PartIntent, Seconds, Slice, Submission
from qurable.contracts.observables import Observables
from qurable.contracts.pubs import broadcast
from qurable.errors import JobTooLarge, RequestRejected

MAX_PAYLOAD_BYTES = 40 * 2**20
"""Of one request. IBM publishes no number; an assumption below what gateways commonly take."""

_OPERATION_SECONDS = 2e-6
"""Longest native operation, a readout, where a circuit's own length is not known."""

_GATE_BYTES, _VALUE_BYTES, _TERM_BYTES = 24, 11, 40
"""What an operation, a parameter value and a Pauli term take in a request, compressed and in base 64."""


@dataclass(frozen=True)
class DeviceLimits:
    """What one of IBM's devices allows in a job, beyond its target.

    Attributes:
        max_circuits: Most pubs in a job, None for no limit.
        max_shots: Most shots of a pub.
        rep_delay: Seconds between shots where none are asked for, None where the device does not say.
        rep_delay_range: Shortest and longest seconds between shots that may be asked for; None where there is no choice.
        fractional_gates: Whether it has rx and rzz gates of any angle.
        max_executions: Of one job: circuits after broadcasting, times shots.
        max_payload_bytes: Of one request.
        max_bindings: Most bindings in a job, over all its pubs; None for no limit.
    """

    max_circuits: int | None = None
    max_shots: int = 1_000_000
    rep_delay: float | None = None
    rep_delay_range: tuple[float, float] | None = None
    fractional_gates: bool = False
    max_executions: int = MAX_EXECUTIONS
    max_payload_bytes: int = MAX_PAYLOAD_BYTES
    max_bindings: int | None = None


@dataclass(frozen=True)
class Row:
    """One binding of a pub with everything that is measured in it.

    Attributes:
        binding: Flat position among the pub's bindings.
        observables: Flat positions among its observables; empty for sampling.
        results: Flat positions in the pub's result, one for each of `observables`; empty for sampling.
    """

    binding: int
    observables: tuple[int, ...] = ()
    results: tuple[int, ...] = ()


def rows(bindings: Bindings, observables: Observables | None, start: int, stop: int) -> Iterator[Row]:
    """The bindings from start to stop (flat), each with the observables that broadcasting pairs it with.

    Every binding of a pub has equally many.
    """
    if observables is None:
        yield from (Row(binding) for binding in range(start, stop))
        return
    shape = broadcast(bindings.shape, observables.shape)
    width = len(shape)
    inner = (1,) * (width - len(bindings.shape)) + bindings.shape
    outer = (1,) * (width - len(observables.shape)) + observables.shape
    free = [axis for axis in range(width) if inner[axis] == 1 and shape[axis] != 1]
    for binding in range(start, stop):
        place = _unravelled(binding, inner)
        pairs = []
        for choice in range(size_of(tuple(shape[axis] for axis in free))):
            spot = list(place)
            for axis, at in zip(free, _unravelled(choice, tuple(shape[axis] for axis in free)), strict=True):
                spot[axis] = at
            pairs.append((_flat(spot, outer), _flat(spot, shape)))
        yield Row(binding, tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


def _unravelled(flat: int, shape: Sequence[int]) -> tuple[int, ...]:
    """Position of a flat index in an array, C order."""
    place = []
    for extent in reversed(shape):
        flat, at = divmod(flat, extent)
        place.append(at)
    return tuple(reversed(place))


def _flat(place: Sequence[int], shape: Sequence[int]) -> int:
    """Flat index of a position, C order; an axis of extent 1 is broadcast."""
    flat = 0
    for at, extent in zip(place, shape, strict=True):
        flat = flat * extent + (at if extent > 1 else 0)
    return flat


@dataclass
class _Part:
    """A part that is being filled."""

    shots: int
    slices: list[Slice] = field(default_factory=list)
    executions: int = 0
    circuits: int = 0
    bytes: int = 0
    longest: float = 0.0

    def room(self, limits: DeviceLimits) -> int:
        """Bindings that it may still take."""
        taken = sum(piece.stop - piece.start for piece in self.slices)
        return sys.maxsize if limits.max_bindings is None else limits.max_bindings - taken

    def intent(self, submission: Submission, limits: DeviceLimits) -> PartIntent:
        low, high = _seconds(self, submission, limits)
        reserve = seconds_to_reserve(high, submission.ibm.max_execution_time)
        return PartIntent(slices=tuple(self.slices), estimate=Seconds(low=low, high=high), reserve=reserve)


def parts(
    submission: Submission, limits: DeviceLimits, circuit_seconds: Mapping[str, float] | None = None
) -> tuple[PartIntent, ...]:
    """Divide a submission into as few jobs as the limits allow.

    Args:
        submission: What is to run.
        limits: The device's.
        circuit_seconds: Length of the scheduled circuits by their ISA hash (s), where they are known.

    Returns:
        The parts, which cover every binding once, with the QPU seconds each is expected to take.

    Raises:
        JobTooLarge: One binding alone is beyond a limit; the numbers are in the message and the details.
        RequestRejected: A pub asks for exact values.
    """
    lengths = circuit_seconds or {}
    filled: list[_Part] = []
    for number, pub in enumerate(submission.pubs):
        _check_shots(number, pub, limits)
        added = suppression(submission.ibm, submission.kind, pub.shots)
        circuit_bytes = _GATE_BYTES * (pub.size + 64)
        for start, stop, circuits, row_bytes in _stretches(pub):
            runs = count_executions(circuits, pub.shots, added)
            _check_row(number, runs, circuit_bytes + row_bytes, circuits, limits)
            at = start
            while at < stop:
                part = _with_room(filled, number, pub.shots, runs, circuit_bytes + row_bytes, limits)
                new = not part.slices or part.slices[-1].pub != number
                room = (limits.max_executions - part.executions) // runs
                space = limits.max_payload_bytes - part.bytes - (circuit_bytes if new else 0)
                count = min(stop - at, room, space // row_bytes, part.room(limits))
                part.executions += runs * count
                part.circuits += circuits * count
                part.bytes += row_bytes * count + (circuit_bytes if new else 0)
                part.longest = max(part.longest, lengths.get(pub.isa, _length(pub)))
                _add(part.slices, Slice(pub=number, start=at, stop=at + count))
                at += count
    return tuple(part.intent(submission, limits) for part in filled)


def _stretches(pub: IsaPub) -> Iterator[tuple[int, int, int, int]]:
    """Neighbouring bindings of one cost: start, stop, and circuits and bytes of each."""
    size = size_of(pub.bindings.shape)
    values = _VALUE_BYTES * (len(pub.bindings.parameters) + 1)
    if pub.observables is None:
        if size:
            yield 0, size, 1, values
        return
    items = pub.observables.items
    products = [tuple(observable.paulis()) for observable in items]
    known: dict[tuple[int, ...], int] = {}

    def cost(row: Row) -> tuple[int, int]:
        if row.observables not in known:
            known[row.observables] = _bases(product for at in row.observables for product in products[at])
        terms = sum(len(products[at]) for at in row.observables)
        return known[row.observables], values + _TERM_BYTES * terms

    at = 0
    for (circuits, row_bytes), alike in groupby(rows(pub.bindings, pub.observables, 0, size), key=cost):
        count = sum(1 for _ in alike)
        yield at, at + count, circuits, row_bytes
        at += count


def _bases(products: Iterator[tuple[tuple[int, str], ...]]) -> int:
    """Circuits that measure all of these: one for each set that agrees qubit by qubit, found greedily; at least one."""
    bases: list[dict[int, str]] = []
    for product in sorted({product for product in products if product}, key=lambda one: (-len(one), one)):
        for basis in bases:
            if all(basis.get(qubit, letter) == letter for qubit, letter in product):
                basis.update(product)
                break
        else:
            bases.append(dict(product))
    return max(1, len(bases))


def _with_room(
    filled: list[_Part], pub: int, shots: int, runs: int, needed_bytes: int, limits: DeviceLimits
) -> _Part:
    """The first part that takes one more binding of the pub; a new one where none does."""
    for part in filled:
        pubs = len({piece.pub for piece in part.slices} | {pub})
        if (
            part.shots == shots
            and part.executions + runs <= limits.max_executions
            and part.bytes + needed_bytes <= limits.max_payload_bytes
            and part.room(limits) > 0
            and (limits.max_circuits is None or pubs <= limits.max_circuits)
        ):
            return part
    filled.append(_Part(shots))
    return filled[-1]


def _add(slices: list[Slice], piece: Slice) -> None:
    """Append a slice, joined to the one before where it goes on from it."""
    last = slices[-1] if slices else None
    if last is not None and (last.pub, last.stop) == (piece.pub, piece.start):
        slices[-1] = Slice(pub=last.pub, start=last.start, stop=piece.stop)
    else:
        slices.append(piece)


def _check_shots(number: int, pub: IsaPub, limits: DeviceLimits) -> None:
    if not pub.shots:
        raise RequestRejected(
            f"pub {number} asks for exact values, which hardware cannot give; name a precision or shots, or use a simulator"
        )
    if pub.shots > limits.max_shots:
        raise JobTooLarge(
            f"pub {number} asks for {pub.shots:,} shots; the device runs {limits.max_shots:,} at most, and shots of one binding are "
            "never split: ask for fewer",
            needed=pub.shots,
            limit=limits.max_shots,
            shots_that_fit=limits.max_shots,
        )


def _check_row(number: int, runs: int, row_bytes: int, circuits: int, limits: DeviceLimits) -> None:
    if runs > limits.max_executions:
        raise JobTooLarge(
            f"one binding of pub {number} takes {runs:,} executions ({circuits:,} circuits with all their shots and noise factors); "
            f"a job holds {limits.max_executions:,} at most: ask for fewer shots, or spread the observables over several pubs",
            needed=runs,
            limit=limits.max_executions,
        )
    if row_bytes > limits.max_payload_bytes:
        raise JobTooLarge(
            f"one binding of pub {number} makes a request of about {row_bytes / 2**20:,.0f} MiB; {limits.max_payload_bytes / 2**20:,.0f} "
            "MiB are sent at most: use a smaller circuit, or spread the observables over several pubs",
            needed_bytes=row_bytes,
            limit_bytes=limits.max_payload_bytes,
        )


def _length(pub: IsaPub) -> float:
    """A guess at the length of a circuit (s) from its operations, spread over its qubits."""
    return _OPERATION_SECONDS * (1 + 2 * pub.size / max(pub.qubits, 1))


def _seconds(part: _Part, submission: Submission, limits: DeviceLimits) -> tuple[float, float]:
    options = submission.ibm
    rep_delay = options.rep_delay or limits.rep_delay or REP_DELAY_SECONDS
    pubs = len({piece.pub for piece in part.slices})
    added = suppression(options, submission.kind, part.shots, pubs)
    low, high = qpu_seconds_range(part.circuits, part.shots, part.longest, rep_delay, added)
    if options.max_execution_time is not None:
        high = min(high, float(options.max_execution_time))
    return min(low, high), high
