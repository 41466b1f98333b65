"""Submissions of ISA circuits for IBM's devices, and the client's local testing mode to run them."""

import functools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from qiskit import transpile
from qiskit.circuit import QuantumCircuit
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import fake_provider

from backends.ibm.pubs import post
from backends.ibm.split import DeviceLimits
from circuits.parse import dump_qpy
from qurable.contracts.base import digest
from qurable.contracts.bindings import Bindings
from qurable.contracts.executions import IsaPub, Slice, Submission, SubmissionKey
from qurable.contracts.ibm import Generation, IbmOptions
from qurable.contracts.observables import Observables

KEY = SubmissionKey(job_id="job", backend="ibm:manila", digest="0" * 64)
GENERATIONS = tuple(Generation)


class Lab:
    """A device, and what was compiled for it.

    Args:
        name: Class of the device's snapshot.
        layout: Physical qubits of virtual 0, 1, ...; None lets the transpiler choose.
    """

    def __init__(self, name: str = "FakeManilaV2", layout: Sequence[int] | None = None) -> None:
        self.device = device(name)
        self.layout = layout
        self.circuits: dict[str, bytes] = {}

    def pub(
        self,
        circuit: QuantumCircuit,
        *,
        bindings: Any = None,
        observables: Any = None,
        shots: int = 1000,
        dynamic: bool = False,
    ) -> IsaPub:
        """A pub of a circuit in canonical parameters `p0`, `p1`, ..."""
        isa = transpile(
            circuit,
            target=self.device.target,
            initial_layout=None if self.layout is None else list(self.layout)[: circuit.num_qubits],
            optimization_level=1,
            seed_transpiler=5,
        )
        layout = tuple(isa.layout.final_index_layout(filter_ancillas=True))
        body = dump_qpy(isa)
        key = digest(body)
        self.circuits[key] = body
        return IsaPub(
            isa=key,
            layout=layout,
            bindings=Bindings() if bindings is None else Bindings.model_validate(bindings),
            observables=None if observables is None else Observables.model_validate(observables),
            shots=shots,
            seed=11,
            num_clbits=isa.num_clbits,
            size=isa.size(),
            qubits=circuit.num_qubits,
            dynamic=dynamic,
        )

    def run(
        self, submission: Submission, slices: Sequence[Slice] | None = None, *, generation: Generation
    ) -> Any:
        """The result that the client's local testing mode gives, without the device's noise."""
        simulator = AerSimulator(method="automatic", seed_simulator=7)
        local: Mapping[str, Any] = {"seed_simulator": 7}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return post(
                simulator,
                submission,
                whole(submission) if slices is None else slices,
                self.circuits,
                generation=generation,
                device=DeviceLimits(),
                local=local,
            ).result()


def submission(*pubs: IsaPub, options: IbmOptions | None = None) -> Submission:
    """A submission of these pubs."""
    kind = "sample" if pubs[0].observables is None else "estimate"
    return Submission(key=KEY, kind=kind, pubs=pubs, ibm=options or IbmOptions())


def whole(asked: Submission) -> list[Slice]:
    """Slices that run all of it."""
    return [Slice(pub=at, start=0, stop=pub.bindings.size) for at, pub in enumerate(asked.pubs)]


@functools.cache
def device(name: str) -> Any:
    """A device's snapshot by the name of its class."""
    return getattr(fake_provider, name)()
