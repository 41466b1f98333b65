"""Mitigation that goes by the noise of layers of gates, PEC and PEA, through the whole service."""

import json
import statistics
from collections.abc import Sequence
from typing import Any

import pytest
from qiskit import QuantumCircuit

from qurable.contracts.ibm import Generation, IbmOptions, LayerNoise, Resilience, Zne
from qurable.contracts.jobs import TranspileOptions
from qurable.contracts.reports import JobReport
from qurable.contracts.results import ErrorOrigin, EstimateResult
from qurable.errors import JobFailed
from qurable.requests import estimate
from tests.conftest import PaidStack
from tests.paid import Paid
from tests.workflows.known_answers import Z_BOUND
from tests.workflows.learnt_noise import learnt

_PAIR = (0, 1)
_LAYERS = 10
_PRECISION = 0.005
_EXACT = -1.0
_TIMES = 5
"""What one fit finds scatters as much as it mends now and then; of five the middle one does not."""
_DEVICE = "ibm:lima"


def _work(resilience: Resilience | None = None, times: int = 1) -> Any:
    """<ZI> of both qubits turned over and put through an even number of cx, each a layer of its own: the noise adds up."""
    circuit = QuantumCircuit(2)
    circuit.x([0, 1])
    for _ in range(_LAYERS):
        circuit.cx(0, 1)
        circuit.barrier()
    return estimate(
        *[(circuit, "ZI", None, _PRECISION)] * times,
        backend=_DEVICE,
        transpile=TranspileOptions(layout=_PAIR),
        ibm=IbmOptions(resilience_level=1, resilience=resilience),
    )


def _pec(*noise: LayerNoise) -> Resilience:
    return Resilience(pec_mitigation=True, layer_noise_model=noise)


def _pea(*noise: LayerNoise) -> Resilience:
    zne = Zne(amplifier="pea", noise_factors=(1.0, 1.5, 2.0, 2.5), extrapolator=("linear",))
    return Resilience(zne_mitigation=True, zne=zne, layer_noise_model=noise)


def _results(report: JobReport) -> list[EstimateResult]:
    return [result for result in report.results if isinstance(result, EstimateResult)]


def _off(results: Sequence[EstimateResult]) -> float:
    """How far the middle one of some results is off."""
    return statistics.median(abs(result.evs.values[0] - _EXACT) for result in results)


async def _sent(paid: Paid) -> list[Any]:
    """Bodies of the submissions that reached the provider."""
    log = await paid.control.log()
    return [
        json.loads(line["body"])
        for line in log
        if line["method"] == "POST" and line["path"].endswith("/jobs")
    ]


@pytest.mark.long
@pytest.mark.parametrize(
    ("resilience", "origin"),
    [(_pec, ErrorOrigin.ENSEMBLE), (_pea, ErrorOrigin.EXTRAPOLATION)],
    ids=["PEC", "PEA"],
)
async def test_an_estimate_is_freed_of_the_noise_that_was_learnt(
    paid: Paid, resilience: Any, origin: ErrorOrigin
) -> None:
    """Nearer to the noiseless value, where without it the noise of ten gates shows; and it costs more."""
    await paid.control.settings(noise=True)

    raw = await paid.service.run(_work(times=_TIMES))
    await paid.control.forget_log()
    mitigated = await paid.service.run(_work(resilience(learnt("ibm_lima", _PAIR)), _TIMES))

    before, after = _results(raw), _results(mitigated)
    wrong, left = _off(before), _off(after)
    assert {(result.shape, result.error_origin) for result in after} == {((), origin)}
    assert wrong > Z_BOUND * max(result.stds.values[0] for result in before)
    assert min(result.stds.values[0] for result in after) > 0
    assert left < wrong / 2 if origin is ErrorOrigin.ENSEMBLE else left < wrong
    # The error of a fit is its own alone, and does not count that the truth is no straight line.
    if origin is ErrorOrigin.ENSEMBLE:
        assert all(_off([result]) < Z_BOUND * result.stds.values[0] for result in after)
    assert mitigated.qpu_seconds > raw.qpu_seconds
    (record,), (without,) = mitigated.provider_jobs, raw.provider_jobs
    assert record.estimated is not None
    assert without.estimated is not None
    assert record.estimated.high > without.estimated.high
    for report, expected in ((mitigated, record.estimated), (raw, without.estimated)):
        assert report.qpu_seconds is not None
        assert expected.low <= report.qpu_seconds <= expected.high
    (body,) = await _sent(paid)
    asked = body["params"]["quantum_program"]["passthrough_data"]["post_processor"]["options"]["resilience"]
    assert asked["pec_mitigation"] is (origin is ErrorOrigin.ENSEMBLE)
    assert asked["zne"]["amplifier"] == ("pea" if origin is ErrorOrigin.EXTRAPOLATION else "gate_folding")
    assert body["program_id"] == "executor"


@pytest.mark.parametrize(
    ("noise", "says"),
    [
        ((), ("layer_noise_model", "QURABLE_IBM_PRIMITIVES=v2", "gate folding")),
        ((LayerNoise(gates=((1, 2),), rates=(("X", (1,), 0.1),)),), ("[[0, 1]]", "NoiseLearnerV3")),
        ((LayerNoise(gates=((1, 0),), rates=(("X", (3,), 0.1),)),), ("beyond the layer's own qubits",)),
    ],
    ids=["none", "of another layer", "on other qubits"],
)
@pytest.mark.parametrize("resilience", [_pec, _pea], ids=["PEC", "PEA"])
async def test_what_has_no_noise_to_go_by_is_refused_before_anything_is_paid(
    paid: Paid, resilience: Any, noise: tuple[LayerNoise, ...], says: tuple[str, ...]
) -> None:
    """A layer without its noise would run as if it had none."""
    error = await paid.refused(_work(resilience(*noise)))

    assert isinstance(error, JobFailed)
    assert error.error.code == "RequestRejected"
    for words in says:
        assert words in error.error.message
    assert await paid.taken() == []


@pytest.mark.long
@pytest.mark.parametrize("resilience", [_pec, _pea], ids=["PEC", "PEA"])
async def test_the_older_generation_asks_the_provider_to_learn(
    paid_stack: PaidStack, resilience: Any
) -> None:
    """The option travels as it is; the emulator, which learns nothing, says so rather than running without."""
    async with paid_stack(ibm_primitives=Generation.V2) as paid:
        await paid.control.forget_log()
        error = await paid.refused(_work(resilience()))
        sent = await _sent(paid)
        given = await paid.refused(_work(resilience(learnt("ibm_lima", _PAIR))))

        asked = sent[0]["params"]["options"]["resilience"]
        assert asked.get("pec_mitigation") is True or asked["zne"]["amplifier"] == "pea"
        assert sent[0]["program_id"] == "estimator"
        assert isinstance(error, JobFailed)
        assert "learns the device's noise first" in error.error.message
        assert isinstance(given, JobFailed)
        assert "QURABLE_IBM_PRIMITIVES=executor" in given.error.message
        assert await paid.taken() == []


async def test_the_model_is_refused_where_nothing_goes_by_it(paid: Paid) -> None:
    """It would do nothing."""
    error = await paid.refused(_work(Resilience(layer_noise_model=(learnt("ibm_lima", _PAIR),))))

    assert isinstance(error, JobFailed)
    assert "neither PEC nor PEA is on" in error.error.message


@pytest.mark.parametrize(
    "rate",
    [
        ("X", (0, 1), 0.1),
        ("XX", (0, 0), 0.1),
        ("I", (0,), 0.1),
        ("", (), 0.1),
        ("Z", (0,), -0.1),
        ("Z", (0,), float("nan")),
        ("Z", (0,), float("inf")),
    ],
)
def test_rates_are_those_of_paulis(rate: Any) -> None:
    """Each letter has a qubit of its own, and a rate is 0 or more."""
    with pytest.raises(ValueError, match="rate"):
        LayerNoise(gates=((0, 1),), rates=(rate,))
