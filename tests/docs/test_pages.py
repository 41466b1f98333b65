"""The pages: their Python runs, their links lead somewhere, and what a program writes of them is up to date."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from docs import cli_page, settings_table
from docs.marks import between
from gateway.app import create_app
from gateway.connections import Connections
from gateway.errors import as_problem
from qurable.errors import KeyReused
from qurable.names import Attribute, Queue
from settings import Settings
from tests.architecture.imports import ROOT
from tests.circuits_at_hand import BELL
from tests.conftest import Service

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (
        "",
        "docs",
        "docs/decisions",
        "examples/nightly",
        "examples/user_workflow",
        "examples/fastapi_service",
        "qurable",
    )
    for path in (ROOT / folder).glob("*.md")
)
WITH_PYTHON = [page for page in PAGES if "```python" in (ROOT / page).read_text(encoding="utf-8")]

_RUN_SECONDS = 120
_NEEDS_WHAT_READERS_WRITE = {"CONTRIBUTING.md"}
"""Its Python tests a class that its reader is about to write."""


def text(page: str) -> str:
    """A page."""
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", sorted(set(WITH_PYTHON) - _NEEDS_WHAT_READERS_WRITE))
async def test_the_python_of_a_page_runs(page: str, service: Service, tmp_path: Path) -> None:
    """Whoever pastes it in gets what the page says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-m", "tests.docs.page", str(ROOT / page)),
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "TEMPORAL_ADDRESS": service.server.target,
            "QURABLE_HOME": str(service.settings.home),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_RUN_SECONDS):
        _, said = (stream.decode() for stream in await process.communicate())

    assert process.returncode == 0, said
    assert f"{text(page).count('```python')} blocks ran" in said


@pytest.mark.parametrize("page", sorted(_NEEDS_WHAT_READERS_WRITE))
def test_python_that_cannot_run_at_least_reads(page: str) -> None:
    """A misspelt name of ours would be copied all the same."""
    for indent, block in re.findall(r"^( *)```python\n(.*?)^ *```", text(page), re.DOTALL | re.MULTILINE):
        code = re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)
        compile(code, page, "exec")
        imports = [line for line in code.splitlines() if line.startswith(("from ", "import "))]
        exec("\n".join(imports), {})


async def test_the_handler_of_the_readme_answers(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten lines that were not asked anything prove nothing; asked again for an order, they give its answer."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", service.server.target)
    monkeypatch.setenv("QURABLE_HOME", str(service.settings.home))
    (block,) = (block for block in _python(text("README.md")) if "FastAPI" in block)
    written: dict[str, Any] = {"__name__": "readme"}
    exec(block, written)

    async with written["lifespan"](written["app"]):
        first = await written["counts"]("4711", BELL, 100)
        again = await written["counts"]("4711", BELL, 100)

    assert sum(first.values()) == 100
    assert again == first
    assert "/orders/{order}/counts" in written["app"].openapi()["paths"]


def _python(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """A file that was moved takes its readers' patience with it."""
    here = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = here / file if file else ROOT / page
        assert place.exists(), target
        if anchor:
            assert anchor in anchors(place.read_text(encoding="utf-8")), target


def anchors(page: str) -> set[str]:
    """Anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_make_exist(page: str) -> None:
    """The README's words alone must do."""
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    named = set(
        re.findall(r"`make ([a-z-]+)", text(page)) + re.findall(r"^make ([a-z-]+)", text(page), re.MULTILINE)
    )

    assert named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    """`folder/file.py` in a page is a promise that it is there."""
    found = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|md|yml|qasm))`", text(page))
    promised = {path for path in found if "mitigate" not in path}  # the stage that CONTRIBUTING imagines

    assert {path for path in promised if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("page", PAGES)
def test_variables_that_are_named_are_settings(page: str) -> None:
    """A variable that nobody reads is set in vain."""
    known = {f"QURABLE_{name.upper()}" for name in Settings.model_fields} | {"QURABLE_PAYLOADS"}

    assert set(re.findall(r"\bQURABLE_[A-Z0-9_]+\b", text(page))) <= known


def test_every_target_of_the_makefile_is_there_and_says_what_it_does() -> None:
    """`make help` shows those that have a line; `.PHONY` promises them."""
    makefile = text("Makefile")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)

    assert phony.split() == re.findall(r"^([a-z-]+):.*  ## .+\.$", makefile, re.MULTILINE)


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    """`make pages` writes it."""
    assert text("docs/cli.md") == cli_page.rewritten(text("docs/cli.md"))


def test_the_page_of_the_command_line_shows_every_command() -> None:
    """And each of them with its example."""
    shown = re.findall(r"^### `qurable ([\w ]+)`", text("docs/cli.md"), re.MULTILINE)

    assert shown == cli_page.command_names()
    assert text("docs/cli.md").count("  example: qurable") == len(shown)


def test_the_table_of_settings_is_what_the_code_reads() -> None:
    """`make pages` writes it."""
    assert text("docs/settings.md") == settings_table.rewritten(text("docs/settings.md"))


def test_a_page_without_its_marks_is_not_written() -> None:
    """Half a page is worse than an old one."""
    with pytest.raises(ValueError, match="lacks"):
        between("# A page", "<!-- begin -->", "text", "<!-- end -->")


def test_the_problem_on_the_page_of_http_is_one_that_is_answered() -> None:
    """Clients are written from it."""
    (block,) = re.findall(r"^```json\n(.*?)^```", text("docs/http.md"), re.DOTALL | re.MULTILINE)
    shown = json.loads(block)
    problem = as_problem(KeyReused(shown["detail"], **shown["details"]))

    assert shown == problem.model_dump(mode="json")


def test_every_path_of_the_gateway_is_on_the_page_of_http() -> None:
    """And nothing else is."""
    page = text("docs/http.md")
    connections = Connections(ROOT / "nowhere", "sqlite:////nowhere/store.db")
    paths = create_app(connections).openapi()["paths"]
    served = {
        f"{method.upper()} {re.sub(r'{(job|task|batch)_id}', '{id}', path)}"
        for path, methods in paths.items()
        for method in methods
    }

    assert set(re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", page, re.MULTILINE)) == served


def test_operators_read_of_every_queue_and_attribute() -> None:
    """What a dashboard filters by has its page."""
    page = text("docs/operations.md")

    assert {str(name) for name in Attribute if f"`{name}`" not in page} == set()
    assert {str(name) for name in Queue if f"`{name}`" not in page} == set()


def test_every_decision_is_listed() -> None:
    """A page that nobody finds was written in vain."""
    index = text("docs/decisions/README.md")
    pages = {path.name for path in (ROOT / "docs" / "decisions").glob("0*.md")}

    assert set(re.findall(r"\]\((0[\w-]+\.md)\)", index)) == pages
