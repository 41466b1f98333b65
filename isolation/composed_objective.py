"""The value of a registered objective: expectation values from Aer, and one number that a caller's function makes of them."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp

from circuits.estimation import estimate_from_shots, group_products, measured_in
from circuits.fermions import Product
from circuits.optimisers.protocol import Floats
from circuits.registered_objectives import CalledObjective, ObjectiveBroke
from circuits.seeds import GROUP_STRIDE
from isolation.loop_objective import Objective
from qurable.contracts.optimisations import PreparedLoop

Operator = Mapping[Product, float]


class ComposedObjective(Objective):
    """Values of a registered objective at points of an ansatz.

    Args:
        prepared: A loop that has one.
    """

    def __init__(self, prepared: PreparedLoop) -> None:
        assert prepared.objective is not None  # noqa: S101  whoever makes one has seen to it
        assert prepared.known_objective is not None  # noqa: S101
        super().__init__(prepared)
        self._called = CalledObjective(prepared.objective, prepared.known_objective)
        self._operators = [observable.paulis() for observable in prepared.observables]
        self._groups = group_products({product for operator in self._operators for product in operator})
        self._measured = [measured_in(self._ansatz, group, frozenset()) for group in self._groups]
        self._exact = self._saving_all()

    def values(self, points: Floats, shots: int | None, seed: int) -> tuple[Floats, Floats]:
        """Values and standard errors of points, shape (k,) each; errors are 0 without shots.

        With shots an error is that of the objective's slope: the observables' own, weighted by how much the objective changes
        when one of them does, all of the same shots, so that correlations count.

        Raises:
            ObjectiveBroke: It gave no number.
        """
        if shots is None:
            result = self._execute(self._exact, points, 1, seed)
            rows = [
                [float(result.data(row)[str(at)]) for at in range(len(self._operators))]
                for row in range(len(points))
            ]
            return np.array(
                [self._value(row, point) for row, point in zip(rows, points, strict=True)]
            ), np.zeros(len(points))
        outcomes = [
            self._bits(
                self._execute(circuit, points, shots, seed + GROUP_STRIDE * number), shots, len(group.qubits)
            )
            for number, (circuit, group) in enumerate(zip(self._measured, self._groups, strict=True))
        ]
        found = [self._sampled(point, [bits[row] for bits in outcomes]) for row, point in enumerate(points)]
        return np.array([value for value, _ in found]), np.array([error for _, error in found])

    def _sampled(self, point: Floats, bits: Sequence[npt.NDArray[np.uint8]]) -> tuple[float, float]:
        estimates = [estimate_from_shots(operator, self._groups, bits) for operator in self._operators]
        expectations = [value for value, _ in estimates]
        weighted: dict[Product, float] = {}
        for at, (operator, (_, error)) in enumerate(zip(self._operators, estimates, strict=True)):
            slope = self._slope(expectations, at, error, point)
            for product, factor in operator.items():
                weighted[product] = weighted.get(product, 0.0) + slope * factor
        _, error = estimate_from_shots(weighted, self._groups, bits)
        return self._value(expectations, point), error

    def _slope(self, expectations: Sequence[float], at: int, error: float, point: Floats) -> float:
        """How much the objective changes with one expectation value, over one standard error to either side."""
        if not error:
            return 0.0
        beside = [list(expectations), list(expectations)]
        beside[0][at] -= error
        beside[1][at] += error
        low, high = (self._value(values, point) for values in beside)
        return (high - low) / (2 * error)

    def _value(self, expectations: Sequence[float], point: Floats) -> float:
        try:
            return self._called.value(expectations, point.tolist())
        except ObjectiveBroke as failure:
            shown = ", ".join(f"{value:.6g}" for value in expectations[:8])
            raise ObjectiveBroke(f"{failure}, told {shown} at {point.tolist()[:8]}") from None

    def _saving_all(self) -> QuantumCircuit:
        """The ansatz with every observable saved at its end."""
        width = self._ansatz.num_qubits
        circuit = self._ansatz.copy()
        for at, operator in enumerate(self._operators):
            terms = [
                ("".join(letter for _, letter in product), [qubit for qubit, _ in product], factor)
                for product, factor in operator.items()
            ]
            circuit.save_expectation_value(
                SparsePauliOp.from_sparse_list(terms, num_qubits=width), range(width), label=str(at)
            )
        return circuit
