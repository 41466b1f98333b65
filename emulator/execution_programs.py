"""What a job's parameters ask for, and the body that answers it, in the words of the real client.

All programs come down to quantum programs: circuits with bindings or randomizations, and shots. The client brings its
own (`executor`); for the V2 primitives, where IBM's service twirls and mitigates, the same is done here with the
client's successor of it, so that readout mitigation and gate folding of an emulated job are real.
"""

import itertools
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from qiskit.primitives.containers import PrimitiveResult
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.primitives.containers.sampler_pub import SamplerPub

from emulator.execution_devices import Device
from qurable.errors import HybridError, RequestRejected, UnsupportedCircuit

_SCHEMA = "v2.0"
_MOST_TERMS = 4096
_PROJECTORS = {
    "0": (("I", 0.5), ("Z", 0.5)),
    "1": (("I", 0.5), ("Z", -0.5)),
    "+": (("I", 0.5), ("X", 0.5)),
    "-": (("I", 0.5), ("X", -0.5)),
    "r": (("I", 0.5), ("Y", 0.5)),
    "l": (("I", 0.5), ("Y", -0.5)),
}

_SAMPLER_OPTIONS = frozenset({"default_shots", "dynamical_decoupling", "execution", "twirling"})
_ESTIMATOR_OPTIONS = frozenset(
    {"default_precision", "default_shots", "dynamical_decoupling", "execution", "twirling", "resilience"}
)
_IGNORED_OPTIONS = frozenset({"seed_estimator"})

Answers = Sequence[Mapping[str, Any]]
"""For each item of a program, arrays by name."""


@dataclass(frozen=True)
class Request:
    """A job as quantum programs.

    Attributes:
        programs: The client's `QuantumProgram`s.
        encode: Makes the body from the answers to each program, and notes on how they arose.
        execution: `init_qubits` and `rep_delay`, as the client names them.
    """

    programs: Sequence[Any]
    encode: Callable[[Sequence[Answers], Sequence[str]], str]
    execution: Any = field(repr=False)


def read_request(program: str, params: str, device: Device) -> Request:
    """Decode a job's parameters with the client's own decoders.

    Args:
        program: `sampler`, `estimator` or `executor`.
        params: JSON text.
        device: What it runs on.

    Raises:
        RequestRejected: The parameters are not what the client would send, or the options contradict each other.
        UnsupportedCircuit: The emulator does not do what is asked for.
    """
    readers = {"sampler": _read_sampler, "estimator": _read_estimator, "executor": _read_executor}
    if program not in readers:
        raise RequestRejected(
            f"program {program!r} is not emulated; the emulator runs {', '.join(map(repr, readers))}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            request = readers[program](params, device)
        except (HybridError, MemoryError):
            raise
        except Exception as error:  # what the client's decoders make of a stranger's text
            raise RequestRejected(
                f"the parameters of program {program!r} cannot be run: {str(error)[:1000]}"
            ) from error
    levels = {str(quantum.meas_level) for quantum in request.programs}
    if levels - {"classified"}:
        raise UnsupportedCircuit(
            f"measurements of the kind {sorted(levels)!r} are not emulated: a simulation has no raw signals; ask for 'classified'"
        )
    return request


def _read_executor(params: str, _device: Device) -> Request:
    from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS

    document = json.loads(params)
    version = document.get("schema_version")
    if version != _SCHEMA:
        raise UnsupportedCircuit(
            f"schema {version!r} of program 'executor' is not emulated; send {_SCHEMA!r}, as the client of this version does"
        )
    converter = QUANTUM_PROGRAM_PARAMS_CONVERTERS[version]
    program, options = converter.decoder(converter.model(**document))
    for item in program.items:
        if hasattr(item, "samplex"):
            item.samplex.finalize()
    asked = document["quantum_program"]

    def encode(answers: Sequence[Answers], _notes: Sequence[str]) -> str:
        from qiskit_ibm_runtime.decoders.executor.decoder import AVAILABLE_DECODERS
        from qiskit_ibm_runtime.quantum_program.converters.converters_2_0 import CompressedTensorModel

        _, model = AVAILABLE_DECODERS[_SCHEMA]
        result = model(
            data=[
                {
                    "results": {
                        name: CompressedTensorModel.from_numpy(array) for name, array in item.items()
                    },
                    "metadata": {},
                }
                for item in answers[0]
            ],
            metadata={"chunk_timing": []},
            passthrough_data=asked.get("passthrough_data"),
            semantic_role=asked.get("semantic_role"),
        )
        return str(result.model_dump_json())

    return Request([program], encode, options.execution)


def _read_sampler(params: str, device: Device) -> Request:
    from qiskit_ibm_runtime.decoders.executor_sampler.post_processor_v0_1 import (
        sampler_v2_post_processor_v0_1,
    )
    from qiskit_ibm_runtime.executor_sampler.prepare import prepare
    from qiskit_ibm_runtime.options_models.sampler import SamplerOptions

    decoded = _decoded(params)
    options = SamplerOptions(**_options(decoded, _SAMPLER_OPTIONS))
    pubs = []
    for sent in decoded["pubs"]:
        circuit, values, shots = [*sent, None, None][:3]
        if not circuit.num_clbits:
            raise RequestRejected(f"circuit {circuit.name!r} measures nothing; a sampler needs measurements")
        pubs.append(SamplerPub.coerce((circuit, _bindings(circuit, values), shots)))
    programs = [_prepared(prepare, pub, options, device) for pub in pubs]

    def describe(pub: Any, _program: Any) -> dict[str, Any]:
        return {"circuit_metadata": pub.circuit.metadata or {}}

    encode = _primitive_body(pubs, programs, sampler_v2_post_processor_v0_1, describe, {"version": 2})
    return Request(programs, encode, options.execution)


def _read_estimator(params: str, device: Device) -> Request:
    from qiskit_ibm_runtime.decoders.executor_estimator.post_processor_v0_1 import (
        estimator_v2_post_processor_v0_1,
    )
    from qiskit_ibm_runtime.executor_estimator.finalize_options import finalize_estimator_options
    from qiskit_ibm_runtime.executor_estimator.prepare import prepare
    from qiskit_ibm_runtime.options_models.estimator import EstimatorOptions

    decoded = _decoded(params)
    chosen = _options(decoded, _ESTIMATOR_OPTIONS)
    if "resilience_level" in decoded:
        chosen["resilience_level"] = decoded["resilience_level"]
    options = EstimatorOptions(**chosen)
    final = finalize_estimator_options(options)
    _check_mitigation(final)
    pubs = []
    for sent in decoded["pubs"]:
        circuit, observables, values, precision = [*sent, None, None][:4]
        paulis = expand_projectors(observables)
        pubs.append(EstimatorPub.coerce((circuit, paulis, _bindings(circuit, values), precision)))
    programs = [_prepared(prepare, pub, options, device) for pub in pubs]
    resilience = {
        "measure_mitigation": final.resilience.measure_mitigation,
        "zne_mitigation": final.resilience.zne_mitigation,
        "pec_mitigation": False,
    }

    default = options.default_precision if not options.default_shots else options.default_shots**-0.5

    def describe(pub: Any, program: Any) -> dict[str, Any]:
        randomizations = program.items[0].shape[0]
        return {
            "shots": program.shots * randomizations,
            "target_precision": pub.precision or default,
            "circuit_metadata": pub.circuit.metadata or {},
            "resilience": resilience,
            "num_randomizations": randomizations,
        }

    whole = {
        "dynamical_decoupling": final.dynamical_decoupling.model_dump(),
        "twirling": final.twirling.model_dump(),
        "resilience": resilience,
        "version": 2,
    }
    encode = _primitive_body(pubs, programs, estimator_v2_post_processor_v0_1, describe, whole)
    return Request(programs, encode, options.execution)


def _check_mitigation(options: Any) -> None:
    """Refuse what cannot be done here, or not with a seed."""
    resilience = options.resilience
    if resilience.pec_mitigation or (resilience.zne_mitigation and resilience.zne.amplifier == "pea"):
        raise UnsupportedCircuit(
            "mitigation by PEC or PEA learns the device's noise first, which the emulator does not do for the V2 estimator; use gate "
            "folding, or the client-side estimator with a noise model of your own"
        )
    if resilience.zne_mitigation and not (options.twirling.enable_gates or options.twirling.enable_measure):
        raise UnsupportedCircuit(
            "gate folding without twirling has a single estimate at each noise factor, of which the client's own library makes no error "
            "bar; turn on twirling of gates or of measurements"
        )
    factors = resilience.zne.noise_factors
    odd = factors == "auto" or all(float(factor) % 2 == 1 for factor in factors)
    if resilience.zne_mitigation and resilience.zne.amplifier == "gate_folding" and not odd:
        raise UnsupportedCircuit(
            f"noise factors {list(factors)!r} fold gates drawn at random, which no seed repeats; use odd factors, or the amplifier "
            "'gate_folding_front' or 'gate_folding_back'"
        )


def _prepared(prepare: Any, pub: Any, options: Any, device: Device) -> Any:
    """One pub as a quantum program: pubs of the V2 primitives may differ in shots and precision."""
    program, _ = prepare([pub], options, backend=SimpleNamespace(target=device.target))
    return program


def _primitive_body(
    pubs: Sequence[Any],
    programs: Sequence[Any],
    post_process: Callable[[Any], Any],
    describe: Callable[[Any, Any], dict[str, Any]],
    metadata: dict[str, Any],
) -> Callable[[Sequence[Answers], Sequence[str]], str]:
    """Encoder of a V2 primitive's result, one pub a program."""

    def encode(answers: Sequence[Answers], notes: Sequence[str]) -> str:
        from qiskit_ibm_runtime import RuntimeEncoder
        from qiskit_ibm_runtime.results import QuantumProgramResult

        results = []
        for pub, program, items in zip(pubs, programs, answers, strict=True):
            raw = QuantumProgramResult(
                data=[dict(item) for item in items], passthrough_data=program.passthrough_data
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                (found,) = post_process(raw)
            results.append(type(found)(data=found.data, metadata=describe(pub, program)))
        whole = metadata | {"emulator": {"notes": list(notes)}}
        return json.dumps(PrimitiveResult(results, metadata=whole), cls=RuntimeEncoder)

    return encode


def _decoded(params: str) -> dict[str, Any]:
    from qiskit_ibm_runtime import RuntimeDecoder

    decoded: dict[str, Any] = json.loads(params, cls=RuntimeDecoder)
    if not decoded.get("pubs"):
        raise RequestRejected("the job has no pubs; send at least one")
    return decoded


def _options(decoded: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The options the emulator acts on.

    Raises:
        UnsupportedCircuit: There are others, which it would have to ignore.
    """
    options = {
        name: value for name, value in (decoded.get("options") or {}).items() if value not in ({}, None)
    }
    strange = sorted(set(options) - known - _IGNORED_OPTIONS)
    if strange:
        raise UnsupportedCircuit(f"options {', '.join(map(repr, strange))} are not emulated; leave them out")
    return {name: value for name, value in options.items() if name in known}


def _bindings(circuit: Any, values: Any) -> Any:
    if not circuit.num_parameters:
        return None
    return BindingsArray({tuple(circuit.parameters): values})


def expand_projectors(observables: Any) -> Any:
    """Observables with projectors written as sums of Paulis, so that every level of mitigation can measure them.

    Args:
        observables: Nested lists of `{label: coefficient}`, the rightmost letter of a label on qubit 0.

    Raises:
        UnsupportedCircuit: An observable has too many terms then.
    """
    if isinstance(observables, ObservablesArray):
        observables = observables.tolist()
    if isinstance(observables, list):
        return [expand_projectors(entry) for entry in observables]
    terms: dict[str, float] = {}
    for label, coefficient in observables.items():
        for pauli, factor in _paulis(label):
            terms[pauli] = terms.get(pauli, 0.0) + coefficient * factor
    return {label: value for label, value in terms.items() if value} or {next(iter(terms)): 0.0}


def _paulis(label: str) -> list[tuple[str, float]]:
    count = 2 ** sum(letter in _PROJECTORS for letter in label)
    if count > _MOST_TERMS:
        raise UnsupportedCircuit(
            f"an observable's projectors make {count} Pauli terms; at most {_MOST_TERMS} are measured: use fewer projectors in a term"
        )
    choices = [_PROJECTORS.get(letter, ((letter, 1.0),)) for letter in label]
    return [
        ("".join(letter for letter, _ in chosen), math.prod(factor for _, factor in chosen))
        for chosen in itertools.product(*choices)
    ]
