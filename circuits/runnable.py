"""What a job asks to be run: its pubs, or the one that its problem turns its circuit into."""

from collections.abc import Sequence
from typing import Literal

from circuits.fermions import map_to_paulis
from circuits.problems import is_diagonal, qubits_of
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob
from qurable.contracts.observables import Observable, Observables, PauliTerm
from qurable.contracts.problems import FermionicHamiltonian, PauliHamiltonian, Problem
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.errors import RequestRejected

Pubs = Sequence[SamplePub | EstimatePub]

MAX_RESULT_BYTES = 2**30


def pubs_of(request: SampleJob | EstimateJob | SolveJob) -> tuple[Literal["sample", "estimate"], Pubs]:
    """How the job is run, and its pubs; a problem without a circuit has none.

    Raises:
        RequestRejected: It has a circuit, and its problem is none that a circuit can answer.
    """
    if isinstance(request, SampleJob):
        return "sample", request.pubs
    if isinstance(request, EstimateJob):
        return "estimate", request.pubs
    if request.pub is None:
        return "sample", ()
    if is_diagonal(request.problem):
        return "sample", (request.pub,)
    if isinstance(request.problem, PauliHamiltonian | FermionicHamiltonian):
        observable = Observables(items=(_energy(request.problem),))
        pub = request.pub
        return "estimate", (
            EstimatePub(circuit=pub.circuit, bindings=pub.bindings, observables=observable, shots=pub.shots),
        )
    raise RequestRejected(
        f"a {request.problem.kind} problem has no answer by one circuit: sample or estimate the circuits it needs"
    )


def _energy(problem: PauliHamiltonian | FermionicHamiltonian) -> Observable:
    place = qubits_of(problem)
    if isinstance(problem, PauliHamiltonian):
        return Observable(
            terms=tuple(
                term.model_copy(update={"qubits": tuple(place[qubit] for qubit in term.qubits)})
                for term in problem.terms
            )
        )
    try:
        products = map_to_paulis(problem)
    except ValueError as error:
        raise RequestRejected(f"the fermionic Hamiltonian is not acceptable: {error}") from None
    return Observable(
        terms=tuple(
            PauliTerm(
                pauli="".join(letter for _, letter in product),
                qubits=tuple(place[qubit] for qubit, _ in product),
                coefficient=factor,
            )
            for product, factor in products.items()
        )
    )


def check_pub(number: int, pub: SamplePub | EstimatePub, circuit: ParsedCircuit) -> list[str]:
    """Whether a pub and its circuit belong together; gives back warnings.

    Raises:
        RequestRejected: Bindings, observables or measurements do not fit the circuit.
    """
    traits, dress = circuit.traits, circuit.dress
    what = f"pub {number}, circuit {dress.name!r}"
    given, wanted = set(pub.bindings.parameters), set(dress.parameters)
    if given != wanted:
        missing, strange = sorted(wanted - given), sorted(given - wanted)
        parts = [
            f"parameters {missing} have no value" if missing else "",
            f"it has no parameters {strange}" if strange else "",
        ]
        raise RequestRejected(
            f"{what}: {' and '.join(part for part in parts if part)}", missing=missing, unknown=strange
        )
    if isinstance(pub, SamplePub):
        if not traits.measurements:
            raise RequestRejected(
                f"{what} measures nothing, so there is nothing to count: add measurements, or estimate observables"
            )
        if not dress.registers:
            raise RequestRejected(
                f"{what} measures into bits of no register, and results are told by register: declare one, as "
                "ClassicalRegister(2) or `bit[2] c;`"
            )
        stored = pub.bindings.size * pub.shots * ((traits.num_clbits + 7) // 8)
        if stored > MAX_RESULT_BYTES:
            raise RequestRejected(
                f"{what}: {pub.bindings.size} bindings x {pub.shots} shots x {traits.num_clbits} bits take {stored:,} bytes; at most "
                f"{MAX_RESULT_BYTES:,} are kept for one pub: split the job",
                size=stored,
                limit=MAX_RESULT_BYTES,
            )
        return []
    return _check_estimate(what, pub, circuit)


def _check_estimate(what: str, pub: EstimatePub, circuit: ParsedCircuit) -> list[str]:
    traits = circuit.traits
    for position, observable in enumerate(pub.observables.items):
        if (
            observable.num_qubits not in {None, traits.num_qubits}
            or observable.min_qubits > traits.num_qubits
        ):
            width = observable.num_qubits or observable.min_qubits
            raise RequestRejected(
                f"{what} has {traits.num_qubits} qubits, observable {position} has {width}: write one letter per qubit, or a sparse term",
                needed=width,
                limit=traits.num_qubits,
            )
    if traits.is_dynamic and not pub.shots and not pub.precision:
        raise RequestRejected(
            f"{what} measures or resets on its way, so it has no exact value in one run: give a precision or shots"
        )
    if traits.measurements and not traits.is_dynamic:
        return [
            f"{what}: its final measurements were removed, since expectation values are those of the state before them"
        ]
    return []


def bit_of_variable(problem: Problem, circuit: ParsedCircuit) -> tuple[int, ...]:
    """For each variable of a diagonal problem, the classical bit that its qubit is measured into.

    Raises:
        RequestRejected: One of the qubits is not measured at the end.
    """
    measured = dict(circuit.dress.measured)
    missing = [qubit for qubit in qubits_of(problem) if qubit not in measured]
    if missing:
        raise RequestRejected(
            f"circuit {circuit.dress.name!r} does not measure qubits {missing} at its end, which carry variables of the problem: measure them"
        )
    return tuple(measured[qubit] for qubit in qubits_of(problem))
