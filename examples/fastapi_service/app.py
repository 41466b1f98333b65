"""A web service that starts jobs: it keeps nothing, so that any number of it may come and go.

make up                                                # in one shell
uvicorn examples.fastapi_service.app:app --port 8080   # in another
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from qurable import Qurable, State
from qurable.contracts.circuits import Circuit
from qurable.contracts.jobs import mint_key
from qurable.contracts.reports import JobReport
from qurable.errors import HybridError, JobCancelled, JobFailed, JobNotFound, KeyReused, RequestRejected


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One connection for all requests."""
    async with Qurable.connect() as app.state.qurable:
        yield


def _client(request: Request) -> Qurable:
    qurable: Qurable = request.app.state.qurable
    return qurable


app = FastAPI(title="Circuits on demand", lifespan=lifespan)
Client = Annotated[Qurable, Depends(_client)]
Key = Annotated[str, Header(alias="Idempotency-Key", default_factory=mint_key)]


class Asked(BaseModel):
    """OpenQASM 2 or 3, how often to run it, and where: a name that `qurable backends` lists, such as `ibm:brisbane`."""

    program: str = Field(max_length=100_000)
    shots: int = Field(default=1000, ge=1, le=1_000_000)
    backend: str = Field(default="auto", max_length=200)


class Started(BaseModel):
    """Where to ask for the answer."""

    id: str


class Paid(BaseModel):
    """A job at a provider: how long it waited there, and what it cost; None while the provider does not say."""

    id: str
    queue_seconds: float | None
    qpu_seconds: float | None
    price: float | None
    currency: str


class Standing(BaseModel):
    """Where a job stands; with counts once it has answered, with an error if it ended without.

    The rightmost character of a bitstring is bit 0. What was paid for is there either way.
    """

    id: str
    state: State
    counts: dict[str, int] | None = None
    served_by: str = ""
    error: str = ""
    provider_jobs: list[Paid] = []


@app.post("/run", status_code=202)
async def start(asked: Asked, qurable: Client, key: Key) -> Started:
    """Start a job; from here on it runs to its end, whatever becomes of this process."""
    circuit = Circuit.model_validate(asked.program)  # a bare string could also be the path of a file
    job = await qurable.submit(circuit, shots=asked.shots, backend=asked.backend, key=key, project="web")
    return Started(id=job.id)


@app.get("/run/{job_id}")
async def look(job_id: str, qurable: Client) -> Standing:
    """Where a job stands, and what came of it."""
    status = await qurable.status(job_id)
    if not status.state.final:
        return Standing(id=job_id, state=status.state)
    try:
        report = await qurable.result(job_id)
    except (JobFailed, JobCancelled) as ended:
        return Standing(
            id=job_id,
            state=status.state,
            error=ended.message,
            provider_jobs=await _paid_in_vain(qurable, job_id),
        )
    return Standing(
        id=job_id,
        state=report.state,
        counts=report.counts(),
        served_by=report.served_by,
        provider_jobs=_bill(report),
    )


def _bill(report: JobReport) -> list[Paid]:
    return [Paid.model_validate(job, from_attributes=True) for job in report.provider_jobs]


async def _paid_in_vain(qurable: Qurable, job_id: str) -> list[Paid]:
    """What a job has cost that did not answer; nothing is known of one that was terminated."""
    try:
        return _bill(await qurable.read_report(job_id))
    except JobNotFound:
        return []


@app.exception_handler(HybridError)
async def explain(_: Request, error: HybridError) -> JSONResponse:
    """Whose fault it is: the caller's, or that of a service which does not answer now."""
    statuses = {JobNotFound: 404, KeyReused: 409, RequestRejected: 422}
    status = next((statuses[kind] for kind in statuses if isinstance(error, kind)), 503)
    return JSONResponse({"code": error.code, "detail": error.message}, status)
