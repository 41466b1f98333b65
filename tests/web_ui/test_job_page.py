"""What an operator sees of a job in Temporal's web UI; and the pictures of it in the documents.

`make pictures` takes the pictures anew; other runs leave the checkout as it is.
"""

import json
import os
import re
import struct
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page

from qurable.contracts.reports import JobReport
from qurable.names import Activity, Attribute
from qurable.requests import sample
from tests.architecture.imports import ROOT
from tests.browser import browser_page, look_at
from tests.conftest import Service

TIMELINE = ROOT / "docs" / "images" / "web-ui-timeline.png"
STAGES = ROOT / "docs" / "images" / "web-ui-stages.png"
WIDTH, HEIGHT = 1400, 1340
TABLE_HEIGHT = 760
MOST_BYTES = 300_000

SUMMARIES = {
    Activity.ACCEPT: "accept",
    Activity.PREPARE: "validate",
    Activity.PLAN_ROUTE: "plan route",
    Activity.TRANSPILE: "transpile for aer",
    Activity.SUBMIT: "submit to aer",
    Activity.AWAIT_DONE: "run on aer",
    Activity.FINISH: "fetch · post-process · record",
}
"""The stages of a job that is too large to be prepared in one, in order, and how the summary of each begins."""

_TIME = re.compile(r"\d\d:\d\d:\d\d(\.\d+)?")
_TOOK = re.compile(r"(\d+\.\d+) s")
_ROUNDED = 0.002
"""Of a time and of what it took, both told in milliseconds (s)."""


def brickwork(qubits: int, layers: int) -> str:
    """Some seconds of simulation from a short text: bricks of two rotations and an entangling gate."""
    bricks = [
        f"brick({0.1 * (layer + qubit + 1):.1f}) q[{qubit}], q[{qubit + 1}];"
        for layer in range(layers)
        for qubit in range(layer % 2, qubits - 1, 2)
    ]
    head = (
        'OPENQASM 2.0;\ninclude "qelib1.inc";\ngate brick(t) a, b { rx(t) a; ry(t) b; cz a, b; }\n'
        f"qreg q[{qubits}];\ncreg c[{qubits}];\n"
    )
    return head + "\n".join(bricks) + "\nmeasure q -> c;\n"


@pytest.fixture(scope="module")
async def report(service: Service) -> JobReport:
    """A job that took some seconds and has ended."""
    return await service.run(
        sample(brickwork(20, 80), shots=2000, seed=7, backend="aer", project="portfolio", priority=2)
    )


@pytest.fixture(scope="module")
async def page(
    service: Service, report: JobReport, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Page]:
    """The job's page."""
    async with browser_page(tmp_path_factory.mktemp("browser"), width=WIDTH, height=HEIGHT) as page:
        await page.goto(f"{service.server.ui}/namespaces/default/workflows/{report.id}")
        await page.wait_for_url("**/timeline")
        yield page


async def timeline(page: Page) -> Locator:
    """The activities on the page's timeline."""
    events = page.get_by_role("button", name=re.compile("^Event "))
    await _open_tab(page, "timeline", events.filter(has_text=f"{Activity.FINISH} • "))
    return events


async def _open_tab(page: Page, name: str, shown: Locator) -> None:
    await look_at(page, page.url.rsplit("/", 1)[0] + f"/{name}", shown)


async def test_every_stage_is_an_activity_with_its_name_and_a_summary(page: Page) -> None:
    """An operator who knows the stages needs no other words to read the timeline."""
    events = await timeline(page)

    shown = [" ".join(text.split()) for text in await events.all_inner_texts()]

    assert len(shown) == len(SUMMARIES)
    for stage, summary in SUMMARIES.items():
        assert any(text.startswith(f"{stage} • {summary}") for text in shown), stage


async def test_the_details_are_a_table_of_the_stages_with_their_times(
    page: Page, service: Service, report: JobReport
) -> None:
    """What ran, when it began and what it took, without opening a single event."""
    rows = await details(page)
    execution = await service.temporal.get_workflow_handle(report.id).describe()
    assert execution.close_time is not None

    stages, times, took = zip(*rows[1:], strict=True)
    assert rows[0] == ["stage", "began (UTC)", "took"]
    assert list(stages) == [str(stage) for stage in SUMMARIES]
    assert all(_TIME.fullmatch(time) for time in times)
    assert all(earlier <= later for earlier, later in pairwise(times))
    seconds = dict(zip(stages, map(_seconds, took), strict=True))
    began = dict(zip(stages, map(_moment, times), strict=True))
    assert all(
        began[stage] + seconds[stage] <= began[following] + _ROUNDED for stage, following in pairwise(stages)
    )
    ended = _moment(f"{execution.close_time:%H:%M:%S.%f}")
    assert began[Activity.FINISH] + seconds[Activity.FINISH] <= ended + _ROUNDED
    assert seconds[Activity.AWAIT_DONE] + _ROUNDED >= report.durations.run  # which has no way there and back


def _moment(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def _seconds(text: str) -> float:
    took = _TOOK.fullmatch(text)
    assert took is not None, f"{text!r} is no time: the stage looks as if it still ran"
    return float(took.group(1))


async def details(page: Page) -> list[list[str]]:
    """The rows of the table in the job's current details, which the page shows in a frame."""
    table = page.frame_locator('iframe[src*="stage"]').get_by_role("table")
    await _open_tab(page, "user-metadata", table)
    await page.get_by_text("Current Details").wait_for()
    return [
        [
            cell.strip()
            for cell in await row.get_by_role("cell").or_(row.get_by_role("columnheader")).all_inner_texts()
        ]
        for row in await table.get_by_role("row").all()
    ]


async def test_the_details_say_how_the_job_ended(page: Page) -> None:
    """A job that is over must not look as if it were still at its last stage."""
    await details(page)
    head = page.frame_locator('iframe[src*="stage"]').get_by_role("strong")

    assert await head.inner_text() == "completed"


async def test_the_search_attributes_say_what_was_asked_and_who_answered(
    page: Page, report: JobReport
) -> None:
    """Lists are filtered by these; none of them is a user's text."""
    shown = page.get_by_text(re.compile(rf'"{Attribute.SERVED_BY}"')).first
    await _open_tab(page, "search-attributes", shown)
    text = await page.locator("body").inner_text()

    attributes = json.loads(text[text.rindex("\n{") : text.rindex("}") + 1])
    assert report.provenance is not None
    canonical = report.provenance.circuits[0].canonical
    assert canonical.startswith(attributes.pop(Attribute.CIRCUIT))
    assert {name: value for name, value in attributes.items() if name.startswith("Qurable")} == {
        Attribute.STAGE: "completed",
        Attribute.BACKEND: "aer",
        Attribute.SERVED_BY: "aer",
        Attribute.PROJECT: "portfolio",
        Attribute.DEGRADED: False,
        Attribute.QUBITS: 20,
    }


async def test_the_timeline_is_worth_a_picture(page: Page, tmp_path: Path) -> None:
    """The pictures in the documents are taken here, from a real job: when each stage ran, ..."""
    await timeline(page)

    assert await _is_taken(page, TIMELINE, HEIGHT, tmp_path)


async def test_the_table_of_stages_is_worth_a_picture(page: Page, tmp_path: Path) -> None:
    """... and the table that says it in figures."""
    await details(page)

    assert await _is_taken(page, STAGES, TABLE_HEIGHT, tmp_path)


async def _is_taken(page: Page, picture: Path, height: int, elsewhere: Path) -> bool:
    """Take a picture, into the documents where that is asked for; whether they have one, and it is of this size."""
    taken = picture if os.environ.get("REFRESH_PICTURES") else elsewhere / picture.name
    await page.screenshot(path=taken, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
    return _size(taken) == _size(picture) == (WIDTH, height)


def _size(picture: Path) -> tuple[int, int]:
    """Width and height, as the head of a PNG says."""
    body = picture.read_bytes()
    assert body.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(body) < MOST_BYTES
    width, height = struct.unpack(">II", body[16:24])
    return width, height
