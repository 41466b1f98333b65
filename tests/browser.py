"""A headless Chromium for tests that look at pages; it is installed where a machine has none."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Locator, Page, async_playwright
from playwright.async_api import TimeoutError as NotShown

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)
"""It looks at pages of this machine alone, and calls nobody else."""

_INSTALL = (
    ("apt-get", "update", "--quiet"),
    ("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "chromium"),
)
_PAGE_MILLISECONDS = 30_000.0
_LOOKS = 4


async def chromium() -> Path:
    """The browser's program, installed by the system's package manager if there is none.

    Raises:
        RuntimeError: There is none, and this user may not install one.
    """
    found = shutil.which("chromium")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in _INSTALL:
            await _run(command)
        found = shutil.which("chromium")
    if found is None:
        raise RuntimeError("this test looks at pages in a browser: install `chromium` and have it on PATH")
    return Path(found)


async def _run(command: tuple[str, ...]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{printed.decode(errors='replace')[-2000:]}")


@contextlib.asynccontextmanager
async def browser_page(profile: Path, *, width: int = 1400, height: int = 1200) -> AsyncIterator[Page]:
    """A page of a browser with a profile of its own; everything on it is waited for half a minute at most.

    Args:
        profile: An empty folder.
        width: Of the window, in pixels.
        height: Of the window, in pixels.
    """
    program = await chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=program,
            args=list(FLAGS),
            viewport={"width": width, "height": height},
            timezone_id="UTC",
            locale="en-GB",
        )
        browser.set_default_timeout(_PAGE_MILLISECONDS)
        try:
            yield browser.pages[0]
        finally:
            await browser.close()


async def look_at(page: Page, url: str, shown: Locator) -> None:
    """Go to a page and wait for something on it; a page that asked too early, or in vain, is called up again.

    Raises:
        AssertionError: It is not there after four looks of half a minute.
    """
    for _ in range(_LOOKS):
        with contextlib.suppress(NotShown):
            await page.goto(url)
            await shown.wait_for()
            return
    text = await page.locator("body").inner_text()
    raise AssertionError(f"{url} does not show {shown}; it shows:\n{text[:2000]}")
