"""What an operator sees of a schedule in Temporal's web UI: its name and its note, among the schedules."""

import uuid
from pathlib import Path

import pytest

from qurable.contracts.schedules import ScheduleSpec
from qurable.requests import sample
from tests.browser import browser_page, look_at
from tests.circuits_at_hand import BELL
from tests.conftest import Service

pytestmark = pytest.mark.long


async def test_a_schedule_stands_under_its_name_with_its_note(service: Service, tmp_path: Path) -> None:
    """Whoever is paged by its runs finds it there, and reads what it is for."""
    schedules, name = service.qurable.schedules, f"ui-{uuid.uuid4().hex[:12]}"
    spec = ScheduleSpec(name=name, project=name, cron=("0 2 * * *",), note="the plan of the night")
    await schedules.create(spec, [sample(BELL, project=name)])
    async with browser_page(tmp_path) as page:
        listed = f"{service.server.ui}/namespaces/default/schedules"
        await look_at(page, listed, page.get_by_text(name, exact=True).first)
        await look_at(page, f"{listed}/{name}", page.get_by_text(spec.note).first)
    await schedules.delete(name)
