"""Folded circuits do the same with more noise, in the device's own gates."""

from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from circuits.folding import NotFoldable, fold_circuit, folded
from circuits.parse import dump_qpy, load_qpy
from circuits.targets import describe_target

_DEVICE = FakeManilaV2()
_NATIVE = frozenset(_DEVICE.target.operation_names)


def _isa() -> QuantumCircuit:
    circuit = QuantumCircuit(3, 3)
    angle = Parameter("p0")
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.ry(angle, 1)
    circuit.rx(0.3, 2)
    circuit.cx(1, 2)
    circuit.cx(0, 2)
    circuit.measure([0, 1, 2], [0, 1, 2])
    return generate_preset_pass_manager(2, backend=_DEVICE, seed_transpiler=1).run(circuit)


def _noisy(circuit: QuantumCircuit, names: tuple[str, ...] = ("sx", "x", "cx")) -> int:
    return sum(circuit.count_ops().get(name, 0) for name in names)


@pytest.mark.parametrize("folding", ["global", "gates"])
@pytest.mark.parametrize("factor", [1, 1.7, 2, 3, 4.4, 5])
def test_a_folded_circuit_does_the_same_in_native_gates(folding: Any, factor: float) -> None:
    """For every value of its parameters, whatever the factor; what it comes out as is counted in gates that err."""
    isa = _isa()
    bare = isa.remove_final_measurements(inplace=False)
    circuit, came_out = folded(isa, factor, folding, _NATIVE)
    names = ("cx",) if folding == "gates" else ("sx", "x", "cx")
    gates = _noisy(bare, names)

    assert set(circuit.count_ops()) <= _NATIVE | {"barrier"}
    assert came_out == pytest.approx(_noisy(circuit, names) / gates)
    assert abs(came_out - factor) <= 1 / gates + 1e-9
    for angle in (0.4, -2.0):
        one, other = (
            Operator(found.assign_parameters({"p0": angle}, inplace=False)) for found in (bare, circuit)
        )
        assert one.equiv(other)


def test_whatever_compiles_it_again_leaves_it_folded() -> None:
    """CX three times is one gate to an optimiser: barriers say that it is not."""
    circuit, _ = folded(_isa(), 3, "gates", _NATIVE)
    again = generate_preset_pass_manager(3, backend=_DEVICE, initial_layout=list(range(5))).run(circuit)

    assert again.count_ops()["cx"] == circuit.count_ops()["cx"]


def test_angles_of_rzz_stay_where_the_device_takes_them() -> None:
    """Its inverse is made of pulses, not of a negative angle."""
    circuit = QuantumCircuit(2)
    circuit.rzz(0.3, 0, 1)
    circuit.rx(0.2, 0)
    back, came_out = folded(circuit, 3, "global", {"rzz", "rx", "x", "rz"})

    assert came_out == 3
    assert all(item.params[0] == 0.3 for item in back.data if item.name == "rzz")
    assert Operator(back).equiv(Operator(circuit))


def test_what_cannot_be_folded_says_why() -> None:
    """No gate undoes it, none is there, or it measures on its way."""
    lonely, odd, reset = QuantumCircuit(1), QuantumCircuit(2), QuantumCircuit(1)
    lonely.sx(0)
    odd.iswap(0, 1)
    reset.reset(0)
    reset.sx(0)

    with pytest.raises(NotFoldable, match="no two-qubit gate"):
        folded(lonely, 3, "gates", _NATIVE)
    with pytest.raises(NotFoldable, match="no gate with noise"):
        folded(QuantumCircuit(1), 3, "global", _NATIVE)
    with pytest.raises(NotFoldable, match="undoes 'iswap'"):
        folded(odd, 3, "global", {"iswap"})
    with pytest.raises(NotFoldable, match="'reset' cannot be undone"):
        folded(reset, 3, "global", _NATIVE)


def test_factors_that_come_out_alike_are_run_once() -> None:
    """A circuit of two gates has no factor between 1 and 2; bytes are the same every time."""
    circuit = QuantumCircuit(2)
    circuit.cx(0, 1)
    circuit.cx(0, 1)
    payload = {
        "qpy": dump_qpy(circuit),
        "target": describe_target(_DEVICE.target).model_dump_json().encode(),
        "factors": [1.2, 2, 2.1, 3],
        "folding": "gates",
    }
    answer, again = (fold_circuit(payload, lambda _: None)["folded"] for _ in range(2))

    assert [(entry["asked"], entry["factor"]) for entry in answer] == [(2, 2), (3, 3)]
    assert [entry["isa"] for entry in answer] == [entry["isa"] for entry in again]
    assert load_qpy(answer[1]["qpy"]).count_ops()["cx"] == 6
    assert np.isclose(answer[1]["two_qubit_gates"], 6)
