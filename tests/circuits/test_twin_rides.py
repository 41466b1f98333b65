"""Which twins ride, and how often, so that one job of the provider's can carry them."""

from qiskit import QuantumCircuit

from circuits.twin_rides import Ride, rides_of
from qurable.contracts.checks import Checks, TwinRide
from qurable.requests import sample
from tests.circuits.running import parse


def _chain(gates: int) -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    for _ in range(gates):
        circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def test_twins_of_the_three_largest_circuits_ride_with_their_own_shots() -> None:
    """Pubs of one job have equal shots: a twin runs as often as it takes, and 20 times at most."""
    circuits = [_chain(gates) for gates in (3, 1, 9, 2)]
    shots = (400, 10, 10, 5000)
    job = sample(*((circuit, None, count) for circuit, count in zip(circuits, shots, strict=True)))
    parsed = [parse(circuit)[0] for circuit in circuits]

    rides = rides_of(TwinRide(shots=1000), job.pubs, parsed, [0, 1, 2, 3])

    assert rides == (Ride(0, 0, 3, 1200), Ride(2, 2, 20, 200), Ride(3, 3, 1, 5000))


def test_the_first_pub_of_a_circuit_decides() -> None:
    """Its shots and its first binding; a circuit has one twin however often it is asked for."""
    job = sample((_chain(1), None, 100), (_chain(1), None, 500))

    assert rides_of(TwinRide(shots=200), job.pubs, [parse(_chain(1))[0]], [0, 0]) == (Ride(0, 0, 2, 200),)
    assert rides_of(None, job.pubs, [parse(_chain(1))[0]], [0, 0]) == ()


def test_a_job_without_the_option_is_the_job_that_it_was() -> None:
    """Keys that were used before go on meaning the same job, with checks and without."""
    assert Checks().model_dump() == {"items": (), "level": 0.001}
    assert "twin" in Checks(twin=TwinRide()).model_dump()
    with_it, without = (
        sample(_chain(1), shots=10, key="k", checks=checks) for checks in (Checks(twin=TwinRide()), Checks())
    )
    assert with_it.body_hash != without.body_hash
