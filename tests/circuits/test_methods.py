"""Which method runs a circuit, what memory it is granted, and what is said where nothing fits."""

import pytest

from circuits.methods import choose_noiseless, choose_noisy
from qurable.contracts.circuits import CircuitTraits
from qurable.contracts.jobs import Method, SimulatorOptions
from qurable.errors import JobTooLarge

GIB = 2**30
MACHINE = 16 * GIB

STABILIZER, MPS = Method.STABILIZER, Method.MATRIX_PRODUCT_STATE
STATEVECTOR, DENSITY = Method.STATEVECTOR, Method.DENSITY_MATRIX


def of(
    qubits: int, *, active: int | None = None, clifford: bool = False, ranks: tuple[float, ...] = ()
) -> CircuitTraits:
    """Traits of a circuit; without ranks, its entanglement is unknown."""
    return CircuitTraits(
        num_qubits=qubits,
        active_qubits=qubits if active is None else active,
        num_clbits=qubits,
        size=100,
        depth=10,
        two_qubit_gates=50,
        measurements=qubits,
        is_clifford=clifford,
        is_dynamic=False,
        parameters=0,
        schmidt_ranks_log2=ranks,
    )


def chain(qubits: int, rank_log2: float) -> CircuitTraits:
    """Entanglement that is the same at every cut, but for the ends."""
    ranks = tuple(min(rank_log2, cut, qubits - cut) for cut in range(1, qubits))
    return of(qubits, ranks=ranks)


@pytest.mark.parametrize(
    ("traits", "method", "because"),
    [
        (of(5, clifford=True), STABILIZER, "every gate is Clifford"),
        (of(2000, clifford=True), STABILIZER, "every gate is Clifford"),
        (chain(16, 1), STATEVECTOR, "16 qubits fit in 1.2 MiB of amplitudes"),
        (chain(17, 5), MPS, "no cut needs a bond dimension above 32"),
        (chain(17, 6), STATEVECTOR, "17 qubits fit in 2.5 MiB of amplitudes"),
        (of(100, active=16), STATEVECTOR, "16 qubits fit in 1.2 MiB of amplitudes"),
        (of(29), STATEVECTOR, "29 qubits fit in 10.0 GiB of amplitudes"),
        (
            chain(60, 8),
            MPS,
            "no cut needs a bond dimension above 256, and a statevector would not fit",
        ),
    ],
)
def test_the_method_follows_the_circuit(traits: CircuitTraits, method: Method, because: str) -> None:
    """And the reason is recorded in words."""
    choice = choose_noiseless(traits, SimulatorOptions(), MACHINE, "circuit")

    assert (choice.method, choice.because) == (method, because)


@pytest.mark.parametrize("qubits", [1, 16, 25, 29])
@pytest.mark.parametrize(("precision", "amplitude"), [("double", 16), ("single", 8)])
def test_a_statevector_is_granted_its_amplitudes_and_a_quarter(
    qubits: int, precision: str, amplitude: int
) -> None:
    """16 bytes times 2^n."""
    options = SimulatorOptions(method=STATEVECTOR, precision=precision)

    choice = choose_noiseless(of(qubits), options, MACHINE, "circuit")

    assert choice.memory_bytes == int(1.25 * amplitude * 2**qubits)


@pytest.mark.parametrize(("qubits", "state_bytes"), [(14, 4 * GIB), (15, 16 * GIB)])
def test_a_density_matrix_is_granted_its_square(qubits: int, state_bytes: int) -> None:
    """14 qubits take 4 GiB, 15 take 16."""
    choice = choose_noiseless(of(qubits), SimulatorOptions(method=DENSITY), 32 * GIB, "circuit")

    assert choice.memory_bytes == 1.25 * state_bytes


def test_a_matrix_product_state_is_granted_the_sum_over_its_bonds() -> None:
    """Four times 32 bytes times both neighbours, summed over the sites; Aer itself reports 0 MB."""
    traits = of(4, ranks=(1, 2, 1))

    choice = choose_noiseless(traits, SimulatorOptions(method=MPS), MACHINE, "circuit")

    assert choice.memory_bytes == 4 * 32 * (1 * 2 + 2 * 4 + 4 * 2 + 2 * 1)


def test_a_bond_limit_bounds_the_chain() -> None:
    """It is the way out that the refusal names."""
    traits = chain(60, 20)
    with pytest.raises(JobTooLarge, match=r"limit it with max_bond"):
        choose_noiseless(traits, SimulatorOptions(method=MPS), MACHINE, "circuit")

    choice = choose_noiseless(traits, SimulatorOptions(method=MPS, max_bond=64), MACHINE, "circuit")

    assert choice.memory_bytes < 4 * 32 * 60 * 64 * 64


def test_sixty_qubits_of_statevector_are_refused_with_the_sizes() -> None:
    """At once, and with what would fit."""
    with pytest.raises(JobTooLarge) as error:
        choose_noiseless(of(60), SimulatorOptions(), MACHINE, "wide")

    assert "circuit 'wide' has 60 active qubits: a statevector takes 20.0 EiB" in error.value.message
    assert "this machine grants 16.0 GiB (29 qubits)" in error.value.message
    assert "use fewer qubits, or allow truncation" in error.value.message
    assert error.value.details["needed_bytes"] == int(1.25 * 16 * 2**60)


def test_sixty_qubits_asked_of_a_statevector_are_refused_with_the_sizes() -> None:
    """The method was asked for by name."""
    with pytest.raises(JobTooLarge, match=r"takes 20.0 EiB by method statevector; .*at most 29 qubits fit"):
        choose_noiseless(chain(60, 1), SimulatorOptions(method=STATEVECTOR), MACHINE, "wide")


def test_a_stabilizer_run_of_other_gates_is_refused() -> None:
    """Aer would fail on it after the wait."""
    with pytest.raises(JobTooLarge, match=r"has gates that are not Clifford; .*ask for automatic"):
        choose_noiseless(of(5), SimulatorOptions(method=STABILIZER), MACHINE, "circuit")


@pytest.mark.parametrize(
    ("qubits", "shots", "method"),
    [
        (5, 1000, DENSITY),
        (6, 1, DENSITY),
        (7, 1, STATEVECTOR),
        (10, 1024, DENSITY),
        (10, 1000, STATEVECTOR),
        (13, 8192, DENSITY),
        (14, 1_000_000, STATEVECTOR),
        (25, 1000, STATEVECTOR),
    ],
)
def test_noise_is_a_density_matrix_while_that_is_cheaper_than_trajectories(
    qubits: int, shots: int, method: Method
) -> None:
    """4^n once, or 2^n for every shot."""
    assert choose_noisy(qubits, shots, SimulatorOptions(), MACHINE, "circuit").method is method


def test_a_noisy_run_without_room_for_the_matrix_takes_trajectories() -> None:
    """Slower is better than refused."""
    choice = choose_noisy(13, 10_000, SimulatorOptions(), GIB // 2, "circuit")

    assert choice.method is STATEVECTOR
    assert choice.because == (
        "10000 noisy trajectories of 13 qubits fit, which the 1.2 GiB do not of their density matrix"
    )


def test_a_noisy_run_that_fits_by_no_method_is_refused_with_the_sizes() -> None:
    """127 busy qubits have no trajectory either."""
    with pytest.raises(JobTooLarge, match=r"keeps 40 qubits busy .* takes 20.0 TiB, .* grants 16.0 GiB"):
        choose_noisy(40, 1000, SimulatorOptions(), MACHINE, "circuit")


@pytest.mark.parametrize("method", [STABILIZER, MPS])
def test_a_method_that_carries_no_noise_is_refused(method: Method) -> None:
    """An answer without the noise that was asked for would be better than the device."""
    with pytest.raises(JobTooLarge, match="cannot carry this device's noise"):
        choose_noisy(5, 1000, SimulatorOptions(method=method), MACHINE, "circuit")
