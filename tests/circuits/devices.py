"""Descriptions of devices that IBM ships snapshots of."""

import functools

from qiskit_ibm_runtime import fake_provider

from circuits.targets import describe_target
from qurable.contracts.targets import QubitProperties, TargetDocument


@functools.cache
def device(name: str) -> TargetDocument:
    """A device by the name of its class: `FakeManilaV2` has 5 qubits, `FakeBrisbane` 127 with ecr, `FakeTorino` 133 with cz."""
    return describe_target(getattr(fake_provider, name)().target)


@functools.cache
def perfect(name: str) -> TargetDocument:
    """The same device without any noise: its gates and couplings alone."""
    document = device(name)
    operations = tuple(
        operation.model_copy(
            update={
                "errors": tuple(0.0 for _ in operation.errors),
                "prob_meas1_prep0": (),
                "prob_meas0_prep1": (),
            }
        )
        for operation in document.operations
    )
    ageless = tuple(QubitProperties() for _ in document.qubits)
    return document.model_copy(update={"operations": operations, "qubits": ageless})
