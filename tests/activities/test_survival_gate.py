"""What a compiled circuit's survival decides: the next rung, a warning, a refusal, a record."""

import pytest

from activities import survival_gate
from activities.documents import CompiledCircuit, CompiledDocument, ValidatedDocument
from qurable.contracts.confidence import Survival
from qurable.contracts.fallback import Fallback
from qurable.contracts.routes import Route, Rung
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import SurvivalTooLow
from tests.fallback.places import aer, device, parsed, twin

_VALIDATED = ValidatedDocument(
    request="r", circuits=(parsed("deep"),), circuit_of=(0, 0), seed=1, seed_minted=True
)
_FLOOR = Fallback.model_validate({"floor": {"kind": "survival_estimate", "value": 0.5}})


def _compiled(value: float | None, *, at_most: bool = False) -> CompiledCircuit:
    survival = (
        None if value is None else Survival(value=value, gates=value, readout=1.0, idle=1.0, at_most=at_most)
    )
    return CompiledCircuit(
        isa="i",
        layout=None,
        depth=9,
        two_qubit_gates=7,
        size=9,
        active=2,
        level=2,
        seed=0,
        target="t",
        survival=survival,
    )


def _route(*places: TargetSnapshot) -> Route:
    return Route(rungs=tuple(Rung(target=place, because="asked for") for place in places), min_survival=0.01)


def _check(route: Route, number: int, value: float | None, wish: Fallback | None = None) -> None:
    survival_gate.check(route, number, _VALIDATED, [_compiled(value)], wish or Fallback())


def test_a_device_is_passed_over_only_where_another_rung_is_left() -> None:
    """An estimate may be wrong: where nothing else answers, the device is asked, and the report warns."""
    with pytest.raises(
        SurvivalTooLow, match=r"'deep' survives with 0.009 .*the strategy table asks for 0.01"
    ) as refused:
        _check(_route(device(), aer()), 0, 0.009)

    assert refused.value.details["two_qubit_gates"] == 7
    assert refused.value.next_rung
    _check(_route(device(), aer()), 0, 0.011)
    _check(_route(device()), 0, 0.009)
    _check(_route(aer(), device()), 1, 0.009)
    told = survival_gate.warnings(
        _route(device()), "ibm:torino", _VALIDATED, CompiledDocument(circuits=(_compiled(0.009),))
    )
    assert ["expect noise" in warning for warning in told] == [True]


def test_what_costs_nothing_is_asked_all_the_same() -> None:
    """The noisy twin shows what the device would have answered: noise."""
    _check(_route(twin(), aer()), 0, 1e-6)


def test_the_caller_s_floor_stands_everywhere() -> None:
    """An answer below it would be refused once it was there: on a twin too, and on the last rung."""
    for route in (_route(device(), aer()), _route(device()), _route(twin(), aer())):
        with pytest.raises(SurvivalTooLow, match=r"fallback.floor asks for 0.5"):
            _check(route, 0, 0.4, _FLOOR)
        _check(route, 0, 0.6, _FLOOR)


def test_what_is_not_known_decides_nothing() -> None:
    """Circuits that an older worker compiled, and places that report no errors."""
    _check(_route(device(), aer()), 0, None, _FLOOR)
    older = CompiledDocument(circuits=(_compiled(None),))

    assert survival_gate.records((0, 0), older) == ()
    assert survival_gate.records((0, 0), CompiledDocument(circuits=())) == ()
    assert list(survival_gate.warnings(_route(device()), "d", _VALIDATED, older)) == []


def test_each_pub_has_its_record_and_a_bound_says_that_it_is_one() -> None:
    """With where the number comes from; a circuit that branches may survive with anything below it."""
    circuits = CompiledDocument(circuits=(_compiled(0.7, at_most=True),))

    first, second = survival_gate.records((0, 0), circuits)

    assert (first.pub, second.pub) == (0, 1)
    assert (first.value, first.interval) == (0.7, (0.0, 0.7))
    assert "at most" in first.basis
    assert survival_gate.records((0,), CompiledDocument(circuits=(_compiled(0.7),)))[0].interval is None
