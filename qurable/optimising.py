"""Variational loops from a client: start one, watch it, steer it, attach to it by id from anywhere."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from qurable.contracts.base import explain
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.optimisations import (
    Evaluation,
    LoopState,
    Optimisation,
    OptimisationReport,
    OptimisationStatus,
    ProblemFile,
    ProblemFormat,
    Steering,
)
from qurable.contracts.problems import MAX_PROBLEM_TEXT, PROBLEM_KINDS
from qurable.contracts.stages import ReadRequest
from qurable.endings import from_error, unreachable
from qurable.errors import HybridError, NoWorker, RequestRejected, from_document
from qurable.input_files import readable
from qurable.names import STEER, VARIATIONAL
from qurable.requests import as_circuit, as_observables
from qurable.temporal.following import Read, ask, cancel, changes, end_of
from qurable.temporal.starting import Start, start_once

_STEER_SECONDS = 20.0

_FORMATS = {
    ".edges": ProblemFormat.EDGE_LIST,
    ".el": ProblemFormat.EDGE_LIST,
    ".gset": ProblemFormat.G_SET,
    ".mc": ProblemFormat.G_SET,
    ".qubo": ProblemFormat.QUBO,
    ".coo": ProblemFormat.COO,
    ".fcidump": ProblemFormat.FCIDUMP,
    ".tsp": ProblemFormat.TSPLIB,
    ".atsp": ProblemFormat.TSPLIB,
    ".lp": ProblemFormat.LP,
    ".mps": ProblemFormat.MPS,
    ".csv": ProblemFormat.CSV,
    ".parquet": ProblemFormat.PARQUET,
}
"""Of files by their suffix; a name that ends in FCIDUMP is one too."""


def as_optimisation(work: Any, ansatz: Any, **options: Any) -> Optimisation:
    """A loop from what people have at hand.

    Args:
        work: A problem or its document, a `ProblemFile`, or an observable: a Pauli label, a sum of them, a `SparsePauliOp`;
            for a registered objective also a list of them.
        ansatz: A family as `{"family", "depth"}` or `"family"` or `"family:depth"`, or a circuit with parameters.
        **options: Other fields of `Optimisation`.

    Raises:
        RequestRejected: Naming the field.
    """
    fields = {**_what(work, composed=options.get("objective") is not None), **_with(ansatz), **options}
    try:
        return Optimisation.model_validate(fields)
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the loop")) from None


def _what(work: Any, *, composed: bool) -> dict[str, Any]:
    if isinstance(work, ProblemFile):
        return {"file": work}
    if isinstance(work, str | Path) and Path(work).suffix:
        return {"file": problem_file(Path(work))}
    kind = work.get("kind") if isinstance(work, dict) else getattr(work, "kind", None)
    if kind in PROBLEM_KINDS:
        return {"problem": work}
    observables = as_observables(work)
    if len(observables.shape) == 1 and composed:
        return {"observables": observables.items}
    if observables.shape:
        raise RequestRejected(
            "a loop has one observable, not an array of them; a list of them needs an `objective` that makes one number of their values"
        )
    return {"observable": observables.items[0]}


def _with(ansatz: Any) -> dict[str, Any]:
    if isinstance(ansatz, dict):
        return {"ansatz": ansatz}
    if isinstance(ansatz, str) and "\n" not in ansatz and not Path(ansatz).suffix:
        family, _, depth = ansatz.partition(":")
        return {"ansatz": {"family": family, **({"depth": depth} if depth else {})}}
    return {"circuit": as_circuit(ansatz)}


def problem_file(
    path: Path,
    form: str | None = None,
    index_base: int | None = None,
    table: str | None = None,
    mapping: str | None = None,
) -> ProblemFile:
    """A problem's file; its format by its suffix unless one is named.

    Args:
        path: Of the file.
        form: One of `ProblemFormat`.
        index_base: What it calls its first node, variable or city, 0 or 1.
        table: What the numbers of a CSV or Parquet table are: `maxcut` or `qubo`.
        mapping: How the modes of a FCIDUMP become qubits: `jordan_wigner`, as without it, or `parity`.

    Raises:
        RequestRejected: There is no such file, nobody knows its format, or an option is not acceptable.
    """
    with readable(path):
        size, content = path.stat().st_size, b""
        if size <= MAX_PROBLEM_TEXT:
            content = path.read_bytes()
    found = form or _FORMATS.get(path.suffix.lower())
    if found is None and path.name.upper().endswith("FCIDUMP"):
        found = ProblemFormat.FCIDUMP
    if found is None:
        raise RequestRejected(
            f"the format of {str(path)!r} does not show in its name: name one of {', '.join(ProblemFormat)}"
        )
    fields: dict[str, Any] = {"format": found, "index_base": index_base, "table": table}
    if mapping is not None:
        if found != ProblemFormat.FCIDUMP:
            raise RequestRejected(f"mapping says nothing of a {found} file: leave it out")
        fields["mapping"] = mapping
    try:
        if size > MAX_PROBLEM_TEXT:
            raise RequestRejected(f"{str(path)!r} is larger than {MAX_PROBLEM_TEXT:,} bytes")
        packed = found == ProblemFormat.PARQUET
        text = b64encode(content).decode() if packed else content.decode(errors="replace")
        return ProblemFile.model_validate({**fields, "text": text})
    except ValidationError as failure:
        raise RequestRejected(explain(failure, f"the file {str(path)!r}")) from None


@dataclass(frozen=True)
class Loop:
    """A loop that was started, or found again.

    Attributes:
        id: Unique for ever; any process attaches by it.
    """

    id: str
    _temporal: Client
    _read: Read

    async def status(self) -> OptimisationStatus:
        """Where it stands; also where no worker is there to tell.

        Raises:
            JobNotFound: Nobody knows it.
        """
        try:
            found = await ask(self._temporal, self.id, "progress", OptimisationStatus)
        except NoWorker:
            message = "no worker answers; the loop waits for one"
            return OptimisationStatus(id=self.id, state=LoopState.RUNNING, message=message)
        return _status_of(await self._stored()) if found is None else found

    def progress(self) -> AsyncIterator[OptimisationStatus]:
        """Where it stands, each time that changes, until it ends."""
        return changes(self.status, lambda: end_of(self._temporal, self.id, OptimisationReport))

    async def watch(self) -> OptimisationStatus:
        """Draw it as it goes, until it ends: below the cell of a notebook, or in a terminal; where it stood last.

        Whoever stops watching leaves it running, and attaches again by its id, from any machine.

        Raises:
            JobNotFound: Nobody knows it.
            ServiceUnreachable: It cannot be reached to begin with.
        """
        from qurable.watching import watch

        return await watch(self)

    async def evaluations(self, start: int = 0) -> AsyncIterator[Evaluation]:
        """Every evaluation that is kept so far, from an iteration on, in order.

        Args:
            start: Number of the first iteration, counted from 0.
        """
        while True:
            request = ReadRequest(what="evaluations", job_id=self.id, after=start)
            page: tuple[Evaluation, ...] = await self._read(request, tuple[Evaluation, ...])
            for evaluation in page:
                yield evaluation
            if not page:
                return
            start = page[-1].iteration + 1

    async def steer(self, steering: Steering) -> OptimisationStatus:
        """Change it from its next chunk on, about a second later, or from its next iteration on where that is a job.

        Raises:
            RequestRejected: It has ended, or is about to.
            NoWorker: No worker took the change in time.
        """
        handle = self._temporal.get_workflow_handle(self.id)
        try:
            async with asyncio.timeout(_STEER_SECONDS):
                taken: OptimisationStatus = await handle.execute_update(
                    STEER, steering, result_type=OptimisationStatus
                )
        except WorkflowUpdateFailedError as failure:
            raise _why(failure.cause) from None
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            raise NoWorker(
                f"no worker took the change of loop {self.id!r} within {_STEER_SECONDS:g} s: start one with `python worker.py`"
            ) from None
        except RPCError as failure:
            if failure.status is RPCStatusCode.NOT_FOUND:
                raise RequestRejected(
                    f"loop {self.id!r} has ended, or never was: there is nothing to steer"
                ) from None
            raise unreachable(failure) from None
        return taken

    async def stop(self) -> OptimisationStatus:
        """End it at its next chunk, with the best so far."""
        return await self.steer(Steering(stop=True))

    async def pause(self) -> OptimisationStatus:
        """Have it wait from its next chunk on."""
        return await self.steer(Steering(pause=True))

    async def resume(self) -> OptimisationStatus:
        """Have it go on."""
        return await self.steer(Steering(pause=False))

    async def switch(self, backend: str, *, shots: int | None = None) -> OptimisationStatus:
        """Evaluate at another place from its next iteration on; one that failed is run again there.

        Args:
            backend: Name of the place.
            shots: Of all iterations from now on; None to leave them.
        """
        return await self.steer(Steering(backend=backend, shots=shots))

    async def cancel(self) -> None:
        """Give it up; what was evaluated stays."""
        if not await cancel(self._temporal, self.id):
            await self.status()  # ended, or unknown: the difference matters

    async def report(self, *, wait: timedelta | None = None) -> OptimisationReport:
        """Its report, waiting until it has one.

        Args:
            wait: Give up waiting after this long; the loop goes on.

        Raises:
            JobFailed: It ended without an answer; `.error` says why.
            JobCancelled: It was cancelled.
            JobNotFound: Nobody knows it.
            TimeoutError: The wait is over.
        """
        found = await end_of(self._temporal, self.id, OptimisationReport, wait=wait)
        if found is None:
            found = await self._stored()  # Temporal has forgotten it; the store has not
        if found.error_document is not None:
            raise from_error(self.id, found.error_document)
        return found

    async def _stored(self) -> OptimisationReport:
        report: OptimisationReport = await self._read(
            ReadRequest(what="loop", job_id=self.id), OptimisationReport
        )
        return report


def _why(cause: BaseException) -> HybridError:
    if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
        return from_document(ErrorDocument.model_validate(cause.details[0]))
    return RequestRejected(f"the loop does not take the change: {cause}")


def _status_of(report: OptimisationReport) -> OptimisationStatus:
    return OptimisationStatus(
        id=report.id,
        state=report.state,
        backend=report.places[-1].backend if report.places else "",
        parameters=len(report.parameters),
        sense=report.sense,
        best=report.best,
        spent=report.spent,
        curve=report.curve,
        reference=report.reference,
        message="" if report.stopped_by is None else str(report.stopped_by),
    )


async def start_loop(temporal: Client, read: Read, loop: Optimisation) -> Loop:
    """Start a loop, or find the one that its key already started.

    Raises:
        KeyReused: The key belongs to a loop with another body.
        ServiceUnreachable: Temporal does not answer.
    """
    summary = f"loop · {loop.optimiser.name} · on {loop.backend}"
    start = Start(VARIATIONAL, loop.loop_id, [loop, None], loop.project, summary, "loop", loop.body_hash)
    await start_once(temporal, start)
    return Loop(loop.loop_id, temporal, read)
