"""Dockerfile and docker-compose.yml: valid, and in step with the code. Nothing is started: no daemon is needed."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from qurable.names import NAMESPACE_RETENTION_DAYS, Queue
from qurable.temporal.embedded import SPEED_FLAGS
from settings import Settings
from tests.architecture.imports import ROOT

COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")

_YAML = YAML(typ="safe")
_OURS = "qurable-service"
_OTHER_VARIABLES = {"QURABLE_PAYLOADS"}
"""Read by the client too, and so no setting of the service."""


def _compose() -> dict[str, Any]:
    document: dict[str, Any] = _YAML.load(COMPOSE.read_text(encoding="utf-8"))
    return document


SERVICES: dict[str, dict[str, Any]] = _compose()["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"].startswith(_OURS))
ONE_SHOT = {
    wanted
    for service in SERVICES.values()
    for wanted, how in service.get("depends_on", {}).items()
    if how["condition"] == "service_completed_successfully"
}


def test_the_compose_file_is_valid_by_its_schema() -> None:
    """Nobody can start it in the tests; at least it says what it means."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    checked = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_queue_has_a_worker_and_none_has_two() -> None:
    """A queue without a worker is a job that waits for ever; what has no activities yet needs none."""
    without_worker = {Queue.GPU, Queue.CLASSICAL}
    served = [
        Queue(word)
        for name in OURS
        if name.startswith("worker")
        for word in SERVICES[name]["command"]
        if word.startswith("qurable") and word != "qurable-worker"
    ]

    assert sorted(served) == sorted(set(Queue) - without_worker)


def test_whatever_stays_is_watched() -> None:
    """`docker compose up --wait` and restarts go by health."""
    unwatched = {
        name for name, service in SERVICES.items() if "healthcheck" not in service and name not in ONE_SHOT
    }

    assert unwatched == {"temporal-ui"}  # its image has nothing to ask with


def test_whatever_is_waited_for_is_there_and_is_watched() -> None:
    """A condition that can never come true holds up everything behind it."""
    for service in SERVICES.values():
        for wanted, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[wanted], wanted
            else:
                assert wanted in ONE_SHOT


@pytest.mark.parametrize("name", OURS)
def test_variables_are_settings_that_exist_and_read_well(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable is silently ignored; a value that cannot be read ends the worker at its start."""
    given = {key: _default(value) for key, value in SERVICES[name]["environment"].items()}
    known = {f"QURABLE_{field.upper()}" for field in Settings.model_fields} | _OTHER_VARIABLES
    ours = {key: value for key, value in given.items() if key.startswith("QURABLE_")}

    assert set(ours) <= known
    for key, value in ours.items():
        monkeypatch.setenv(key, value)
    assert Settings().memory_mib == 4096
    assert Settings().store_url == "postgresql://qurable:qurable@store-db:5432/qurable"


def _default(value: Any) -> str:
    """A value as compose fills it in where the environment says nothing."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))


def test_every_process_knows_the_same_memory() -> None:
    """Planning, submission and simulation must agree on what can ever fit, or a job is taken that never runs."""
    assert {SERVICES[name]["environment"]["QURABLE_MEMORY_MIB"] for name in OURS} == {
        "${QURABLE_MEMORY_MIB:-4096}"
    }


def test_a_stopping_worker_is_given_the_time_that_it_takes() -> None:
    """Killed too early, a stage of a minute begins again elsewhere for want of ten seconds."""
    patience = Settings().graceful_stop.total_seconds()

    assert all(int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > patience for name in OURS)


def test_ports_are_published_on_loopback_alone() -> None:
    """Neither gateway nor Temporal asks for a password yet."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_the_server_is_tuned_as_the_embedded_one() -> None:
    """Tests and measurements are made on the embedded server; the other one should behave the same."""
    dynamic = _YAML.load(_compose()["configs"]["temporal-dynamic"]["content"])

    tuned = {name: values[0]["value"] for name, values in dynamic.items()}
    assert tuned == {name: _YAML.load(value) for name, value in SPEED_FLAGS.items()}


def test_the_namespace_keeps_history_as_long_as_the_embedded_one() -> None:
    """Operators look at finished jobs in the web UI for this long."""
    (script,) = SERVICES["temporal-namespace"]["command"]

    assert f"--retention {NAMESPACE_RETENTION_DAYS}d" in script


def test_the_image_runs_as_nobody_in_particular() -> None:
    """A circuit that breaks out of its child must not find itself root."""
    last_stage = DOCKERFILE.split("\nFROM ")[-1]

    assert re.findall(r"^USER (\w+)$", last_stage, re.MULTILINE) == ["qurable"]
    assert DOCKERFILE.count("\nFROM ") == 2


def test_the_image_can_keep_large_payloads_on_s3() -> None:
    """In a cluster there is no folder that all of its containers share."""
    assert re.findall(r"uv sync --frozen (.*?) ?--no-install", DOCKERFILE) == ["--extra s3"] * 2


def test_the_image_is_built_with_the_same_uv_as_the_checkout() -> None:
    """Another version might read the lock otherwise."""
    (wanted,) = re.findall(
        r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert f"ARG UV_VERSION={wanted}\n" in DOCKERFILE


def test_the_image_leaves_nothing_out_that_the_application_needs() -> None:
    """A folder that the image lacks is missed when its first job comes."""
    from tests.architecture.test_arrows import ARROWS

    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    needed = {place.partition("/")[0] for place in ARROWS} - {"docs", "examples"}

    assert not {line.strip("/") for line in ignored} & (needed | {"README.md", "pyproject.toml", "uv.lock"})
