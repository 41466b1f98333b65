"""The truncated matrix product state: right where it says so, and honest where it is not."""

import math
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from circuits.statistics import bound, g_test
from fallback.solvers.tasks.mps import simulate
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.jobs import Method
from tests.circuits.running import Simulation
from tests.fallback.solvers.circuits_to_solve import ansatz, brick, counted, exact, measured, probabilities

LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=120.0)
SHOTS = 4000
LABELS = ["ZIIIIIIIIZII", "IIIIIIIIIXXI", "YIIIIIIIIIIY"]


def mps(max_bond: int = 256) -> Simulation:
    """The solver with a limit on its bonds."""
    return Simulation(
        task=simulate,
        method=Method.MATRIX_PRODUCT_STATE,
        options={"matrix_product_state_max_bond_dimension": max_bond, "max_parallel_threads": 1},
    )


@pytest.mark.parametrize("seed", range(3))
def test_samples_follow_the_exact_distribution(seed: int) -> None:
    """By the G-test; a circuit with one gate more fails it."""
    circuit = brick(6, 5, seed)
    broken = circuit.copy()
    broken.rx(0.4, 3)

    good = counted(mps().sample(measured(circuit), shots=SHOTS, seed=seed)[0], 6)
    bad = counted(mps().sample(measured(broken), shots=SHOTS, seed=seed)[0], 6)

    assert g_test(good, probabilities(circuit)).p_value > bound(3)
    assert g_test(bad, probabilities(circuit)).p_value < bound(3)


def test_the_same_seed_gives_the_same_shots_on_any_number_of_threads() -> None:
    """Also for bindings that are run apart."""
    circuit = measured(ansatz(4))
    values = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]]
    whole = mps().sample(circuit, values, shots=200, seed=9)
    threads = Simulation(
        task=simulate, method=Method.MATRIX_PRODUCT_STATE, options={"max_parallel_threads": 2}
    )

    assert (whole == threads.sample(circuit, values, shots=200, seed=9)).all()
    assert (whole[1:] == mps().sample(circuit, values, shots=200, seed=9, part=(1, 3))).all()


@pytest.mark.parametrize("layers", [4, 10])
def test_values_need_no_shots(layers: int) -> None:
    """The state is at hand: what is asked with a precision is computed all the same."""
    circuit = brick(12, layers, 1)

    arrays, notes = mps().answer(circuit, None, LABELS, shots=100)

    wanted = [exact(circuit, {label: 1.0}) for label in LABELS]
    assert arrays["evs"] == pytest.approx(wanted, abs=1e-4)
    assert arrays["stds"].tolist() == [0.0] * 3
    assert notes["error_origin"] == "truncation"


def test_bindings_and_observables_are_broadcast_against_each_other() -> None:
    """Two bindings as a column against a row of two observables."""
    circuit = ansatz(4)
    values = np.array([[[0.1, 0.2, 0.3]], [[0.4, 0.5, 0.6]]])
    labels = ["XXXX", "IZZI"]

    arrays = mps().estimate(circuit, [labels], values)

    table = np.full((2, 2), np.nan)
    table.ravel()[arrays["index"]] = arrays["evs"]
    for row, angles in enumerate(values[:, 0]):
        state = circuit.assign_parameters(dict(zip(circuit.parameters, angles, strict=True)))
        assert table[row] == pytest.approx([exact(state, {label: 1.0}) for label in labels], abs=1e-9)


async def _alone(
    pool: ChildPool, circuit: QuantumCircuit, labels: list[str], max_bond: int
) -> dict[str, Any]:
    """Notes of a run in a child that ran nothing before, as every run of this solver."""
    captured: dict[str, Any] = {}

    def keep(payload: Any, _emit: Any) -> None:
        captured.update(payload)
        raise _CaughtError

    with pytest.raises(_CaughtError):
        Simulation(
            task=keep,
            method=Method.MATRIX_PRODUCT_STATE,
            options={"matrix_product_state_max_bond_dimension": max_bond},
        ).estimate(circuit, labels)
    events: list[Any] = []

    async def heard(event: Any) -> None:
        events.append(event)

    await pool.call("fallback.solvers.tasks.mps:simulate", captured, LIMITS, heard, fresh=True)
    notes: dict[str, Any] = events[0]["notes"]
    return notes


class _CaughtError(Exception):
    pass


async def test_nothing_is_doubled_where_nothing_is_cut_off(pool: ChildPool) -> None:
    """Six layers need a bond of 8: the first run is the last, and says that it is exact."""
    notes = await _alone(pool, brick(12, 6, 1), LABELS, 256)

    assert notes["bond"] == 32
    assert notes["confidence"]["kind"] == ConfidenceKind.TRUNCATION_ESTIMATE
    assert notes["confidence"]["value"] == 0.0
    assert "nothing was cut off" in notes["confidence"]["basis"]


async def test_the_bond_is_doubled_until_little_is_cut_off(pool: ChildPool) -> None:
    """And the record says at which bond, and what doubling changed."""
    notes = await _alone(pool, brick(14, 40, 1), ["Z" + "I" * 13], 128)

    assert notes["bond"] > 32
    assert notes["confidence"]["value"] <= 1e-6
    assert f"at a bond dimension of {notes['bond']}" in notes["confidence"]["basis"]


@pytest.mark.parametrize("bond", [4, 8, 16])
async def test_what_was_cut_off_is_told_when_the_limit_is_reached(pool: ChildPool, bond: int) -> None:
    """The estimate is of the infidelity's size, and no bound is claimed."""
    circuit = brick(14, 16, 1)
    notes = await _alone(pool, circuit, ["Z" + "I" * 13], bond)
    found = _infidelity(circuit, bond)

    record = notes["confidence"]
    assert notes["bond"] == bond
    assert record["interval"] is None
    assert "no bound" in record["basis"]
    assert "not confirmed" in record["basis"]
    assert found / 3 < record["value"] < 3 * found


def _infidelity(circuit: QuantumCircuit, bond: int) -> float:
    from qiskit.quantum_info import state_fidelity
    from qiskit_aer import AerSimulator

    saving = circuit.copy()
    saving.save_statevector()
    simulator = AerSimulator(
        method="matrix_product_state", matrix_product_state_max_bond_dimension=bond, max_parallel_threads=1
    )
    state = simulator.run(saving, shots=1).result().get_statevector()
    return 1.0 - float(state_fidelity(Statevector(circuit), state, validate=False))


async def test_a_child_counts_what_each_run_cut_off_and_no_other(pool: ChildPool) -> None:
    """Aer's log is the process's: a second piece in one child would else inherit what the first cut off."""
    cut, whole = brick(14, 16, 1), brick(14, 2, 1)
    first = await _alone(pool, cut, ["Z" + "I" * 13], 8)
    second = await _alone(pool, whole, ["Z" + "I" * 13], 8)
    once = mps(8).answer(cut, None, ["Z" + "I" * 13])[1]
    again = mps(8).answer(whole, None, ["Z" + "I" * 13])[1]

    assert first["confidence"]["value"] > 0
    assert second["confidence"]["value"] == 0
    assert once["confidence"]["value"] == pytest.approx(first["confidence"]["value"])
    assert again["confidence"]["value"] == 0


def test_dynamic_circuits_run_shot_by_shot_at_the_limit() -> None:
    """Teleportation: classical control, as on Aer's other methods."""
    circuit = QuantumCircuit(3, 3)
    circuit.ry(0.8, 0)
    circuit.h(1)
    circuit.cx(1, 2)
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((circuit.clbits[1], 1)):
        circuit.x(2)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.z(2)
    circuit.measure(2, 2)

    bits = mps().sample(circuit, shots=SHOTS, seed=4)[0]

    ones = int(((bits[:, 0] >> 2) & 1).sum())
    chance = math.sin(0.4) ** 2
    assert g_test(np.array([SHOTS - ones, ones]), np.array([1 - chance, chance])).p_value > bound(1)
