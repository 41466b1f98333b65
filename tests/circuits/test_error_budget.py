"""An error budget is made of what is known, and what would halve it is told with its cost."""

import math
from typing import Any

import pytest

from circuits.asked_checks import Reference
from circuits.error_budget import Ran, budget_of
from circuits.explanation import contenders, explain
from circuits.verdict_rules import Answered
from qurable.contracts.arrays import BitArrays, FloatArray
from qurable.contracts.checks import Ruling, Verdict
from qurable.contracts.confidence import Confidence, ConfidenceKind, Survival
from qurable.contracts.executions import Seconds
from qurable.contracts.explanations import ErrorPart, ErrorSource
from qurable.contracts.problems import MaxCut, ProblemAnswer, Sense
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.contracts.reports import CircuitProvenance
from qurable.contracts.results import ErrorOrigin, EstimateResult, RegisterResult, SampleResult
from qurable.contracts.routes import Considered, Estimate, Route, Rung
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from tests.circuits_at_hand import BELL

_DEVICE = TargetSnapshot(
    name="ibm:x", answer_kind=AnswerKind.HARDWARE, paid=True, price_per_second=1.5, currency="USD"
)
_AER = TargetSnapshot(name="aer", answer_kind=AnswerKind.SIMULATOR, simulator=True, exact_values=True)
_NO_NOISE = Considered(
    name="aer", taken=True, because="it fits", kind=AnswerKind.SIMULATOR, estimate=Estimate(run_seconds=0.1)
)


def _circuit(survival: Survival | None = None, **notes: Any) -> CircuitProvenance:
    return CircuitProvenance(
        name="bell",
        source="s",
        canonical="c",
        isa="i",
        depth=2,
        isa_depth=5,
        two_qubit_gates=1,
        isa_two_qubit_gates=1,
        transpile_level=2,
        transpile_seed=1,
        cache="miss",
        survival=survival,
        notes=notes,
    )


def _sampled(target: TargetSnapshot, *considered: Considered, survival: Survival | None = None) -> Ran:
    pub = SamplePub.model_validate({"circuit": BELL, "shots": 100})
    bits = BitArrays.pack(bytes([0] * 20 + [3] * 80), shape=(), num_shots=100, num_bits=2)
    result = SampleResult(shots=100, registers=(RegisterResult(name="c", bits=bits),))
    rung = Rung(target=target, because="asked for by name")
    route = Route(rungs=(rung,), considered=considered)
    return Ran(Answered([pub], [result]), rung, route, [_circuit(survival)], (), 2.0)


def _estimated(
    target: TargetSnapshot, std: float, origin: ErrorOrigin, *confidence: Confidence, **notes: Any
) -> Ran:
    pub = EstimatePub.model_validate({"circuit": BELL, "observables": "ZZ", "shots": 100})
    result = EstimateResult(
        evs=FloatArray(values=(0.5,)), stds=FloatArray(values=(std,)), error_origin=origin
    )
    rung = Rung(target=target, because="asked for by name")
    return Ran(
        Answered([pub], [result]), rung, Route(rungs=(rung,)), [_circuit(None, **notes)], confidence, 2.0
    )


def _part(ran: Ran, source: ErrorSource) -> ErrorPart:
    return next(part for part in budget_of(ran).parts if part.source is source)


def test_shot_noise_is_that_of_the_data() -> None:
    """The share of the least certain outcome, by the binomial law; of values, what they say."""
    assert _part(_sampled(_AER), ErrorSource.SHOT_NOISE).value == pytest.approx(math.sqrt(0.2 * 0.8 / 100))
    assert _part(_estimated(_AER, 0.03, ErrorOrigin.SHOTS), ErrorSource.SHOT_NOISE).value == 0.03
    exact = budget_of(_estimated(_AER, 0.0, ErrorOrigin.EXACT))
    assert exact.parts[0].basis == "computed without shots"
    assert exact.remedies == ()


def test_gates_and_readout_are_the_devices_own_figures() -> None:
    """As the circuit was compiled; a place without noise has none of them."""
    survival = Survival(value=0.72, gates=0.9, readout=0.8, idle=1.0)
    ran = _sampled(_DEVICE, _NO_NOISE, survival=survival)

    assert _part(ran, ErrorSource.GATES).value == pytest.approx(0.1)
    assert _part(ran, ErrorSource.READOUT).value == pytest.approx(0.2)
    assert [part.source for part in budget_of(_sampled(_AER)).parts] == [ErrorSource.SHOT_NOISE]


def test_the_largest_part_is_halved_first_and_the_cheapest_way_before_others() -> None:
    """Readout is the largest: a place without noise, then a better device that costs; shots come last, with their price."""
    better = Considered(
        name="ibm:y",
        taken=False,
        because="",
        kind=AnswerKind.HARDWARE,
        estimate=Estimate(
            run_seconds=3.0, survival=0.95, price=9.0, currency="USD", qpu_seconds=Seconds(low=2, high=6)
        ),
    )
    worse = better.model_copy(update={"name": "ibm:z", "estimate": Estimate(run_seconds=3.0, survival=0.75)})
    survival = Survival(value=0.72, gates=0.9, readout=0.8)
    remedies = budget_of(_sampled(_DEVICE, better, worse, _NO_NOISE, survival=survival)).remedies

    readout = [remedy.what for remedy in remedies if remedy.source is ErrorSource.READOUT]
    assert readout == ["run it on 'aer'", "run it on 'ibm:y'"]
    assert remedies[0].source is ErrorSource.READOUT
    shots = next(remedy for remedy in remedies if remedy.source is ErrorSource.SHOT_NOISE)
    assert shots.what == "4 times the shots on 'ibm:x'"
    assert shots.qpu_seconds is not None
    assert shots.qpu_seconds.low == pytest.approx(0.95 * 300 * 250e-6)
    assert shots.price == pytest.approx(1.5 * shots.qpu_seconds.high)


def test_a_simulator_gives_the_exact_value_for_nothing() -> None:
    """Before it is asked for four times the shots."""
    remedies = budget_of(_estimated(_AER, 0.05, ErrorOrigin.SHOTS)).remedies

    assert [remedy.what for remedy in remedies] == [
        "ask 'aer' for the exact value, with precision 0",
        "4 times the shots on 'aer'",
    ]
    assert remedies[1].seconds == 6.0


def test_truncation_and_mitigation_come_from_what_the_run_noted() -> None:
    """A record stands before the simulator's log; what mitigation costs is told where the result tells it."""
    record = Confidence(kind=ConfidenceKind.TRUNCATION_ESTIMATE, value=0.02, basis="a doubled bond", pub=0)
    told = _estimated(_AER, 0.0, ErrorOrigin.TRUNCATION, record)
    logged = _estimated(_AER, 0.0, ErrorOrigin.TRUNCATION, discarded_weight=0.01)
    factors = {"zne": {"noise_factors": [1, 3, 5]}}
    mitigated = _estimated(
        _DEVICE, 0.1, ErrorOrigin.EXTRAPOLATION, error_origin="extrapolation", resilience=factors
    )
    silent = _estimated(_DEVICE, 0.1, ErrorOrigin.ENSEMBLE, error_origin="ensemble")

    assert _part(told, ErrorSource.TRUNCATION).value == 0.02
    assert _part(logged, ErrorSource.TRUNCATION).value == 0.01
    assert budget_of(told).remedies[0].source is ErrorSource.TRUNCATION
    assert _part(mitigated, ErrorSource.MITIGATION).value == 3.0
    assert _part(silent, ErrorSource.MITIGATION).value is None


def test_an_answer_is_held_against_the_best_of_the_other_kind() -> None:
    """A solver that ran before a place that was only considered; intervals are 95 % or the bound's."""
    own = ProblemAnswer(kind="maxcut", sense=Sense.MAXIMIZE, objective=3.0, standard_error=0.5)
    best = ProblemAnswer(kind="maxcut", sense=Sense.MAXIMIZE, objective=4.0, bound=4.5)
    ran = _sampled(_DEVICE, _NO_NOISE)
    solved = Ran(
        Answered([], [], MaxCut(num_nodes=2, edges=((0, 1, 1.0),)), own), ran.rung, ran.route, [], (), 1.0
    )

    first, second = contenders(solved, Reference(answer=best, name="classical:exact", seconds=0.5))
    _, considered = contenders(ran, None)

    assert first.interval == pytest.approx((2.02, 3.98))
    assert (second.quality, second.interval, second.ran) == (4.0, (4.0, 4.5), True)
    assert (considered.name, considered.ran, considered.seconds) == ("aer", False, 0.1)


def test_an_explanation_is_made_of_facts() -> None:
    """Problem, circuit, backend, shots, checks, and why it was accepted."""
    verdict = Verdict(ruling=Ruling.ACCEPT, because="1 of 1 checks passed")
    told = explain(_sampled(_DEVICE), "", verdict)
    values = explain(_estimated(_AER, 0.0, ErrorOrigin.EXACT), "statevector", verdict)

    assert told.problem == "What 1 circuit reads, for 1 binding in all."
    assert told.circuit == (
        "'bell' has depth 2 and 1 two-qubit gate as written, depth 5 and 1 as compiled for 'ibm:x' at level 2."
    )
    assert told.backend == "'ibm:x' (hardware): asked for by name."
    assert told.shots == "100 for each binding, 100 in all."
    assert told.accepted == "Accepted: 1 of 1 checks passed."
    assert values.problem == "1 expectation value of 1 circuit."
    assert values.shots == "None: the values were computed exactly."
