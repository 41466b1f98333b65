"""Kill -9 while a job waits for somebody's word: it goes on waiting, and the word is given once."""

from pathlib import Path

import pytest

from qurable.client import Job
from qurable.contracts.approvals import Question
from qurable.contracts.reports import State
from qurable.requests import sample
from tests.chaos.harness import house, until
from tests.chaos.paid_house import VARIABLES
from tests.circuits_at_hand import BELL
from tests.emulator.running import EmulatorProcess
from tests.paid import DEVICE, fair_weather

LINES = ("prepare:kept", "ask-0:begun", "ask-0:kept", "decide-0:begun", "decide-0:kept", "submit-0:begun")

ASKING = """
rules: [{first: asked}]
rungs: {asked: {places: [asked]}}
approval:
  - approvers: [grace]
"""


async def _question(job: Job) -> Question:
    async def asked() -> Question | None:
        return (await job.status()).question

    found: Question = await until("the job asks", asked)
    return found


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_killed_worker_forgets_neither_question_nor_word(
    emulated_ibm: EmulatorProcess, tmp_path: Path
) -> None:
    """At every line between asking and sending; what was approved is sent once."""
    await fair_weather(emulated_ibm.control)
    table = tmp_path / "asking.yaml"
    table.write_text(ASKING, encoding="utf-8")
    variables = {**VARIABLES, **emulated_ibm.environment, "QURABLE_STRATEGY": str(table)}
    async with house(tmp_path / "house", variables=variables) as chaos:
        for number, line in enumerate(LINES):
            chaos.arm(line)
            job = await chaos.qurable.submit(sample(BELL, shots=50 + number, backend=DEVICE, key=line))
            await _question(job)
            said = await chaos.qurable.approve(job.id, by="grace", reason=f"killed at {line}")
            report = await job.result()

            assert chaos.was_reached(line), line
            assert report.state is State.COMPLETED
            (kept,) = report.approvals
            assert kept.decision == said
            assert chaos.repeated(job.id) == []
            assert [record.attempts for record in report.provider_jobs] == [1]
