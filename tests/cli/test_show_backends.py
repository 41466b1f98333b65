"""A list of backends says how each has done of late."""

import json
from datetime import UTC, datetime

import pytest

from qurable.cli import show
from qurable.contracts.health import BackendHealth, Breaker, BreakerState
from qurable.contracts.targets import AnswerKind, TargetSnapshot

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
WELL = BackendHealth(breaker=Breaker(since=AT), calls=8, faults=2, latency_seconds=1.25, wait_seconds=1234.0)
OPEN = BackendHealth(
    breaker=Breaker(
        state=BreakerState.OPEN,
        since=AT,
        until=AT.replace(minute=3, second=10),
        reason="5 calls in a row failed",
    )
)


def _device(name: str, health: BackendHealth | None) -> TargetSnapshot:
    return TargetSnapshot(name=name, answer_kind=AnswerKind.HARDWARE, num_qubits=5, health=health)


def test_health_is_told_in_words_and_in_full(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody has called yet has none."""
    monkeypatch.setenv("COLUMNS", "300")
    found = [_device("ibm:lima", None), _device("ibm:manila", WELL), _device("ibm:torino", OPEN)]
    show.backends(found, json=False)
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    show.backends(found, json=True)
    documents = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}

    assert "calls failed" not in lines["ibm:lima"]
    assert "2 of 8 calls failed; 1.25 s a call; 1,234 s in its queue" in lines["ibm:manila"]
    assert "left alone, probe at 12:03:10 UTC; 5 calls in a row failed" in lines["ibm:torino"]
    assert documents["ibm:torino"]["health"]["breaker"]["state"] == "open"
    assert documents["ibm:lima"]["health"] is None
