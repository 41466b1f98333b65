"""Whether an answer of a round of weather is what the place that is named has measured, or what is known of the circuit."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit import qasm2
from qiskit.quantum_info import Pauli, Statevector

from qurable.contracts.executions import Incident, Phase, ProviderJob
from qurable.contracts.reports import JobReport
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.targets import AnswerKind
from tests.chaos.weather import OBSERVABLES, STATES
from tests.chaos.weather_playing import Played

ROUNDING_SECONDS = 1e-2

_SIGMAS = 6.0
_NOISE = 0.4
"""How far off a probability may be at most where noise is simulated."""


@dataclass(frozen=True)
class Known:
    """What is known of one job: here, and at the provider."""

    parts: Sequence[ProviderJob]
    incidents: Sequence[Incident]
    there: Sequence[Mapping[str, Any]]
    shots: Mapping[str, list[str] | None]


def wrong_answer(one: Played, known: Known) -> Iterator[str]:
    """Whether what was answered is what the place that is named has measured, or what is known of the circuit."""
    report = one.answer
    if report is None:
        return
    hardware = report.answer_kind is AnswerKind.HARDWARE
    if len(report.results) != len(one.asked.circuits):
        yield f"{len(report.results)} results for {len(one.asked.circuits)} pubs"
        return
    if hardware:
        yield from _wrong_origin(report, known)
    elif report.answer_kind is AnswerKind.CACHE:
        yield from _wrong_memory(report, known)
    elif report.provenance is not None and report.provenance.provider_job:
        yield f"{report.served_by!r} answered, and provenance names the provider's job {report.provenance.provider_job!r}"
    measured = hardware or report.answer_kind is AnswerKind.CACHE
    noisy = report.answer_kind is AnswerKind.NOISY_SIMULATOR
    if measured and {"noise", "bad calibration"} & set(one.round.kinds):
        return  # what the emulator's device does then, only the emulator knows
    for name, result in zip(one.asked.circuits, report.results, strict=True):
        far = _distance(name, result, _NOISE if noisy or measured else 0.0)
        if far:
            yield f"{report.served_by!r} answered pub {name!r} {far}"


def _wrong_origin(report: JobReport, known: Known) -> Iterator[str]:
    """Whether an answer that is said to be a device's is that of a job that has run there, and its bill is that job's."""
    done = [
        record
        for record in report.provider_jobs
        if record.state is Phase.DONE and record.backend == report.served_by
    ]
    kept = {part.id for part in known.parts}
    there = {job["id"]: job for job in known.there}
    ran = [
        record.id
        for record in done
        if record.id in kept
        and record.id in there
        and there[record.id]["status"] == "Completed"
        and there[record.id]["backend"] == f"ibm_{report.served_by.removeprefix('ibm:')}"
    ]
    if report.provenance is None or report.provenance.provider_job not in ran:
        yield f"labelled hardware, and of the provider's jobs only {ran} have run: {report.provider_jobs}"
        return
    mine = known.shots.get(report.provenance.provider_job) or []
    for number, result in enumerate(report.results):
        if isinstance(result, SampleResult) and mine[number] != result.registers[0].bits.raw.hex():
            yield f"the counts of pub {number} are not those of {report.provenance.provider_job}"
    for record in done:
        bill = there[record.id]["billed_seconds"] if record.id in there else 0.0
        if record.usage_complete and abs((record.qpu_seconds or 0.0) - bill) > ROUNDING_SECONDS:
            yield f"{record.id} was billed {bill} s, and {record.qpu_seconds} s is said"


def _wrong_memory(report: JobReport, known: Known) -> Iterator[str]:
    """Whether an answer that is said to be given again is that of a job that has run once."""
    again = "" if report.provenance is None else report.provenance.provider_job
    mine = known.shots.get(again) or []
    if not mine:
        yield f"labelled as an earlier answer, and {again!r} has none"
    for number, (result, shots) in enumerate(zip(report.results, mine, strict=False)):
        if isinstance(result, SampleResult) and shots != result.registers[0].bits.raw.hex():
            yield f"the counts of pub {number} are not those of {again}"


def _distance(name: str, result: SampleResult | EstimateResult, noise: float) -> str:
    """How an answer is farther from what is known of a circuit than its shots, and noise, allow; empty where it is not."""
    if name not in OBSERVABLES:
        return ""
    state = Statevector(qasm2.loads(STATES[name]))
    if isinstance(result, EstimateResult):
        exact = float(state.expectation_value(Pauli(OBSERVABLES[name])).real)
        value, error = float(np.ravel(result.evs.to_numpy())[0]), float(np.ravel(result.stds.to_numpy())[0])
        allowed = _SIGMAS * max(error, 0.02) + 2 * noise
        return "" if abs(value - exact) <= allowed else f"{value:.3f} instead of {exact:.3f}"
    exact_of = state.probabilities_dict()
    counts, shots = result.counts(), result.shots
    if sum(counts.values()) != shots:
        return f"in {sum(counts.values())} shots of {shots}"
    words = {*exact_of, *counts}
    far = sum(abs(exact_of.get(word, 0.0) - counts.get(word, 0) / shots) for word in words) / 2
    # The mean of that distance, and the deviation from it that McDiarmid's inequality gives to one in 10^9 answers.
    allowed = math.sqrt(len(words) / shots) / 2 + math.sqrt(math.log(1e9) / (2 * shots)) + noise
    return "" if far <= allowed else f"at a distance of {far:.2f} (total variation), {allowed:.2f} is allowed"
