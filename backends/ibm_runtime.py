"""`ibm:<device>`: IBM's hardware, through the real client, and never paid twice.

How a job is sent once is in `backends/ibm/once.py`. The client itself runs in child processes that may be killed
(`backends/ibm/tasks.py`); what is decided, is decided here.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from backends.ibm.account import DEFAULT, Account
from backends.ibm.checks import check
from backends.ibm.fitting import divided_parts, with_shots_that_fit
from backends.ibm.once import Once
from backends.ibm.provider import Line, Provider
from backends.ibm.split import DeviceLimits
from backends.ibm.verdicts import FINAL, state_of, withdrawal_of
from qurable.backend import StillWaiting
from qurable.contracts.executions import (
    Cancelled,
    JobRef,
    JobState,
    PartIntent,
    Phase,
    Piece,
    ProviderFacts,
    ProviderJob,
    Submission,
    SubmissionKey,
)
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.jobs import Method
from qurable.contracts.targets import AnswerKind, TargetDocument, TargetSnapshot
from qurable.errors import (
    BackendNotInstalled,
    BudgetExceeded,
    HybridError,
    SessionClosed,
    StateUnknown,
    TargetUnavailable,
    UnknownBackend,
)
from qurable.ledger import Sending
from qurable.names import Queue

PREFIX = "ibm:"

CHOOSE = "ibm"

_DEVICE = re.compile(r"(ibm:)?[A-Za-z0-9][A-Za-z0-9_-]{0,99}")

_STRAYS_AT_MOST = 200

_LOOK_AGAIN = timedelta(seconds=1)

_PASSING = {"queue_position", "starts_at"}
"""What changes with every look and is not worth a write."""


def backend_name(device: str, account: Account) -> str:
    """The name a device has here: `ibm:torino`, `ibm:torino@lab` with an account of another label."""
    short = device.removeprefix("ibm_")
    return f"{PREFIX}{short}" if account.label == DEFAULT else f"{PREFIX}{short}@{account.label}"


def device_of(name: str) -> str:
    """The provider's name of the device that a backend's name means."""
    short = name.removeprefix(PREFIX).partition("@")[0]
    return short if short.startswith("ibm_") else f"ibm_{short}"


def qualified(name: str, provider: Provider | None, project: str) -> str:
    """A device's name as this house writes it, with the account that pays for the project.

    Raises:
        BackendNotInstalled: IBM's hardware is not reached from here.
        RequestRejected: The name asks for another project's account.
        UnknownBackend: No device can have that name, whatever the account sees.
    """
    if provider is None:
        raise BackendNotInstalled("IBM's hardware is not reached from this worker")
    device, at, label = name.partition("@")
    if not _DEVICE.fullmatch(device):
        raise UnknownBackend(
            f"{name!r} is no name of a device: letters, digits, '_' and '-', as in 'ibm:torino'"
        )
    short = PREFIX + device.removeprefix(PREFIX).removeprefix("ibm_")
    return provider.accounts.qualified(f"{short}{at}{label}", project)


async def outlines(provider: Provider, account: Account, min_qubits: int = 1) -> list[TargetSnapshot]:
    """Every device the account sees that is wide enough, the shortest queue first, without its target.

    The queue is the one the service tells now, never that of a list it handed out before.

    Raises:
        TargetUnavailable: The service does not answer.
    """
    found = await Line(provider, account.label).ask("devices", min_qubits=min_qubits)
    found.sort(key=lambda device: (device["pending_jobs"], device["qubits"], device["name"]))
    return [_outline(device, account) for device in found]


def _outline(found: Mapping[str, Any], account: Account) -> TargetSnapshot:
    """What is known of a device without its calibration."""
    emulated = account.emulator is not None
    return TargetSnapshot(
        name=backend_name(found["name"], account),
        answer_kind=AnswerKind.NOISY_SIMULATOR if emulated else AnswerKind.HARDWARE,
        num_qubits=found["qubits"],
        paid=True,
        emulated=emulated,
        available=found["operational"],
        reason="" if found["operational"] else found["message"] or "it takes no jobs now",
        pending_jobs=found["pending_jobs"],
        account=account.label,
        price_per_second=account.price_per_second,
        currency=account.currency,
        submit_queue=Queue.SUBMIT,
        run_queue=Queue.HARDWARE,
        description=_description(found["qubits"], emulated=emulated),
    )


class IbmBackend:
    """One device of IBM's, paid by one account.

    Args:
        name: As `backend_name` gives it.
        provider: What it is reached with.
    """

    def __init__(self, name: str, provider: Provider) -> None:
        self.name = name
        self._device = device_of(name)
        self._label = name.partition("@")[2] or DEFAULT
        self._provider = provider
        self._ledger = provider.ledger
        self._line = Line(provider, self._label)
        self._once = Once(name, self._device, self._line, provider)
        self._described: tuple[float, dict[str, Any]] | None = None

    @property
    def account_label(self) -> str:
        """Label of the account that pays."""
        return self._label

    async def sending(self) -> Sending:
        """The rules of sending with the account that pays."""
        return await self._line.sending()

    # What it is

    async def target(self) -> TargetSnapshot:
        """What the device offers now; its description may be some minutes old, its queue is not.

        Raises:
            UnknownBackend: The account sees no such device; near names are in the message.
            TargetUnavailable: The service does not answer.
        """
        known = self._described is not None and not self._is_old(self._described[0])
        found = await self._describe()
        if known:  # a description that has just come has the status of this moment
            found = found | await self._line.ask("status", device=self._device)
        calibrated = found["calibrated"]
        return _outline(found, self._line.account).model_copy(
            update={
                "name": self.name,
                "dynamic_circuits": found["dynamic"],
                "version": found["version"],
                "calibrated": None if calibrated is None else datetime.fromisoformat(calibrated),
                "rep_delay": found["rep_delay"],
                "target": found["target"],
                "fractional_target": found["fractional_target"],
            }
        )

    async def target_document(self, method: Method = Method.AUTOMATIC) -> TargetDocument:  # noqa: ARG002  one target for every method
        """What circuits are compiled for, without fractional gates."""
        return TargetDocument.read(await self._provider.shelf.artifact((await self._describe())["target"]))

    async def _describe(self) -> dict[str, Any]:
        """The device's description with the artifacts of its targets, and its status, as of some minutes ago at most."""
        if self._described is None or self._is_old(self._described[0]):
            found: dict[str, Any] = await self._line.ask("device", device=self._device)
            keep = self._provider.shelf.keep_artifact
            found["target"] = await keep("target", found.pop("document").encode())
            fractional = found.pop("fractional_document")
            found["fractional_target"] = (
                None if fractional is None else await keep("target", fractional.encode())
            )
            self._described = (time.monotonic(), found)
        return self._described[1]

    def _is_old(self, described_at: float) -> bool:
        return time.monotonic() - described_at > self._provider.rules.fresh.total_seconds()

    async def check(
        self,
        options: IbmOptions,
        kind: Literal["sample", "estimate"],
        shots: Sequence[int],
        *,
        control_flow: bool,
    ) -> None:
        """Refuse options that do not go together, or not with this device.

        Raises:
            RequestRejected: Naming the options, the reason and the way out.
        """
        limits = await self._limits()
        generation = self._provider.rules.generation
        check(options, kind, generation=generation, device=limits, shots=shots, control_flow=control_flow)

    async def submit(self, submission: Submission) -> JobRef:
        """Send what is not there yet, each part once; adopt what is.

        Raises:
            StillWaiting: The account's rate is used up, or an earlier attempt may still show up.
            SubmissionUnclear: The answer was lost, and the job does not show up yet.
            BudgetExceeded: A budget has no room for what it may cost; nothing is sent.
            HybridError: The provider refuses.
        """
        rows = await self._ledger.parts(submission.key)
        if not rows:
            limits = await self._limits()
            intents = self._priced(divided_parts(submission, limits), submission.ibm.mode)
            try:
                rows = await self._ledger.intend(submission, self._label, intents)
            except BudgetExceeded as refusal:
                raise await asyncio.to_thread(
                    with_shots_that_fit, refusal, submission, limits, intents
                ) from None
        self._provider.failpoint("ibm:intended")
        for row in rows:
            if not row.id:
                await self._once.send_or_adopt(submission, row)
        return self._ref(submission.key, await self._ledger.parts(submission.key))

    def _priced(self, intents: Iterable[PartIntent], mode: str) -> list[PartIntent]:
        """With what the account pays for a second; a dedicated session costs beside its jobs."""
        account = self._line.account
        terms = {
            "price_per_second": account.price_per_second,
            "currency": account.currency,
            "open_ended": mode == "session",
        }
        return [intent.model_copy(update=terms) for intent in intents]

    async def find(self, key: SubmissionKey) -> JobRef | None:
        """The job of this key, from its rows or else by its tag at the provider."""
        rows = await self._ledger.parts(key)
        if rows and all(row.id for row in rows):
            return self._ref(key, rows)
        found = await self._line.find(key.tag)
        return JobRef(backend=self.name, key=key, handle=found[0].id) if found else None

    async def look(self, key: SubmissionKey) -> Sequence[ProviderFacts]:
        """What the provider says of the submission's jobs now, written into their rows."""
        rows = [row for row in await self._ledger.parts(key) if row.id]
        facts = await self._line.look(row.id for row in rows) if rows else []
        for row, seen in zip(rows, facts, strict=True):
            before = None if row.facts is None else row.facts.model_dump(exclude=_PASSING)
            if seen.model_dump(exclude=_PASSING) != before:
                await self._ledger.observe(row.tag, seen)
        return facts

    async def duplicates(self, key: SubmissionKey) -> Sequence[ProviderFacts]:
        """Every job at the provider with the tags of the submission, but those that are kept."""
        found = [facts for row in await self._ledger.parts(key) for facts in await self._line.find(row.tag)]
        kept = {row.id for row in await self._ledger.parts(key)}  # read last: nothing is kept after the list
        return [facts for facts in found if facts.id not in kept]

    async def strays(self, since: datetime) -> Sequence[ProviderFacts]:
        """Jobs with this house's tag, sent after a time: those that have not ended, and the newest of all."""
        house = await self._line.house()
        found = [
            *await self._line.find(house, _STRAYS_AT_MOST, pending=True),
            *await self._line.find(house, _STRAYS_AT_MOST, newest=True),
        ]
        young = [facts for facts in found if facts.created is None or facts.created >= since]
        return list({facts.id: facts for facts in young}.values())

    async def state(self, job: JobRef) -> JobState:
        """Where the job stands; of several parts, where the one stands that is furthest behind.

        Raises:
            StateUnknown: The provider contradicts itself, or says what this version does not know.
        """
        facts = await self.look(job.key) or await self._line.look(job.handle.split(","))
        for entry in facts:
            if entry.phase is Phase.LOST and any(entry.id == seen.id for seen in await self._tagged(job.key)):
                raise StateUnknown(
                    f"{self.name!r} does not know job {entry.id} by its id and lists it by its tag"
                )
        found = state_of(facts, self.name)
        ended = await self._session_that_ended(job.key) if found.phase is Phase.CANCELLED else ""
        if not ended:
            return found
        error = SessionClosed(
            f"session {ended!r} on {self.name!r} ended before its job was through: open a new one, with a longer ibm.max_time"
        )
        return JobState(phase=Phase.CANCELLED, error=error.document())

    async def _session_that_ended(self, key: SubmissionKey) -> str:
        """The session or batch that the submission was sent in, where the provider has closed it; empty otherwise."""
        for session in {row.session for row in await self._ledger.parts(key)} - {""}:
            if (await self._line.ask("session", id=session))["state"] == "closed":
                return session
        return ""

    async def _tagged(self, key: SubmissionKey) -> Sequence[ProviderFacts]:
        """Every job at the provider with the tags of the submission."""
        rows = await self._ledger.parts(key)
        return [
            facts for tag in {key.tag, *(row.tag for row in rows)} for facts in await self._line.find(tag)
        ]

    async def result(self, job: JobRef) -> Sequence[Piece]:
        """Fetch the result of every part; the same on every call.

        Raises:
            ResultRefused: What came is not a result of this job.
        """
        await self._cancel_duplicates(job.key)
        await self.look(job.key)
        submission = (await self._ledger.submission(job.key)).decode()
        brought: list[Piece] = []

        async def keep(piece: Any) -> None:
            brought.append(Piece(**piece))

        for row in await self._ledger.parts(job.key):
            slices = [piece.model_dump() for piece in row.slices]
            await self._line.fetch(keep, id=row.id, submission=submission, slices=slices)
        return brought

    async def _cancel_duplicates(self, key: SubmissionKey) -> None:
        """Look whether a part that was sent more than once has more than one job after all."""
        rows = await self._ledger.parts(key)
        if any(row.attempts > 1 for row in rows):
            tags = {row.tag for row in rows}
            for facts in await self.duplicates(key):
                tag = next((tag for tag in facts.tags if tag in tags), key.tag)
                await self._once.cancel_duplicate(tag, facts)

    async def cancel(self, key: SubmissionKey) -> Cancelled:
        """Withdraw every job of this key, and ask the provider again whether it worked.

        Raises:
            StillWaiting: A submission may be under way, or the provider has not confirmed; call again.
        """
        await self._ledger.withdraw(key)
        self._provider.failpoint("ibm:withdrawn")
        finals: list[ProviderFacts] = []
        unconfirmed: list[StillWaiting | HybridError] = []
        for row in await self._ledger.parts(key):  # each of them: what waits behind one may start, and cost
            try:
                await self._adopt_what_was_sent(row)
            except HybridError as failure:
                unconfirmed.append(failure)
        for row in await self._ledger.parts(key):
            try:
                finals += await self._cancelled(row)
            except (StillWaiting, HybridError) as failure:
                unconfirmed.append(failure)
        if unconfirmed:
            raise unconfirmed[0]
        return withdrawal_of(finals)

    async def _cancelled(self, row: ProviderJob) -> list[ProviderFacts]:
        """How the job of a part has ended; none where it has none.

        Raises:
            StillWaiting: It may show up yet, or the provider has not confirmed its end.
        """
        if not row.id:
            self._let_it_show_up(row)
            return []
        facts = await self._line.cancel(row.id)
        await self._ledger.observe(row.tag, facts)
        if facts.phase not in FINAL:
            raise StillWaiting(
                f"{self.name!r} has not confirmed that job {row.id} is cancelled", again_in=_LOOK_AGAIN
            )
        return [facts]

    async def _adopt_what_was_sent(self, row: ProviderJob) -> None:
        """Give a part its job, should the provider have one.

        Where nothing was taken, nobody waits for a provider that does not answer: the next rung may. The reconciler
        looks once more.

        Raises:
            TargetUnavailable: The provider does not answer, and may have a job.
        """
        try:
            await self._once.adopt(row.tag)
        except TargetUnavailable:
            if row.id or row.posting_at is not None:
                raise

    def _let_it_show_up(self, row: ProviderJob) -> None:
        """Wait where an attempt to send may be under way.

        Raises:
            StillWaiting: It may still show up.
        """
        if row.posting_at is None:
            return
        rest = row.posting_at + self._provider.rules.settling - datetime.now(UTC)
        if rest > timedelta(0):
            raise StillWaiting(f"a job may be on its way to {self.name!r}", again_in=min(rest, _LOOK_AGAIN))

    async def cancel_job(self, id: str) -> ProviderFacts:  # noqa: A002  the provider's word
        """Cancel one job of the provider's, and say where it stands after that."""
        return await self._line.cancel(id)

    async def open_session(self, mode: Literal["batch", "session"], max_time: timedelta | None) -> str:
        """Open a session or batch; gives back the provider's id of it."""
        seconds = None if max_time is None else int(max_time.total_seconds())
        answer = await self._line.ask("open_session", device=self._device, mode=mode, max_seconds=seconds)
        return str(answer["id"])

    async def close_session(self, id: str) -> None:  # noqa: A002
        """Close a session or batch to new jobs; one that is closed or gone is fine."""
        await self._line.ask("close_session", id=id)

    async def _limits(self) -> DeviceLimits:
        """What a job on the device may be; IBM no longer goes by its configuration's `max_shots` and `max_experiments`."""
        found = await self._describe()
        spread = found["rep_delay_range"]
        return DeviceLimits(
            rep_delay=found["rep_delay"],
            rep_delay_range=None if spread is None else (spread[0], spread[1]),
            fractional_gates=found["fractional_target"] is not None,
        )

    def _ref(self, key: SubmissionKey, rows: Sequence[ProviderJob]) -> JobRef:
        return JobRef(backend=self.name, key=key, handle=",".join(row.id for row in rows))


def _description(qubits: int, *, emulated: bool) -> str:
    if emulated:
        return f"emulated on this machine: IBM's service with a snapshot of a {qubits}-qubit device, for rehearsals"
    return f"IBM's {qubits}-qubit device, paid for by the second"
