"""The jobs that run the entries of a matrix, and what their results say of each; no Qiskit is needed for either."""

from array import array
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from circuits.batch_file import cut, executions_of, is_paid, most_in_a_chunk
from circuits.seeds import STRIDE
from qurable.contracts.arrays import size_of
from qurable.contracts.bindings import Bindings
from qurable.contracts.jobs import EstimateJob, SampleJob
from qurable.contracts.jobs import Limits as JobLimits
from qurable.contracts.matrices import KernelRequest, PreparedMatrix
from qurable.contracts.observables import Observable, Observables, PauliTerm
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.contracts.results import EstimateResult, SampleResult

_LONGEST_RUN = timedelta(days=365)
_OF_A_JOB = (
    *("backend", "transpile", "simulator", "ibm", "fallback"),
    *("user", "data_class", "priority"),
)

COUNTED = "counts"
"""Origin of an error that follows from how many of the shots were all zeros."""

Answer = tuple[bytes, bytes, int, str]
"""Value and standard error of an entry as float64, its shots, and how the error arose."""


def chunks_of(prepared: PreparedMatrix, asked: Sequence[int]) -> list[Sequence[int]]:
    """Entries as they share a job: by the rule of batches, so that a kill repeats little."""
    if not asked:
        return []
    job = _job(prepared, ())
    paid, values = is_paid(job), len(prepared.left + prepared.right)
    return cut(asked, most_in_a_chunk(len(asked), executions_of(job.pubs[0], paid=paid), values, paid=paid))


def jobs_of(prepared: PreparedMatrix, asked: Sequence[int]) -> Iterator[SampleJob | EstimateJob]:
    """A job for each chunk: one pub of one circuit, with a binding and a seed for each entry."""
    for chunk in chunks_of(prepared, asked):
        yield _job(prepared, chunk)


def _job(prepared: PreparedMatrix, chunk: Sequence[int]) -> SampleJob | EstimateJob:
    request = prepared.request
    fields: dict[str, Any] = {name: getattr(request, name) for name in _OF_A_JOB}
    limits: JobLimits = request.limits
    run = min(limits.run * max(1, len(chunk)), _LONGEST_RUN)
    fields["limits"] = limits.model_copy(update={"run": run})
    fields["seeds"] = tuple(prepared.base + STRIDE * number for number in chunk)
    bindings = _bindings(prepared, chunk)
    if isinstance(request, KernelRequest) and request.shots != "exact":
        return SampleJob(
            pubs=(SamplePub(circuit=prepared.circuit, bindings=bindings, shots=request.shots),), **fields
        )
    pub: dict[str, Any] = {"circuit": prepared.circuit}
    if isinstance(request, KernelRequest):
        pub |= {"bindings": bindings, "observables": _all_zeros(prepared), "precision": 0.0}
    else:
        column = bindings.model_copy(update={"shape": (len(chunk), 1)})
        pub |= {"bindings": column, "observables": request.observables}
        pub |= {"precision": request.precision, "shots": request.shots}
    return EstimateJob(pubs=(EstimatePub(**pub),), **fields)


def _bindings(prepared: PreparedMatrix, chunk: Sequence[int]) -> Bindings:
    columns, values = len(prepared.parameters), prepared.rows.values

    def row(number: int) -> tuple[float, ...]:
        return values[number * columns : (number + 1) * columns]

    pairs = [prepared.entries[number] for number in chunk]
    rows = (row(left) + (row(right) if prepared.right else ()) for left, right in pairs)
    return Bindings(
        parameters=prepared.left + prepared.right,
        shape=(len(chunk),),
        values=tuple(value for numbers in rows for value in numbers),
    )


def _all_zeros(prepared: PreparedMatrix) -> Observables:
    """The projector on the state in which every qubit is 0."""
    qubits = tuple(range(prepared.qubits))
    return Observables(items=(Observable(terms=(PauliTerm(pauli="0" * len(qubits), qubits=qubits),)),))


def answers_of(result: SampleResult | EstimateResult) -> list[Answer]:
    """What a chunk's result says of each of its entries, in their order."""
    if isinstance(result, SampleResult):
        return [_overlap(result, at) for at in range(size_of(result.shape))]
    width = size_of(result.shape[1:])
    return [
        (
            array("d", result.evs.values[at * width : (at + 1) * width]).tobytes(),
            array("d", result.stds.values[at * width : (at + 1) * width]).tobytes(),
            result.shots,
            str(result.error_origin),
        )
        for at in range(result.shape[0])
    ]


def _overlap(result: SampleResult, at: int) -> Answer:
    """The share of shots that read zeros alone."""
    bits = result.register()
    size = bits.num_shots * bits.num_bytes
    shots = bits.raw[at * size : (at + 1) * size]
    zero = bytes(bits.num_bytes)
    hits = sum(shots[start : start + bits.num_bytes] == zero for start in range(0, size, bits.num_bytes))
    share = hits / bits.num_shots
    return array("d", [share]).tobytes(), array("d", [0.0]).tobytes(), bits.num_shots, COUNTED
