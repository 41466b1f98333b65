"""The example of training in mini-batches: killed anywhere, it has the weights that it would have had."""

import asyncio
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.chaos.harness import until
from tests.conftest import Service
from tests.examples.test_script_and_notebook import EXAMPLES, environment

_SECONDS = 240
SCRIPT = EXAMPLES / "training" / "train.py"


async def begun(service: Service, folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    """The example in a folder of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        SCRIPT,
        *arguments,
        cwd=folder,
        env=environment(service),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> str:
    """What it printed."""
    async with asyncio.timeout(_SECONDS):
        printed, complaints = (stream.decode() for stream in await process.communicate())
    assert (process.returncode, complaints) == (0, "")
    return printed


def steps(folder: Path) -> list[dict[str, Any]]:
    """Whole lines of its log."""
    log = folder / "training.jsonl"
    whole = log.read_bytes().rpartition(b"\n")[0] if log.exists() else b""
    return [json.loads(line) for line in whole.splitlines()]


@pytest.mark.long
async def test_killed_training_goes_on_to_the_weights_it_would_have_had(
    service: Service, tmp_path: Path
) -> None:
    """Kill -9 in the middle, a line of the log cut in half: no step is lost, and none is another one."""
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    calm.mkdir()
    killed.mkdir()
    first = await begun(service, killed, "--steps", "5", "--name", "killed")
    await until("two steps are logged", lambda: len(steps(killed)) >= 2)
    first.kill()
    await first.communicate()
    with (killed / "training.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"number": 9')

    printed = await ended(await begun(service, killed, "--steps", "5", "--name", "killed"))
    await ended(await begun(service, calm, "--steps", "5", "--name", "calm"))

    ours, theirs = steps(killed), steps(calm)
    assert [step["number"] for step in ours] == [1, 2, 3, 4, 5]
    assert [step | {"job": ""} for step in ours] == [step | {"job": ""} for step in theirs]
    assert len({step["job"] for step in (*ours, *theirs)}) == 10
    assert "AUC" in printed
    assert "<polyline" in (killed / "training.svg").read_text(encoding="utf-8")


@pytest.mark.long
async def test_training_learns(service: Service, tmp_path: Path) -> None:
    """After 24 mini-batches it is far better than chance on samples that it has not seen; a log that is lost costs no circuit."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "lost").mkdir()
    printed = await ended(await begun(service, tmp_path / "whole", "--steps", "24", "--name", "learns"))
    again = await ended(await begun(service, tmp_path / "lost", "--steps", "24", "--name", "learns"))

    judged = printed.split("held out: ")[1]
    assert again == printed
    assert {step["job"] for step in steps(tmp_path / "lost")} == {
        step["job"] for step in steps(tmp_path / "whole")
    }
    auc, brier = (float(judged.split(f"{word} ")[1].split()[0].strip(",")) for word in ("AUC", "score"))
    assert auc > 0.85
    assert brier < 0.18


def test_every_sample_comes_once_in_an_epoch_in_an_order_of_its_own() -> None:
    """It is drawn anew from the seed for each step, and is the same each time."""
    example = runpy.run_path(str(SCRIPT))
    batch_of = example["batch_of"]

    epochs = [[batch_of(10 * epoch + step, 160, 5) for step in range(1, 11)] for epoch in range(2)]

    assert all(sorted(index for batch in epoch for index in batch) == list(range(160)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert epochs[1] == [batch_of(step, 160, 5) for step in range(11, 21)]
    assert batch_of(3, 160, 6) != batch_of(3, 160, 5)


def test_the_gradient_is_that_of_the_loss() -> None:
    """Against differences of the exact loss, in every weight."""
    from qiskit.quantum_info import SparsePauliOp, Statevector

    example = runpy.run_path(str(SCRIPT))
    circuit, draw = example["ansatz"](), np.random.default_rng(2)
    x, labels = draw.uniform(-1, 1, (3, 2)), np.array([0.0, 1.0, 1.0])
    weights = draw.uniform(-np.pi, np.pi, example["WEIGHTS"])
    observable = SparsePauliOp(example["OBSERVABLE"])

    def value(row: Any) -> float:
        return float(Statevector(circuit.assign_parameters(row)).expectation_value(observable).real)

    def loss(point: Any) -> float:
        said = np.array([(1 - value([*point, *features])) / 2 for features in x])
        return float(np.mean((said - labels) ** 2))

    values = np.apply_along_axis(value, 2, example["rows_of"](weights, x))
    found, gradient = example["gradient_of"](values, labels)

    nudges = 1e-5 * np.eye(len(weights))
    slopes = [(loss(weights + nudge) - loss(weights - nudge)) / 2e-5 for nudge in nudges]
    assert found == pytest.approx(loss(weights))
    assert gradient == pytest.approx(slopes, abs=1e-8)
