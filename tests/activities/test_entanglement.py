"""Probes are run where they decide something, once, and are told in the route."""

import pytest

from activities.entanglement import PROBE_SECONDS
from benchmarks.route_jobs import ghz, qft, scrambled
from qurable.contracts.jobs import Method
from qurable.contracts.routes import Considered, Route
from tests.conftest import Service


def _aer(route: Route) -> Considered:
    (found,) = [entry for entry in route.considered if entry.name == "aer"]
    return found


async def test_a_probe_finds_the_better_method_and_is_remembered(service: Service) -> None:
    """A wide Fourier transform of a basis state looks entangled and is not; it is looked into once."""
    first = await service.qurable.route(qft(21), shots=100)
    again = await service.qurable.route(qft(21), shots=200)

    (choice,) = first.rungs[0].methods.values()
    assert choice.method is Method.MATRIX_PRODUCT_STATE
    assert _aer(first).estimate.probe_seconds is not None
    assert "a probe of its entanglement needed a bond dimension of" in _aer(first).because
    assert _aer(again).estimate.probe_seconds == _aer(first).estimate.probe_seconds


@pytest.mark.parametrize(
    ("circuit", "options"),
    [
        (qft(10), {}),
        (ghz(30), {}),
        (scrambled(21, 8, 1), {"simulator": {"method": "statevector"}}),
        (scrambled(100, 4, 1), {"backend": "fake_brisbane"}),
    ],
    ids=["small", "Clifford", "the caller's method", "a device's noise"],
)
async def test_no_probe_where_it_decides_nothing(
    service: Service, circuit: object, options: dict[str, object]
) -> None:
    """It costs up to two seconds."""
    route = await service.qurable.route(circuit, shots=100, **options)

    assert all(entry.estimate.probe_seconds is None for entry in route.considered)
    assert PROBE_SECONDS <= 2
