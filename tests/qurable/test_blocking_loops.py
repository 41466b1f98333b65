"""Variational loops for code without an event loop."""

import asyncio
from typing import Any

from qurable.blocking import BlockingQurable
from qurable.contracts.optimisations import LoopState, OptimisationReport, StopReason
from tests.conftest import Service
from tests.variational_at_hand import H2

_ENDLESS: dict[str, Any] = {
    "shots": 50,
    "optimiser": {"name": "spsa"},
    "stop": {"evaluations": 1_000_000, "tolerance": 1e-12},
    "reference": None,
}


async def test_a_loop_is_watched_switched_and_stopped_without_an_event_loop(service: Service) -> None:
    """The verbs are those of `Loop`, and another client attaches by the id."""

    def drive() -> tuple[OptimisationReport, str, int]:
        with BlockingQurable(service.server.target, home=service.settings.home) as client:
            loop = client.optimise(H2, "real_amplitudes:1", **_ENDLESS)
            for status in client.attach_loop(loop.id).progress():
                if status.spent.iterations:
                    break
            paused = loop.pause()
            loop.switch("fake_manila", shots=20)
            loop.resume()
            for status in loop.progress():
                if status.spent.jobs > 1:
                    break
            loop.stop()
            report = loop.report()
            return report, str(paused.state), sum(1 for _ in loop.evaluations())

    async with asyncio.timeout(120):
        report, paused, evaluations = await asyncio.to_thread(drive)

    assert paused == "paused"
    assert (report.state, report.stopped_by) == (LoopState.COMPLETED, StopReason.STOPPED)
    assert [place.backend for place in report.places] == ["aer", "fake_manila"]
    assert evaluations == report.spent.evaluations
