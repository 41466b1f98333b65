"""Counts are mitigated after the run, beside what was read; where that cannot be done, the counts are the answer.

Bit order: the rightmost character of an outcome is bit 0.
"""

import asyncio
from typing import Any

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister

from circuits.drift import QUANTILE
from circuits.statistics import total_variation
from fallback.solvers.protocol import absent
from qurable.contracts.checks import Passed
from qurable.contracts.explanations import ErrorSource
from qurable.contracts.jobs import mint_key
from qurable.contracts.reports import JobReport, State
from qurable.contracts.results import SampleResult
from qurable.errors import JobFailed
from qurable.requests import sample
from tests.circuits_at_hand import BELL
from tests.conftest import PaidStack, Service
from tests.paid import DEVICE

pytestmark = pytest.mark.skipif(bool(absent(["mthree"])), reason="mthree has no wheel for this Python")

_SHOTS = 20_000
_LAYOUT = (3, 0, 4)
_TRUTH = {"1 01": 1.0}
"""Qubits 0 and 2 are flipped; two registers, the last one first."""


def _flips() -> QuantumCircuit:
    """A basis state, so that misread bits are nearly all there is to mend."""
    low, high = ClassicalRegister(2, "low"), ClassicalRegister(1, "high")
    circuit = QuantumCircuit(QuantumRegister(3), low, high)
    circuit.x([0, 2])
    circuit.measure([0, 1, 2], [0, 1, 2])
    return circuit


def _sampled(report: JobReport) -> SampleResult:
    result = report.results[0]
    assert isinstance(result, SampleResult)
    return result


def _distance(weights: dict[str, float]) -> float:
    """Total variation from the truth."""
    return sum(abs(weights.get(word, 0.0) - _TRUTH.get(word, 0.0)) for word in {*weights, *_TRUTH}) / 2


def _by_chance() -> float:
    """Total variation that shots alone give a state as mixed as the one that was read."""
    rough = np.array([0.8, 0.05, 0.05, 0.05, 0.05])
    drawn = np.random.default_rng(0).multinomial(_SHOTS, rough)
    return total_variation(drawn, rough, seed=0, level=QUANTILE).null_quantile


async def test_mitigated_counts_are_nearer_to_the_truth_and_the_report_says_how(service: Service) -> None:
    """On a noisy twin, with a layout of the job's own; the counts stay as they were read, and so does all that is kept."""
    options: dict[str, Any] = {
        "shots": _SHOTS,
        "seed": 5,
        "backend": "fake_manila",
        "transpile": {"layout": _LAYOUT},
    }
    report, plain, old = await asyncio.gather(
        service.run(sample(_flips(), mitigation="readout", **options)),
        service.run(sample(_flips(), **options)),
        service.run(sample(_flips(), mitigation={"readout": "reported", "max_age": "12h"}, **options)),
    )
    stored = await service.qurable.results(report.id)
    why = await service.qurable.why(report.id)

    result, record = _sampled(report), report.mitigation
    counts = result.counts()
    assert counts == _sampled(plain).counts() == _sampled(old).counts()
    raw = {word: count / _SHOTS for word, count in counts.items()}
    assert _distance(raw) - _distance(result.quasi()) > _by_chance()
    assert _distance(result.quasi()) < _distance(raw) / 4
    assert result.mitigated is not None
    assert result.mitigated.qubits == dict(enumerate(_LAYOUT))
    assert stored.pubs == report.results

    assert record is not None
    assert record.method.startswith("mthree ")
    assert report.provenance is not None
    assert (record.skipped, record.calibration) == ("", report.provenance.target)
    assert (record.overhead or 0) > 1
    assert (record.age_seconds or 0) > 0
    rules = {check.rule: check.outcome for check in report.verdict.checks} if report.verdict else {}
    assert rules["normalisation"] is Passed.PASSED
    parts = {part.source: part for part in why.error_budget.parts}
    assert parts[ErrorSource.MITIGATION].value == pytest.approx(record.standard_error)
    assert parts[ErrorSource.READOUT].value is None

    assert plain.mitigation is None
    assert "mitigation" not in plain.document()
    assert "mitigated" not in plain.document()["results"][0]
    assert old.mitigation is not None
    assert "mitigation.max_age allows 12" in old.mitigation.skipped
    assert _sampled(old).mitigated is None
    assert any("mitigation.max_age" in warning for warning in old.warnings)


async def test_where_nothing_is_misread_nothing_is_mitigated_and_what_cannot_be_is_refused(
    service: Service,
) -> None:
    """A simulator without noise answers as it always does; a circuit that measures on its way is not run at all."""
    report = await service.run(sample(BELL, shots=100, seed=1, backend="aer", mitigation="readout"))
    dynamic = BELL + "x q[0];\nmeasure q[0] -> c[0];\n"
    with pytest.raises(JobFailed) as failed:
        await service.run(sample(dynamic, shots=10, backend="aer", mitigation="readout"))

    assert report.state is State.COMPLETED
    assert report.mitigation is not None
    assert report.mitigation.skipped == "'aer' reads without errors"
    assert _sampled(report).mitigated is None
    assert failed.value.error.code == "RequestRejected"
    assert "measures or resets on its way" in failed.value.error.message


@pytest.mark.long
async def test_what_a_paid_device_misreads_is_mitigated_too(paid_stack: PaidStack) -> None:
    """By the errors that it reported when the circuit was compiled; given again from the cache, counts are as they were."""
    work = sample(
        _flips(),
        shots=4_000,
        backend=DEVICE,
        mitigation="readout",
        transpile={"layout": _LAYOUT},
        fallback={"kinds": ["hardware", "cache"]},
    )
    async with paid_stack(strategy=None) as paid:
        await paid.control.settings(noise=True)
        report = await paid.service.run(work)
        await paid.control.device("ibm_manila", status="paused", reason="maintenance")
        cached = await paid.service.run(work.model_copy(update={"key": mint_key()}))

    result = _sampled(report)
    raw = {word: count / result.shots for word, count in result.counts().items()}
    assert report.mitigation is not None
    assert report.mitigation.skipped == ""
    assert result.mitigated is not None
    assert result.mitigated.qubits == dict(enumerate(_LAYOUT))
    assert _distance(result.quasi()) < _distance(raw) / 2
    assert cached.served_by == "cache"
    assert cached.counts() == result.counts()
    assert cached.mitigation is not None
    assert "given again as it was read" in cached.mitigation.skipped
