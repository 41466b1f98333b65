"""How far an answer is off, by source, and what would halve that most cheaply; every number says what it was made of."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from circuits.qpu_time import REP_DELAY_SECONDS, qpu_seconds_range
from circuits.suppression import suppression
from circuits.verdict_rules import Answered
from qurable.contracts.arrays import size_of
from qurable.contracts.confidence import Confidence, ConfidenceKind, Survival
from qurable.contracts.executions import Seconds
from qurable.contracts.explanations import ErrorBudget, ErrorPart, ErrorSource, Remedy
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.pubs import EstimatePub, shots_for
from qurable.contracts.reports import CircuitProvenance
from qurable.contracts.results import ErrorOrigin, SampleResult
from qurable.contracts.routes import Considered, Route, Rung
from qurable.contracts.targets import AnswerKind

_MOST_ELEMENTS = 64
"""Bindings whose counts are looked at for their shot noise."""

_FOUR_TIMES = 4
"""Shots that halve a standard error."""

_LAYER_SECONDS = 1e-6
"""Longest that one layer of gates takes on a superconducting device."""

_TRUNCATIONS = frozenset({ConfidenceKind.TRUNCATION_ESTIMATE, ConfidenceKind.TRUNCATION_BOUND})
_MITIGATED = frozenset({ErrorOrigin.ENSEMBLE, ErrorOrigin.EXTRAPOLATION})


@dataclass(frozen=True)
class Ran:
    """What ran, for a budget.

    Attributes:
        answered: The answer.
        rung: Where.
        route: Every place that was considered.
        circuits: Of each pub; empty where nothing was compiled.
        confidence: What the place says of its answer.
        seconds: The runs themselves took, on this house's machines.
        ibm: The job's options for IBM's hardware.
    """

    answered: Answered
    rung: Rung
    route: Route
    circuits: Sequence[CircuitProvenance]
    confidence: Sequence[Confidence]
    seconds: float
    ibm: IbmOptions = field(default_factory=IbmOptions)


def budget_of(ran: Ran) -> ErrorBudget:
    """The parts that are known of, and the remedies: those of the largest part first, then the cheapest first."""
    parts = [*_shot_noise(ran), *_device(ran), *_truncation(ran), *_mitigation(ran)]
    remedies = [*_more_shots(ran, parts), *_other_places(ran, parts), *_larger_bonds(ran, parts)]
    largest = max(parts, key=lambda part: part.value or 0.0, default=None)

    def order(remedy: Remedy) -> tuple[bool, float, float, float]:
        beside = largest is not None and remedy.source is not largest.source
        qpu = 0.0 if remedy.qpu_seconds is None else remedy.qpu_seconds.high
        return beside, remedy.price or 0.0, qpu, remedy.seconds or 0.0

    return ErrorBudget(parts=tuple(parts), remedies=tuple(sorted(remedies, key=order)))


def _shot_noise(ran: Ran) -> Iterable[ErrorPart]:
    """The largest standard error: of an outcome's share, or of a value."""
    shares = [_share_error(result, number) for number, _, result in ran.answered.sampled]
    if shares:
        error, number, shots = max(shares)
        yield ErrorPart(
            source=ErrorSource.SHOT_NOISE,
            value=error,
            unit="standard error of the least certain outcome's share",
            basis=f"sqrt(p (1 - p) / {shots:,}) of the counts, over the first {_MOST_ELEMENTS} bindings of each pub",
            pub=number,
        )
    errors = [
        (max(result.stds.values, default=0.0), number, result) for number, _, result in ran.answered.estimated
    ]
    if errors:
        error, number, result = max(errors, key=lambda entry: entry[0])
        without = result.error_origin in (ErrorOrigin.EXACT, ErrorOrigin.TRUNCATION)
        basis = (
            "computed without shots" if without else f"reported, from {result.error_origin.replace('_', ' ')}"
        )
        yield ErrorPart(
            source=ErrorSource.SHOT_NOISE,
            value=error,
            unit="standard error of the least certain value",
            basis=basis,
            pub=number,
        )


def _share_error(result: SampleResult, number: int) -> tuple[float, int, int]:
    worst = 0.0
    for element in range(min(size_of(result.shape), _MOST_ELEMENTS)):
        for count in result.counts(element).values():
            share = count / result.shots
            worst = max(worst, math.sqrt(share * (1 - share) / result.shots))
    return worst, number, result.shots


def _survivals(ran: Ran) -> list[tuple[int, Survival]]:
    return [
        (number, circuit.survival)
        for number, circuit in enumerate(ran.circuits)
        if circuit.survival is not None
    ]


def _device(ran: Ran) -> Iterable[ErrorPart]:
    """How likely a shot meets an error, by the device's own figures on the qubits that were used."""
    found = _survivals(ran)
    if not found:
        return
    gates = [(1 - one.gates * (1.0 if one.idle is None else one.idle), number) for number, one in found]
    readout = [(1 - one.readout, number) for number, one in found]
    figures = f"the calibration of {ran.rung.name!r} on the qubits of the ISA circuit"
    value, number = max(gates)
    idle = "" if found[0][1].idle is None else " or waiting qubit"
    yield ErrorPart(
        source=ErrorSource.GATES,
        value=value,
        unit=f"probability that a gate{idle} errs in a shot; not the error of the answer",
        basis=f"1 - product of (1 - error) by {figures}",
        pub=number,
    )
    value, number = max(readout)
    if any(result.mitigated is not None for _, _, result in ran.answered.sampled):
        yield ErrorPart(
            source=ErrorSource.READOUT,
            value=None,
            unit="what is left of it after mitigation: by how much the calibration is off, and bits misread together",
            basis=f"before, a bit was misread in a shot with probability {value:.3g}, by {figures}",
            pub=number,
        )
        return
    yield ErrorPart(
        source=ErrorSource.READOUT,
        value=value,
        unit="probability that a bit is misread in a shot; not the error of the answer",
        basis=f"1 - product of (1 - readout error) by {figures}",
        pub=number,
    )


def _truncation(ran: Ran) -> Iterable[ErrorPart]:
    records = [record for record in ran.confidence if record.kind in _TRUNCATIONS]
    if records:
        worst = max(records, key=lambda record: record.value)
        yield ErrorPart(
            source=ErrorSource.TRUNCATION,
            value=worst.value,
            unit=f"{worst.kind.replace('_', ' ')} of the least certain value",
            basis=worst.basis,
            pub=worst.pub,
        )
        return
    weights = [
        (float(circuit.notes["discarded_weight"]), number)
        for number, circuit in enumerate(ran.circuits)
        if circuit.notes.get("discarded_weight")
    ]
    if weights:
        value, number = max(weights)
        yield ErrorPart(
            source=ErrorSource.TRUNCATION,
            value=value,
            unit="sum of discarded weights, an estimate and no bound",
            basis="what the simulator logged",
            pub=number,
        )


def _mitigation(ran: Ran) -> Iterable[ErrorPart]:
    """What mitigation does to the error of the counts, or multiplies the work by, as far as the result says."""
    bounds = [
        (quasi.standard_error(element, result.shots), number, quasi.overheads[element])
        for number, _, result in ran.answered.sampled
        if (quasi := result.mitigated) is not None
        for element in range(len(quasi.overheads))
    ]
    if bounds:
        error, number, overhead = max(bounds)
        yield ErrorPart(
            source=ErrorSource.MITIGATION,
            value=error,
            unit="most that the standard error of a mitigated mean of values in [-1, 1] can be",
            basis=f"gamma / sqrt(shots), with the overhead gamma^2 = {overhead:.3g} of M3's readout mitigation",
            pub=number,
        )
        return
    for number, circuit in enumerate(ran.circuits):
        factors = _noise_factors(circuit.notes.get("resilience"))
        mitigated = circuit.notes.get("error_origin") in _MITIGATED
        if factors is None and not mitigated:
            continue
        yield ErrorPart(
            source=ErrorSource.MITIGATION,
            value=factors,
            unit="circuits run for each that was asked",
            basis="the noise factors that the result names"
            if factors
            else "the result says that it was mitigated, and not at what cost; its standard errors hold it",
            pub=number,
        )
        return


def _noise_factors(resilience: Any) -> float | None:
    """How many noise factors the provider's notes name, wherever they do."""
    if not isinstance(resilience, Mapping):
        return None
    for name, value in resilience.items():
        if name.endswith("noise_factors") and isinstance(value, Sequence) and value:
            return float(len(value))
        inner = _noise_factors(value)
        if inner is not None:
            return inner
    return None


def _more_shots(ran: Ran, parts: Sequence[ErrorPart]) -> Iterable[Remedy]:
    part = next((part for part in parts if part.source is ErrorSource.SHOT_NOISE), None)
    if part is None or not part.value:
        return
    target = ran.rung.target
    noiseless = target.simulator and target.answer_kind is not AnswerKind.NOISY_SIMULATOR
    if ran.answered.estimated and target.exact_values and noiseless:
        yield Remedy(
            source=part.source,
            what=f"ask {target.name!r} for the exact value, with precision 0",
            seconds=0.0,
            basis="it computes values without shots",
        )
    what = f"{_FOUR_TIMES} times the shots on {target.name!r}"
    if not target.paid:
        yield Remedy(
            source=part.source,
            what=what,
            seconds=(_FOUR_TIMES - 1) * ran.seconds,
            basis=f"{ran.seconds:.3g} s of runs, and not more than that for as many shots again",
        )
        return
    now, then = _qpu_seconds(ran, 1), _qpu_seconds(ran, _FOUR_TIMES)
    extra = Seconds(low=then.low - now.low, high=max(then.high - now.high, then.low - now.low))
    price = target.price_per_second
    yield Remedy(
        source=part.source,
        what=what,
        seconds=extra.high,
        qpu_seconds=extra,
        price=None if price is None else price * extra.high,
        currency="" if price is None else target.currency,
        basis="IBM's published formula for QPU time, with the job's own mitigation",
    )


def _qpu_seconds(ran: Ran, times: int) -> Seconds:
    low = high = 0.0
    for number, pub in enumerate(ran.answered.pubs):
        terms = 1
        if isinstance(pub, EstimatePub):
            terms = max(1, len({product for item in pub.observables.items for product in item.paulis()}))
        depth = ran.circuits[number].isa_depth if number < len(ran.circuits) else 0
        shots = times * shots_for(pub)
        added = suppression(ran.ibm, "estimate" if isinstance(pub, EstimatePub) else "sample", shots)
        delay = ran.ibm.rep_delay or ran.rung.target.rep_delay or REP_DELAY_SECONDS
        least = qpu_seconds_range(pub.bindings.size, shots, 0.0, delay, added)[0]
        most = qpu_seconds_range(pub.bindings.size * terms, shots, depth * _LAYER_SECONDS, delay, added)[1]
        low, high = low + least, high + max(least, most)
    return Seconds(low=low, high=high)


def _other_places(ran: Ran, parts: Sequence[ErrorPart]) -> Iterable[Remedy]:
    """Places of the route on which a shot meets an error half as often, or never."""
    for source in (ErrorSource.GATES, ErrorSource.READOUT):
        if not any(part.source is source and part.value for part in parts):
            continue
        for entry in ran.route.considered:
            because = None if entry.name == ran.rung.name else _halves(ran, entry)
            if because is not None:
                seconds = entry.estimate.seconds if entry.estimate.run_seconds is not None else None
                yield Remedy(
                    source=source,
                    what=f"run it on {entry.name!r}",
                    seconds=seconds,
                    qpu_seconds=entry.estimate.qpu_seconds,
                    price=entry.estimate.price,
                    currency=entry.estimate.currency,
                    basis=because,
                )


def _halves(ran: Ran, entry: Considered) -> str | None:
    """Why a place errs half as often at most; None where nobody can say that it does."""
    if entry.estimate.run_seconds is None:
        return None
    if entry.kind in (AnswerKind.SIMULATOR, AnswerKind.CLASSICAL):
        return "it has no noise; the route's estimate"
    here = min(survival.value for _, survival in _survivals(ran))
    there = entry.estimate.survival
    if there is None or 1 - there > (1 - here) / 2:
        return None
    return f"its survival is {there:.3g} at best, before anything is compiled for it; here it is {here:.3g}"


def _larger_bonds(ran: Ran, parts: Sequence[ErrorPart]) -> Iterable[Remedy]:
    if any(part.source is ErrorSource.TRUNCATION and part.value for part in parts):
        yield Remedy(
            source=ErrorSource.TRUNCATION,
            what="twice the max_bond, which also shows whether the value has settled",
            seconds=7 * ran.seconds,
            basis="a matrix product state costs the cube of its bond dimension",
        )
