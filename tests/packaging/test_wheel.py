"""The wheel by itself, as another service installs it: small, without Qiskit, and able to run a job."""

import asyncio
import json
import zipfile
from pathlib import Path

import pytest

from qurable.names import Queue
from tests.architecture.imports import ROOT
from tests.conftest import Service
from tests.packaging.environments import Environment, make, uv

pytestmark = pytest.mark.long

PROGRAM = """
import asyncio, sys
from qurable import Qurable

BELL = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0], q[1]; measure q -> c;'

async def main():
    async with Qurable.connect() as qurable:
        report = await qurable.run(BELL, shots=100, seed=7, backend="aer")
    print(sum(report.counts().values()), sorted(report.counts()))
    assert not {"qiskit", "numpy", "sqlalchemy", "fastapi"} & set(sys.modules)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--quiet", "--package", "qurable", "--wheel", "--out-dir", str(folder))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel and what it requires, and nothing else."""
    environment = make(tmp_path_factory.mktemp("alone") / "venv")
    environment.install(str(wheel))
    return environment


@pytest.fixture(scope="module")
def with_cli(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The same with the command line."""
    environment = make(tmp_path_factory.mktemp("cli") / "venv")
    environment.install(f"{wheel}[cli]")
    return environment


def _where(service: Service) -> dict[str, str]:
    return {"TEMPORAL_ADDRESS": service.server.target, "QURABLE_HOME": str(service.settings.home)}


def test_it_holds_the_package_its_types_and_its_licence_and_nothing_else(wheel: Path) -> None:
    """`backends` or `tests` in another service's site-packages would be in somebody's way."""
    names = zipfile.ZipFile(wheel).namelist()

    folders = {name.partition("/")[0] for name in names}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {"qurable"}
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "qurable").rglob("*.py")}
    assert {name for name in names if name.startswith("qurable/")} == code | {"qurable/py.typed"}
    licences = [name for name in names if name.endswith("dist-info/licenses/LICENSE")]
    assert [zipfile.ZipFile(wheel).read(name) for name in licences] == [(ROOT / "LICENSE").read_bytes()]


def test_it_says_what_it_is(wheel: Path) -> None:
    """On the index there is nothing but this to read."""
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    metadata = archive.read(name).decode()

    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata
    assert "Qurable.connect()" in metadata


def test_it_brings_neither_qiskit_nor_the_application(alone: Environment) -> None:
    """A service that asks quantum questions need not install a quantum stack."""
    code = "import importlib.util as u; print([n for n in ('qiskit', 'numpy', 'typer', 'worker') if u.find_spec(n)])"

    assert alone.run(alone.python, "-c", code).stdout.strip() == "[]"


async def test_it_runs_a_job(alone: Environment, service: Service, tmp_path: Path) -> None:
    """With Pydantic and Temporal alone, against a service elsewhere."""
    done = await asyncio.to_thread(
        alone.run, alone.python, "-W", "error", "-c", PROGRAM, cwd=tmp_path, environment=_where(service)
    )

    assert done.stdout.strip() == "100 ['00', '11']"


def test_the_command_line_without_its_extra_says_how_to_get_it(alone: Environment) -> None:
    """A traceback about `typer` helps nobody."""
    done = alone.run(alone.folder / "bin" / "qurable", "--help", check=False)

    assert done.returncode == 1
    assert "pip install 'qurable[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_command_line_helps_and_runs(
    with_cli: Environment, service: Service, tmp_path: Path
) -> None:
    """The extra brings all that it needs."""
    program = with_cli.folder / "bin" / "qurable"
    circuit = tmp_path / "bell.qasm"
    circuit.write_text(
        'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\ncreg c[1];\nx q[0];\nmeasure q -> c;\n'
    )

    assert "submit" in with_cli.run(program, "--help").stdout
    ran = await asyncio.to_thread(
        with_cli.run, program, "run", circuit, "--shots", "50", "--json", environment=_where(service)
    )
    assert json.loads(ran.stdout)["results"][0]["registers"][0]["counts"] == {"1": 50}


def test_the_command_line_alone_has_no_service_to_start_and_says_so(
    with_cli: Environment, tmp_path: Path
) -> None:
    """The application is elsewhere; the way out is named."""
    program = with_cli.folder / "bin" / "qurable"
    done = with_cli.run(program, "list", environment={"QURABLE_HOME": str(tmp_path)}, check=False)

    assert done.returncode == 5
    assert "TEMPORAL_ADDRESS" in done.stderr


def test_qiskit_primitives_name_the_extra_they_need(alone: Environment) -> None:
    """They are Qiskit's own base classes, and so need Qiskit."""
    done = alone.run(alone.python, "-c", "from qurable import QurableSampler", check=False)

    assert done.returncode == 1
    assert "qiskit" in done.stderr.splitlines()[-1]


def test_queues_are_named_without_a_service(alone: Environment) -> None:
    """Other services route by these names."""
    code = "from qurable.names import Queue; print(*Queue)"

    assert alone.run(alone.python, "-c", code).stdout.split() == [str(queue) for queue in Queue]
