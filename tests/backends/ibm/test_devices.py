"""What is told of devices is what they say now, and an outage is never «no devices»."""

from typing import Any

import pytest

from qurable.contracts.targets import TargetDocument
from qurable.errors import (
    TargetUnavailable,
    UnknownBackend,
)
from tests.backends.ibm.driving import DEVICE, Driver

WIDE = "ibm_torino"


async def test_devices_are_told_with_the_queue_of_this_moment(driver: Driver) -> None:
    """The client ranks by a list that it fetched before, which sends a job to the longest queue."""
    await driver.ask("devices", min_qubits=100)
    await driver.emulator.control.device(WIDE, queue_length=7)

    found = {entry["name"]: entry for entry in await driver.ask("devices", min_qubits=100)}

    assert found[WIDE] == {
        "name": WIDE,
        "qubits": 133,
        "operational": True,
        "message": "active",
        "pending_jobs": 7,
    }
    assert DEVICE not in found
    await driver.emulator.control.device(WIDE, queue_length=0)


async def test_a_device_whose_status_cannot_be_read_is_not_chosen(driver: Driver) -> None:
    """One odd device is no outage of all."""
    await driver.emulator.control.fault(f"GET /backends/{WIDE}/status", "status", status=500)

    found = {entry["name"]: entry for entry in await driver.ask("devices", min_qubits=100)}

    assert found[WIDE]["operational"] is False
    assert found["ibm_fez"]["operational"] is True


@pytest.mark.parametrize(
    "fault", [{"mode": "status", "status": 500}, {"mode": "body", "body": "{}"}, {"mode": "drop"}]
)
async def test_a_list_of_devices_that_cannot_be_read_is_an_outage(
    driver: Driver, fault: dict[str, Any]
) -> None:
    """By itself the client calls it an empty list, and «no devices» would end the job."""
    await driver.emulator.control.fault("GET /backends", times=3, **fault)

    assert isinstance(await driver.refused("devices", min_qubits=1), TargetUnavailable)


async def test_a_list_without_any_device_is_an_outage(driver: Driver) -> None:
    """No account has none: the service lists nothing where it is down behind its gateway."""
    await driver.emulator.control.fault("GET /backends", "body", body='{"devices": []}', times=3)

    assert isinstance(await driver.refused("devices", min_qubits=1), TargetUnavailable)
    await driver.emulator.control.clear()
    assert await driver.ask("devices", min_qubits=1_000_000) == []


async def test_a_device_is_read_in_full(driver: Driver) -> None:
    """With or without its prefix; a device without fractional gates has no target with them."""
    found = await driver.ask("device", device="manila")

    document = TargetDocument.model_validate_json(found["document"])
    assert found["name"] == DEVICE
    assert found["qubits"] == document.num_qubits == 5
    assert found["fractional_document"] is None
    assert found["calibrated"].endswith("+00:00")
    assert found["max_shots"] > 0
    assert found["max_circuits"] > 0
    assert found["dt"] == document.dt
    assert found["operational"] is True
    fractional = await driver.ask("device", device="ibm_fractional")
    with_them = TargetDocument.model_validate_json(fractional["fractional_document"])
    without = TargetDocument.model_validate_json(fractional["document"])
    assert {one.name for one in with_them.operations} - {one.name for one in without.operations} >= {"rzz"}


async def test_a_new_calibration_is_seen_by_a_child_that_knows_the_old_one(driver: Driver) -> None:
    """Children live long, and circuits are compiled for the device as it is now."""
    before = await driver.ask("device", device="ibm_lima")
    state = await driver.emulator.control.state()
    await driver.emulator.control.device("ibm_lima", calibrate_at=state["clock"]["now"])

    after = await driver.ask("device", device="ibm_lima")

    assert after["calibrated"] != before["calibrated"]
    assert after["document"] != before["document"]


async def test_an_unknown_device_is_told_with_near_names(driver: Driver) -> None:
    """A typing error is the usual reason; in a submission too."""
    for task, payload in (
        ("device", {"device": "brisbana"}),
        ("post", driver.posting("unknown") | {"device": "brisbana"}),
    ):
        error = await driver.refused(task, **payload)

        assert isinstance(error, UnknownBackend)
        assert "'ibm_brisbane'" in error.message
        assert error.details["near"][0] == "ibm_brisbane"
