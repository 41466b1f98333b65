"""The noise of layers of gates that PEC and PEA of the client-side estimator go by, as the client takes it.

The client parts a circuit into layers by itself; each must have its noise, or it would run as if it had none.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from qiskit.circuit import CircuitInstruction, Qubit
from qiskit.quantum_info import PauliLindbladMap

from qurable.contracts.ibm import LayerNoise
from qurable.errors import RequestRejected

_Layer: TypeAlias = frozenset[frozenset[int]]
"""The device's qubits of each gate: two layers with the same pairs are the same gates on any device."""


def layer_noise_model(
    estimator: Any, pubs: Sequence[Any], given: Sequence[LayerNoise]
) -> list[tuple[CircuitInstruction, PauliLindbladMap]]:
    """Every layer of the pubs with its noise.

    Args:
        estimator: The client's, with its options.
        pubs: The client's, of ISA circuits.
        given: Noise of layers, on the device's qubits.

    Raises:
        RequestRejected: A layer has no noise; its gates are named.
    """
    place = {bit: at for pub in pubs for at, bit in enumerate(pub.circuit.qubits)}
    found = [(box, _pairs(box, place)) for box in estimator.find_unique_layers(pubs)]
    model, bare = [], []
    for box, layer in found:
        noise = _noise_of(layer, [place[bit] for bit in box.qubits], given)
        if noise is None:
            bare.append(sorted(map(sorted, layer)))
        else:
            model.append((box, noise))
    if bare:
        raise RequestRejected(
            f"option 'resilience.layer_noise_model' has no noise for the layers with gates on qubits {bare} of the compiled circuits, "
            "or only such as reaches beyond the layer's own qubits: learn it with the client's NoiseLearnerV3 and give it, or leave "
            "PEC and PEA out",
            layers=bare,
        )
    return model


def _pairs(box: CircuitInstruction, place: Mapping[Qubit, int]) -> _Layer:
    body = box.operation.body
    outer = dict(zip(body.qubits, box.qubits, strict=True))
    gates = [item for item in body.data if len(item.qubits) == 2]
    return _layer((place[outer[one]], place[outer[other]]) for one, other in (gate.qubits for gate in gates))


def _layer(pairs: Iterable[tuple[int, int]]) -> _Layer:
    return frozenset(map(frozenset, pairs))


def _noise_of(layer: _Layer, qubits: Sequence[int], given: Sequence[LayerNoise]) -> PauliLindbladMap | None:
    """The fullest noise that is given for a layer and stays on its qubits."""
    within = [
        noise
        for noise in given
        if _layer(noise.gates) == layer and all(set(on) <= set(qubits) for _, on, _ in noise.rates)
    ]
    if not within:
        return None
    fullest = max(within, key=lambda noise: len(noise.rates))
    terms = [(letters, [qubits.index(qubit) for qubit in on], rate) for letters, on, rate in fullest.rates]
    return PauliLindbladMap.from_sparse_list(terms, num_qubits=len(qubits))
