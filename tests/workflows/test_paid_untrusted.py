"""A provider whose certificate goes bad while a job is prepared: the job is told so, or answered from its next rung."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.plan_route import PlanRoute
from emulator.serving import INSTANCE
from isolation.pool import Nursery
from qurable.contracts.reports import State
from qurable.contracts.routes import Rung
from qurable.errors import JobFailed
from qurable.requests import sample
from tests.backends.ibm.on_the_way import Authority, Relay
from tests.circuits_at_hand import BELL
from tests.conftest import running_service
from tests.emulator.running import EmulatorProcess
from tests.paid import DEVICE, FAST, Paid, fair_weather, known_ids, save_account

_PROJECT = "lab-physics"


class Spoilt:
    """A service whose account is at a provider behind a certificate, which goes bad once a job is planned.

    Args:
        paid: The service.
        server: Before the provider.
        bad: The certificate that it shows then.
        patch: Puts the moment in.
    """

    def __init__(self, paid: Paid, server: Relay, bad: Path, patch: pytest.MonkeyPatch) -> None:
        self.paid = paid
        self.server = server
        self.heard = 0
        self._bad = bad
        self._patch = patch

    def when_planned(self, *further: Rung) -> None:
        """From now on a job's plan has its first rung and these, and is the last that the provider is asked for."""
        original = PlanRoute.work

        async def planned(this: PlanRoute, validated: Any) -> Any:
            outcome = await original(this, validated)
            self.server.show(self._bad)
            self.heard = self.server.heard
            route = outcome.answer.model_copy(update={"rungs": (outcome.answer.rungs[0], *further)})
            rows = [replace(row, document=route) for row in outcome.rows]
            return replace(outcome, answer=route, rows=rows)

        self._patch.setattr(PlanRoute, "work", planned)


@pytest.fixture
async def spoilt(
    tmp_path: Path,
    nursery: Nursery,
    ibm_nursery: Nursery,
    ibm_account: None,
    emulated_ibm: EmulatorProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Spoilt]:
    await fair_weather(emulated_ibm.control)
    authority, file = Authority(tmp_path), tmp_path / "accounts.json"
    bad = authority.certificate("localhost", ends_in=-timedelta(hours=1))
    async with Relay(emulated_ibm.port, authority.certificate("localhost")) as server:
        url = f"https://localhost:{server.port}"
        save_account(file, "lab", url=url, token="the-labs-secret-key-0123456789", instance=INSTANCE)
        saved = json.loads(file.read_text(encoding="utf-8"))
        saved["lab"]["verify"] = str(authority.bundle)
        file.write_text(json.dumps(saved), encoding="utf-8")
        account = {"name": "lab", "filename": str(file), "projects": [_PROJECT]}
        settings = FAST | {"ibm_accounts": {"lab": account}}
        async with running_service(
            tmp_path / "house", nursery, ibm_nursery=ibm_nursery, **settings
        ) as service:
            paid = Paid(service, emulated_ibm, await known_ids(emulated_ibm.control))
            yield Spoilt(paid, server, bad, monkeypatch)


def _bell(backend: str = DEVICE) -> Any:
    return sample(BELL, shots=100, backend=backend, project=_PROJECT)


async def test_a_job_whose_provider_is_not_trusted_any_more_is_told_so(spoilt: Spoilt) -> None:
    """Within its first try: what is not trusted now is not in a second either, and nothing was sent that might be there."""
    spoilt.when_planned()

    error = await spoilt.paid.refused(_bell())

    assert isinstance(error, JobFailed)
    assert error.error.code == "TargetUntrusted"
    assert "certificate has expired" in error.error.message
    submits = [
        entry
        for entry in spoilt.paid.service.journal.entries
        if (entry.what, entry.step) == ("ended", "submit-0")
    ]
    assert [entry.how for entry in submits] == ["failed"]
    assert spoilt.server.heard == spoilt.heard
    assert await spoilt.paid.taken() == []


async def test_a_job_goes_on_to_the_next_rung_of_its_ladder(spoilt: Spoilt) -> None:
    """Nothing was sent, so there is nothing to withdraw that the next rung would have to wait for."""
    aer = (await spoilt.paid.service.run(_bell("aer"))).route.rungs[0]
    spoilt.when_planned(aer)

    report = await spoilt.paid.service.run(_bell())

    assert (report.state, report.served_by) == (State.COMPLETED, "aer")
    assert [(attempt.backend, attempt.error.code) for attempt in report.tried] == [
        (f"{DEVICE}@lab", "TargetUntrusted")
    ]
    assert spoilt.server.heard == spoilt.heard
    assert await spoilt.paid.taken() == []
