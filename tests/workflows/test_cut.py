"""Cuts: a circuit in fragments that are jobs of their own, put together again with error bars."""

import asyncio
from typing import Any

import pytest

from qurable.contracts.cutting import CutReport, CutState
from qurable.contracts.results import ErrorOrigin
from qurable.errors import JobFailed, JobNotFound, KeyReused, RequestRejected
from qurable.requests import sample
from tests.conftest import Service
from tests.cut_at_hand import HALF, MARGINALS, WANTED, exact_marginal, exact_values, two_halves

_SECONDS = 150
_SIGMAS = 4.0
"""Of 7 values with fixed seeds: a false alarm has a chance below 10^-3."""

ASKED: dict[str, Any] = {"backend": "aer", "cut": {"qubits": HALF}, "shots": 500, "seed": 5}


def assert_agrees(report: CutReport) -> None:
    """Every value is that of the whole circuit, within its error bar."""
    circuit = two_halves()
    assert report.evs is not None
    assert report.stds is not None
    for value, error, exact in zip(report.evs.values, report.stds.values, exact_values(circuit), strict=True):
        assert 0 < error < 0.2
        assert abs(value - exact) < _SIGMAS * error
    for marginal in report.marginals:
        exact_of = exact_marginal(circuit, marginal.qubits)
        assert sum(marginal.probabilities.values()) == pytest.approx(1.0)
        for outcome, exact in exact_of.items():
            assert abs(marginal.probabilities[outcome] - exact) < _SIGMAS * marginal.errors[outcome]


async def test_a_circuit_twice_as_wide_as_the_fragments_agrees_with_the_whole(service: Service) -> None:
    """What cutting is for; the report says where it was cut, at what overhead, and which jobs ran it."""
    async with asyncio.timeout(_SECONDS):
        price = await service.qurable.price_cut((two_halves(), WANTED), marginals=MARGINALS, **ASKED)
        cut = await service.qurable.cut((two_halves(), WANTED), marginals=MARGINALS, **ASKED)
        report = await cut.report()
        status = await service.qurable.attach_cut(cut.id).status()
        jobs = [await service.qurable.read_report(end.job_id) for end in report.fragments]

    assert_agrees(report)
    assert (report.state, report.error_origin, report.shape) == (
        CutState.COMPLETED,
        ErrorOrigin.BOOTSTRAP,
        (len(WANTED),),
    )
    (place,) = report.price.cuts
    assert (place.kind, place.gate, place.qubits, report.price.overhead) == ("gate", "cx", (1, 2), 9.0)
    assert [piece.qubits for piece in report.price.fragments] == [(0, 1), (2, 3)]
    assert price.model_copy(update={"estimate": report.price.estimate}) == report.price
    assert price.estimate.run_seconds is not None
    assert [end.name for end in report.fragments] == ["A", "B"] == sorted(end.name for end in status.ended)
    assert sum(sum(result.shots for result in job.results) for job in jobs) == price.shots
    assert {job.labels["cut"] for job in jobs} == {cut.id}


async def test_equal_keys_are_one_cut_and_equal_seeds_one_answer(service: Service) -> None:
    """A second submit pays nothing; another body under the key is refused."""
    async with asyncio.timeout(_SECONDS):
        first = await (await service.qurable.cut((two_halves(), WANTED), key="once", **ASKED)).report()
        same = await service.qurable.cut((two_halves(), WANTED), key="once", **ASKED)
        again = await same.report()
        with pytest.raises(KeyReused):
            await service.qurable.cut((two_halves(), WANTED[:1]), key="once", **ASKED)
        other = await (await service.qurable.cut((two_halves(), WANTED), key="twice", **ASKED)).report()

    assert again == first
    assert other.id != first.id
    assert (other.evs, other.stds) == (first.evs, first.stds)


async def test_a_circuit_that_fits_runs_whole(service: Service) -> None:
    """Cutting costs; nobody pays for it where there is no need."""
    asked = {**ASKED, "cut": {"qubits": 4}, "shots": 4000}
    async with asyncio.timeout(_SECONDS):
        cut = await service.qurable.cut((two_halves(), WANTED), marginals=MARGINALS, **asked)
        report = await cut.report()

    assert_agrees(report)
    assert report.price.whole
    assert report.error_origin is ErrorOrigin.SHOTS
    assert [end.name for end in report.fragments] == ["whole"]
    assert "was not cut" in report.warnings[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"cut": {"qubits": HALF, "max_overhead": 8}},
            r"overhead of 9, in 1 cuts; the limit is 8: .*max_overhead",
        ),
        (
            {"cut": {"qubits": 1, "gates": False}},
            "no cuts bring circuit 'two_halves' to fragments of 1 qubits",
        ),
        ({"cut": {}}, r"'aer' has no width of its own: .*cut.qubits"),
        ({"shots": None, "precision": 1e-3}, r"takes .* shots of one experiment .*precision of"),
        ({"marginals": ((0, 7),)}, "on 8 qubits, circuit 'two_halves' has 4"),
    ],
)
async def test_what_cannot_be_cut_is_refused_with_the_number_and_the_way_out(
    service: Service, options: dict[str, Any], words: str
) -> None:
    """Before anything is run."""
    asked = {**ASKED, **options}
    if "precision" in options:
        del asked["shots"]
    async with asyncio.timeout(_SECONDS):
        cut = await service.qurable.cut((two_halves(), WANTED), **asked)
        with pytest.raises(JobFailed, match=words):
            await cut.report()
        with pytest.raises(JobNotFound):
            await cut.failed_report()


async def test_sampling_is_refused_with_the_reason(service: Service) -> None:
    """Fragments give no shots of the whole."""
    circuit = two_halves()
    circuit.measure_all()

    with pytest.raises(RequestRejected, match="cannot be sampled"):
        await service.qurable.cut(sample(circuit))
