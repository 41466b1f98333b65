"""How entangled a circuit is, by running it as a matrix product state that is cut at a small bond; a task for a fresh child.

Aer keeps one log of truncations for the whole process, so that a child which ran anything before would tell of that too.
"""

import re
from typing import Any

from qiskit import QuantumCircuit, transpile
from qiskit_aer import AerSimulator

from circuits.parse import load_qpy
from circuits.squeeze import squeeze
from isolation.aer import discarded_weights, failure
from isolation.child import Emit

_BONDS = re.compile(r"BD=\[([0-9 ]*)\]")


def probe(payload: Any, _emit: Emit) -> Any:
    """Task: run a circuit without its final measurements.

    Args:
        payload: `{"qpy": canonical circuit without free parameters, "max_bond"}`.

    Returns:
        `{"bond": largest dimension that came up, "discarded": squared weight that was cut off}`.

    Raises:
        ExecutionFailed: Aer could not run it.
    """
    bare = load_qpy(payload["qpy"]).remove_final_measurements(inplace=False)
    circuit, _ = squeeze(bare)
    circuit.measure_all()  # what saves nothing and measures nothing is not run at all
    simulator = AerSimulator(
        method="matrix_product_state",
        matrix_product_state_max_bond_dimension=payload["max_bond"],
        mps_log_data=True,
        max_parallel_threads=1,
    )
    result = simulator.run(_in_known_gates(circuit, simulator), shots=1).result()
    if not result.success:
        raise failure(result)
    log = result.results[0].metadata["MPS_log_data"]
    bonds = [int(bond) for found in _BONDS.findall(log) for bond in found.split()]
    return {"bond": max(bonds, default=1), "discarded": sum(discarded_weights(log))}


def _in_known_gates(circuit: QuantumCircuit, simulator: AerSimulator) -> QuantumCircuit:
    """The circuit in gates that Aer runs by this method, each by itself: nothing is optimised away."""
    return transpile(circuit, simulator, optimization_level=0)
