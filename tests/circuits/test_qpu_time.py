"""Estimates of QPU time: IBM's published formula, and the length of circuits."""

import math

import pytest
from qiskit import QuantumCircuit, generate_preset_pass_manager

from circuits.qpu_time import (
    MAX_EXECUTIONS,
    Suppression,
    circuit_seconds,
    count_executions,
    count_sub_jobs,
    qpu_seconds,
    qpu_seconds_range,
    seconds_to_reserve,
)
from circuits.targets import build_target
from qurable.contracts.ibm import MAX_EXECUTION_SECONDS
from tests.circuits.devices import device


def test_the_published_formula() -> None:
    """IBM's own quick form is 2 + 0.00035 x executions, for 250 us between shots and 100 us of circuit."""
    assert qpu_seconds(10_000, 100e-6, 250e-6) == pytest.approx(2 + 0.00035 * 10_000)
    assert qpu_seconds(10_000, 100e-6, 250e-6, sub_jobs=3) == pytest.approx(6 + 3.5)
    assert MAX_EXECUTIONS == 5_000_000


def test_executions_count_all_that_is_run_for_sure() -> None:
    """Bindings, groups, noise factors, and whole shots of every twirl."""
    assert count_executions(24, 2000) == 48_000
    assert count_executions(2, 100, Suppression(twirls=(2, 64))) == 2 * 128
    assert count_executions(2, 4096, Suppression((32, 128), (1, 3, 5))) == 6 * 4096
    assert count_executions(2, 4096, Suppression((10, 1000))) == 2 * 10_000


def test_sub_jobs() -> None:
    """There is one at least."""
    assert [count_sub_jobs(circuits) for circuits in (0, 1, 300, 301)] == [1, 1, 1, 2]


def test_the_range_holds_what_is_sure_and_all_extras() -> None:
    """Each method raises the upper end; only what is run for sure raises the lower one."""

    def of(suppression: Suppression) -> tuple[float, float]:
        return qpu_seconds_range(2, 1000, 1e-5, 250e-6, suppression)

    assert of(Suppression()) == pytest.approx((0.95 * (2 + 2000 * 250e-6), 1.05 * (2 + 2000 * 260e-6)))
    folded = Suppression((16, 64), (1, 3, 5))
    assert of(folded) == pytest.approx(
        (0.95 * (2 + 6 * 1024 * 250e-6), 1.05 * (2 + 6 * 1024 * (250e-6 + 5e-5)))
    )
    learning = Suppression((16, 64), (1, 3, 5), learns_readout=2)  # 96 circuits, and twice 32 more
    assert of(learning) == pytest.approx(
        (of(folded)[0], of(folded)[1] + 1.05 * 2 * 32 * 64 * (250e-6 + 5e-5))
    )
    sampled = Suppression((16, 64), overhead=100.0)  # 3,200 circuits in 11 sub-jobs
    assert of(sampled)[1] == pytest.approx(1.05 * (22 + 100 * 2048 * 260e-6))
    assert of(Suppression((16, 64), overhead=math.inf))[1] == MAX_EXECUTION_SECONDS
    layers = of(Suppression((16, 64), learns_layers=True))
    assert layers[0] > of(Suppression((16, 64)))[1]
    assert layers[1] > 3.9 * layers[0] - 12


def test_a_scheduled_circuit_is_as_long_as_qiskit_says() -> None:
    """With its delays in place, a circuit's longest path is what Qiskit's own estimate gives."""
    target = build_target(device("FakeTorino"))
    circuit = QuantumCircuit(4)
    circuit.h(0)
    for qubit in range(3):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    scheduled = generate_preset_pass_manager(
        1, target=target, scheduling_method="alap", seed_transpiler=3
    ).run(circuit)

    assert circuit_seconds(scheduled, device("FakeTorino")) == pytest.approx(
        scheduled.estimate_duration(target), rel=1e-6
    )


def test_parallel_gates_take_their_time_once() -> None:
    """The longest path counts, not the sum; a barrier makes both sides wait."""
    document = device("FakeBrisbane")
    gate = QuantumCircuit(127)
    gate.x(0)
    both = QuantumCircuit(127)
    both.x([0, 1])
    after = QuantumCircuit(127)
    after.x(0)
    after.barrier()
    after.x(1)
    one = circuit_seconds(gate, document)

    assert one > 0
    assert circuit_seconds(both, document) == pytest.approx(one)
    assert circuit_seconds(after, document) == pytest.approx(2 * one)


def test_control_flow_takes_its_longest_branch_and_every_round() -> None:
    """An upper bound of what it may take: the other branch, and a loop as often as it runs."""
    document = device("FakeBrisbane")
    gate = QuantumCircuit(127, 1)
    gate.x(5)
    branches = QuantumCircuit(127, 1)
    with branches.if_test((0, 1)) as otherwise:
        branches.rz(0.1, 5)
    with otherwise:
        branches.x(5)
    loop = QuantumCircuit(127, 1)
    with loop.for_loop(range(4)):
        loop.x(5)
    one = circuit_seconds(gate, document)

    assert circuit_seconds(branches, document) == pytest.approx(one)
    assert circuit_seconds(loop, document) == pytest.approx(4 * one)


def test_delays_count_in_every_unit() -> None:
    """Delays are written in dt or in seconds."""
    document = device("FakeBrisbane")
    assert document.dt is not None
    circuit = QuantumCircuit(127)
    circuit.delay(1000, 0, unit="dt")
    circuit.delay(3, 0, unit="us")

    assert circuit_seconds(circuit, document) == pytest.approx(1000 * document.dt + 3e-6)


@pytest.mark.parametrize(
    ("high", "asked", "reserved"),
    [
        (2.1, None, 5),
        (0.001, None, 1),
        (9000.0, None, 10_800),
        (2.1, 3, 3),
        (2.1, 600, 600),
        (5000.0, 60, 60),
    ],
)
def test_whole_seconds_are_reserved_with_room_above_the_estimate(
    high: float, asked: int | None, reserved: int
) -> None:
    """Twice the most that is expected, at most what the provider allows; the caller's own limit stands as it is."""
    assert seconds_to_reserve(high, asked) == reserved
