"""The page of the emulator, in a browser."""

from pathlib import Path

from playwright.async_api import expect

from tests.browser import browser_page
from tests.emulator.running import Api


async def test_the_page_shows_jobs_and_bills_and_sets_the_weather(api: Api, tmp_path: Path) -> None:
    """What a person does in a rehearsal: look, put a queue in the way, break something, see what it costs."""
    await api.control.settings(hold=True)
    job = await api.submit(tags=["seen"])
    await api.computed(job)
    async with browser_page(tmp_path / "profile") as page:
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(api.emulator.url)
        row = page.locator("#jobs tbody tr", has_text=job)
        await expect(row).to_contain_text("Queued")
        await expect(row).to_contain_text("seen")
        await expect(page.locator("#speed")).to_contain_text("no job starts")

        device = page.locator("#device")
        await device.get_by_label("Device").select_option("ibm_oslo")
        await device.get_by_label("Queue of others").fill("12")
        await device.get_by_label("Status").select_option("maintenance")
        await device.get_by_role("button").click()
        await expect(page.locator("#devices tr", has_text="ibm_oslo")).to_contain_text("maintenance")
        await page.locator("#fault").get_by_role("button", name="Set fault").click()
        await expect(page.locator("#weather")).to_contain_text("status POST /jobs")
        refused = await api.post_job()
        await page.get_by_label("No job starts").uncheck()
        await page.locator("#settings").get_by_role("button").click()
        await expect(page.locator("#speed")).not_to_contain_text("no job starts")
        await page.get_by_role("button", name="Put forward").click()
        await expect(row).to_contain_text("Completed")
        await page.get_by_role("button", name="Begin outage").click()
        await expect(page.locator("#weather")).to_contain_text("outage")
        await page.get_by_role("button", name="Clear all").click()
        await expect(page.locator("#weather")).to_contain_text("Fair weather.")

        billed = await row.locator("td").nth(5).inner_text()
    oslo = next(one for one in (await api.control.state())["devices"] if one["name"] == "ibm_oslo")
    assert refused.status_code == 503
    assert (oslo["status"], oslo["queue_length"]) == ("maintenance", 12)
    assert float(billed) > 0
    assert complaints == []
