"""Joint probabilities of a few qubits as expectation values of projectors; without Qiskit."""

from collections.abc import Sequence

from qurable.contracts.cutting import CutJob, Marginal
from qurable.contracts.observables import Observable, PauliTerm


def wanted_observables(job: CutJob) -> list[Observable]:
    """The observables in C order, then the projector on each outcome of each marginal, in ascending order."""
    wanted = list(job.estimate.pubs[0].observables.items)
    for qubits in job.marginals:
        # The rightmost character of an outcome is the first qubit's.
        terms = (PauliTerm(pauli=outcome[::-1], qubits=qubits) for outcome in outcomes_of(qubits))
        wanted += [Observable(terms=(term,)) for term in terms]
    return wanted


def outcomes_of(qubits: Sequence[int]) -> list[str]:
    """Outcomes of a marginal in ascending order; the rightmost character is the first qubit's."""
    return [format(outcome, f"0{len(qubits)}b") for outcome in range(2 ** len(qubits))]


def marginals_of(job: CutJob, values: Sequence[float], errors: Sequence[float]) -> tuple[Marginal, ...]:
    """Marginals from the values behind those of the observables."""
    at, found = len(job.estimate.pubs[0].observables.items), []
    for qubits in job.marginals:
        words = outcomes_of(qubits)
        part = slice(at, at + len(words))
        found.append(
            Marginal(
                qubits=qubits,
                probabilities=dict(zip(words, values[part], strict=True)),
                errors=dict(zip(words, errors[part], strict=True)),
            )
        )
        at += len(words)
    return tuple(found)
