"""What an import brings along and what it costs, asked of a fresh interpreter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.imports import ROOT

QISKIT = frozenset({"qiskit", "qiskit_aer", "qiskit_ibm_runtime", "qiskit_qasm3_import"})

HELP_CPU_SECONDS = 0.3
_TRIES = 5


def loaded_by(program: str, **environment: str) -> frozenset[str]:
    """Top-level names of the modules that are loaded once a program has run."""
    report = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    output = subprocess.run(
        [sys.executable, "-c", f"{program}\n{report}"],
        cwd=ROOT,
        env=os.environ | environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    return frozenset(json.loads(output.splitlines()[-1]))


def test_importing_the_package_loads_next_to_nothing() -> None:
    """A service that mentions `qurable` in one handler does not pay for it at its start."""
    assert not loaded_by("import qurable") & (QISKIT | {"temporalio", "pydantic", "numpy"})


@pytest.mark.parametrize("module", ["qurable.client", "qurable.blocking", "qurable.requests"])
def test_the_client_loads_no_qiskit(module: str) -> None:
    """Another service talks to a quantum service for the price of Pydantic and Temporal."""
    assert not loaded_by(f"import {module}") & (QISKIT | {"numpy"})


@pytest.mark.parametrize("module", ["workflows.hybrid_job", "workflows.read_store"])
def test_a_workflow_loads_nothing_that_computes_or_stores(module: str) -> None:
    """The sandbox imports workflow modules again: what they bring along is paid many times."""
    assert not loaded_by(f"import {module}") & (QISKIT | {"numpy", "sqlalchemy", "alembic"})


def test_the_command_line_loads_nothing_heavy_for_its_help() -> None:
    """`--help` is for people who wait for it."""
    assert not loaded_by("import qurable.cli.app") & (QISKIT | {"numpy", "temporalio", "pydantic"})


def test_a_worker_that_runs_a_job_loads_no_qiskit_itself(tmp_path: Path) -> None:
    """Qiskit lives in the children, and scipy takes a second: a worker stays small, and no circuit can crash it."""
    program = """
import sys
sys.argv = ["starter.py", "--shots", "10", "--json"]
import starter
try:
    starter.cli()
except SystemExit as left:
    assert left.code == 0, left.code
"""

    loaded = loaded_by(program, QURABLE_HOME=str(tmp_path))

    assert {"temporalio", "sqlalchemy"} <= loaded, "no worker ran in the process that was asked"
    assert not loaded & (QISKIT | {"scipy"})


def test_help_costs_less_than_three_tenths_of_a_second_of_processor_time() -> None:
    """Completion and curiosity must not cost an import of everything."""
    assert min(_help_cpu_seconds() for _ in range(_TRIES)) < HELP_CPU_SECONDS


def _help_cpu_seconds() -> float:
    """Processor time of one `qurable --help`, user and system."""
    program = Path(sys.executable).with_name("qurable")
    process = subprocess.Popen([program, "--help"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime
