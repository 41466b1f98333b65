"""The oldest versions that `pyproject.toml` allows, and the newest Python with the newest of everything."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from tests.architecture.imports import ROOT
from tests.conftest import Service
from tests.packaging.environments import Environment, make, pythons

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

APPLICATION = ("--editable", str(ROOT), "--editable", f"{ROOT / 'qurable'}[cli,qiskit,s3]")
CLIENT = f"{ROOT / 'qurable'}[cli,qiskit,s3]"

IMPORTS = """
import gateway.app, qurable.primitives, qurable.temporal.storage, qurable.testing.conformance, starter, worker
import aioboto3, temporalio.contrib.aws.s3driver.aioboto3
from settings import Settings
Settings()
"""

PRIMITIVES = """
from qiskit import QuantumCircuit
from qurable import BlockingQurable, QurableEstimator, QurableSampler

bell = QuantumCircuit(2)
bell.h(0)
bell.cx(0, 1)
measured = bell.copy()
measured.measure_all()
with BlockingQurable() as client:
    counts = QurableSampler(client, seed=7).run([measured], shots=200).result()[0].data.meas.get_counts()
    values = QurableEstimator(client, default_precision=0).run([(bell, ["ZZ", "XX", "ZI"])]).result()[0].data.evs
print(sorted(counts), [round(float(value), 9) for value in values])
"""


def _runs_the_main_job(environment: Environment, home: Path) -> None:
    """`make run` in brief: server, worker, client, store and children, all of them real."""
    settings = {"QURABLE_HOME": str(home), "QURABLE_ADMISSION_FOLDER": str(home / "admission")}
    environment.run(environment.python, "-c", IMPORTS, environment=settings)
    ran = environment.run(
        environment.python, ROOT / "starter.py", "--seed", "7", "--json", environment=settings
    )

    report = json.loads(ran.stdout)
    assert report["state"] == "completed"
    counts = report["results"][0]["registers"][0]["counts"]
    assert sum(counts.values()) == 1024
    assert set(counts) == {"00000", "11111"}


def test_the_application_runs_on_the_oldest_versions_it_allows(tmp_path: Path) -> None:
    """A lower bound that nobody has tried is a guess."""
    environment = make(tmp_path / "venv")
    environment.install("--resolution", "lowest-direct", *APPLICATION)

    assert environment.version_of("temporalio") == _lowest("temporalio")
    assert environment.version_of("pydantic").startswith(_lowest("pydantic"))
    _runs_the_main_job(environment, tmp_path / "home")


async def test_the_client_works_on_the_oldest_versions_it_allows(service: Service, tmp_path: Path) -> None:
    """Other services choose their own versions; an old Qiskit speaks to a new service."""
    environment = await asyncio.to_thread(make, tmp_path / "venv")
    await asyncio.to_thread(environment.install, "--resolution", "lowest-direct", "--editable", CLIENT)

    assert environment.version_of("qiskit") == _lowest("qiskit")
    where = {"TEMPORAL_ADDRESS": service.server.target, "QURABLE_HOME": str(service.settings.home)}
    done = await asyncio.to_thread(environment.run, environment.python, "-c", PRIMITIVES, environment=where)
    assert done.stdout.strip() == "['00', '11'] [1.0, 1.0, 0.0]"


def _lowest(distribution: str) -> str:
    """The bound in the wheel's own declaration, as a full version."""
    declared = (ROOT / "qurable" / "pyproject.toml").read_text(encoding="utf-8")
    (bound,) = set(re.findall(rf'"{distribution}>=([\d.]+)"', declared))
    return f"{bound}.0" if bound.count(".") == 1 else bound


def test_the_application_runs_on_the_newest_python_and_the_newest_versions(tmp_path: Path) -> None:
    """What was released since the lock was made is met here first."""
    newest, program = pythons()[0]
    if newest <= sys.version_info[:2]:
        pytest.skip(
            f"this machine has no Python newer than {newest[0]}.{newest[1]}, which runs all the other tests"
        )
    environment = make(tmp_path / "venv", program)
    environment.install("--resolution", "highest", *APPLICATION)

    _runs_the_main_job(environment, tmp_path / "home")
