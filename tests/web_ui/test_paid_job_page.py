"""What an operator sees in Temporal's web UI of a job that costs money: the provider's id, and what was paid."""

import re
from pathlib import Path

import pytest

from qurable.contracts.reports import JobReport
from qurable.names import Activity, Attribute
from qurable.requests import sample
from tests.browser import browser_page, look_at
from tests.circuits_at_hand import BELL
from tests.paid import DEVICE, Paid


@pytest.mark.long
async def test_a_paid_jobs_page_shows_the_providers_id_and_the_qpu_seconds(
    paid: Paid, tmp_path: Path
) -> None:
    """In the details, among the search attributes, and as a filter of the list: from an invoice to its job."""
    report: JobReport = await paid.service.run(sample(BELL, shots=100, backend=DEVICE))
    job = await paid.one()
    base = f"{paid.service.server.ui}/namespaces/default/workflows"

    async with browser_page(tmp_path / "browser") as page:
        await page.goto(f"{base}/{report.id}")
        await page.wait_for_url("**/timeline")
        run = page.url.rsplit("/", 1)[0]
        events = page.get_by_role("button", name=re.compile("^Event "))
        await look_at(page, page.url, events.filter(has_text=f"{Activity.AWAIT_DONE} • "))
        timeline = [" ".join(text.split()) for text in await events.all_inner_texts()]

        details = page.frame_locator('iframe[src*="stage"]')
        await look_at(page, f"{run}/user-metadata", details.get_by_role("table"))
        await page.get_by_text("Current Details").wait_for()
        told = await details.locator("body").inner_text()

        shown = page.get_by_text(re.compile(rf'"{Attribute.PROVIDER_JOB}"')).first
        await look_at(page, f"{run}/search-attributes", shown)
        attributes = await page.locator("body").inner_text()

        of_this = f"{base}?query={Attribute.PROVIDER_JOB}%3D%22{job['id']}%22"
        await look_at(page, of_this, page.get_by_role("link", name=report.id).first)

    assert any(text.startswith(f"{Activity.SUBMIT} • submit to {DEVICE}") for text in timeline)
    assert any(f"wait for {DEVICE} to start" in text for text in timeline)
    assert job["id"] in told
    assert f"{report.qpu_seconds:.2f} QPU seconds" in told
    assert f'"{Attribute.PROVIDER_JOB}": "{job["id"]}"' in attributes
    assert f'"{Attribute.QPU_SECONDS}": {report.qpu_seconds}' in attributes
