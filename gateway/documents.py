"""What the gateway answers about jobs: the client's own contracts, with links."""

from typing import Any, Literal, Self

from fastapi.responses import JSONResponse
from pydantic import Field
from pydantic_core import to_json

from qurable.contracts.base import Contract
from qurable.contracts.mitigation import QuasiDistributions
from qurable.contracts.reports import JobReport, JobStatus, JobSummary
from qurable.contracts.results import EstimateResult
from qurable.contracts.targets import TargetSnapshot


class Links(Contract):
    """Where else to look; relative to the gateway's own address."""

    job: str
    events: str
    results: str

    @classmethod
    def of(cls, job_id: str) -> Self:
        """The links of a job."""
        return cls(job=f"/jobs/{job_id}", events=f"/jobs/{job_id}/events", results=f"/jobs/{job_id}/results")


class RegisterCounts(Contract):
    """Counts of one classical register; for a pub with a shape one mapping per element, flat in C order."""

    name: str
    num_bits: int
    counts: dict[str, int] | tuple[dict[str, int], ...]


class SampleCounts(Contract):
    """What a sampled pub read, as counts; `mitigated` is there only where mitigation made something of them."""

    kind: Literal["sample"]
    shape: tuple[int, ...]
    shots: int
    bit_order: str
    registers: tuple[RegisterCounts, ...]
    metadata: dict[str, Any]
    mitigated: QuasiDistributions | None = None


class OpenJob(JobStatus):
    """A job that has not ended: where it stands. It has no results yet."""

    results: tuple[()] = ()
    links: Links


class EndedJob(JobReport):
    """A job that has ended, with an answer or without: its report, with counts instead of packed shots."""

    results: tuple[SampleCounts | EstimateResult, ...] = ()  # type: ignore[assignment]  # the document's own form
    links: Links


class JobList(Contract):
    """Jobs, newest first.

    Attributes:
        jobs: Those that a worker has accepted.
        next: Where older ones are; None where there are none.
    """

    jobs: tuple[JobSummary, ...]
    next: str | None = None


class FinishedPubs(Contract):
    """Results of a job's pubs in their order; None for a pub that is not finished yet."""

    id: str
    pubs: tuple[SampleCounts | EstimateResult | None, ...] = Field(default=())


class BackendList(Contract):
    """What the workers offer; a backend that cannot run there says why."""

    backends: tuple[TargetSnapshot, ...]


def job_document(standing: JobReport | JobStatus) -> dict[str, Any]:
    """A job's report or status as an answer."""
    links = Links.of(standing.id).model_dump(mode="json")
    if isinstance(standing, JobReport):
        return {**standing.document(), "links": links}
    return {**standing.model_dump(mode="json"), "results": [], "links": links}


class Json(JSONResponse):
    """JSON of documents: numbers that JSON does not have are written as words, as in the contracts."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return to_json(content, inf_nan_mode="strings")
