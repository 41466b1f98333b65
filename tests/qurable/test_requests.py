"""The same circuit is the same request, every time it is written."""

import io

from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Parameter, ParameterVector

from qurable.requests import as_circuit, sample


def test_an_expression_of_several_parameters_is_written_the_same_way_every_time() -> None:
    """Qiskit draws the order of its symbols: a key would belong to another body half of the time."""
    x, y = Parameter("x"), Parameter("y")
    z = ParameterVector("z", 3)
    circuit = QuantumCircuit(2)
    circuit.rz(x * y, 0)
    circuit.rz(x + 2 * y * z[0] - z[1] * z[2], 1)
    circuit.cp(z[2] * x, 0, 1)
    circuit.measure_all()

    written = [as_circuit(circuit) for _ in range(30)]

    assert len({found.qpy for found in written}) == 1
    assert len({sample(circuit, key="k").body_hash for _ in range(10)}) == 1
    assert written[0].qpy is not None
    (read,) = qpy.load(io.BytesIO(written[0].qpy))
    values = dict(zip(("x", "y", "z[0]", "z[1]", "z[2]"), (0.1, 0.2, 0.3, 0.4, 0.5), strict=True))
    bound = read.assign_parameters(values)
    expected = circuit.assign_parameters({x: 0.1, y: 0.2, z: [0.3, 0.4, 0.5]})
    assert [item.params for item in bound.data] == [item.params for item in expected.data]
