"""Jobs that were answered, for tests that look for their answers."""

from datetime import datetime
from typing import Any

from qurable.contracts.executions import Piece, Submission, SubmissionKey
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import JobReport, Provenance, State
from qurable.contracts.routes import Route, Rung
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from store import jobs, provider_jobs, results, submissions
from store.database import Database

DEVICE = "ibm:torino"


async def answer(
    database: Database,
    number: int,
    *,
    at: datetime,
    project: str = "lab",
    question: str = "q",
    state: State = State.COMPLETED,
    backend: str = DEVICE,
    served_by: str = "",
    said: str = "",
    ibm: IbmOptions | None = None,
    **target: Any,
) -> SubmissionKey:
    """A job that was sent to a backend and has ended."""
    key = SubmissionKey(job_id=f"job-{number}", backend=backend, digest=question)
    head = JobHead(
        schema_version=1, id=key.job_id, project=project, kind="sample", asked=backend, body_hash="b"
    )
    known = {"answer_kind": AnswerKind.HARDWARE, "paid": True, **target}
    rung = Rung(target=TargetSnapshot(name=backend, **known), because="asked for")
    report = JobReport(
        id=key.job_id,
        project=project,
        kind="sample",
        state=state,
        asked=backend,
        served_by=served_by or backend,
        route=Route(rungs=(rung,)),
        provenance=Provenance(request="b", submission=said or key.tag),
    )
    await database.write(jobs.accept, head, owner="o", request="r", labels={}, at=at)
    if ibm is not None:
        submission = Submission(key=key, kind="sample", pubs=(), ibm=ibm)
        await database.write(provider_jobs.intend, submission, "", [])
    await database.write(submissions.settle_handle, key, "handle")
    await database.write(results.put, key.tag, [Piece(pub=0, start=0, stop=1, data=b"12345")])
    await database.write(jobs.end, report, at=at)
    return key
