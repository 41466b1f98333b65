"""Matrices over data: from what somebody asked to circuits and entries, and from entries to a file; runs in children."""

import math
import struct
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.circuit.exceptions import CircuitError

from circuits.canonical import canonicalise, exchange
from circuits.estimation import without_final_measurements
from circuits.matrix_jobs import COUNTED
from circuits.parse import dump_qpy, read_circuit
from circuits.seeds import STRIDE
from circuits.source import SourceLimits
from circuits.traits import measure_traits
from qurable.contracts.arrays import FloatArray
from qurable.contracts.base import digest
from qurable.contracts.jobs import MAX_SEED
from qurable.contracts.matrices import (
    MAX_ENTRIES,
    FeaturesRequest,
    KernelRequest,
    MatrixHeader,
    PreparedMatrix,
    Spectrum,
    read_matrix_request,
)
from qurable.contracts.observables import MAX_EXPANDED_TERMS
from qurable.errors import RequestRejected
from qurable.matrix_files import write_matrix
from qurable.requests import as_circuit

Floats = npt.NDArray[np.float64]

_BASES = MAX_SEED - STRIDE * MAX_ENTRIES
"""Seeds that are a base stay below this, so that the last entry's is one that a job may be given."""

_SIGMAS = 1.959963984540054
"""Half the width of a 95 % interval of a normal distribution."""

_CONFIDENCE = {
    "level": 0.95,
    "error": "standard error; of a measured overlap the posterior standard deviation of a binomial's probability under a flat "
    "prior, which is above 0 also where no shot, or every shot, was all zeros",
    "bounds": "Wilson score interval; equal to the value where it was computed without shots",
}


def prepare_matrix(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: read a request, build what is run, and list its entries.

    Args:
        payload: `{"id", "request": JSON of a `MatrixRequest`, "limits": {...}}`.

    Returns:
        `[PreparedMatrix as JSON, address of each entry]`. Two entries have one address where they ask the same thing in the
        same way, whatever matrix they belong to.

    Raises:
        RequestRejected: The circuit is none that can be used, or does not fit the data.
    """
    request, limits = read_matrix_request(payload["request"]), SourceLimits(**payload["limits"])
    if request.seed is not None and request.seed > _BASES:
        raise RequestRejected(
            f"seed {request.seed} is above {_BASES:,}: entry i runs with seed + {STRIDE} i, and the last one's would be none"
        )
    if isinstance(request, KernelRequest):
        circuit = _feature_map(request, request.x_train.shape[1], limits)
        _refuse_wide_projector(request, circuit)
        asked, left, right = _overlap(circuit)
        rows, of_train, of_test = _distinct(request.x_train, request.x_test)
        entries = _pairs(rows, of_train, of_test)
    else:
        asked = circuit = _feature_map(request, request.data.shape[1], limits)
        left, right = [parameter.name for parameter in circuit.parameters], []
        rows, of_train, of_test = _distinct(request.data, None)
        entries = [(row, row) for row in range(len(rows))]
    names = [parameter.name for parameter in circuit.parameters]
    canonical = canonicalise(asked, limit=limits.expanded_gates, name=request.circuit.name)
    prepared = PreparedMatrix(
        request=request,
        circuit=as_circuit(asked).model_copy(update={"name": request.circuit.name}),
        qubits=circuit.num_qubits,
        identity=canonical.digest if canonical.cacheable else digest(dump_qpy(canonical.circuit)),
        parameters=tuple(names),
        left=tuple(left),
        right=tuple(right),
        rows=FloatArray(shape=(len(rows), len(names)), values=tuple(value for row in rows for value in row)),
        entries=tuple(entries),
        train=tuple(of_train),
        test=tuple(of_test),
        base=int(digest(f"seeds\0{payload['id']}")[:8], 16) % _BASES
        if request.seed is None
        else request.seed,
    )
    return [
        prepared.model_dump_json(),
        list(_addresses(prepared, canonical.dress.parameters, payload["id"])),
    ]


def _feature_map(
    request: KernelRequest | FeaturesRequest, columns: int, limits: SourceLimits
) -> QuantumCircuit:
    """The circuit of a request, unitary, with a parameter for each column."""
    name = request.circuit.name
    read = read_circuit(request.circuit.source, request.circuit.format, limits, name)
    circuit, _ = without_final_measurements(read)
    traits = measure_traits(circuit, name)
    if traits.measurements or traits.is_dynamic:
        raise RequestRejected(
            f"circuit {name!r} measures, resets or branches before its end: a feature map is unitary, give it without that"
        )
    if circuit.num_parameters != columns:
        raise RequestRejected(
            f"circuit {name!r} has {circuit.num_parameters} parameters, and the data have {columns} columns: give one column for "
            "each parameter, in the order of Qiskit's `parameters`",
            parameters=circuit.num_parameters,
            columns=columns,
        )
    return circuit


def _overlap(circuit: QuantumCircuit) -> tuple[QuantumCircuit, list[str], list[str]]:
    """Compute and uncompute: U(x), then U(y) backwards; all zeros come with probability |<phi(y)|phi(x)>|^2.

    Every parameter is there twice: under names that begin with x for the first sample, with y for the second.

    Source: Havlicek and others, Nature 567, 209 (2019).
    """
    names = {side: [f"{side}{at:04}" for at in range(circuit.num_parameters)] for side in ("x", "y")}
    halves = []
    for side in ("x", "y"):
        half = circuit.copy()
        exchange(half, list(circuit.parameters), [Parameter(name) for name in names[side]])
        halves.append(half)
    try:
        backwards = halves[1].inverse()
    except CircuitError as failure:
        raise RequestRejected(
            f"circuit {circuit.name!r} cannot be run backwards ({failure.message}): a feature map is made of gates"
        ) from None
    overlap = QuantumCircuit(circuit.num_qubits, name="overlap")
    overlap.compose(halves[0], range(circuit.num_qubits), inplace=True)
    overlap.compose(backwards, range(circuit.num_qubits), inplace=True)
    overlap.measure_all()
    return overlap, names["x"], names["y"]


def _refuse_wide_projector(request: KernelRequest, circuit: QuantumCircuit) -> None:
    widest = MAX_EXPANDED_TERMS.bit_length() - 1
    if request.shots == "exact" and circuit.num_qubits > widest:
        raise RequestRejected(
            f"circuit {request.circuit.name!r} has {circuit.num_qubits} qubits; an exact overlap is the value of a projector, which "
            f"takes at most {widest}: give shots instead",
            qubits=circuit.num_qubits,
            limit=widest,
        )


def _distinct(
    train: FloatArray, test: FloatArray | None
) -> tuple[list[tuple[float, ...]], list[int], list[int]]:
    """Different samples, and which of them each sample is; -0 is 0."""
    place: dict[tuple[float, ...], int] = {}

    def rows_of(data: FloatArray | None) -> list[int]:
        if data is None:
            return []
        samples, columns = data.shape
        found = (
            tuple(value + 0.0 for value in data.values[at * columns : (at + 1) * columns])
            for at in range(samples)
        )
        return [place.setdefault(row, len(place)) for row in found]

    of_train, of_test = rows_of(train), rows_of(test)
    return list(place), of_train, of_test


def _pairs(
    rows: Sequence[tuple[float, ...]], train: Sequence[int], test: Sequence[int]
) -> list[tuple[int, int]]:
    """Pairs of different rows whose overlap is wanted, each once, in an order that more samples only add to."""
    among = ((train[at], train[other]) for other in range(len(train)) for at in range(other))
    across = ((one, other) for one in test for other in train)
    found: dict[tuple[int, int], None] = {}
    for one, other in (*among, *across):
        if one != other:
            found.setdefault((one, other) if rows[one] < rows[other] else (other, one))
    return list(found)


def _addresses(prepared: PreparedMatrix, canonical: Sequence[str], identity: str) -> Iterable[str]:
    """What each entry asks, as a digest: the circuit, how it is run, the values, and the seed where one was named.

    A circuit's identity knows no names, so values stand in the order in which the circuit uses them: two circuits that differ
    in their names alone may have their columns in another order each.

    Args:
        prepared: With what is run.
        canonical: Names of what is run's parameters, as its identity counts them.
        identity: Of the matrix.
    """
    request = prepared.request
    said = request.model_dump_json(
        include={
            *("kind", "project", "backend", "transpile", "simulator", "ibm", "fallback", "data_class"),
            *("shots", "precision", "observables"),
        }
    )
    of_left = {name: column for column, name in enumerate(prepared.left)}
    of_right = {name: column for column, name in enumerate(prepared.right)}
    sides = "".join("x" if name in of_left else "y" for name in canonical)
    question = "\0".join((said, prepared.identity, sides, "" if request.reuse else identity)).encode()
    lefts = _packed(prepared.rows, [of_left[name] for name in canonical if name in of_left])
    rights = _packed(prepared.rows, [of_right[name] for name in canonical if name in of_right])
    for number, (left, right) in enumerate(prepared.entries):
        seed = "" if request.seed is None else str(request.seed + STRIDE * number)
        yield digest(b"\0".join((question, seed.encode(), lefts[left], rights[right])))


def _packed(rows: FloatArray, columns: Sequence[int]) -> list[bytes]:
    """Of each row, some columns in this order, as float64."""
    samples, width = rows.shape
    return [
        struct.pack(f"<{len(columns)}d", *(rows.values[at * width + column] for column in columns))
        for at in range(samples)
    ]


def assemble_matrix(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: put entries together to a matrix and its file.

    Args:
        payload: `{"id", "prepared": JSON, "entries": [[values as float64, errors as float64, shots, origin, job], ...],
            "jobs": [[id, served_by], ...], "versions": {...}}`; `job` counts jobs from 0.

    Returns:
        `{"file": bytes, "shape", "test_shape", "largest_error", "spectrum": None or JSON}`.
    """
    prepared = PreparedMatrix.read(payload["prepared"])
    entries = payload["entries"]
    request = prepared.request
    shared: dict[str, Any] = {
        "kind": request.kind,
        "id": payload["id"],
        "parameters": prepared.parameters,
        "confidence": {**_CONFIDENCE, "origin": sorted({entry[3] for entry in entries})},
        "provenance": {
            "circuit": request.circuit.source_hash,
            "circuit_name": request.circuit.name,
            "run_circuit": prepared.identity,
            "backend": str(request.backend),
            "project": request.project,
            "seed": prepared.base,
            "asked": {"shots": request.shots, "precision": getattr(request, "precision", None)},
            "shots": sorted({entry[2] for entry in entries}),
            "jobs": [{"id": job, "served_by": served_by} for job, served_by in payload["jobs"]],
            "versions": payload["versions"],
        },
        "arrays": {},
    }
    if isinstance(request, FeaturesRequest):
        header, arrays = _features(prepared, request, entries, shared)
        shapes: tuple[Any, Any] = (arrays["values"].shape, ())
        errors = [arrays["values_error"]]
    else:
        header, arrays = _kernel(prepared, entries, shared)
        tested = arrays.get("test")
        shapes = (arrays["train"].shape, () if tested is None else tested.shape)
        errors = [arrays[name] for name in ("train_error", "test_error") if name in arrays]
    return {
        "file": write_matrix(header, arrays),
        "shape": list(shapes[0]),
        "test_shape": list(shapes[1]),
        "largest_error": float(max(error.max() for error in errors)),
        "spectrum": None if header.spectrum is None else header.spectrum.model_dump_json(),
    }


def _features(
    prepared: PreparedMatrix, request: FeaturesRequest, entries: Sequence[Any], shared: dict[str, Any]
) -> tuple[MatrixHeader, dict[str, npt.NDArray[Any]]]:
    of_row = {left: entry for (left, _), entry in zip(prepared.entries, entries, strict=True)}
    own = [of_row[row] for row in prepared.train]
    header = MatrixHeader(
        **shared,
        units={
            "values": "that of the observable",
            "values_error": "that of the observable",
            "x": "as given",
        },
        observables=tuple(item.model_dump(mode="json") for item in request.observables.items),
    )
    return header, {
        "values": np.array([array("d", entry[0]) for entry in own]),
        "values_error": np.array([array("d", entry[1]) for entry in own]),
        "values_job": np.array([entry[4] for entry in own], dtype=np.int32),
        "x": prepared.rows.to_numpy()[list(prepared.train)],
    }


def _kernel(
    prepared: PreparedMatrix, entries: Sequence[Any], shared: dict[str, Any]
) -> tuple[MatrixHeader, dict[str, npt.NDArray[Any]]]:
    known = {pair: _overlap_of(entry) for pair, entry in zip(prepared.entries, entries, strict=True)}
    rows = prepared.rows.to_numpy()
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, own in (("train", prepared.train), ("test", prepared.test)):
        if own:
            arrays |= _block(name, own, prepared.train, known)
            arrays[f"x_{name}"] = rows[list(own)]
    dimensionless = "probability, dimensionless"
    units = {name: dimensionless for name in arrays if not name.endswith("_job")}
    header = MatrixHeader(
        **shared,
        units=units | {name: "as given" for name in units if name.startswith("x_")},
        spectrum=_spectrum(arrays["train"]),
    )
    return header, arrays


_KNOWN = (1.0, 0.0, 1.0, 1.0, -1)
"""The overlap of a state with itself, by definition."""


def _block(
    name: str, own: Sequence[int], train: Sequence[int], known: dict[tuple[int, int], tuple[float, ...]]
) -> dict[str, npt.NDArray[Any]]:
    """Overlaps of samples with the training samples, shape (samples, n), with their errors, bounds and jobs."""
    values = np.array(
        [
            [_KNOWN if one == other else known.get((one, other)) or known[other, one] for other in train]
            for one in own
        ]
    )
    block: dict[str, npt.NDArray[Any]] = {
        f"{name}{suffix}": values[..., at] for at, suffix in enumerate(("", "_error", "_lower", "_upper"))
    }
    return block | {f"{name}_job": values[..., 4].astype(np.int32)}


def _overlap_of(entry: Sequence[Any]) -> tuple[float, ...]:
    """Value, standard error, bounds and job of an entry."""
    values, errors, shots, origin, job = entry
    value, error = array("d", values)[0], array("d", errors)[0]
    if origin != COUNTED:
        return value, error, value, value, job
    return (value, binomial_error(value, shots), *wilson(value, shots), job)


def binomial_error(share: float, shots: int) -> float:
    """Standard deviation of a probability of which a share was seen, under a flat prior: that of Beta(k + 1, n - k + 1).

    Unlike sqrt(p (1 - p) / n) it claims no certainty where no shot, or every shot, is a hit.
    """
    hits = share * shots
    mean = (hits + 1) / (shots + 2)
    return math.sqrt(mean * (1 - mean) / (shots + 3))


def wilson(share: float, shots: int) -> tuple[float, float]:
    """Bounds of a probability of which a share was seen, with 95 % confidence.

    Source: Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    weight = _SIGMAS**2 / shots
    middle = (share + weight / 2) / (1 + weight)
    half = _SIGMAS / (1 + weight) * math.sqrt(share * (1 - share) / shots + weight / (4 * shots))
    return max(0.0, middle - half), min(1.0, middle + half)


def _spectrum(kernel: Floats) -> Spectrum:
    """Extreme eigenvalues of a symmetric matrix; what is within rounding of 0 needs no shift."""
    eigenvalues = np.linalg.eigvalsh(kernel)
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    rounding = len(kernel) * np.finfo(np.float64).eps * largest
    return Spectrum(smallest=smallest, largest=largest, shift=-smallest if smallest < -rounding else 0.0)
