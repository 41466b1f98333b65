"""The arrows of CONTRIBUTING: who may import whom."""

import sys

import pytest

from tests.architecture.imports import ROOT, Import, imports_in, imports_of

ARROWS: dict[str, set[str]] = {
    "qurable": set(),
    "circuits": {"qurable"},
    "isolation": {"qurable", "circuits"},
    "backends": {"qurable", "circuits", "isolation"},
    "fallback": {"qurable", "circuits", "isolation"},
    "store": {"qurable", "circuits", "isolation"},
    "activities": {"qurable", "circuits", "isolation", "backends", "fallback", "store"},
    "workflows": {"qurable"},
    "gateway": {"qurable", "store"},
    "emulator": {"qurable", "circuits", "isolation"},
    "examples": {"qurable"},
    "docs": {"qurable", "settings"},  # pages that are made from the code
    "settings.py": {"qurable", "circuits.source", "isolation"},
    "observability.py": {"qurable"},
    "gateway/app.py": {"qurable", "store", "settings", "observability"},
    "worker.py": {
        *("qurable", "circuits", "isolation", "backends", "fallback", "store", "activities", "workflows"),
        *("settings", "observability"),
    },
    "starter.py": {"qurable", "settings", "observability", "worker", "emulator"},
}
"""What each folder, or file, may import of this project besides itself. A file has its own rule or its folder's."""

OURS = {place.removesuffix(".py").partition("/")[0] for place in ARROWS} | {"tests", "benchmarks"}


def strays(found: Import) -> bool:
    """Whether an import goes against the arrows."""
    if found.package not in OURS:
        return False
    folder = found.file.partition("/")[0]
    allowed = ARROWS.get(found.file, ARROWS.get(folder, set()))
    own = {folder.removesuffix(".py")} if found.file not in ARROWS or "/" in found.file else set()
    return not any(
        found.module == module or found.module.startswith(f"{module}.") for module in allowed | own
    )


@pytest.mark.parametrize("place", [place for place in ARROWS if (ROOT / place).exists()])
def test_nothing_is_imported_against_the_arrows(place: str) -> None:
    """A folder that knows only what stands to its left can be read, tested and replaced by itself."""
    against = [str(found) for found in imports_in(place) if strays(found)]

    assert against == []


def test_every_folder_and_module_of_the_application_has_its_place_in_the_table() -> None:
    """A new folder without a rule would be free of all of them."""
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    modules = {path.name for path in ROOT.glob("*.py")}

    assert folders | modules <= set(ARROWS) | {"benchmarks", "tests"}


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("workflows/hybrid_job.py", "from store import jobs"),
        ("circuits/parse.py", "def parse():\n    from isolation.pool import ChildPool"),
        ("store/jobs.py", "import contextlib, backends.aer"),
        ("fallback/planner.py", "if TYPE_CHECKING:\n    from store.database import Database"),
        ("isolation/child.py", "TASK = 'activities.submit:submit'"),
        ("gateway/errors.py", "from settings import Settings"),
        ("qurable/client.py", "from workflows.hybrid_job import HybridJob"),
        ("settings.py", "from circuits.parse import parse"),
        ("starter.py", "from activities.submit import Submit"),
        ("examples/plain_script.py", "import worker"),
        ("worker.py", "from tests.conftest import Service"),
    ],
)
def test_a_stray_is_found_wherever_it_hides(file: str, source: str) -> None:
    """A guard that finds nothing when there is something is worse than none."""
    assert any(strays(found) for found in imports_of(source, file))


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("gateway/app.py", "from settings import Settings\nfrom gateway.errors import problem"),
        ("activities/submit.py", "from activities.boundary import beat\nfrom . import steps"),
        ("settings.py", "from circuits.source import SourceLimits"),
        ("circuits/parse.py", "import qiskit"),
    ],
)
def test_an_import_with_the_arrows_is_let_through(file: str, source: str) -> None:
    """The table is about direction, not about names."""
    assert not any(strays(found) for found in imports_of(source, file))


def test_workflow_code_imports_nothing_that_computes_or_stores() -> None:
    """Workflows replay: what they import must cost nothing and touch nothing."""
    heavy = {"qiskit", "qiskit_aer", "qiskit_ibm_runtime", "numpy", "scipy", "sqlalchemy", "alembic"}

    assert [str(found) for found in imports_in("workflows") if found.package in heavy] == []


def test_the_wheel_imports_only_what_it_declares() -> None:
    """Another service installs the wheel alone: what it imports at once is Pydantic and Temporal."""
    declared = {"pydantic", "pydantic_core", "temporalio", "google"}  # protobuf comes with temporalio
    extras = {
        "qurable/cli": {"typer", "rich"},
        "qurable/primitives.py": {"qiskit"},
        "qurable/qpy.py": {"qiskit"},
    }
    at_once = [found for found in imports_in("qurable") if not found.nested and not _standard(found)]

    undeclared = [
        str(found)
        for found in at_once
        if found.package not in {"qurable"} | declared
        and not any(
            found.file.startswith(place) and found.package in names for place, names in extras.items()
        )
    ]

    assert undeclared == []


def _standard(found: Import) -> bool:
    return found.package in sys.stdlib_module_names
