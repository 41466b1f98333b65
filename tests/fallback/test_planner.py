"""The planner chooses as a person of the field would, and says of every candidate why."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.survival_bound import BestErrors
from fallback.estimates import gpu_pays
from fallback.health import Health
from fallback.planner import Plan, plan
from fallback.table import AsksFor, Price, Rule, Thresholds
from fallback.table_file import load_table
from fallback.wish import Offer, Surroundings, Wish
from qurable.contracts.budgets import JobBudget
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.executions import EarlierAnswer, SubmissionKey
from qurable.contracts.fallback import ConfidenceFloor, Fallback
from qurable.contracts.jobs import Limits, Method, Requirements
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from qurable.errors import BackendNotInstalled, TargetUnavailable
from tests.fallback.places import DEVICE, GIB, aer, around, device, parsed, solver, twin, wish

TABLE = load_table()
QUIET = BestErrors(0.002, (0.01,) * 133)


def _names(planned: Plan) -> list[str]:
    return [rung.name for rung in planned.route.rungs]


def _why_not(planned: Plan, name: str) -> str:
    (entry,) = [entry for entry in planned.route.considered if entry.name == name]
    assert not entry.taken
    return entry.because


def _planned(asked: Wish | None = None, there: Surroundings | None = None) -> Plan:
    return plan(asked or wish(), TABLE, there or around())


def test_hardware_gets_the_ladder_of_the_table() -> None:
    """The device, its noisy twin, the ideal simulator, a classical solver; only the first is what was asked."""
    planned = _planned(wish(parsed(is_clifford=True)))

    assert _names(planned) == [DEVICE, "fake_torino", "aer", "classical:clifford"]
    assert [rung.degraded for rung in planned.route.rungs] == [False, True, True, True]
    assert [rung.rung for rung in planned.route.rungs] == ["hardware", "twin", "ideal", "classical"]
    assert planned.route.table == TABLE.sha256


def test_no_ladder_where_the_job_wants_none() -> None:
    """And nothing else is considered, since nothing else may answer."""
    planned = _planned(wish(fallback=Fallback(policy="none")))

    assert _names(planned) == [DEVICE]
    assert [entry.name for entry in planned.route.considered] == [DEVICE]


_SMALL = {"is_clifford": True, "qubits": 5}


@pytest.mark.parametrize(
    ("asked", "there", "out", "why"),
    [
        (wish(parsed(qubits=200, is_clifford=True)), around(), DEVICE, "needs 200 qubits"),
        (wish(parsed(qubits=200), kind="estimate"), around(), DEVICE, "`qurable cut`"),
        (wish(parsed(qubits=60)), around(), "aer", "statevector takes"),
        (wish(parsed(qubits=40)), around(), "fake_torino", "machine grants"),
        (
            wish(parsed(is_dynamic=True)),
            around({"asked": [device(dynamic_circuits=False)]}),
            DEVICE,
            "measures and goes on",
        ),
        (wish(exact=True), around(), DEVICE, "cannot give an exact value"),
        (wish(shots=2_000_000), around(), DEVICE, "2,000,000 shots"),
        (wish(fractional_gates=True), around(), DEVICE, "no fractional gates"),
        (wish(), around({"asked": [device(available=False, reason="maintenance")]}), DEVICE, "maintenance"),
        (wish(), around(health={DEVICE: Health(open=True, reason="5 of 6 jobs failed")}), DEVICE, "5 of 6"),
        (
            wish(),
            around({"asked": [Offer(DEVICE, failure=TargetUnavailable("no answer"))]}),
            DEVICE,
            "no answer",
        ),
        (
            wish(),
            around({"twin": [Offer("fake_torino", failure=BackendNotInstalled("absent"))]}),
            "fake_torino",
            "absent",
        ),
        (wish(fallback=Fallback(leave_house=False)), around(), DEVICE, "leave_house"),
        (wish(fallback=Fallback(kinds=("hardware", "simulator"))), around(), "fake_torino", "fallback.kinds"),
        (wish(budget=JobBudget(qpu_seconds=1)), around(), DEVICE, "at least 2.1 QPU seconds"),
        (
            wish(budget=JobBudget(price=1)),
            around({"asked": [device(price_per_second=1.6, currency="USD")]}),
            DEVICE,
            "at least 3.42 USD",
        ),
        (
            wish(limits=Limits(total=60)),
            around({"asked": [device(pending_jobs=10)]}),
            DEVICE,
            "deadline of 60 s",
        ),
        (
            wish(limits=Limits(queue=60)),
            around(health={DEVICE: Health(wait_seconds=600)}),
            DEVICE,
            "queue limit of 0:01:00",
        ),
        (
            wish(parsed(two_qubit_gates=5000)),
            around(errors={f"target of {DEVICE}": QUIET}),
            DEVICE,
            "survives with 4.3e-05 at best",
        ),
        (
            wish(parsed(two_qubit_gates=1)),
            around(errors={f"target of {DEVICE}": BestErrors(None)}),
            DEVICE,
            "survives with 0 at best",
        ),
        (
            wish(fallback=Fallback(floor=ConfidenceFloor(kind=ConfidenceKind.SURVIVAL_ESTIMATE, value=0.99))),
            around(errors={f"target of {DEVICE}": QUIET}),
            DEVICE,
            "asked is a survival_estimate of at least 0.99",
        ),
        (wish(), around(), "classical:clifford", "Clifford"),
        (
            wish(),
            around({"twin": [aer("fake_torino")]}),
            "fake_torino",
            "rung 'twin' of the strategy table is for noisy",
        ),
        (
            wish(),
            around({"classical:*": [solver("classical:exact", solves_problems=True)]}),
            "classical:exact",
            "no problem",
        ),
    ],
)
def test_what_cannot_answer_is_passed_over_with_its_reason(
    asked: Wish, there: Surroundings, out: str, why: str
) -> None:
    """Each check by itself; the rest of the ladder stands in its place."""
    planned = _planned(asked, there)

    assert out not in _names(planned)
    assert why in _why_not(planned, out)


@pytest.mark.parametrize(
    ("circuit", "method"),
    [
        (parsed(qubits=100, is_clifford=True), Method.STABILIZER),
        (parsed(qubits=10), Method.STATEVECTOR),
        (parsed(qubits=100, schmidt_ranks_log2=(2.0,) * 99), Method.MATRIX_PRODUCT_STATE),
    ],
)
def test_an_ideal_simulator_runs_by_the_method_that_fits(circuit: Any, method: Method) -> None:
    """Clifford circuits as stabilizers, low entanglement as a matrix product state."""
    rungs = _planned(wish(circuit, asked="auto", asks_for=AsksFor.AUTO)).route.rungs

    assert [rung.methods["c"].method for rung in rungs] == [method]
    assert rungs[0].estimate.method == method


@pytest.mark.parametrize(
    ("circuit", "pays"),
    [
        (parsed(qubits=26), True),
        (parsed(qubits=20), False),
        (parsed(qubits=24, size=3), False),
        (parsed(qubits=26, is_clifford=True), False),
        (parsed(qubits=26, schmidt_ranks_log2=(2.0,) * 25), False),
        (parsed(qubits=60), False),
    ],
)
def test_a_gpu_pays_off_for_wide_statevectors_alone(circuit: Any, pays: bool) -> None:
    """Other methods gain nothing from it, three gates are over before it is ready, and what does not fit is not made to fit."""
    assert gpu_pays(wish(circuit), TABLE, 8 * GIB) is pays


def test_a_job_without_a_ladder_has_one_place_also_where_several_would_do() -> None:
    """The GPU comes first where it pays off, and the processor answers for it only where that is allowed."""
    both = around({"aer_gpu": [aer("aer_gpu")]})
    auto: dict[str, Any] = {"asked": "auto", "asks_for": AsksFor.AUTO}

    wide = parsed(qubits=26)

    assert _names(_planned(wish(wide, **auto), both)) == ["aer_gpu", "aer"]
    assert _names(_planned(wish(wide, **auto, fallback=Fallback(policy="none")), both)) == ["aer_gpu"]
    assert _names(_planned(wish(**auto), both)) == ["aer", "aer_gpu"]


def test_the_tables_bonds_decide_what_low_entanglement_is() -> None:
    """A house with more memory or patience says so in its table; it decides where both would take about as long."""
    circuit = parsed(qubits=20, schmidt_ranks_log2=(6.0,) * 19)
    chain = wish(circuit, shots=30, asked="auto", asks_for=AsksFor.AUTO)
    generous = TABLE.model_copy(update={"thresholds": Thresholds(cheap_bond=64)})

    methods = [plan(chain, table, around()).route.rungs[0].methods["c"].method for table in (TABLE, generous)]

    assert methods == [Method.STATEVECTOR, Method.MATRIX_PRODUCT_STATE]


def test_what_estimates_speak_against_is_asked_where_nothing_else_can_answer() -> None:
    """Estimates may be wrong; a job that only the device can answer is not refused for a long queue."""
    busy = around({"asked": [device(pending_jobs=10)]}, capacity_bytes=GIB)
    planned = _planned(wish(parsed(qubits=60), limits=Limits(total=60)), busy)

    assert _names(planned) == [DEVICE]
    assert "nothing else can answer" in planned.route.rungs[0].because
    assert "deadline of 60 s" in planned.route.rungs[0].because


def test_a_second_device_is_asked_only_where_any_was_asked_or_it_is_allowed() -> None:
    """Then it is no less than what was asked; one in place of a device by name is."""
    devices = [device("ibm:torino"), device("ibm:fez"), device("ibm:kingston")]
    any_device = wish(asked="ibm", any_device=True)
    planned = _planned(any_device, around({"asked": devices, "other_devices": devices}))
    allowed = _planned(wish(), around({"other_devices": devices}))

    assert _names(planned)[:3] == ["ibm:torino", "ibm:fez", "fake_torino"]
    assert [rung.degraded for rung in planned.route.rungs][:3] == [False, False, True]
    assert "comes first" in _why_not(planned, "ibm:kingston")
    assert _names(allowed)[:2] == ["ibm:torino", "ibm:fez"]
    assert allowed.route.rungs[1].degraded


def test_a_device_is_priced_by_its_account_and_else_by_the_table() -> None:
    """With the most that it may take; the least decides what a budget refuses."""
    listed = Price(places="ibm:*", per_second=2.0, currency="EUR")
    table = TABLE.model_copy(update={"prices": (listed,)})
    by_table = plan(wish(), table, around()).route.considered[0].estimate
    own = around({"asked": [device(price_per_second=1.6, currency="USD")]})
    by_account = plan(wish(), table, own).route.considered[0].estimate

    assert by_table.qpu_seconds is not None
    assert by_table.price == pytest.approx(2 * by_table.qpu_seconds.high)
    assert by_account.price == pytest.approx(1.6 * by_table.qpu_seconds.high)
    assert (by_table.currency, by_account.currency) == ("EUR", "USD")


def test_where_nothing_answers_the_asked_place_says_why() -> None:
    """In its own class, with what was wrong with the others behind it."""
    planned = _planned(wish(parsed(qubits=200)), around(capacity_bytes=GIB))

    assert planned.route.rungs == ()
    assert planned.refusal is not None
    assert planned.refusal.code == "UnsupportedCircuit"
    assert planned.refusal.message.startswith("circuit 'c' needs 200 qubits")
    assert "aer: " in planned.refusal.message


@pytest.mark.parametrize(
    "asked",
    [
        wish(parsed(qubits=200)),
        wish(parsed(qubits=200, is_dynamic=True), kind="estimate"),
        wish(parsed(qubits=200), kind="estimate", exact=True),
    ],
)
def test_what_cannot_be_cut_is_not_told_of_cutting(asked: Wish) -> None:
    """Samples, circuits that measure on their way, exact values."""
    exact = device(exact_values=True)
    because = _why_not(_planned(asked, around({"asked": [exact]})), DEVICE)

    assert because.endswith("choose a wider backend")


def test_requirements_are_met_by_the_first_that_fits_and_every_other_is_considered() -> None:
    """The narrowest first, as they come."""
    wanted = Requirements(min_qubits=6, noisy=True)
    places = [aer(), twin("fake_manila", num_qubits=5), twin("fake_oslo", num_qubits=7), twin()]
    planned = _planned(wish(asked=wanted, asks_for=AsksFor.REQUIREMENTS), around({"fitting": places}))

    assert _names(planned) == ["fake_oslo"]
    assert {entry.name for entry in planned.route.considered} == {place.name for place in places}
    assert "has 5 qubits" in _why_not(planned, "fake_manila")
    assert "'fake_oslo' comes first" in _why_not(planned, "fake_torino")


_circuits = st.builds(
    parsed,
    qubits=st.integers(1, 60),
    two_qubit_gates=st.integers(0, 5000),
    is_clifford=st.booleans(),
    is_dynamic=st.booleans(),
)
_devices = st.builds(
    device,
    num_qubits=st.integers(1, 60),
    dynamic_circuits=st.booleans(),
    available=st.booleans(),
    pending_jobs=st.integers(0, 100),
)
_fallbacks = st.builds(
    Fallback,
    policy=st.sampled_from(["table", "none"]),
    kinds=st.lists(st.sampled_from(AnswerKind), max_size=3).map(tuple),
    leave_house=st.booleans(),
)


@given(
    circuit=_circuits,
    place=_devices,
    fallback=_fallbacks,
    capacity=st.integers(2**28, 2**36),
    deadline=st.integers(1, 10_000),
    asks_for=st.sampled_from([AsksFor.HARDWARE, AsksFor.SIMULATOR, AsksFor.AUTO]),
)
def test_no_route_is_impossible_and_nothing_is_passed_over_in_silence(
    circuit: Any, place: Any, fallback: Fallback, capacity: int, deadline: int, asks_for: AsksFor
) -> None:
    """Width, memory, dynamic circuits, the caller's word and the table's order hold for every rung of every route."""
    asked = wish(
        circuit, asks_for=asks_for, fallback=fallback, limits=Limits(total=timedelta(seconds=deadline))
    )
    there = around({"asked": [place], "twin": [twin(num_qubits=place.num_qubits)]}, capacity_bytes=capacity)
    planned = plan(asked, TABLE, there)
    route, traits = planned.route, circuit.traits

    for rung in route.rungs:
        target = rung.target
        assert target.available
        assert target.num_qubits is None or traits.num_qubits <= target.num_qubits
        assert target.dynamic_circuits or not traits.is_dynamic
        assert fallback.leave_house or not target.paid
        assert not fallback.kinds or target.answer_kind in fallback.kinds
        assert all(choice.memory_bytes <= capacity for choice in rung.methods.values())
        assert rung.estimate.memory_bytes is None or rung.estimate.memory_bytes <= capacity
    order = [name for name, _ in TABLE.ladder(asked.conditions)]
    assert [order.index(rung.rung) for rung in route.rungs] == sorted(
        order.index(rung.rung) for rung in route.rungs
    )
    names = [entry.name for entry in route.considered]
    assert len(names) == len(set(names))
    assert {entry.name for entry in route.considered if entry.taken} == set(_names(planned))
    assert all(entry.because for entry in route.considered)
    assert (planned.refusal is None) == bool(route.rungs)
    assert fallback.policy == "table" or len(route.rungs) <= 1


_EARLIER = EarlierAnswer(
    key=SubmissionKey(job_id="lab-1", backend=DEVICE, digest="q"),
    provider_job="p-1",
    answered=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
    until=datetime(2026, 11, 27, 9, 30, tzinfo=UTC),
    age_seconds=3 * 3600.0,
    calibrated=datetime(2026, 11, 20, 8, 0, tzinfo=UTC),
)
_CACHE = TargetSnapshot(
    name="cache", answer_kind=AnswerKind.CACHE, simulator=True, dynamic_circuits=True, exact_values=True
)


def test_an_earlier_answer_stands_between_simulators_and_solvers() -> None:
    """Degraded whatever was asked, free, in no need of memory or shots, and told with where it came from."""
    offers = {"cache": [Offer("cache", _CACHE, earlier=_EARLIER)]}
    planned = _planned(wish(parsed(is_clifford=True)), around(offers))
    wide = _planned(wish(parsed(qubits=100, is_dynamic=True)), around(offers, capacity_bytes=2**20))
    rung = next(rung for rung in planned.route.rungs if rung.name == "cache")

    first = TABLE.model_copy(update={"rules": (Rule(first="cache"),)})
    auto = plan(wish(asked="auto", asks_for=AsksFor.AUTO), first, around(offers))

    assert [one.rung for one in planned.route.rungs][-2:] == ["cache", "classical"]
    assert (auto.route.rungs[0].name, auto.route.rungs[0].degraded) == ("cache", True)
    assert _names(wide) == [DEVICE, "cache"]
    assert (rung.degraded, rung.earlier, rung.estimate.seconds) == (True, _EARLIER, 0)
    assert rung.because == (
        "rung 'cache' below what was asked; as 'ibm:torino' (its job p-1) answered job 'lab-1' of this project at 2026-11-20 "
        "09:30 UTC, calibrated 2026-11-20 08:00 UTC, 3:00:00 before this route was planned"
    )


def test_an_earlier_answer_is_taken_for_what_it_is() -> None:
    """Not where its kind is not wanted, not where there is none, and not as a place of its own."""
    kinds = Fallback(kinds=(AnswerKind.HARDWARE, AnswerKind.SIMULATOR))
    unwanted = _planned(wish(fallback=kinds), around({"cache": [Offer("cache", _CACHE, earlier=_EARLIER)]}))
    none = _planned(wish(), around({"cache": [Offer("cache", _CACHE, beside="there is none")]}))
    asked = wish(asked="cache", asks_for=AsksFor.SIMULATOR)
    by_name = _planned(asked, around({"asked": [Offer("cache", _CACHE)]}))

    assert "fallback.kinds allows hardware, simulator" in _why_not(unwanted, "cache")
    assert _why_not(none, "cache") == "there is none"
    assert by_name.refusal is not None
    assert "ask for that place" in by_name.refusal.message
