"""What happens by itself does not depend on who looks when."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emulator.billing import paid
from emulator.devices import Device
from emulator.jobs import COMPLETED, FINAL, Job, Session
from emulator.settings import Settings
from emulator.snapshots import Snapshot
from emulator.timeline import Timeline

SECONDS = st.integers(0, 60).map(float)
END = 10_000.0

ASKED = st.lists(
    st.fixed_dictionaries(
        {
            "earliest": SECONDS,
            "qpu_seconds": st.integers(1, 60).map(float),
            "cost": st.none() | st.just(20.0),
            "computed": SECONDS,
            "session_id": st.none() | st.just("s"),
            "failure": st.none() | st.just("OutOfMemory: it needed more"),
        }
    ),
    min_size=1,
    max_size=6,
)


def made(asked: list[dict[str, Any]], mode: str, max_ttl: float) -> tuple[Timeline, list[Job], Session]:
    """A device with these jobs, all accepted at time 0, some of them in a session."""
    jobs = [
        Job(
            id=f"d{number}",
            number=number,
            user="u",
            instance="i",
            backend="ibm_one",
            program="sampler",
            params_bytes=0,
            tags=[],
            private=False,
            calibration_id=None,
            accepted=0.0,
            tagged=0.0,
            calibrated=0.0,
            seed=number,
            noise=True,
            estimate_seconds=fields["qpu_seconds"],
            **fields,
        )
        for number, fields in enumerate(asked)
    ]
    session = Session("s", 1, "u", "i", "ibm_one", mode, max_ttl, 15.0, 0.0)
    devices: Any = [Device(Snapshot("ibm_one", 1, Path(), Path()))]
    return Timeline(devices, lambda: Settings(prepare_seconds=3), jobs, [session]), jobs, session


@given(
    ASKED,
    st.sampled_from(["dedicated", "batch"]),
    st.sampled_from([50.0, 1000.0]),
    st.lists(st.floats(0, 300), max_size=20),
)
def test_a_day_at_once_is_the_same_day(
    asked: list[dict[str, Any]], mode: str, max_ttl: float, looks: list[float]
) -> None:
    """Ends, order, sessions and bills are equal, whether somebody polls or the clock jumps."""
    polled, at_once = made(asked, mode, max_ttl), made(asked, mode, max_ttl)
    for look in sorted(looks):
        polled[0].advance(look)
    for timeline, _, _ in (polled, at_once):
        timeline.advance(END)

    assert [job.document() for job in polled[1]] == [job.document() for job in at_once[1]]
    assert polled[2].document() == at_once[2].document()


@given(ASKED, st.sampled_from(["dedicated", "batch"]), st.sampled_from([50.0, 1000.0]))
def test_a_device_runs_one_job_at_a_time_and_every_job_ends(
    asked: list[dict[str, Any]], mode: str, max_ttl: float
) -> None:
    """And what is billed is what was on the QPU, or the session's active time."""
    timeline, jobs, session = made(asked, mode, max_ttl)
    timeline.advance(END)

    ran = sorted((job.started, job.finished) for job in jobs if job.started is not None)
    assert all(before[1] <= after[0] for before, after in pairwise(ran))  # type: ignore[operator]
    assert all(job.status in FINAL for job in jobs)
    for job in jobs:
        lasted = min(job.qpu_seconds, job.limit_seconds) if job.started is not None else 0.0
        assert abs(job.qpu_time(END) - lasted) < 1e-6
        assert job.status != COMPLETED or job.failure is None
        assert job.status != COMPLETED or job.computed <= job.finished  # type: ignore[operator]
        assert job.started is None or job.started >= (0 if job.session_id else job.earliest)
    bill = paid(jobs, {"s": session}, 2.0, END)
    outside = sum(job.qpu_time(END) for job in jobs if mode == "batch" or job.session_id is None)
    assert abs(bill.qpu_seconds - outside - (session.active_time(END) if mode == "dedicated" else 0)) < 1e-6
    assert bill.price == 2 * bill.qpu_seconds


@given(ASKED, st.sampled_from([50.0, 1000.0]))
def test_nobody_runs_in_another_ones_session(asked: list[dict[str, Any]], max_ttl: float) -> None:
    """A dedicated session has the device from its first job until it goes idle or closes."""
    timeline, jobs, session = made(asked, "dedicated", max_ttl)
    timeline.advance(END)

    spans = [
        (start, end)
        for (state, start), (_, end) in pairwise([*session.transitions, ["end", END]])
        if state == "active"
    ]
    for job in jobs:
        if job.session_id is None and job.started is not None and job.finished is not None:
            assert all(job.finished <= start or job.started >= end for start, end in spans)
