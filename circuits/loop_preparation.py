"""From what somebody asked to what a loop evaluates: operator, circuit and first point; runs in a child."""

from collections.abc import Callable
from typing import Any

import numpy as np
from qiskit.circuit import QuantumCircuit

from circuits.ansatz import build
from circuits.estimation import group_products
from circuits.flatten import flatten
from circuits.objectives import Operator, observable_of, operator_of
from circuits.optimisers.choice import optimiser_of
from circuits.optimisers.protocol import Floats
from circuits.parse import dump_qpy, read_circuit
from circuits.problem_files import read_problem
from circuits.problems import qubits_of
from circuits.source import SourceLimits
from circuits.traits import measure_traits
from qurable.contracts.observables import Observable
from qurable.contracts.optimisations import Optimisation, PreparedLoop, StartedLoop
from qurable.contracts.problems import PauliHamiltonian, Problem
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
    problem = _problem(loop)
    operator = operator_of(problem)
    width = max(qubit + 1 for product in operator for qubit, _ in product)
    if isinstance(problem, PauliHamiltonian):
        width = problem.num_qubits
    if problem.qubits is not None and qubits_of(problem) != tuple(range(len(problem.qubits))):
        raise RequestRejected("a loop's problem has variable i on qubit i: leave `qubits` out")
    circuit = _circuit(loop, operator, width, SourceLimits(**payload["limits"]))
    names = [parameter.name for parameter in circuit.parameters]
    start = _start(loop, len(names))
    first = optimiser_of(loop.optimiser, start, loop.seed, loop.stop.tolerance)
    first.close()
    prepared = PreparedLoop(
        loop=StartedLoop.of(loop),
        problem=problem,
        qpy=dump_qpy(circuit),
        parameters=tuple(names),
        observable=observable_of(operator),
        qubits=circuit.num_qubits,
        groups=len(group_products(operator)),
        start=tuple(start.tolist()),
    )
    return prepared.model_dump_json()


def _problem(loop: Optimisation) -> Problem:
    if loop.problem is not None:
        return loop.problem
    if loop.file is not None:
        return read_problem(loop.file)
    observable = loop.observable or Observable(terms=())
    return PauliHamiltonian(
        sense=loop.sense,
        num_qubits=max(1, observable.num_qubits or 0, observable.min_qubits),
        terms=observable.terms,
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
