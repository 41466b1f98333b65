"""Build jobs from what people have at hand: OpenQASM text or files, Qiskit circuits, pubs."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from qurable.contracts.base import Contract, explain
from qurable.contracts.bindings import Bindings
from qurable.contracts.circuits import Circuit, CircuitFormat
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.contracts.observables import Observable, Observables
from qurable.contracts.problems import Problem
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.errors import RequestRejected

AnyJob = SampleJob | EstimateJob | SolveJob

_AUTOMATIC_NAME = re.compile(r"circuit-\d+(-\d+)?")


def sample(*pubs: Any, shots: int | None = None, **options: Any) -> SampleJob:
    """A sampling job.

    Args:
        *pubs: Each a circuit (OpenQASM text, a path, a `QuantumCircuit`), or as Qiskit's sampler pubs a tuple
            `(circuit, values)` or `(circuit, values, shots)`, or a `SamplePub`.
        shots: For pubs that name none.
        **options: Other fields of `SampleJob`: `backend`, `seed`, `limits`, `key`, ...

    Raises:
        RequestRejected: Naming the field.
    """
    return _job(SampleJob, {"kind": "sample", "pubs": [_sample_pub(pub, shots) for pub in pubs], **options})


def estimate(*pubs: Any, precision: float | None = None, **options: Any) -> EstimateJob:
    """An estimation job.

    Args:
        *pubs: Each as Qiskit's estimator pubs a tuple `(circuit, observables)`, `(circuit, observables, values)` or
            `(circuit, observables, values, precision)`, or an `EstimatePub`.
        precision: For pubs that name none.
        **options: Other fields of `EstimateJob`.

    Raises:
        RequestRejected: Naming the field.
    """
    return _job(
        EstimateJob, {"kind": "estimate", "pubs": [_estimate_pub(pub, precision) for pub in pubs], **options}
    )


def solve(
    problem: Problem | Mapping[str, Any], circuit: Any = None, *, shots: int | None = None, **options: Any
) -> SolveJob:
    """A job that answers a problem, by a circuit if one is given.

    Raises:
        RequestRejected: Naming the field.
    """
    pub = None if circuit is None else _sample_pub(circuit, shots)
    return _job(SolveJob, {"kind": "solve", "problem": problem, "pub": pub, **options})


def as_job(work: Any, **options: Any) -> AnyJob:
    """A job from whatever a client is given: a job as it is, anything else as something to sample."""
    if isinstance(work, SampleJob | EstimateJob | SolveJob):
        if options:
            return _job(
                type(work), {**{name: getattr(work, name) for name in type(work).model_fields}, **options}
            )
        return work
    return sample(work, **options)


J = TypeVar("J", bound=AnyJob)
C = TypeVar("C", bound=Contract)


def _job(kind: type[J], document: dict[str, Any]) -> J:
    return _checked(kind, "the job", **document)


def _pieces(pub: Any) -> tuple[Any, ...]:
    return tuple(pub) if isinstance(pub, tuple | list) else (pub,)


def _sample_pub(pub: Any, shots: int | None) -> SamplePub:
    if isinstance(pub, SamplePub):
        return pub
    if _is_coerced(pub):  # Qiskit's own SamplerPub
        pub = (pub.circuit, pub.parameter_values, pub.shots)
    circuit, values, own = (*_pieces(pub), None, None)[:3]
    chosen = own if own is not None else shots
    return _checked(
        SamplePub,
        "the pub",
        circuit=as_circuit(circuit),
        bindings=as_bindings(circuit, values),
        **({} if chosen is None else {"shots": chosen}),
    )


def _estimate_pub(pub: Any, precision: float | None) -> EstimatePub:
    if isinstance(pub, EstimatePub):
        return pub
    if _is_coerced(pub):  # Qiskit's own EstimatorPub
        pub = (pub.circuit, pub.observables, pub.parameter_values, pub.precision)
    circuit, observables, values, own = (*_pieces(pub), None, None, None)[:4]
    if observables is None:
        raise RequestRejected(
            "an estimation pub is (circuit, observables, values, precision); it has no observables"
        )
    return _checked(
        EstimatePub,
        "the pub",
        circuit=as_circuit(circuit),
        observables=as_observables(observables),
        bindings=as_bindings(circuit, values),
        precision=own if own is not None else precision,
    )


def _is_coerced(pub: Any) -> bool:
    return hasattr(pub, "circuit") and hasattr(pub, "parameter_values")


def _checked(kind: type[C], what: str, /, **fields: Any) -> C:
    try:
        return kind(**fields)
    except ValidationError as failure:
        raise RequestRejected(explain(failure, what)) from None


def as_circuit(circuit: Any) -> Circuit:
    """A circuit contract from OpenQASM text, a path to such a file, or a `QuantumCircuit`.

    Raises:
        RequestRejected: It is none of these, or too large.
    """
    if isinstance(circuit, Circuit):
        return circuit
    try:
        if isinstance(circuit, Path):
            return Circuit.from_file(circuit)
        if isinstance(circuit, str):
            return (
                Circuit.from_file(circuit) if _looks_like_path(circuit) else Circuit.model_validate(circuit)
            )
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the circuit")) from None
    except (OSError, ValueError) as failure:
        raise RequestRejected(f"the circuit cannot be read: {failure}") from None
    if type(circuit).__module__.startswith("qiskit.") or hasattr(circuit, "num_clbits"):
        return _from_quantum_circuit(circuit)
    raise RequestRejected(
        f"a circuit is OpenQASM text, a path, or a QuantumCircuit, not {type(circuit).__name__}"
    )


def _looks_like_path(text: str) -> bool:
    return "\n" not in text and ";" not in text and len(text) < 4096


def _from_quantum_circuit(circuit: Any) -> Circuit:
    """QPY that is the same for the same circuit: names and identities that Qiskit draws afresh are fixed."""
    import uuid

    from qiskit.circuit import Parameter

    from qurable import qpy

    copy = circuit.copy(name="circuit")
    copy.metadata = {}
    if copy.num_parameters:
        fixed = {
            parameter: Parameter(parameter.name, uuid=uuid.uuid5(uuid.NAMESPACE_OID, parameter.name))
            for parameter in copy.parameters
        }
        copy.assign_parameters(fixed, inplace=True)
    name = "circuit" if not circuit.name or _AUTOMATIC_NAME.fullmatch(circuit.name) else circuit.name[:200]
    return _checked(
        Circuit,
        "the circuit",
        format=CircuitFormat.QPY,
        qpy=qpy.with_sorted_symbols(qpy.dump(copy), copy.parameters),
        name=name,
        metadata=dict(circuit.metadata or {}),
    )


def as_bindings(circuit: Any, values: Any) -> Bindings:
    """Bindings from a mapping of names, from an array in the order of the circuit's parameters, or from Qiskit's own.

    Raises:
        RequestRejected: The values do not fit the circuit's parameters.
    """
    if values is None:
        return Bindings()
    if isinstance(values, Bindings):
        return values
    names = [parameter.name for parameter in getattr(circuit, "parameters", ())]
    try:
        if hasattr(values, "as_array"):  # Qiskit's BindingsArray
            return _from_rows(names, values.as_array(circuit.parameters))
        if isinstance(values, Mapping):
            if all(isinstance(name, str) for name in values):
                return Bindings.model_validate(dict(values))
            return _from_qiskit_mapping(circuit, values, names)
        if not names and not isinstance(circuit, str | Path | Circuit):
            raise RequestRejected("values are given for a circuit without parameters")
        if not names:
            raise RequestRejected("values for an OpenQASM circuit are given by name: {'theta': 0.5}")
        return _from_rows(names, values)
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the bindings")) from None


def _from_rows(names: Sequence[str], rows: Any) -> Bindings:
    from qurable.contracts.arrays import flatten

    try:
        shape, flat = flatten(rows)
    except ValueError as failure:
        raise RequestRejected(f"the bindings are {failure}") from None
    if not names:
        return Bindings(parameters=(), shape=shape[:-1] if shape and shape[-1] == 0 else shape)
    if not shape or shape[-1] != len(names):
        raise RequestRejected(
            f"bindings of shape {shape} do not end in the circuit's {len(names)} parameters {list(names)[:8]}"
        )
    return Bindings(parameters=tuple(names), shape=shape[:-1], values=tuple(float(number) for number in flat))


def _from_qiskit_mapping(circuit: Any, values: Mapping[Any, Any], names: Sequence[str]) -> Bindings:
    from qiskit.primitives.containers.bindings_array import BindingsArray

    return _from_rows(names, BindingsArray.coerce(dict(values)).as_array(circuit.parameters))


def as_observables(observables: Any) -> Observables:
    """Observables from labels, mappings, `SparsePauliOp`, `Pauli`, or nested lists and arrays of them.

    Raises:
        RequestRejected: One is not Hermitian, or not an observable.
    """
    if isinstance(observables, Observables):
        return observables
    try:
        return Observables.model_validate(_plain(observables))
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the observables")) from None


def _plain(value: Any) -> Any:
    if isinstance(value, str | Mapping | Observable):
        return value
    if type(value).__name__ == "SparsePauliOp":
        return {"terms": _sparse_terms(value), "num_qubits": value.num_qubits}
    if type(value).__name__ == "Pauli":
        return _signed(value)
    if type(value).__name__ == "SparseObservable":
        return _plain_sparse(value)
    if hasattr(value, "tolist"):
        if getattr(value, "size", 1) == 0:
            return {"shape": tuple(value.shape), "items": ()}
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise RequestRejected(
        f"an observable is a Pauli label, a sum of them, or a SparsePauliOp, not {type(value).__name__}"
    )


def _sparse_terms(operator: Any) -> list[dict[str, Any]]:
    terms = []
    for label, qubits, coefficient in operator.to_sparse_list():
        number = complex(coefficient)
        if abs(number.imag) > 1e-12:
            raise RequestRejected(
                f"the coefficient of {label!r} is {number}; observables are Hermitian, so it must be real"
            )
        terms.append({"pauli": label, "qubits": tuple(qubits), "coefficient": number.real})
    return terms


def _plain_sparse(observable: Any) -> dict[str, Any]:
    """Qiskit's `SparseObservable`, letter by letter."""
    return {"terms": _sparse_terms(observable), "num_qubits": observable.num_qubits}


def _signed(pauli: Any) -> dict[str, float]:
    label = pauli.to_label()
    bare = label.lstrip("-i")
    sign = label[: len(label) - len(bare)]
    if "i" in sign:
        raise RequestRejected(f"the Pauli {label!r} is not Hermitian")
    return {bare: -1.0 if sign == "-" else 1.0}
