"""The model of simulator seconds against runs that were timed once, on one core of an idle process: CPU seconds, kept here."""

import itertools

import pytest

from circuits.simulation_time import (
    Load,
    gpu_seconds,
    simulation_seconds,
)
from qurable.contracts.jobs import Method

SV, MPS, TABLEAU = Method.STATEVECTOR, Method.MATRIX_PRODUCT_STATE, Method.STABILIZER

WITHIN = 3.0


def _chain(qubits: int, rank_log2: float) -> tuple[float, ...]:
    return tuple(min(rank_log2, cut, qubits - cut) for cut in range(1, qubits))


def _bricks(qubits: int, layers: int, shots: int) -> Load:
    """Rotations, CNOTs between neighbours, and a reading of every qubit; the bond doubles every two layers or so."""
    gates = sum(len(range(layer % 2, qubits - 1, 2)) for layer in range(layers))
    return Load(
        qubits=qubits,
        operations=layers * qubits + gates + qubits,
        shots=shots,
        clbits=qubits,
        two_qubit_gates=gates,
        ranks_log2=_chain(qubits, layers / 2),
    )


def _clifford(qubits: int, operations: int, shots: int) -> Load:
    return Load(qubits=qubits, operations=operations, shots=shots, clbits=qubits)


TIMED = [
    (SV, _bricks(4, 10, 100), 0.0013),
    (SV, _bricks(10, 30, 100), 0.0076),
    (SV, _bricks(10, 2, 10_000), 0.0158),
    (SV, _bricks(14, 30, 100), 0.0369),
    (SV, _bricks(16, 10, 100), 0.0395),
    (SV, _bricks(18, 30, 100), 0.534),
    (SV, _bricks(20, 2, 100), 0.135),
    (SV, _bricks(20, 30, 10_000), 2.38),
    (SV, _bricks(22, 10, 100), 3.44),
    (TABLEAU, _clifford(5, 33, 5000), 0.0074),
    (TABLEAU, _clifford(20, 138, 5000), 0.0336),
    (TABLEAU, _clifford(50, 1242, 100), 0.0194),
    (TABLEAU, _clifford(100, 698, 1000), 0.121),
    (TABLEAU, _clifford(100, 2492, 5000), 0.724),
    (TABLEAU, _clifford(300, 7492, 1000), 1.36),
    (MPS, _bricks(12, 4, 1000), 0.0375),
    (MPS, _bricks(20, 4, 1), 0.0046),
    (MPS, _bricks(20, 8, 1000), 0.146),
    (MPS, _bricks(20, 12, 1), 0.0871),
    (MPS, _bricks(20, 12, 1000), 1.52),
    (MPS, _bricks(40, 4, 1000), 0.117),
    (MPS, _bricks(40, 8, 100), 0.043),
    (MPS, _bricks(40, 12, 1), 0.262),
    (MPS, _bricks(40, 12, 1000), 6.22),
]


@pytest.mark.parametrize(("method", "load", "seconds"), TIMED, ids=str)
def test_the_model_is_good_to_a_factor_of_three(method: Method, load: Load, seconds: float) -> None:
    """That is enough to choose between methods, which differ by tens and hundreds where it matters."""
    assert seconds / WITHIN < simulation_seconds(method, load) < seconds * WITHIN


@pytest.mark.parametrize("method", [SV, MPS, TABLEAU])
def test_a_method_is_slower_where_it_was_timed_slower(method: Method) -> None:
    """Runs that differ by more than the model's error keep their order."""
    timed = [(seconds, simulation_seconds(method, load)) for by, load, seconds in TIMED if by is method]

    assert len(timed) > 5
    for (one, mine), (other, yours) in itertools.combinations(timed, 2):
        if one > WITHIN * other:
            assert mine > yours


def test_a_run_that_anybody_can_repeat_is_one_of_its_points() -> None:
    """Ten layers on 18 qubits with 100 shots, 283 operations, 0.17 s."""
    kernel = _bricks(18, 10, 100)

    assert kernel.operations == 283
    assert 1 / WITHIN < simulation_seconds(SV, kernel) / 0.17 < WITHIN


def test_work_is_counted() -> None:
    """A qubit doubles a statevector and quadruples a density matrix; shots that begin anew count in full."""
    wide, wider = Load(20, 1000), Load(21, 1000)

    assert simulation_seconds(SV, wider) == pytest.approx(2 * simulation_seconds(SV, wide), rel=0.05)
    density = [simulation_seconds(Method.DENSITY_MATRIX, Load(qubits, 1000)) for qubits in (12, 13)]
    assert density[1] == pytest.approx(4 * density[0], rel=0.05)
    once, again = Load(18, 100, 1000), Load(18, 100, 1000, every_shot_anew=True)
    assert simulation_seconds(SV, again) > 500 * simulation_seconds(SV, once)
    values, measured = Load(12, 100, 0, products=10), Load(12, 100, 1000, 12, products=10)
    assert simulation_seconds(SV, values) != simulation_seconds(SV, measured)


def test_a_gpu_takes_long_to_begin_and_little_for_each_amplitude() -> None:
    """Which makes it the slower one for what is small, and a twentieth of a core's time in the end; bits are no quicker there."""
    small, wide, bits = _bricks(16, 10, 100), _bricks(30, 30, 100), _bricks(4, 2, 1_000_000)

    assert gpu_seconds(small) > 5 * simulation_seconds(SV, small)
    assert gpu_seconds(wide) == pytest.approx(simulation_seconds(SV, wide) / 20, rel=0.01)
    assert gpu_seconds(bits) > simulation_seconds(SV, bits)
