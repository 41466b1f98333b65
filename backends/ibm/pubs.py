"""What a primitive of IBM's is given: circuits without anybody's words in them, values and observables, posted once.

Runs in a child. The author's names stay in this house, see `backends/ibm/neutral.py`.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from qiskit.circuit import QuantumCircuit
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.quantum_info import SparsePauliOp

from backends.ibm.checks import check, device_limits
from backends.ibm.layers import layer_noise_model
from backends.ibm.neutral import sanitised
from backends.ibm.options import primitive_options
from backends.ibm.split import DeviceLimits, Row, rows
from circuits.estimation import Product, placed, without_final_measurements
from circuits.parse import load_qpy
from circuits.suppression import Kind
from qurable.contracts.executions import IsaPub, Slice, Submission
from qurable.contracts.ibm import Generation
from qurable.contracts.observables import Observables
from qurable.errors import RequestRejected, UnsupportedCircuit

Pub: TypeAlias = SamplerPub | EstimatorPub


def start(
    mode: Any,
    submission: Submission,
    slices: Sequence[Slice],
    circuits: Mapping[str, bytes],
    *,
    generation: Generation,
    tags: Sequence[str],
    max_execution_time: int | None = None,
) -> str:
    """Submit a part of a submission by one POST, and give back the provider's id of the job.

    Args:
        mode: A device of the client's, or a `Session` or `Batch` of the client's on one.
        submission: What it is a part of.
        slices: What the part runs.
        circuits: QPY of its ISA circuits, by hash.
        generation: Of the primitives.
        tags: Tags of the job.
        max_execution_time: QPU seconds, where they are tighter than what the options say.

    Raises:
        RequestRejected: Options that do not go together, or not with this device.
        UnsupportedCircuit: A circuit is not one of the device's.
    """
    from qiskit_ibm_runtime import Session

    backend = mode._backend if isinstance(mode, Session) else mode  # noqa: SLF001  a session tells only its name
    job = post(
        mode,
        submission,
        slices,
        circuits,
        generation=generation,
        device=device_limits(backend.configuration().to_dict()),
        tags=tags,
        max_execution_time=max_execution_time,
    )
    return str(job.job_id())


def post(
    mode: Any,
    submission: Submission,
    slices: Sequence[Slice],
    circuits: Mapping[str, bytes],
    *,
    generation: Generation,
    device: DeviceLimits,
    tags: Sequence[str] = (),
    max_execution_time: int | None = None,
    local: Mapping[str, Any] | None = None,
) -> Any:
    """Build the pubs of a part, check them, and run the primitive: as `start`, giving back the client's job.

    Here `device` is what the device allows, and `local` are options of the client's local testing mode, such as its
    seed; None for a real job.
    """
    kind = submission.kind
    wanted = [submission.pubs[piece.pub] for piece in slices]
    shots = {pub.shots for pub in wanted}
    loaded = {pub.isa: sanitised(_loaded(circuits[pub.isa], kind)) for pub in wanted}
    check(
        submission.ibm,
        kind,
        generation=generation,
        device=device,
        shots=sorted(shots),
        control_flow=any(circuit.has_control_flow_op() for circuit in loaded.values()),
    )
    if len(shots) != 1:
        raise RequestRejected(
            f"pubs of one job must ask for equal shots, not {sorted(shots)}: divide the submission by `split.parts`"
        )
    options = primitive_options(
        submission.ibm,
        kind,
        generation,
        shots=shots.pop(),
        tags=tuple(tags),
        max_execution_time=max_execution_time,
    )
    if local:
        options["simulator"] = dict(local)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # V2 is deprecated, and chosen all the same
        primitive = primitive_class(kind, generation)(mode=mode, options=options)
        pubs = build(submission, slices, loaded)
        pubs = [_with_valid_rzz(pub, mode, kind) for pub in pubs]
        _check_isa(pubs, primitive.backend())
        if submission.ibm.resilience is not None and submission.ibm.resilience.layer_noise_model:
            primitive.options.resilience.layer_noise_model = layer_noise_model(
                primitive, pubs, submission.ibm.resilience.layer_noise_model
            )
        return primitive.run(pubs)


def _loaded(body: bytes, kind: Kind) -> QuantumCircuit:
    """An ISA circuit; for estimates without the measurements at its end."""
    circuit = load_qpy(body)
    return circuit if kind == "sample" else without_final_measurements(circuit)[0]


def primitive_class(kind: Kind, generation: Generation) -> Any:
    """The client's class."""
    if generation is Generation.V2:
        from qiskit_ibm_runtime import EstimatorV2, SamplerV2

        return SamplerV2 if kind == "sample" else EstimatorV2
    from qiskit_ibm_runtime.executor_estimator import Estimator
    from qiskit_ibm_runtime.executor_sampler import Sampler

    return Sampler if kind == "sample" else Estimator


def build(
    submission: Submission, slices: Sequence[Slice], circuits: Mapping[str, QuantumCircuit]
) -> list[Pub]:
    """The client's pubs for the slices of a submission.

    A slice of n bindings becomes one pub of shape (n,), or (n, m) where each binding is paired with m observables.
    Where the circuit has no parameters it becomes n pubs of shape () or (m,): a primitive runs a circuit without
    parameters once, whatever the shape of its bindings.

    Args:
        submission: Of which these are slices.
        slices: What to run.
        circuits: Sanitised ISA circuits by hash.
    """
    pubs: list[Pub] = []
    for piece in slices:
        pub = submission.pubs[piece.pub]
        circuit = circuits[pub.isa]
        wanted = list(rows(pub.bindings, pub.observables, piece.start, piece.stop))
        if not wanted:
            continue
        names = _parameter_columns(pub, circuit)
        chunks = [wanted] if names else [[row] for row in wanted]
        values = _values(pub, circuit, names, piece) if names else None
        sums = _physical(pub.observables, pub.layout, circuit)
        for chunk in chunks:
            if pub.observables is None:
                pubs.append(SamplerPub(circuit, values, pub.shots))
            else:
                pubs.append(_estimator_pub(circuit, values, sums, chunk))
    return pubs


def _estimator_pub(
    circuit: QuantumCircuit,
    values: BindingsArray | None,
    sums: Sequence[SparsePauliOp],
    chunk: Sequence[Row],
) -> EstimatorPub:
    columns = [[sums[at] for at in row.observables] for row in chunk]
    if values is None:
        return EstimatorPub(circuit, ObservablesArray(columns[0]))
    if all(row.observables == chunk[0].observables for row in chunk):
        columns = columns[:1]
    return EstimatorPub(circuit, ObservablesArray(columns), values.reshape(len(chunk), 1))


def _parameter_columns(pub: IsaPub, circuit: QuantumCircuit) -> list[int]:
    """Column of the pub's values for each parameter that the circuit still has, in the circuit's order."""
    column = {name: at for at, name in enumerate(pub.bindings.parameters)}
    missing = sorted(parameter.name for parameter in circuit.parameters if parameter.name not in column)
    if missing:
        raise RequestRejected(
            f"parameters {missing} of the circuit have no values; there are values for {sorted(column)}"
        )
    return [column[parameter.name] for parameter in circuit.parameters]


def _values(pub: IsaPub, circuit: QuantumCircuit, columns: Sequence[int], piece: Slice) -> BindingsArray:
    """Values of the slice, shape (stop - start,), under neutral names."""
    width = len(pub.bindings.parameters)
    table: npt.NDArray[np.float64] = np.array(
        pub.bindings.values[piece.start * width : piece.stop * width], dtype=np.float64
    ).reshape(piece.stop - piece.start, width)
    return BindingsArray({tuple(parameter.name for parameter in circuit.parameters): table[:, columns]})


def _physical(
    observables: Observables | None, layout: Sequence[int] | None, circuit: QuantumCircuit
) -> list[SparsePauliOp]:
    """A pub's observables on the device's qubits, projectors written out as Paulis."""
    position = dict(enumerate(layout or range(circuit.num_qubits)))
    return [
        _sparse({placed(product, position): factor for product, factor in item.paulis().items()}, circuit)
        for item in (() if observables is None else observables.items)
    ]


def _sparse(terms: Mapping[Product, float], circuit: QuantumCircuit) -> SparsePauliOp:
    listed = [
        ("".join(letter for _, letter in product), [qubit for qubit, _ in product], factor)
        for product, factor in sorted(terms.items())
        if factor
    ]
    return SparsePauliOp.from_sparse_list(listed or [("", [], 0.0)], num_qubits=circuit.num_qubits)


def _with_valid_rzz(pub: Pub, mode: Any, kind: Kind) -> Pub:
    """The pub with bound angles of rzz folded into 0 to pi/2, by the client's own conversion."""
    if not any(item.name == "rzz" and item.is_parameterized() for item in pub.circuit.data):
        return pub
    from qiskit_ibm_runtime.transpiler.passes.basis.fold_rzz_angle import convert_to_rzz_valid_pub

    # The conversion takes V2 alone and asks it for nothing.
    converted: Pub = convert_to_rzz_valid_pub(primitive_class(kind, Generation.V2)(mode=mode), pub)
    return converted


def _check_isa(pubs: Sequence[Pub], backend: Any) -> None:
    """Refuse circuits that the device cannot run; the client-side primitives do not look.

    Raises:
        UnsupportedCircuit: With the client's reason.
    """
    from qiskit_ibm_runtime.utils.utils import is_isa_circuit, is_valid_rzz_pub

    for number, pub in enumerate(pubs):
        reason = is_isa_circuit(pub.circuit, backend.target) or is_valid_rzz_pub(pub)
        if not reason and hasattr(backend, "check_faulty"):
            try:
                backend.check_faulty(pub.circuit)
            except ValueError as faulty:
                reason = str(faulty)
        if reason:
            raise UnsupportedCircuit(
                f"circuit {number} of the job is none that {backend.name!r} can run: {reason}; it may have been calibrated anew: compile "
                "again"
            )
