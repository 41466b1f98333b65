"""The objective of a variational loop on Aer: circuits are put together once, and evaluated thousands of times."""

from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator

from circuits.estimation import estimate_from_shots, group_products, measured_in
from circuits.optimisers.protocol import Floats
from circuits.parse import load_qpy
from circuits.seeds import GROUP_STRIDE
from isolation.aer import failure, packed_outcomes
from qurable.contracts.optimisations import PreparedLoop

_LABEL = "objective"


class Objective:
    """Values of a loop's observable at points of its ansatz.

    Args:
        prepared: The loop.
    """

    def __init__(self, prepared: PreparedLoop) -> None:
        self._ansatz = load_qpy(prepared.qpy)
        self._parameters = {parameter.name: parameter for parameter in self._ansatz.parameters}
        self._order = [self._parameters[name] for name in prepared.parameters]
        self._operator = prepared.observable.paulis()
        self._groups = group_products(self._operator)
        self._measured = [measured_in(self._ansatz, group, frozenset()) for group in self._groups]
        self._exact = self._saving()
        # One thread: sums over several round differently from run to run, and a trajectory has to be the same. Where Aer
        # leaves qubits out by itself, it mixes up those of saved expectation values: its issue 2442.
        self._simulator = AerSimulator(
            method="statevector", max_parallel_threads=1, enable_truncation=False, fusion_enable=True
        )

    def values(self, points: Floats, shots: int | None, seed: int) -> tuple[Floats, Floats]:
        """Values and standard errors of points, shape (k,) each; errors are 0 without shots.

        Point i runs with the seed `seed + 2113 i`, and its group g of observables with 2^40 g more.
        """
        if shots is None:
            result = self._execute(self._exact, points, 1, seed)
            return np.array([result.data(row)[_LABEL] for row in range(len(points))]), np.zeros(len(points))
        outcomes = [
            self._bits(
                self._execute(circuit, points, shots, seed + GROUP_STRIDE * number), shots, len(group.qubits)
            )
            for number, (circuit, group) in enumerate(zip(self._measured, self._groups, strict=True))
        ]
        found = [
            estimate_from_shots(self._operator, self._groups, [bits[row] for bits in outcomes])
            for row in range(len(points))
        ]
        return np.array([value for value, _ in found]), np.array([error for _, error in found])

    def counts(self, point: Floats, shots: int, seed: int) -> dict[str, int]:
        """Measured bitstrings of all qubits, qubit 0 rightmost."""
        circuit = self._ansatz.copy()
        circuit.measure_all()
        result = self._execute(circuit, point[np.newaxis], shots, seed)
        # Registers are divided by spaces, the one of all qubits first; those of a caller's own circuit, empty ones too, follow.
        return {word.split(" ")[0]: count for word, count in result.get_counts(0).items()}

    def _saving(self) -> QuantumCircuit:
        """The ansatz with the observable saved at its end."""
        width = self._ansatz.num_qubits
        terms = [
            ("".join(letter for _, letter in product), [qubit for qubit, _ in product], factor)
            for product, factor in self._operator.items()
        ]
        circuit = self._ansatz.copy()
        operator = SparsePauliOp.from_sparse_list(terms, num_qubits=width)
        circuit.save_expectation_value(operator, range(width), label=_LABEL)
        return circuit

    def _execute(self, circuit: QuantumCircuit, points: Floats, shots: int, seed: int) -> Any:
        binds = [{parameter: points[:, at] for at, parameter in enumerate(self._order)}]
        job = self._simulator.run(
            circuit, parameter_binds=binds, shots=shots, seed_simulator=seed, memory=circuit.num_clbits > 0
        )
        result = job.result()
        if not result.success:
            raise failure(result)
        return result

    def _bits(self, result: Any, shots: int, width: int) -> npt.NDArray[np.uint8]:
        """Outcome bits of a measured group, shape (points, shots, width), column i for its i-th qubit."""
        packed = np.stack([packed_outcomes(entry.data, shots, width) for entry in result.results])
        lowest_first: npt.NDArray[np.uint8] = np.unpackbits(packed[:, :, ::-1], axis=2, bitorder="little")
        return lowest_first[:, :, :width]
