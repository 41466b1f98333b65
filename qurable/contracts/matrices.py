"""Matrices over data: quantum kernels and expectation features, asked for as one thing and kept as one file."""

import math
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, field_validator, model_validator

from qurable.contracts.arrays import FloatArray
from qurable.contracts.base import SCHEMA_VERSION, Contract, digest
from qurable.contracts.circuits import Circuit
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.fallback import Fallback
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.jobs import (
    MAX_SEED,
    BackendName,
    Limits,
    Requirements,
    SimulatorOptions,
    TranspileOptions,
    mint_key,
)
from qurable.contracts.observables import Observables
from qurable.contracts.pubs import DEFAULT_PRECISION, DEFAULT_SHOTS, MAX_SHOTS
from qurable.contracts.reports import Durations
from qurable.names import DATA_CLASS_PATTERN, PROJECT_PATTERN, USER_PATTERN

MAX_SAMPLES = 10_000
MAX_COLUMNS = 1_000
MAX_ENTRIES = 100_000
"""Entries of a matrix that may have to be run: pairs of samples of a kernel, samples of features."""

MAX_VALUES = 5_000_000
"""Numbers in a matrix."""

MATRIX_VERSION = 1
"""Version of the files; a reader takes this one and no other."""


def _checked(data: FloatArray, what: str) -> FloatArray:
    """Data as rows of finite numbers.

    Raises:
        ValueError: It is something else.
    """
    if len(data.shape) != 2:
        raise ValueError(
            f"{what} has shape {data.shape}: give one row for each sample, one column for each parameter"
        )
    rows, columns = data.shape
    if not rows or not columns:
        raise ValueError(f"{what} is empty: it has {rows} samples of {columns} columns")
    if rows > MAX_SAMPLES or columns > MAX_COLUMNS:
        raise ValueError(
            f"{what} has {rows:,} samples of {columns:,} columns; at most {MAX_SAMPLES:,} of {MAX_COLUMNS:,} are taken: "
            "take fewer samples, or project them onto fewer columns"
        )
    for at, value in enumerate(data.values):
        if not math.isfinite(value):
            raise ValueError(
                f"{what} holds {value} in row {at // columns}, column {at % columns}; values must be finite"
            )
    return data


class _Matrix(Contract):
    schema_version: int = SCHEMA_VERSION
    circuit: Circuit
    backend: BackendName | Requirements = "aer"
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    reuse: bool = True
    transpile: TranspileOptions = TranspileOptions()
    simulator: SimulatorOptions = SimulatorOptions()
    ibm: IbmOptions = IbmOptions()
    limits: Limits = Limits()
    fallback: Fallback = Fallback()
    key: str = Field(default_factory=mint_key, min_length=1, max_length=200)
    project: str = Field(default="default", pattern=PROJECT_PATTERN)
    user: str = Field(default="", pattern=USER_PATTERN)
    data_class: str = Field(default="", pattern=DATA_CLASS_PATTERN)
    priority: int = Field(default=3, ge=1, le=5)

    @property
    def matrix_id(self) -> str:
        """The matrix's id: unique for ever per project and idempotency key."""
        return matrix_id(self.project, self.key)

    @property
    def body_hash(self) -> str:
        """What must be equal for a reused key to mean the same matrix: everything but the key."""
        return digest(self.model_dump_json(exclude={"key", "schema_version"}))


class KernelRequest(_Matrix):
    """A fidelity kernel: K(x, y) = |<phi(x)|phi(y)>|^2, by overlap circuits.

    Attributes:
        circuit: The feature map: prepares phi(x) from as many parameters as the data has columns, unitary, in the order of
            Qiskit's `parameters`.
        x_train: Samples, shape (n, d); the kernel among them is symmetric with ones on its diagonal, and a half of it is run.
        x_test: Samples, shape (m, d), whose kernel with the training samples is wanted, shape (m, n).
        shots: For each entry; `exact` asks a simulator for values without shot noise.
        backend: As a job's.
        seed: Base of the simulator's seeds: entry i runs with seed + 2113 i. Minted if absent.
        reuse: Take entries that an earlier matrix of the project has, asked in the same way.
        transpile, simulator, ibm, limits, fallback, user, data_class, priority: As of a job; of every job that is run for it.
        key: Idempotency key; the same key means the same matrix.
        project: Public slug.
    """

    kind: Literal["kernel"] = "kernel"
    x_train: FloatArray
    x_test: FloatArray | None = None
    shots: Annotated[int, Field(ge=1, le=MAX_SHOTS)] | Literal["exact"] = DEFAULT_SHOTS

    @field_validator("x_train", "x_test")
    @classmethod
    def _rows(cls, data: FloatArray | None, info: Any) -> FloatArray | None:
        return None if data is None else _checked(data, info.field_name)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        trained, tested = self.x_train.shape[0], 0 if self.x_test is None else self.x_test.shape[0]
        if self.x_test is not None and self.x_test.shape[1] != self.x_train.shape[1]:
            raise ValueError(
                f"x_test has {self.x_test.shape[1]} columns, x_train has {self.x_train.shape[1]}: they are of one feature map"
            )
        entries = trained * (trained - 1) // 2 + tested * trained
        if entries > MAX_ENTRIES:
            raise ValueError(
                f"{trained:,} training and {tested:,} test samples make {entries:,} entries; at most {MAX_ENTRIES:,} are taken: "
                "take fewer samples, or compare them with landmarks (a smaller x_train)"
            )
        return self


class FeaturesRequest(_Matrix):
    """Expectation features: the values of observables in the state of each sample, shape (n, k).

    Attributes:
        circuit: Prepares a sample's state from as many parameters as the data has columns, in the order of Qiskit's
            `parameters`; final measurements are removed.
        data: Samples, shape (n, d).
        observables: k of them, in virtual qubits.
        precision: Target standard error; 0 asks a simulator for exact values.
        shots: Repetitions for each measured group, instead of a precision.
    """

    kind: Literal["features"] = "features"
    data: FloatArray
    observables: Observables
    precision: float | None = Field(default=None, ge=0, le=1)
    shots: int | None = Field(default=None, ge=1, le=MAX_SHOTS)

    @field_validator("data")
    @classmethod
    def _rows(cls, data: FloatArray) -> FloatArray:
        return _checked(data, "data")

    @field_validator("observables")
    @classmethod
    def _in_a_row(cls, observables: Observables) -> Observables:
        if not observables.items:
            raise ValueError("there are no observables: a feature is the expectation value of one")
        return observables.model_copy(update={"shape": (len(observables.items),)})

    @model_validator(mode="before")
    @classmethod
    def _default_precision(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("precision") is None and value.get("shots") is None:
            return {**value, "precision": DEFAULT_PRECISION}
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.precision is not None and self.shots is not None:
            raise ValueError("give `precision` or `shots`, not both")
        values = self.data.shape[0] * len(self.observables.items)
        if values > MAX_VALUES:
            raise ValueError(f"the matrix has {values:,} values; at most {MAX_VALUES:,} are taken: split it")
        return self


MatrixRequest = Annotated[KernelRequest | FeaturesRequest, Field(discriminator="kind")]

_ADAPTER: TypeAdapter[KernelRequest | FeaturesRequest] = TypeAdapter(MatrixRequest)


def read_matrix_request(document: bytes | str) -> KernelRequest | FeaturesRequest:
    """A request from the bytes another process wrote: unknown fields are ignored."""
    return _ADAPTER.validate_json(document, extra="ignore")


def matrix_id(project: str, key: str) -> str:
    """The id of the matrix that owns a key of a project; also its workflow id."""
    owner = "\0".join(("matrix", project, key))
    return f"{project}-matrix-{digest(owner, length=24)}"


def matrix_project(identity: str) -> str:
    """The project in a matrix's id, empty where it is none."""
    return identity.rpartition("-matrix-")[0]


class MatrixHead(Contract):
    """What the workflow itself reads of a matrix; the data pass through it unread.

    Attributes:
        schema_version: Of the request.
        id: Matrix id, which is the workflow id.
        project: Public slug.
        kind: kernel or features.
        body_hash: Of the request, compared when a key is reused; empty where it is not sent again.
        rerun: Run again what has no value, of a matrix that has ended.
        begun: Whether the request was taken in by an earlier run of the workflow.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    project: str = Field(pattern=PROJECT_PATTERN)
    kind: str = ""
    body_hash: str = ""
    rerun: bool = False
    begun: bool = False


class MatrixCall(Contract):
    """Which matrix, and for which execution of its workflow.

    Attributes:
        id: Matrix id.
        owner: First run id of the execution, which continuing as new keeps and a rerun does not.
        error: Why it is given up; None where it was cancelled, or goes on.
    """

    id: str
    owner: str
    error: ErrorDocument | None = None


class MatrixState(StrEnum):
    """Where a matrix stands; `incomplete` lacks entries, and has no file until a rerun has found them."""

    RUNNING = "running"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing comes after it, but for a rerun."""
        return self is not MatrixState.RUNNING


class MatrixStatus(Contract):
    """Where a matrix stands.

    Attributes:
        id: Matrix id.
        project: Public slug.
        kind: kernel or features.
        state: What a caller sees.
        samples: How many there are, of training and of test.
        entries: Different ones that have to be known; those that are known from the start, as a kernel's diagonal, are none.
        kept: Entries that have a value.
        reused: Those of them that an earlier matrix had.
        batch: Id of the batch that runs what is missing; empty where nothing was.
    """

    id: str
    project: str = ""
    kind: str = ""
    state: MatrixState = MatrixState.RUNNING
    samples: int = 0
    entries: int = 0
    kept: int = 0
    reused: int = 0
    batch: str = ""

    @property
    def open(self) -> int:
        """Entries that have no value yet."""
        return self.entries - self.kept


class Spectrum(Contract):
    """Eigenvalues of a kernel among its training samples, as it was measured.

    Attributes:
        smallest: The smallest eigenvalue.
        largest: The largest.
        shift: What has to be added to the diagonal for the kernel to be positive semidefinite; 0 where it is. Nothing was
            added: `Kernel.repaired` does.
    """

    smallest: float
    largest: float
    shift: float


class MatrixReport(Contract):
    """The end of a matrix.

    Attributes:
        schema_version: Of this document.
        id, project, kind, state, samples, entries, kept, reused: As in the status.
        sha256: Of the file; empty where there is none.
        size: Of the file (bytes).
        shape: Of the matrix: (n, n) of a kernel, (n, k) of features.
        test_shape: Of a kernel with test samples.
        largest_error: The largest standard error of an entry.
        spectrum: Of a kernel.
        served_by: Who answered, with the number of entries of each.
        batches: Ids of the batches that were run for it.
        jobs: How many jobs these were.
        accepted: When it was taken in (UTC).
        ended: When it ended.
        durations: Sums over its jobs, which run side by side.
        qpu_seconds: What providers charge, over all its jobs; nothing for entries that were there.
        price: Sum of the prices, None where one is not known.
        currency: Of the price.
        error: Of the first entries without a value.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    project: str
    kind: str
    state: MatrixState
    samples: int
    entries: int
    kept: int
    reused: int
    sha256: str = ""
    size: int = 0
    shape: tuple[int, ...] = ()
    test_shape: tuple[int, ...] = ()
    largest_error: float = 0.0
    spectrum: Spectrum | None = None
    served_by: dict[str, int] = Field(default_factory=dict)
    batches: tuple[str, ...] = ()
    jobs: int = 0
    accepted: datetime
    ended: datetime
    durations: Durations = Durations()
    qpu_seconds: float = 0.0
    price: float | None = 0.0
    currency: str = ""
    error: ErrorDocument | None = None

    @property
    def missing(self) -> int:
        """Entries without a value."""
        return self.entries - self.kept


class MatrixBody(Contract):
    """The bytes of a matrix's file.

    Attributes:
        sha256: Of the bytes.
        body: Of an npz file.
    """

    sha256: str
    body: bytes = Field(repr=False)


class ArrayShape(Contract):
    """What an array of a file has to be.

    Attributes:
        dtype: `<f8` or `<i4`.
        shape: Of the array.
    """

    dtype: Literal["<f8", "<i4"]
    shape: tuple[Annotated[int, Field(ge=0, le=MAX_VALUES)], ...]


class MatrixHeader(Contract):
    """What a file says of itself.

    Attributes:
        format: That it is one of these.
        schema_version: Of the file.
        kind: kernel or features.
        id: Of the matrix.
        units: Of the values, by array.
        parameters: Of the circuit, one for each column of the data.
        observables: Of features, one for each column, as documents.
        confidence: What errors and bounds mean.
        spectrum: Of a kernel.
        provenance: The circuit's hash, backend, seed, shots, versions, and `jobs`: every job with who served it, which the
            arrays `*_job` count from 0; -1 is an entry that is known and was not run.
        arrays: Every array of the file but this header.
        sha256: Of the arrays and of this header without it.
    """

    format: Literal["qurable-matrix"] = "qurable-matrix"
    schema_version: int = MATRIX_VERSION
    kind: Literal["kernel", "features"]
    id: str
    units: dict[str, str]
    parameters: tuple[str, ...]
    observables: tuple[dict[str, Any], ...] = ()
    confidence: dict[str, Any]
    spectrum: Spectrum | None = None
    provenance: dict[str, Any]
    arrays: dict[str, ArrayShape]
    sha256: str = ""


class PreparedMatrix(Contract):
    """What is kept of a matrix that was taken in.

    Attributes:
        request: As it was sent.
        circuit: What is run: overlaps of a kernel, the circuit itself for features.
        qubits: Of the feature map.
        identity: Digest of the canonical form of what is run.
        parameters: Of the feature map, one for each column.
        left: Names of the parameters that the first sample of an entry is put in for.
        right: Those of the second; none for features.
        rows: Different samples, shape (r, d).
        entries: For each entry the row of its first and second sample; for features the row twice.
        train: Row of each training sample, or of each sample of features.
        test: Row of each test sample.
        base: Base of the seeds.
    """

    request: MatrixRequest
    circuit: Circuit
    qubits: int
    identity: str
    parameters: tuple[str, ...]
    left: tuple[str, ...]
    right: tuple[str, ...] = ()
    rows: FloatArray
    entries: tuple[tuple[int, int], ...]
    train: tuple[int, ...]
    test: tuple[int, ...] = ()
    base: int
