"""Programs of other people's libraries, unchanged but for the primitive they are given."""

from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.primitives import BaseSamplerV2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager

QUBITS = 6


def maxcut_by_qaoa(sampler: BaseSamplerV2, evaluations: int = 12) -> dict[str, Any]:
    """qiskit-optimization's QAOA on MaxCut of a ring with its diameters; which is bipartite, so that all nine edges are cut."""
    from qiskit_optimization.minimum_eigensolvers import QAOA
    from qiskit_optimization.optimizers import COBYLA

    edges = [(node, (node + 1) % QUBITS) for node in range(QUBITS)] + [(node, node + 3) for node in range(3)]
    terms = [("ZZ", [left, right], 0.5) for left, right in edges]
    operator = SparsePauliOp.from_sparse_list(terms, num_qubits=QUBITS)
    values: list[float] = []
    qaoa = QAOA(
        sampler,
        COBYLA(maxiter=evaluations),
        initial_point=np.array([0.4, 0.6]),
        pass_manager=generate_preset_pass_manager(1, basis_gates=["rz", "sx", "cx"]),
        callback=lambda _count, _point, value, _metadata: values.append(float(np.real(value))),
    )
    found = qaoa.compute_minimum_eigenvalue(operator)
    best = found.best_measurement or {}
    return {
        "values": values,
        "best": best["bitstring"],
        "cut": len(edges) / 2 - float(np.real(best["value"])),
    }


def cut_ring(sampler: BaseSamplerV2, shots: int = 4000) -> tuple[float, float]:
    """qiskit-addon-cutting's workflow on a six-qubit circuit, one gate cut; gives back the value and the exact one."""
    from qiskit.quantum_info import Statevector
    from qiskit_addon_cutting import (
        generate_cutting_experiments,
        partition_problem,
        reconstruct_expectation_values,
    )

    circuit = QuantumCircuit(QUBITS)
    for qubit in range(QUBITS):
        circuit.ry(0.3 + 0.1 * qubit, qubit)
    for qubit in range(QUBITS - 1):
        circuit.rzz(0.4, qubit, qubit + 1)
    circuit.rx(0.5, range(QUBITS))
    observable = SparsePauliOp(["ZZIIII", "IIIIZZ", "IIZZII"], [1.0, 1.0, 1.0])
    exact = float(Statevector(circuit).expectation_value(observable).real)
    parts = partition_problem(circuit=circuit, partition_labels="AAABBB", observables=observable.paulis)
    experiments, coefficients = generate_cutting_experiments(
        circuits=parts.subcircuits, observables=parts.subobservables, num_samples=np.inf
    )
    results = {
        label: sampler.run(subcircuits, shots=shots).result() for label, subcircuits in experiments.items()
    }
    values = reconstruct_expectation_values(results, coefficients, parts.subobservables)
    return float(np.dot(values, observable.coeffs).real), exact


def diagonalise_samples(sampler: BaseSamplerV2) -> tuple[float, float]:
    """qiskit-addon-sqd on a ten-site Heisenberg chain; gives back the energy in the sampled subspace and the exact one."""
    from qiskit_addon_sqd.counts import counts_to_arrays
    from qiskit_addon_sqd.qubit import solve_qubit
    from scipy.sparse.linalg import eigsh

    sites = 10
    terms = [(pauli * 2, [site, site + 1], 1.0) for site in range(sites - 1) for pauli in "XYZ"]
    hamiltonian = SparsePauliOp.from_sparse_list(terms, num_qubits=sites)
    circuit = QuantumCircuit(sites)
    circuit.x(range(0, sites, 2))
    for site in range(0, sites - 1, 2):
        circuit.rxx(0.8, site, site + 1)
        circuit.ryy(0.8, site, site + 1)
    for site in range(1, sites - 1, 2):
        circuit.rxx(0.4, site, site + 1)
        circuit.ryy(0.4, site, site + 1)
    circuit.measure_all()
    counts = sampler.run([circuit], shots=20_000).result()[0].data.meas.get_counts()
    bitstrings, _ = counts_to_arrays(counts)
    energies, _ = solve_qubit(bitstrings, hamiltonian, k=1)
    exact = float(eigsh(hamiltonian.to_matrix(sparse=True), k=1, which="SA")[0][0])
    return float(energies[0]), exact
