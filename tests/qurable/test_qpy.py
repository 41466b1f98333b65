"""QPY of a circuit: the same bytes in every process, and the same circuit when it is read."""

import os
import subprocess
import sys

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import Operator

from qurable import qpy
from qurable.requests import as_circuit

_PRINTS_ITS_DIGEST = """
from qurable.requests import as_circuit
from tests.qurable.test_qpy import woven

print(as_circuit(woven()).source_hash)
"""


def woven() -> QuantumCircuit:
    """Angles of several parameters each, named in an order that is not theirs."""
    vector = ParameterVector("v", 3)
    names = [Parameter(name) for name in ("d", "c", "b", "a", "a'")]
    total = sum((at * parameter for at, parameter in enumerate(names[1:], 1)), start=names[0] + 0)
    circuit = QuantumCircuit(2, global_phase=names[0] * names[2])
    circuit.rx(total, 0)
    circuit.ry(total.assign(names[0], names[1] * names[3]) + vector[2] * vector[0], 1)
    circuit.rzz(names[0] - names[4], 0, 1)
    return circuit


def _digest(hash_seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", _PRINTS_ITS_DIGEST],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_a_circuit_has_one_digest_in_all_processes() -> None:
    """Its job's key would be told to belong to another job otherwise."""
    assert _digest(1) == _digest(2) == f"{as_circuit(woven()).source_hash}\n"


def test_what_is_read_is_what_was_written() -> None:
    """With every parameter under its own name."""
    circuit = woven()
    sent = as_circuit(circuit).qpy
    assert sent is not None

    (read,) = qpy.load(sent)

    names = sorted(parameter.name for parameter in circuit.parameters)
    assert sorted(parameter.name for parameter in read.parameters) == names
    values = {name: 0.1 + 0.2 * at for at, name in enumerate(names)}
    bound, own = (
        one.assign_parameters({parameter: values[parameter.name] for parameter in one.parameters})
        for one in (read, circuit)
    )
    assert Operator(bound) == Operator(own)
