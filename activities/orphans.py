"""Jobs at a provider that carry this house's tag and that this store does not know: adopted, or cancelled."""

from datetime import timedelta

from activities.places import Patience, Places, Unwanted, call_off
from activities.tally import Tally
from qurable.contracts.executions import IncidentKind, ProviderFacts
from store import house, provider_jobs, strays
from store.database import Database

_CLOCKS_DIFFER = timedelta(days=1)


class Orphans:
    """Gathers them; a store that was restored from a copy does not know what was sent after it.

    Args:
        database: The store.
        places: The paid backends.
        patience: How long a stray is left alone, so that a living owner brings its row back.
    """

    def __init__(self, database: Database, places: Places, patience: Patience) -> None:
        self._database = database
        self._places = places
        self._patience = patience

    async def gather(self, name: str, tally: Tally) -> None:
        """Ask one account's backend, and do what there is to do.

        Raises:
            HybridError: The provider does not answer; the rest is for the next pass.
        """
        minted = await self._database.read(house.minted_at)
        if minted is None:  # nothing was ever sent
            return
        found = await self._places.paid(name).strays(minted - _CLOCKS_DIFFER)
        tagged = {
            facts.id: (facts, tag) for facts in found for tag in filter(provider_jobs.is_part_tag, facts.tags)
        }
        astray = [stray for stray, (facts, tag) in tagged.items() if await self._is_astray(facts, tag)]
        old = await self._database.write(strays.note, name, astray, self._patience.grace)
        for stray in sorted(old, key=lambda found: _sent(*tagged[found])):
            await self._take_in(name, *tagged[stray], tally)

    async def _is_astray(self, facts: ProviderFacts, tag: str) -> bool:
        """Whether it is not its row's; one that has ended and has no row is the past of a restored store."""
        row = await self._database.read(provider_jobs.find, tag)
        if row is None:
            return facts.phase not in provider_jobs.ENDED
        return row.id != facts.id

    async def _take_in(self, name: str, facts: ProviderFacts, tag: str, tally: Tally) -> None:
        """Give a stray back to its row; cancel it where there is no row, or one that has another job."""
        row = await self._database.read(provider_jobs.find, tag)
        if row is not None:
            kept = await self._database.write(provider_jobs.keep, tag, facts.id)
            if kept == facts.id:
                tally.adopted += not row.id
                return
        tally.orphans += row is None
        kind, where = (IncidentKind.ORPHAN, name) if row is None else (IncidentKind.DUPLICATE, row.backend)
        await call_off(self._database, self._places.paid(name), Unwanted(kind, where, tag), facts, tally)


def _sent(facts: ProviderFacts, tag: str) -> tuple[str, bool, float, str]:
    """Order in which strays are taken in: of a tag the oldest, which is the one that is kept."""
    unknown = facts.created is None
    return tag, unknown, 0.0 if facts.created is None else facts.created.timestamp(), facts.id
