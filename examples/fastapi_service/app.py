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
    """OpenQASM 2 or 3, and how often to run it."""

    program: str = Field(max_length=100_000)
    shots: int = Field(default=1000, ge=1, le=1_000_000)


class Started(BaseModel):
    """Where to ask for the answer."""

    id: str


class Standing(BaseModel):
    """Where a job stands; with counts once it has answered, with an error if it ended without."""

    id: str
    state: State
    counts: dict[str, int] | None = None
    served_by: str = ""
    error: str = ""


@app.post("/run", status_code=202)
async def start(asked: Asked, qurable: Client, key: Key) -> Started:
    """Start a job; from here on it runs to its end, whatever becomes of this process."""
    circuit = Circuit.model_validate(asked.program)  # a bare string could also be the path of a file
    job = await qurable.submit(circuit, shots=asked.shots, key=key, project="web")
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
        return Standing(id=job_id, state=status.state, error=ended.message)
    return Standing(id=job_id, state=report.state, counts=report.counts(), served_by=report.served_by)


@app.exception_handler(HybridError)
async def explain(_: Request, error: HybridError) -> JSONResponse:
    """Whose fault it is: the caller's, or that of a service which does not answer now."""
    statuses = {JobNotFound: 404, KeyReused: 409, RequestRejected: 422}
    status = next((statuses[kind] for kind in statuses if isinstance(error, kind)), 503)
    return JSONResponse({"code": error.code, "detail": error.message}, status)
