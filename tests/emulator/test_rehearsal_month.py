"""A month of weather from a profile and a seed."""

import itertools
import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from emulator.rehearsal_month import Profile, drawn, read_profile
from qurable.errors import RequestRejected

DAY = 86400.0
DEVICES = ("ibm_brisbane", "ibm_torino")


def test_the_same_seed_draws_the_same_month() -> None:
    """Two rehearsals are compared by what was changed between them, not by their luck."""
    profile = Profile()

    assert drawn(profile, 7, 20, DEVICES) == drawn(profile, 7, 20, DEVICES)
    assert drawn(profile, 7, 20, DEVICES) != drawn(profile, 8, 20, DEVICES)


def test_one_part_of_the_weather_leaves_the_others_as_they_were() -> None:
    """More outages are more outages, and not also other queues; nor does another device change them."""
    fair, stormy = drawn(Profile(), 7, 20, DEVICES), drawn(Profile(outages=30), 7, 20, DEVICES)
    alone = drawn(Profile(), 7, 20, DEVICES[:1])

    assert len(stormy.outages) == 30
    assert (stormy.moments, stormy.maintenance, stormy.calibrations) == (
        fair.moments,
        fair.maintenance,
        fair.calibrations,
    )
    assert [moment.queue_seconds["ibm_brisbane"] for moment in alone.moments] == [
        moment.queue_seconds["ibm_brisbane"] for moment in fair.moments
    ]


def test_moments_are_spread_over_the_month_in_order() -> None:
    """Each lies in its own twentieth, so that no week is left out."""
    month = drawn(Profile(days=10), 3, 20, DEVICES)

    assert [int(moment.at // (DAY / 2)) for moment in month.moments] == list(range(20))


def test_queues_follow_hour_and_weekday() -> None:
    """The median of many waits is the profile's median times what the hour and the day make of it.

    The median of n log-normal values has a relative standard error of 1.25 spread / sqrt(n): with 1,400 of them and a
    spread of 0.5 that is 1.7 %; five of those are allowed.
    """
    profile = Profile(
        days=7,
        queue_median_minutes=10,
        queue_spread=0.5,
        by_hour=(1.0,) * 12 + (3.0,) * 12,
        by_weekday=(1.0,) * 5 + (0.5,) * 2,
    )
    moments = drawn(profile, 5, 7000, DEVICES[:1]).moments

    def median(weekend: bool, afternoon: bool) -> float:
        return statistics.median(
            moment.queue_seconds["ibm_brisbane"]
            for moment in moments
            if (moment.at >= 5 * DAY) is weekend and (moment.at % DAY >= DAY / 2) is afternoon
        )

    assert median(weekend=False, afternoon=False) == pytest.approx(600, rel=0.085)
    assert median(weekend=False, afternoon=True) == pytest.approx(1800, rel=0.085)
    assert median(weekend=True, afternoon=True) == pytest.approx(900, rel=0.11)


def test_windows_have_lengths_within_their_bounds() -> None:
    """Maintenance belongs to a device, an outage to all of them."""
    month = drawn(Profile(outages=50, maintenance_windows=4), 1, 1, DEVICES)

    assert all(300 <= window.ends - window.begins <= 3600 for window in month.outages)
    assert all(2 * 3600 <= window.ends - window.begins <= 8 * 3600 for window in month.maintenance)
    assert sorted(window.device for window in month.maintenance) == sorted(DEVICES * 4)
    assert [window.begins for window in month.maintenance] == sorted(
        window.begins for window in month.maintenance
    )


def test_each_device_is_calibrated_at_its_own_time_again_and_again() -> None:
    """28 days, once a day, two devices; none where the profile says so."""
    month = drawn(Profile(), 1, 1, DEVICES)
    times = [at for at, device in month.calibrations if device == "ibm_torino"]

    assert len(times) == 28
    assert {round(later - sooner) for sooner, later in itertools.pairwise(times)} == {86400}
    assert drawn(Profile(calibration_hours=0), 1, 1, DEVICES).calibrations == ()


def test_a_profile_names_only_what_differs(tmp_path: Path) -> None:
    """The rest is the default's."""
    file = tmp_path / "month.json"
    file.write_text(json.dumps({"outages": 9}), encoding="utf-8")

    assert read_profile(file) == Profile(outages=9)
    assert read_profile(None) == Profile()


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"outage": 1}, "outage: Extra inputs"),
        ({"by_hour": [1, 2]}, "by_hour has 2 factors; give 24"),
        ({"outage_minutes": [9, 5]}, r"outage_minutes \(9, 5\) must be the shortest, then the longest"),
        ({"calibration_hours": 0.001}, "calibration_hours=0.001 must be 0 for none, or at least 1"),
        ({"server_errors": 0.9}, "server_errors: Input should be less than or equal to 0.5"),
        ([1], "is not acceptable"),
    ],
)
def test_a_profile_that_cannot_be_is_refused(tmp_path: Path, document: Any, named: str) -> None:
    """With the field, before anything is started."""
    file = tmp_path / "month.json"
    file.write_text(json.dumps(document), encoding="utf-8")

    with pytest.raises(RequestRejected, match=named):
        read_profile(file)


def test_a_file_that_is_no_profile_is_named(tmp_path: Path) -> None:
    """Missing, or no JSON."""
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")

    with pytest.raises(RequestRejected, match=r"missing\.json' cannot be read: No such file"):
        read_profile(tmp_path / "missing.json")
    with pytest.raises(RequestRejected, match=r"broken\.json' is no JSON"):
        read_profile(tmp_path / "broken.json")
