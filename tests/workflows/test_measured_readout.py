"""Readout errors are measured by circuits that ride with one job, and correct the counts of all who ask at the same time."""

import asyncio
from typing import Any

import pytest

from circuits.readout import readout_errors
from fallback.solvers.protocol import absent
from qurable.contracts.calibrations import MeasuredErrors
from qurable.contracts.reports import JobReport, State
from qurable.contracts.results import SampleResult
from qurable.contracts.targets import TargetDocument
from qurable.names import Activity
from qurable.requests import sample
from store import artifacts
from tests.conftest import Service
from tests.paid import DEVICE, Paid
from tests.workflows.test_mitigation import _distance, _flips

pytestmark = pytest.mark.skipif(bool(absent(["mthree"])), reason="mthree has no wheel for this Python")

_SHOTS = 4_000


def _job(layout: tuple[int, ...], mitigation: Any, **options: Any) -> Any:
    wishes: dict[str, Any] = {
        "shots": _SHOTS,
        "backend": "fake_manila",
        "transpile": {"layout": layout},
    } | options
    return sample(_flips(), mitigation=mitigation, **wishes)


def _sampled(report: JobReport) -> SampleResult:
    (result,) = report.results
    assert isinstance(result, SampleResult)
    return result


def _off(report: JobReport) -> tuple[float, float]:
    """Total variation from the truth, as it was read and after mitigation."""
    result = _sampled(report)
    raw = {word: count / result.shots for word, count in result.counts().items()}
    return _distance(raw), _distance(result.quasi())


async def test_one_job_measures_for_all_who_ask_at_the_same_time(service: Service) -> None:
    """Later ones use it as long as it is not too old; counts are what they would be without."""
    wish, layout = {"readout": "measured", "max_age": "1h"}, (1, 2, 3)
    together = await asyncio.gather(*(service.run(_job(layout, wish, seed=seed)) for seed in (5, 6, 7)))
    later = await service.run(_job(layout, wish, seed=8))
    anew = await service.run(_job(layout, {"readout": "measured", "max_age": 0.001}, seed=9))
    plain = await service.run(_job(layout, {}, seed=5))

    records = [report.mitigation for report in (*together, later, anew)]
    assert all(
        record is not None and record.readout == "measured" and not record.skipped for record in records
    )
    measured = [record for record in records if record is not None]
    assert [record.rode for record in measured[3:]] == [False, True]
    assert sum(record.rode for record in measured[:3]) == 1
    assert len({record.calibration for record in measured[:4]}) == 1
    assert measured[4].calibration != measured[0].calibration
    assert all(record.calibration_shots == 8_000 for record in measured)
    for report in (*together, later, anew):
        raw, mitigated = _off(report)
        assert mitigated < raw / 2
    assert _sampled(together[0]).counts() == _sampled(plain).counts()
    assert "measured calibration of 8,000 shots" in str(measured[0])


@pytest.mark.long
async def test_what_is_measured_is_what_the_device_does(service: Service) -> None:
    """Within 5 standard errors of the rates that its noise is simulated from."""
    report = await service.run(_job((4, 3, 2), {"readout": "measured", "calibration_shots": 40_000}, seed=3))
    assert report.mitigation is not None
    assert report.provenance is not None
    keys = (str(report.mitigation.calibration), str(report.provenance.target))
    bodies = await service.database.read(artifacts.get, keys)
    found = MeasuredErrors.read(bodies[keys[0]])
    reported = readout_errors(TargetDocument.read(bodies[keys[1]]))

    assert sorted(found.errors) == [2, 3, 4]
    for qubit, rates in found.errors.items():
        for rate, known in zip(rates, reported[qubit], strict=True):
            # The gate that prepares a 1 errs too, by less than a thousandth.
            assert abs(rate - known) < 5 * (known * (1 - known) / 20_000) ** 0.5 + 0.001


async def test_where_nothing_is_misread_nothing_is_measured(service: Service) -> None:
    """The reason is told, and nothing rides."""
    report = await service.run(_job((0, 1, 2), {"readout": "measured"}, backend="aer", transpile={}))

    assert report.state is State.COMPLETED
    assert report.mitigation is not None
    assert "reads without errors" in report.mitigation.skipped
    assert not report.mitigation.rode


async def test_calibration_circuits_ride_in_the_same_paid_job_at_a_stated_cost(paid: Paid) -> None:
    """The first pays for them; the second finds what they measured, waits for nobody and pays for its own alone."""
    await paid.control.settings(noise=True)
    wish: dict[str, Any] = {"readout": "measured", "max_age": "1h", "calibration_shots": 16_000}
    first = await paid.service.run(_job((0, 1, 2), wish, backend=DEVICE))
    second = await paid.service.run(_job((0, 1, 2), wish, backend=DEVICE))

    _, (part,) = await paid.rows(first)
    _, (part_alone,) = await paid.rows(second)
    assert len(await paid.taken()) == 2
    assert [piece.pub for piece in part.slices] == [0, 1, 2, 3, 4]
    assert [piece.pub for piece in part_alone.slices] == [0]
    assert first.mitigation is not None
    assert second.mitigation is not None
    assert (first.mitigation.rode, second.mitigation.rode) == (True, False)
    assert first.mitigation.calibration == second.mitigation.calibration
    assert part.estimate is not None
    assert first.mitigation.qpu_seconds == pytest.approx(part.estimate.high * 4 / 5)
    assert second.mitigation.qpu_seconds is None
    assert Activity.AWAIT_CALIBRATION not in {stage.stage for stage in second.stages}
    for report in (first, second):
        raw, mitigated = _off(report)
        assert mitigated < raw / 2
