"""From what somebody asked to what a loop evaluates: operator, circuit and first point; runs in a child."""

from collections.abc import Callable
from typing import Any

import numpy as np
from qiskit.circuit import QuantumCircuit

from circuits.ansatz import build
from circuits.canonical import canonicalise
from circuits.estimation import group_products
from circuits.flatten import flatten
from circuits.objectives import Operator, observable_of, operator_of
from circuits.optimisers.choice import optimiser_of
from circuits.optimisers.protocol import Floats
from circuits.parse import dump_qpy, read_circuit
from circuits.problem_files import index_base, read_problem
from circuits.problem_files.lines import Found
from circuits.problems import qubits_of
from circuits.registered_objectives import known
from circuits.source import SourceLimits
from circuits.traits import measure_traits
from circuits.translations import in_words
from circuits.whole_programs import as_qubo
from qurable.contracts.base import digest
from qurable.contracts.observables import Observable
from qurable.contracts.optimisations import Optimisation, PreparedLoop, StartedLoop
from qurable.contracts.problems import LinearProgram, PauliHamiltonian
from qurable.contracts.translations import Reading
from qurable.errors import RequestRejected

_NEAR_ZERO = 0.1
"""Standard deviation of each parameter of a first point: where many families are level, and no optimiser sees a slope, is
at zero itself."""


def prepare_loop(payload: Any, _emit: Callable[[Any], None]) -> str:
    """Task: the `PreparedLoop` of a loop, as JSON.

    Args:
        payload: `{"loop": Optimisation as JSON, "limits": {...}}`.

    Raises:
        RequestRejected: Something about it is not acceptable.
    """
    loop = Optimisation.read(payload["loop"])
    objective = None if loop.objective is None else known(loop.objective.name)
    found = _found(loop)
    problem = found.problem
    operator = operator_of(problem)
    width = max(qubit + 1 for product in operator for qubit, _ in product)
    if isinstance(problem, PauliHamiltonian):
        width = problem.num_qubits
    if problem.qubits is not None and qubits_of(problem) != tuple(range(len(problem.qubits))):
        raise RequestRejected("a loop's problem has variable i on qubit i: leave `qubits` out")
    limits = SourceLimits(**payload["limits"])
    circuit = _circuit(loop, operator, width, limits)
    canonical = canonicalise(circuit, limit=limits.expanded_gates, name="the ansatz")
    names = [parameter.name for parameter in circuit.parameters]
    start = _start(loop, len(names))
    first = optimiser_of(loop.optimiser, start, loop.seed, loop.stop.tolerance)
    first.close()
    observables = loop.observables or (observable_of(operator),)
    prepared = PreparedLoop(
        loop=StartedLoop.of(loop),
        problem=problem,
        qpy=dump_qpy(circuit),
        identity=canonical.digest if canonical.cacheable else digest(dump_qpy(canonical.circuit)),
        parameters=tuple(names),
        observable=observable_of(operator),
        qubits=circuit.num_qubits,
        groups=len(group_products({product for entry in observables for product in entry.paulis()})),
        start=tuple(start.tolist()),
        warnings=found.warnings,
        reading=_reading(loop, found),
        terms=found.terms,
        observables=() if objective is None else observables,
        objective=loop.objective,
        known_objective=objective,
    )
    return prepared.model_dump_json()


def _found(loop: Optimisation) -> Found:
    if isinstance(loop.problem, LinearProgram) and loop.problem.qubits is None:
        return Found(*as_qubo(loop.problem))
    if loop.problem is not None:
        return Found(loop.problem)
    if loop.file is not None:
        return read_problem(loop.file)
    observables = loop.observables or (loop.observable or Observable(terms=()),)
    widths = [max(observable.num_qubits or 0, observable.min_qubits) for observable in observables]
    return Found(
        PauliHamiltonian(
            sense=loop.sense,
            num_qubits=max(1, *widths),
            terms=tuple(term for observable in observables for term in observable.terms),
        )
    )


def _reading(loop: Optimisation, found: Found) -> Reading | None:
    if loop.file is None:
        return None
    return Reading(
        format=loop.file.format,
        index_base=index_base(loop.file),
        digest=digest(loop.file.text),
        meaning=in_words(found.problem, found.terms),
    )


def _circuit(loop: Optimisation, operator: Operator, width: int, limits: SourceLimits) -> QuantumCircuit:
    """The ansatz, its parameters in Qiskit's order."""
    if loop.ansatz is not None:
        return build(loop.ansatz, operator, width)
    assert loop.circuit is not None  # noqa: S101  the contract has seen to it
    name = loop.circuit.name
    circuit = flatten(
        read_circuit(loop.circuit.source, loop.circuit.format, limits, name),
        limit=limits.expanded_gates,
        name=name,
    ).remove_final_measurements(inplace=False)
    if not circuit.num_parameters:
        raise RequestRejected(
            f"the ansatz {name!r} has no parameters: there is nothing to optimise; give it some, or send it as a job"
        )
    if circuit.num_qubits < width:
        raise RequestRejected(
            f"the ansatz {name!r} has {circuit.num_qubits} qubits, the observable acts on {width}"
        )
    if measure_traits(circuit, name).is_dynamic:
        raise RequestRejected(
            f"the ansatz {name!r} measures and goes on, or resets; a loop takes circuits that measure at their end alone"
        )
    return circuit


def _start(loop: Optimisation, count: int) -> Floats:
    if loop.initial is None:
        return np.random.default_rng([loop.seed, count]).normal(0.0, _NEAR_ZERO, count)
    if len(loop.initial) != count:
        raise RequestRejected(
            f"the initial point has {len(loop.initial)} numbers, the ansatz has {count} parameters"
        )
    return np.array(loop.initial, dtype=np.float64)
