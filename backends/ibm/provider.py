"""What IBM's devices are reached with, and how this house deals with the provider."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from backends.ibm.account import Account
from backends.ibm.accounts import Accounts
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool, Nursery
from qurable.backend import Shelf
from qurable.contracts.executions import ProviderFacts
from qurable.contracts.ibm import Generation
from qurable.errors import ChildCrashed, OutOfTime, TargetUnavailable
from qurable.ledger import Ledger, Sending

_TASKS = "backends.ibm.tasks"
_ASK_LIMITS = Limits(memory_bytes=2048 * MIB, wall_seconds=60.0)
_SEND_LIMITS = Limits(memory_bytes=4096 * MIB, wall_seconds=100.0)
_FETCH_LIMITS = Limits(memory_bytes=4096 * MIB, wall_seconds=300.0)
_FOUND_AT_MOST = 20
_LOOKED_AT_ONCE = 10
"""Jobs that one question is about: each takes two requests, and all of them are to be answered within its limit."""

_MODULES = ("qiskit_ibm_runtime",)
_VARIABLES = ("QISKIT_IBM_", "QISKIT_FUNCTIONS_", "IAM_URL", "HOME", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_",
              "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")  # fmt: skip
"""How the names of variables begin that the client reads."""

_ASKING, _SENDING = 8, 4
"""Children that look and fetch, and that submit: none waits behind the other."""


@dataclass(frozen=True)
class Rules:
    """How this house deals with the provider.

    Attributes:
        generation: Of the primitives.
        per_minute: Submissions that the provider allows an account's user in a minute.
        send_within: How long after it was claimed a job may still be sent; a process that was frozen sends no more.
        read_timeout: How long an answer to a submission may take.
        tag_lag: How long the provider's tag index may take to show a new job.
        attempts: How often one part is sent at most.
        fresh: How long a device's description is used before it is asked for again.
    """

    generation: Generation = Generation.EXECUTOR
    per_minute: int | None = 5
    send_within: timedelta = timedelta(seconds=30)
    read_timeout: timedelta = timedelta(seconds=20)
    tag_lag: timedelta = timedelta(seconds=10)
    attempts: int = 10
    fresh: timedelta = timedelta(minutes=5)

    @property
    def settling(self) -> timedelta:
        """How long after a claim its job may still show up."""
        return self.send_within + self.read_timeout + self.tag_lag


@dataclass(frozen=True)
class Provider:
    """What every device of IBM's is reached with.

    Attributes:
        asking: Children that look, fetch and cancel; they never wait behind a submission.
        sending: Children that submit.
        shelf: Where ISA circuits and targets are.
        ledger: Where the provider's jobs are written down.
        accounts: Who pays.
        rules: How this house deals with the provider.
        failpoint: Called with the name of a line between two effects, for tests.
    """

    asking: ChildPool
    sending: ChildPool
    shelf: Shelf
    ledger: Ledger
    accounts: Accounts
    rules: Rules = field(default_factory=Rules)
    failpoint: Callable[[str], None] = lambda _: None


@contextlib.asynccontextmanager
async def connected_provider(
    shelf: Shelf,
    ledger: Ledger,
    accounts: Accounts,
    rules: Rules,
    failpoint: Callable[[str], None],
    nursery: Nursery | None = None,
) -> AsyncIterator[Provider]:
    """What IBM's hardware is reached with; its children start when it is first asked for.

    Args:
        shelf: Where ISA circuits and targets are.
        ledger: Where the provider's jobs are written down.
        accounts: Who pays; the children get the client's variables from where these look for them.
        rules: How this house deals with the provider.
        failpoint: Called with the name of a line between two effects, for tests.
        nursery: Of the children; one of its own by default.
    """
    environment = {
        name: value for name, value in accounts.environment.items() if value and name.startswith(_VARIABLES)
    }
    async with contextlib.AsyncExitStack() as parts:
        if nursery is None:
            nursery = Nursery(_MODULES, environment)
            parts.push_async_callback(nursery.close)
        yield Provider(
            asking=await parts.enter_async_context(ChildPool(nursery, _ASKING)),
            sending=await parts.enter_async_context(ChildPool(nursery, _SENDING)),
            shelf=shelf,
            ledger=ledger,
            accounts=accounts,
            rules=rules,
            failpoint=failpoint,
        )


@contextlib.contextmanager
def _says_nothing_of_the_job() -> Iterator[None]:
    """A question whose child was too slow, or died, is one that the provider has not answered.

    The classes of a child's end mean a job that ran too long, or a circuit that kills its simulator, wherever they reach a job.

    Raises:
        TargetUnavailable: In their place.
    """
    try:
        yield
    except (OutOfTime, ChildCrashed) as failure:
        if isinstance(failure, OutOfTime) and "limit_seconds" not in failure.details:
            raise  # what the provider says of a job
        raise TargetUnavailable(f"IBM's service gave no answer: {failure.message}") from failure


class Line:
    """The line to the provider with one account: each question runs in a child that may be killed.

    Args:
        provider: What it is reached with.
        label: Of the account.
    """

    def __init__(self, provider: Provider, label: str) -> None:
        self._provider = provider
        self._label = label
        self._user: str | None = None

    @property
    def account(self) -> Account:
        """Who pays.

        Raises:
            AccountRefused: None is configured.
        """
        return self._provider.accounts.labelled(self._label)

    async def ask(self, task: str, **payload: Any) -> Any:
        """The answer to a question, which may be asked again.

        Raises:
            TargetUnavailable: The provider does not answer, or refuses the account.
        """
        document = {"account": self.account.model_dump(), **payload}
        with _says_nothing_of_the_job():
            return await self._provider.asking.call(
                f"{_TASKS}:{task}", document, _ASK_LIMITS, what=f"asking IBM ({task})"
            )

    async def find(self, tag: str, limit: int = _FOUND_AT_MOST, **choice: bool) -> list[ProviderFacts]:
        """Jobs that have a tag, oldest first; `newest` has the newest first, `pending` those that have not ended."""
        found = await self.ask("find", tag=tag, limit=limit, **choice)
        return [ProviderFacts.read(entry) for entry in found]

    async def look(self, ids: Iterable[str]) -> list[ProviderFacts]:
        """What the provider says of jobs, in order."""
        wanted, found = list(ids), []
        for first in range(0, len(wanted), _LOOKED_AT_ONCE):
            found += await self.ask("look", ids=wanted[first : first + _LOOKED_AT_ONCE])
        return [ProviderFacts.read(entry) for entry in found]

    async def cancel(self, id: str) -> ProviderFacts:  # noqa: A002  the provider's word
        """Cancel a job, and say where it stands when it is asked for again."""
        return ProviderFacts.read(await self.ask("cancel", id=id))

    async def post(self, **payload: Any) -> str:
        """Send a job, once or not at all; gives back its id.

        Raises:
            SubmissionUnclear: It was sent, and whether it was taken is not known.
            HybridError: It was certainly not taken.
        """
        document = {
            "account": self.account.model_dump(),
            "generation": self._provider.rules.generation,
            "read_seconds": self._provider.rules.read_timeout.total_seconds(),
            **payload,
        }
        answer = await self._provider.sending.call(
            f"{_TASKS}:post", document, _SEND_LIMITS, what="submitting to IBM"
        )
        return str(answer["id"])

    async def fetch(self, keep: Callable[[Any], Any], **payload: Any) -> None:
        """Read a result; every piece is handed over as it comes.

        Raises:
            ResultRefused: It is not a result of this job.
            TargetUnavailable: The provider does not answer.
        """
        document = {"account": self.account.model_dump(), **payload}
        with _says_nothing_of_the_job():
            await self._provider.asking.call(
                f"{_TASKS}:fetch", document, _FETCH_LIMITS, keep, what="fetching from IBM"
            )

    async def sending(self) -> Sending:
        """The rules of sending with this account."""
        if self._user is None:
            self._user = str((await self.ask("user"))["user"])
        return Sending(self._user, self._provider.rules.per_minute, self._provider.rules.settling)

    async def house(self) -> str:
        """The tag of everything that this house sends."""
        return f"qurable-house-{await self._provider.ledger.house()}"
