"""Histories of every release replay on today's workflows: a job that runs during an upgrade is not lost."""

from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.common import RawValue
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from qurable.contracts.jobs import JobHead
from qurable.temporal.converter import data_converter
from qurable.temporal.storage import FolderDriver
from tests.workflows.histories import FOLDER, STORIES
from workflows.batch import Batch
from workflows.collector import Collector
from workflows.comparison import Comparison
from workflows.cut import Cut
from workflows.hybrid_job import HybridJob
from workflows.matrix import Matrix
from workflows.precise import PreciseEstimate
from workflows.read_store import ReadStore
from workflows.scheduled import ScheduledRun
from workflows.shadow import Shadow
from workflows.variational import Variational

WORKFLOWS = (
    Batch,
    Collector,
    Comparison,
    Cut,
    HybridJob,
    Matrix,
    PreciseEstimate,
    ReadStore,
    ScheduledRun,
    Shadow,
    Variational,
)

RECORDED = sorted(FOLDER.glob("*/*.json"))


def _replayer(recorded: Path, *workflows: type) -> Replayer:
    restrictions = SandboxRestrictions.default.with_passthrough_modules("qurable")
    return Replayer(
        workflows=workflows,
        workflow_runner=SandboxedWorkflowRunner(restrictions),
        data_converter=data_converter(FolderDriver(recorded.parent / "payloads")),
    )


def _history(recorded: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(recorded.stem, recorded.read_text(encoding="utf-8"))


def test_every_story_is_recorded_for_every_release() -> None:
    """An empty folder would replay without complaint."""
    releases = {path.parent.name for path in RECORDED}

    assert releases
    for release in releases:
        assert {path.stem for path in RECORDED if path.parent.name == release} >= (
            set(STORIES) if release == max(releases) else {"small"}
        )


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_recorded_history_replays(recorded: Path) -> None:
    """The same commands in the same order."""
    replayer = _replayer(recorded, *WORKFLOWS)
    await replayer.replay_workflow(_history(recorded))


@workflow.defn(name="HybridJob")
class HastyJob(HybridJob):
    """Plans again before it runs anything: a change without a patch."""

    @workflow.run
    async def run(self, head: JobHead, body: RawValue) -> RawValue:
        await workflow.sleep(1)
        return await super().run(head, body)


async def test_a_changed_workflow_without_a_patch_fails() -> None:
    """The test above can fail, and says why."""
    recorded = next(path for path in RECORDED if path.stem == "small")
    replayer = Replayer(
        workflows=[HastyJob], workflow_runner=UnsandboxedWorkflowRunner(), data_converter=data_converter()
    )
    result = await replayer.replay_workflow(_history(recorded), raise_on_replay_failure=False)

    assert isinstance(result.replay_failure, workflow.NondeterminismError)


def test_the_recorded_request_by_reference_has_its_payload() -> None:
    """A history whose payloads are gone cannot be replayed, here or anywhere."""
    recorded = next(path for path in RECORDED if path.stem == "one_by_one")

    assert "external" in recorded.read_text(encoding="utf-8").lower()
    assert any(path.is_file() for path in (recorded.parent / "payloads").rglob("*"))
