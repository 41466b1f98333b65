"""Jobs as the real client sends them, and answers as it reads them, without a service between."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce
from types import SimpleNamespace
from typing import Any

from qiskit import QuantumCircuit, generate_preset_pass_manager
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit_ibm_runtime import RuntimeEncoder
from qiskit_ibm_runtime.decoders.defaults import DEFAULT_DECODERS
from qiskit_ibm_runtime.executor_estimator.prepare import prepare as prepare_estimator
from qiskit_ibm_runtime.executor_sampler.prepare import prepare as prepare_sampler
from qiskit_ibm_runtime.options import EstimatorOptions as V2EstimatorOptions
from qiskit_ibm_runtime.options import SamplerOptions as V2SamplerOptions
from qiskit_ibm_runtime.options_models.estimator import EstimatorOptions
from qiskit_ibm_runtime.options_models.sampler import SamplerOptions
from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS

from emulator.execution import describe, run
from emulator.execution_devices import find_device

GENERATIONS = ("V2", "executor")


def isa(circuit: QuantumCircuit, device: str, layout: Sequence[int], level: int = 1) -> QuantumCircuit:
    """The circuit on these qubits of a device."""
    return generate_preset_pass_manager(
        level, target=find_device(device).target, initial_layout=list(layout), seed_transpiler=7
    ).run(circuit)


def line(device: str, width: int) -> list[int]:
    """Qubits of a device, each a neighbour of the next."""
    target = find_device(device).target
    pairs = next(target[name] for name in ("ecr", "cz", "cx") if name in target.operation_names)
    near: dict[int, set[int]] = {}
    for one, other in pairs:
        near.setdefault(one, set()).add(other)
        near.setdefault(other, set()).add(one)
    paths = [[start] for start in sorted(near)]
    while paths:
        path = paths.pop()
        if len(path) == width:
            return path
        paths += [[*path, qubit] for qubit in sorted(near[path[-1]] - set(path))]
    raise ValueError(f"{device!r} has no line of {width} qubits")


def brickwork(width: int, layers: int) -> QuantumCircuit:
    """Entangles a line of qubits more with each layer, and is no Clifford circuit."""
    circuit = QuantumCircuit(width)
    for layer in range(layers):
        for qubit in range(width):
            circuit.ry(0.3 + 0.1 * qubit + layer, qubit)
        for qubit in range(layer % 2, width - 1, 2):
            circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def sampler_job(generation: str, pubs: Any, device: str, **options: Any) -> dict[str, Any]:
    """A sampler's job; pubs are `(circuit, values, shots)`."""
    if generation == "V2":
        return _v2("sampler", [SamplerPub.coerce(pub) for pub in pubs], V2SamplerOptions(**options), device)
    program, chosen = prepare_sampler(
        pubs, SamplerOptions(**options), backend=SimpleNamespace(target=find_device(device).target)
    )
    return _executor(program, chosen, "sampler_v2", device)


def estimator_job(generation: str, pubs: Any, device: str, **options: Any) -> dict[str, Any]:
    """An estimator's job; pubs are `(circuit, observables, values, precision)`."""
    if generation == "V2":
        return _v2(
            "estimator", [EstimatorPub.coerce(pub) for pub in pubs], V2EstimatorOptions(**options), device
        )
    program, chosen = prepare_estimator(
        pubs, EstimatorOptions(**options), backend=SimpleNamespace(target=find_device(device).target)
    )
    return _executor(program, chosen, "estimator_v2", device)


def _v2(program: str, pubs: Any, options: Any, device: str) -> dict[str, Any]:
    inputs = {"pubs": pubs} | type(options)._get_program_inputs(asdict(options))
    return {"program": program, "params": json.dumps(inputs, cls=RuntimeEncoder), "backend": device}


def _executor(program: Any, options: Any, role: str, device: str) -> dict[str, Any]:
    program._semantic_role = role
    params = QUANTUM_PROGRAM_PARAMS_CONVERTERS["v2.0"].encoder(program, options).model_dump_json()
    return {"program": "executor", "params": params, "backend": device}


def described(job: dict[str, Any]) -> Any:
    """What the job will take."""
    return describe(job, lambda _: None)


def body(job: dict[str, Any], *, seed: int = 11, noise: bool = True) -> str:
    """The job's results as the service answers them."""
    return str(run(job | {"seed": seed, "noise": noise}, lambda _: None)["body"])


def results(job: dict[str, Any], *, seed: int = 11, noise: bool = True) -> Any:
    """The job's results as the client's `job.result()` makes them of the body."""
    return reduce(
        lambda result, decoder: decoder.decode(result) if decoder.is_applicable(result) else result,
        DEFAULT_DECODERS[job["program"]],
        body(job, seed=seed, noise=noise),
    )
