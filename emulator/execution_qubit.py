"""One noisy qubit on its own, computed and not simulated: the 130 idle qubits of a circuit cost nothing.

Density matrices are held as arrays of shape (rows, 2, 2), a row for each binding.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import CircuitInstruction, Parameter, ParameterExpression

from circuits.qpu_time import delay_seconds
from emulator.execution_pieces import Piece
from isolation.device_noise import QubitNoise
from qurable.errors import UnsupportedCircuit

Floats = npt.NDArray[np.float64]
Columns = Mapping[Parameter, Floats]


def probability_of_one(
    piece: Piece, columns: Columns, rows: int, noise: QubitNoise | None, dt: float
) -> Floats:
    """Probability to read 1 from the measured qubit, shape (rows,).

    Args:
        piece: A static qubit.
        columns: Values of each parameter, shape (rows,).
        rows: Bindings.
        noise: Of this qubit; None for a perfect one.
        dt: Length of one `dt` (s).

    Raises:
        UnsupportedCircuit: It has an operation without a matrix.
    """
    state = np.zeros((rows, 2, 2), dtype=np.complex128)
    state[:, 0, 0] = 1.0
    for item in piece.circuit.data:
        if item.name == "delay":
            if noise is not None:
                state = _after(state, noise.idle(delay_seconds(item.operation, dt) or 0.0))
        elif item.name not in {"barrier", "measure"}:
            gates = _matrices(item, columns, rows)
            state = gates @ state @ gates.conj().transpose(0, 2, 1)
            if noise is not None and item.name in noise.gates:
                state = _after(state, noise.gates[item.name])
    ones = np.clip(state[:, 1, 1].real, 0.0, 1.0)
    if noise is None:
        return ones
    read: Floats = (1.0 - ones) * noise.readout[0, 1] + ones * noise.readout[1, 1]
    return read


def _after(state: Any, channel: Any) -> Any:
    """States after a channel on column-stacked density matrices."""
    stacked = state.transpose(0, 2, 1).reshape(-1, 4) @ channel.T
    return stacked.reshape(-1, 2, 2).transpose(0, 2, 1)


def _matrices(item: CircuitInstruction, columns: Columns, rows: int) -> Any:
    """The gate's matrix for each binding, shape (rows, 2, 2), or (1, 2, 2) where all are one."""
    angles = [_values(parameter, columns, rows) for parameter in item.params]
    if item.name == "rz" and len(angles) == 1:
        half = np.exp(0.5j * angles[0])
        matrices = np.zeros((len(half), 2, 2), dtype=np.complex128)
        matrices[:, 0, 0], matrices[:, 1, 1] = half.conj(), half
        return matrices
    if not hasattr(item.operation, "to_matrix"):
        raise UnsupportedCircuit(
            f"operation {item.name!r} has no matrix; the emulator runs gates, delays and measurements"
        )
    if all(len(angle) == 1 for angle in angles):
        return np.asarray(_bound(item, [angle[0] for angle in angles]))[None]
    table = np.stack([np.broadcast_to(angle, (rows,)) for angle in angles], axis=1)
    return np.stack([_bound(item, list(row)) for row in table])


def _bound(item: CircuitInstruction, angles: list[float]) -> Any:
    operation = item.operation.to_mutable()
    operation.params = [float(angle) for angle in angles]
    return operation.to_matrix()


def _values(parameter: Any, columns: Columns, rows: int) -> Floats:
    """Values of a gate's parameter, shape (rows,), or (1,) where it is a number."""
    if isinstance(parameter, Parameter):
        return columns[parameter]
    if isinstance(parameter, ParameterExpression) and parameter.parameters:
        free = list(parameter.parameters)
        return np.array(
            [float(parameter.bind({name: columns[name][row] for name in free})) for row in range(rows)]
        )
    return np.array([float(parameter)])
