"""What counts ought to look like, and whether they do; runs in a child, as simulators hold the interpreter's lock.

The reference never touches the service: it is Qiskit's own `Statevector`, or Aer called directly with the
circuit as MQT Bench made it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit, transpile
from qiskit.quantum_info import Statevector
from qiskit_aer import AerSimulator

from circuits.statistics import (
    any_of,
    choose_bits,
    g_test,
    histogram,
    linear_cross_entropy,
    marginal_counts,
    marginal_probabilities,
    odd_probability,
    parity_test,
    permutation_test,
    total_variation,
)
from isolation.child import Emit
from qurable.contracts.circuits import CircuitFormat
from tests.accuracy.families import Case

Floats = npt.NDArray[np.float64]

DEALINGS = 99_999
"""Permutations of a two-sample test; the smallest p-value they can give is well below the suite's bound."""

_SMALL_QUBITS = 10
_WIDE_BITS = 12
_TABULATED_BITS = 13
_ELSEWHERE = 2**40
"""Away from the seeds of the job: shot j of a dynamic circuit has the seed of its run plus j."""

_LOOK_SEED = 20_260_301
"""Which marginals and parities are looked at was settled before any count was seen."""


def judge(payload: Any, _emit: Emit) -> Any:
    """Task: the p-value of counts.

    Args:
        payload: `{"case": [family, width, form], "registers": [{"name", "counts"}, ...]}`; QPY cannot carry all of MQT
            Bench's circuits, so that the reference is made here.

    Returns:
        `{"test", "statistic", "degrees_of_freedom", "p_value", "distance", "null_quantile"}`; the last two are
        None where there are too many outcomes.
    """
    family, width, form = payload["case"]
    case = Case(family, width, CircuitFormat(form))
    circuit = case.circuit()
    counts = {register["name"]: register["counts"] for register in payload["registers"]}
    measured = _final(circuit)
    if measured is None:
        return _against_a_run(circuit, counts, case.seed + _ELSEWHERE)
    (only,) = counts.values()
    return _against_the_truth(_probabilities(circuit, measured), only, len(measured), case.seed)


def _final(circuit: QuantumCircuit) -> list[int] | None:
    """The qubit that each classical bit reads at the end; None where it measures on its way or branches."""
    measured: dict[int, int] = {}
    done: set[int] = set()
    for item in circuit.data:
        qubits = [circuit.find_bit(qubit).index for qubit in item.qubits]
        if item.is_control_flow() or item.name == "reset" or done.intersection(qubits):
            return None
        if item.name == "measure":
            measured[circuit.find_bit(item.clbits[0]).index] = qubits[0]
            done.update(qubits)
    return [measured[bit] for bit in range(circuit.num_clbits)]


def _probabilities(circuit: QuantumCircuit, measured: list[int]) -> Floats:
    """Exact probabilities of the classical bits."""
    bare = circuit.remove_final_measurements(inplace=False)
    if circuit.num_qubits <= _SMALL_QUBITS:
        exact: Floats = Statevector(bare).probabilities(measured)
        return exact
    simulator = AerSimulator(method="statevector")
    bare = transpile(bare, simulator, optimization_level=0)
    bare.save_probabilities(measured)
    result = simulator.run(bare).result()
    if not result.success:
        raise RuntimeError(result.status)
    return np.asarray(result.data(0)["probabilities"], dtype=np.float64)


def _against_the_truth(
    probabilities: Floats, counts: Mapping[str, int], width: int, seed: int
) -> dict[str, Any]:
    observed = histogram(counts, width)
    whole = g_test(observed, probabilities)
    p_values, test = [whole.p_value], "G"
    if width >= _WIDE_BITS:
        test = "G, marginals, parities, cross-entropy"
        p_values += [
            g_test(marginal_counts(counts, bits), marginal_probabilities(probabilities, bits)).p_value
            for bits in choose_bits(width, 3, 8, seed=_LOOK_SEED)
        ]
        p_values += [
            parity_test(counts, bits, odd_probability(probabilities, bits)).p_value
            for bits in (*choose_bits(width, 4, 8, seed=_LOOK_SEED), tuple(range(width)))
        ]
        p_values.append(linear_cross_entropy(observed, probabilities).p_value)
    distance = total_variation(observed, probabilities, seed=seed) if width <= _TABULATED_BITS else None
    return {
        "test": test,
        "statistic": whole.statistic,
        "degrees_of_freedom": whole.degrees_of_freedom,
        "p_value": any_of(p_values),
        "distance": None if distance is None else distance.value,
        "null_quantile": None if distance is None else distance.null_quantile,
    }


def _against_a_run(
    circuit: QuantumCircuit, counts: Mapping[str, Mapping[str, int]], seed: int
) -> dict[str, Any]:
    simulator = AerSimulator()
    shots = sum(next(iter(counts.values())).values())
    ready = transpile(circuit, simulator, optimization_level=0)
    result = simulator.run(ready, shots=shots, seed_simulator=seed).result()
    words = [word.split(" ")[::-1] for word, number in result.get_counts().items() for _ in range(number)]
    verdicts = []
    for at, register in enumerate(circuit.cregs):
        theirs: dict[str, int] = {}
        for word in words:
            theirs[word[at]] = theirs.get(word[at], 0) + 1
        ours, width = counts[register.name], register.size
        verdicts.append(
            permutation_test(
                histogram(ours, width), histogram(theirs, width), seed=seed, permutations=DEALINGS
            )
        )
    worst = min(verdicts, key=lambda verdict: verdict.p_value)
    return {
        "test": "two samples",
        "statistic": worst.statistic,
        "degrees_of_freedom": worst.degrees_of_freedom,
        "p_value": any_of([verdict.p_value for verdict in verdicts]),
        "distance": None,
        "null_quantile": None,
    }
