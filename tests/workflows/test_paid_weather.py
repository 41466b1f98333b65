"""Bad input and bad weather at a place that costs money: each has its class, its way out, and is told within seconds."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from qurable.contracts.ibm import IbmOptions, Resilience, Twirling
from qurable.contracts.jobs import TranspileOptions
from qurable.contracts.reports import State
from qurable.contracts.results import SampleResult
from qurable.errors import HybridError, JobFailed
from qurable.requests import estimate, sample
from tests.chaos.harness import until
from tests.circuits_at_hand import BELL
from tests.paid import DEVICE, Paid
from tests.workflows.test_paid_cancel import bell

_SUBMIT = "POST /jobs"
_TOKEN = "POST /identity/token"
_WIDE = BELL.replace("q[2]", "q[6]").replace("c[2]", "c[6]")
_TURN = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float turn;\nqubit q;\nbit[1] c;\nrx(turn) q;\nc[0] = measure q;\n'


def _document(error: HybridError) -> Any:
    """Class and message of what ended a job."""
    return error.error if isinstance(error, JobFailed) else error.document()


@dataclass(frozen=True)
class Bad:
    """A request that is refused before anything is paid.

    Attributes:
        name: Of the row.
        work: The job.
        code: Class of the error.
        says: Words of the message: the thing, the limit, the way out.
    """

    name: str
    work: Any
    code: str
    says: tuple[str, ...] = ()


def _two(**options: Any) -> Any:
    return sample(BELL, shots=100, backend=DEVICE, **options)


_BAD = [
    Bad(
        "unknown device",
        sample(BELL, backend="ibm:manilla"),
        "UnknownBackend",
        ("'ibm_manilla'", "ibm_manila"),
    ),
    Bad("too wide", sample(_WIDE, backend=DEVICE), "UnsupportedCircuit", ("6 qubits", "5", DEVICE)),
    Bad(
        "a layout beyond the device",
        _two(transpile=TranspileOptions(layout=(3, 77))),
        "UnsupportedCircuit",
        ("77",),
    ),
    Bad(
        "exact values",
        estimate((BELL, "ZZ"), precision=0, backend=DEVICE),
        "UnsupportedCircuit",
        ("exact", "'aer'"),
    ),
    Bad(
        "max_time without a session",
        _two(ibm=IbmOptions(max_time="PT5M")),
        "RequestRejected",
        ("'max_time'", "'session'"),
    ),
    Bad("rep_delay out of range", _two(ibm=IbmOptions(rep_delay=10.0)), "RequestRejected", ("'rep_delay'",)),
    Bad(
        "fractional gates that are not there",
        _two(ibm=IbmOptions(use_fractional_gates=True)),
        "UnsupportedCircuit",
        ("fractional", "leave out"),
    ),
    Bad(
        "a level for samples",
        _two(ibm=IbmOptions(resilience_level=1)),
        "RequestRejected",
        ("resilience_level",),
    ),
    Bad(
        "more twirls than shots",
        _two(
            ibm=IbmOptions(
                twirling=Twirling(enable_gates=True, num_randomizations=50, shots_per_randomization=50)
            )
        ),
        "RequestRejected",
        ("twirling",),
    ),
    Bad(
        "somebody else's account",
        sample(BELL, backend="ibm:manila@lab"),
        "RequestRejected",
        ("'lab'", "ibm:manila"),
    ),
    Bad(
        "PEC and extrapolation",
        estimate(
            (BELL, "ZZ"),
            backend=DEVICE,
            ibm=IbmOptions(resilience=Resilience(zne_mitigation=True, pec_mitigation=True)),
        ),
        "RequestRejected",
        ("pec",),
    ),
]


@pytest.mark.parametrize("bad", _BAD, ids=lambda bad: bad.name)
async def test_what_cannot_run_is_refused_before_anything_is_paid(paid: Paid, bad: Bad) -> None:
    """The provider is asked about its devices at most."""
    error = _document(await paid.refused(bad.work))

    assert error.code == bad.code, error.message
    for words in bad.says:
        assert words in error.message
    assert await paid.taken() == []
    assert await paid.sessions() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_execution_time", 0), ("max_execution_time", 10_801), ("resilience_level", 3), ("private", True)],
)
def test_options_out_of_range_are_refused_by_the_contract(field: str, value: Any) -> None:
    """Before the request leaves whoever asks; private jobs say why they are."""
    with pytest.raises(ValueError, match="private jobs are not supported" if field == "private" else field):
        IbmOptions(**{field: value})


async def test_too_many_values_for_one_job_become_several_in_order(paid: Paid) -> None:
    """IBM takes five million executions in a job; the results come back as one array, in the order of the values."""
    await paid.control.settings(speed=2000.0)  # six million shots take half an hour on the device
    angles = {"turn": np.repeat([0.0, np.pi], 3).tolist()}

    report = await paid.service.run(sample((_TURN, angles), shots=1_000_000, backend=DEVICE))

    (result,) = report.results
    assert isinstance(result, SampleResult)
    assert len(await paid.taken()) == len(report.provider_jobs) > 1
    assert result.shape == (6,)
    ones = [result.register().counts(index).get("1", 0) for index in range(6)]
    assert ones == [0, 0, 0, 1_000_000, 1_000_000, 1_000_000]
    assert report.qpu_seconds == pytest.approx(
        sum(record.qpu_seconds or 0 for record in report.provider_jobs)
    )


@dataclass(frozen=True)
class Weather:
    """Something that is wrong at the provider.

    Attributes:
        name: Of the row.
        faults: As the control API takes them, with their routes.
        device: Changes of the device.
        settings: Of the emulator.
        code: Class of the error that ends the job; empty where the job is answered all the same.
        says: Words of the message.
    """

    name: str
    faults: tuple[Mapping[str, Any], ...] = ()
    device: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    says: tuple[str, ...] = ()


def _on(route: str, status: int, **details: Any) -> Mapping[str, Any]:
    return {"route": route, "mode": "status", "status": status, **details}


_WEATHER = [
    Weather("429 while it is polled", (_on("GET /jobs/{id}", 429, times=3),)),
    Weather(
        "maintenance",
        device={"status": "maintenance", "reason": "cooling"},
        code="TargetClosed",
        says=("maintenance", "choose another"),
    ),
    Weather(
        "reserved", device={"status": "reserved"}, code="TargetClosed", says=("dedicated", "choose another")
    ),
    Weather(
        "usage limit",
        settings={"usage_limit_seconds": 0.0},
        code="UsageExhausted",
        says=("usage limit", "raise"),
    ),
    Weather("usage limit at the POST", (_on(_SUBMIT, 409),), code="UsageExhausted", says=("409", "raise")),
    Weather("instance refused", (_on(_SUBMIT, 403),), code="AccountRefused", says=("403", "instance")),
    Weather("503 for a moment", (_on("GET /backends/{name}/status", 503, times=2),)),
    Weather("IAM down for a moment", (_on(_TOKEN, 503, times=1),)),
]


@pytest.mark.parametrize("weather", _WEATHER, ids=lambda weather: weather.name)
async def test_bad_weather_has_its_class_or_is_waited_for(paid: Paid, weather: Weather) -> None:
    """A refusal ends the job with the way out; what passes by itself is no failure."""
    if weather.settings:
        await paid.control.settings(**weather.settings)
    if weather.device:
        await paid.control.device("ibm_manila", **weather.device)
    for fault in weather.faults:
        await paid.control.call("POST", "/faults", fault)

    if weather.code:
        error = _document(await paid.refused(bell()))
        assert error.code == weather.code, error.message
        assert all(words in error.message for words in weather.says), error.message
        assert await paid.taken() == []
    else:
        report = await paid.service.run(bell())
        assert report.state is State.COMPLETED
        await paid.one()


async def test_a_token_that_expires_in_the_queue_is_renewed(paid: Paid) -> None:
    """Jobs wait for longer than tokens live."""
    await paid.control.settings(hold=True)
    job = await paid.service.qurable.submit(bell())
    await paid.until_ended(job, "await_start-0", "waiting")
    await paid.control.tokens(revoke=True)
    await paid.control.settings(hold=False)
    report = await asyncio.wait_for(job.result(), 60)

    assert report.state is State.COMPLETED
    await paid.one()


async def test_a_key_that_is_withdrawn_in_the_queue_stops_nothing_once_it_is_good_again(paid: Paid) -> None:
    """The job is paid for: whoever cannot be asked now is asked again, until the job's own limits."""
    await paid.control.settings(hold=True)
    job = await paid.service.qurable.submit(bell())
    await paid.until_ended(job, "await_start-0", "waiting")
    await paid.control.tokens(revoke=True, accept=["another key"])

    async def told() -> bool:
        return "API key" in (await job.status()).last_failure

    await until("the job's status says why nobody can be asked", told, 60)
    await paid.control.tokens(revoke=False, accept=None)
    await paid.control.settings(hold=False)
    report = await asyncio.wait_for(job.result(), 60)

    assert report.state is State.COMPLETED
    await paid.one()


@pytest.mark.long
async def test_an_outage_of_everything_is_an_outage_and_no_lack_of_devices(paid: Paid) -> None:
    """The client takes a list that it could not read for an empty one."""
    await paid.control.fault("GET /backends", "outage", times=None)

    error = _document(await paid.refused(sample(BELL, shots=100, backend="ibm")))

    assert error.code == "TargetUnavailable"
    assert "503" in error.message


@pytest.mark.long
async def test_a_provider_whose_clock_is_a_day_ahead_changes_nothing(paid: Paid) -> None:
    """Queue times are the provider's own; limits and polls go by ours."""
    await paid.control.advance(86_400)

    report = await paid.service.run(bell())

    assert report.state is State.COMPLETED
    assert 0 < report.durations.queue < 60
    assert report.durations.total < 60


@pytest.mark.long
async def test_a_sign_in_that_is_down_is_told_within_seconds(paid: Paid) -> None:
    """The client would wait for a minute at every call, and send the API key itself."""
    await paid.control.tokens(revoke=True)
    await paid.control.fault(_TOKEN, "status", status=503, times=None)

    error = _document(await paid.refused(bell()))

    assert error.code == "TargetUnavailable"
    assert "503" in error.message
