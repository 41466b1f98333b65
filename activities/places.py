"""Places that cost money, as the reconciler deals with them: by name, with patience, reporting what nobody wanted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from activities.tally import Tally
from qurable.backend import PaidBackend, QuantumBackend
from qurable.contracts.executions import Incident, IncidentKind, Phase, ProviderFacts
from qurable.errors import InternalError
from store import incidents
from store.database import Database
from store.provider_jobs import ENDED


@dataclass(frozen=True)
class Patience:
    """How long things are left alone.

    Attributes:
        grace: A submission, stray or session younger than this may have an owner who is about to come by. Longer than
            jobs wait between two polls, or a restored store loses jobs whose owners live.
        settling: How long the provider's tag index may lag behind an attempt to send.
    """

    grace: timedelta = timedelta(minutes=5)
    settling: timedelta = timedelta(minutes=1)


@dataclass(frozen=True)
class Places:
    """Paid backends.

    Attributes:
        get: Any backend by its name.
        accounts: Names of backends, one per account, that are asked for jobs this store does not know.
    """

    get: Callable[[str], QuantumBackend]
    accounts: Callable[[], Sequence[str]]

    def paid(self, name: str) -> PaidBackend:
        """A backend that keeps its jobs in the ledger.

        Raises:
            UnknownBackend: It is not registered here.
            InternalError: It is of another kind.
        """
        backend = self.get(name)
        if not isinstance(backend, PaidBackend):
            raise InternalError(
                f"backend {name!r} has jobs in the ledger and cannot be asked about them: it has to be a PaidBackend"
            )
        return backend


@dataclass(frozen=True)
class Unwanted:
    """A job at a provider that nobody wants.

    Attributes:
        kind: Why not.
        backend: Name of the backend that has it.
        tag: Its tag at the provider.
    """

    kind: IncidentKind
    backend: str
    tag: str

    def incident(self, facts: ProviderFacts) -> Incident:
        """What is known of it, as the incident it is."""
        return Incident.of(self.kind, self.tag, self.backend, facts)


async def report(database: Database, incident: Incident, tally: Tally) -> None:
    """Keep an incident, and count it where it was news."""
    news = await database.write(incidents.report, incident)
    if news is not None:
        tally.add(news)


async def call_off(
    database: Database, backend: PaidBackend, unwanted: Unwanted, facts: ProviderFacts, tally: Tally
) -> None:
    """Cancel a job that nobody wants, unless it has ended, and keep the incident.

    It is written down before it is cancelled: a job that was cancelled is astray no longer, and whoever dies between
    the two leaves an incident whose bill is asked for.
    """
    await report(database, unwanted.incident(facts), tally)
    if facts.phase in ENDED:
        return
    after = await backend.cancel_job(facts.id)
    tally.cancelled += after.phase is Phase.CANCELLED
    await report(database, unwanted.incident(after), tally)
