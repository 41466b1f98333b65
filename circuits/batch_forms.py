"""The forms of a batch's circuits: what is the same but for names, formatting and angles; runs in a child.

Angles that a circuit has written out as numbers are lifted to parameters, so that circuits which differ in them alone are
one circuit with many bindings. A circuit is lifted only where that changes nothing about its run: on a simulator without
noise, at level 0, where it is compiled gate by gate and its angles are looked at by nobody, and where the same method is
chosen for it. Quarter turns stay as they are: they make a circuit Clifford.
"""

import uuid
from collections.abc import Callable
from typing import Any

from qiskit.circuit import Parameter, ParameterExpression, QuantumCircuit

from circuits.canonical import Canonical, canonicalise
from circuits.methods import SMALL_QUBITS
from circuits.parse import read_circuit
from circuits.source import SourceLimits
from circuits.traits import is_quarter_turn, measure_traits
from qurable import qpy
from qurable.contracts.circuits import CircuitTraits
from qurable.contracts.jobs import EstimateJob, Method, SampleJob, SolveJob, read_request
from qurable.errors import HybridError

_NOISELESS = frozenset({"aer", "aer_gpu"})
_LIFTED = "angle "
"""Begins the name of a parameter that stands for a number; no identifier of OpenQASM does."""

_MOST_ANGLES = 2_000
"""Of a circuit; with more, the values of a job would outweigh what it spares."""

_PLAIN = frozenset({"measure", "barrier", "reset", "delay"})
_SAME_METHOD = {"parameters": 0, "is_clifford_when_bound": False}
"""Traits that no choice of a method looks at, where not every angle is a quarter turn."""


def read_forms(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: bring the circuits of requests of one pub into the form that tells which are the same.

    Args:
        payload: `{"limits": {...}, "requests": [request as JSON, ...]}`.

    Returns:
        For each request None, where it is the same as no other, or `{"canonical": digest, "registers": [[name, [bit, ...]],
        ...], "parameters": [name, ...] in canonical order, "angles": {name: value}, "qpy": bytes}`: `angles` are those that were
        lifted, and `qpy` is the circuit with them as parameters, empty where there are none.
    """
    limits = SourceLimits(**payload["limits"])
    return [_form(request, limits) for request in payload["requests"]]


def _form(body: str, limits: SourceLimits) -> dict[str, Any] | None:
    job = read_request(body)
    assert not isinstance(job, SolveJob)  # noqa: S101  these run alone
    circuit = job.pubs[0].circuit
    try:
        parsed = read_circuit(circuit.source, circuit.format, limits, circuit.name)
        plain = canonicalise(parsed, limit=limits.expanded_gates, name=circuit.name)
        traits = measure_traits(plain.circuit, circuit.name)
        lifted, angles = _lifted(parsed) if _may_be_lifted(job, traits) else (parsed, {})
        form = canonicalise(lifted, limit=limits.expanded_gates, name=circuit.name) if angles else plain
        if angles and not _runs_the_same(measure_traits(form.circuit, circuit.name), traits):
            form, angles = plain, {}
    except (HybridError, RecursionError):
        return None  # its own job says what is wrong with it
    return _document(form, angles, lifted) if form.cacheable else None


def _document(form: Canonical, angles: dict[str, float], lifted: QuantumCircuit) -> dict[str, Any]:
    return {
        "canonical": form.digest,
        "registers": [[register.name, list(register.bits)] for register in form.dress.registers],
        "parameters": list(form.dress.parameters),
        "angles": angles,
        "qpy": qpy.dump(lifted) if angles else b"",
    }


def _may_be_lifted(job: SampleJob | EstimateJob, traits: CircuitTraits) -> bool:
    """Whether a job's place runs a circuit gate by gate, by a method that does not depend on its angles."""
    return (
        job.backend in _NOISELESS
        and job.transpile.level in (None, 0)
        and not traits.is_clifford
        and not traits.has_control_flow
        and (traits.active_qubits <= SMALL_QUBITS or job.simulator.method is not Method.AUTOMATIC)
    )


def _runs_the_same(lifted: CircuitTraits, written: CircuitTraits) -> bool:
    return lifted.model_copy(update=_SAME_METHOD) == written.model_copy(update=_SAME_METHOD)


def _lifted(circuit: QuantumCircuit) -> tuple[QuantumCircuit, dict[str, float]]:
    """A circuit with parameters for its numbers, and these; itself where there are none, or it is more than gates."""
    angles: dict[str, float] = {}
    items = []
    if any(parameter.name.startswith(_LIFTED) for parameter in circuit.parameters):
        return circuit, {}
    for item in circuit.data:
        if not item.is_standard_gate():
            if item.name not in _PLAIN:
                return circuit, {}
            items.append(item)
            continue
        known = len(angles)
        params = [_stand_in(value, angles) for value in item.params]
        # A gate of its own: with `params` alone, one that was looked at before keeps its old ones.
        items.append(
            item if len(angles) == known else item.replace(operation=item.operation.base_class(*params))
        )
    if not angles or len(angles) > _MOST_ANGLES:
        return circuit, {}
    copy = circuit.copy_empty_like()
    copy.data = items
    copy.global_phase = circuit.global_phase
    return copy, angles


def _stand_in(value: Any, angles: dict[str, float]) -> Any:
    if isinstance(value, ParameterExpression):
        if value.parameters:
            return value
        value = value.numeric()
    if not isinstance(value, int | float) or is_quarter_turn(value):
        return value
    name = f"{_LIFTED}{len(angles):06d}"
    angles[name] = float(value)
    return Parameter(name, uuid=uuid.uuid5(uuid.NAMESPACE_OID, name))
