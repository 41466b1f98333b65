"""Probe how entangled circuits are, where that decides how they are simulated: short runs in a limited child."""

import time
from collections.abc import Mapping, Sequence

from circuits.methods import Probe, chain_bytes, choose_noiseless, method_seconds
from fallback.estimates import work_of
from fallback.table import AsksFor
from fallback.wish import Offer, Wish
from isolation.limits import Limits
from isolation.pool import ChildPool
from isolation.runs import CHILD_OVERHEAD_BYTES
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.jobs import Method
from qurable.contracts.targets import AnswerKind
from qurable.errors import HybridError, JobTooLarge
from store.shelf import StoreShelf

PROBE_BOND = 64
"""Beyond, sampling a matrix product state is no bargain: a millisecond a shot and more."""

PROBE_SECONDS = 2.0
WORTH_SECONDS = 1.0
"""What the best method known without a probe has to take: less is not worth asking for."""

_SMALLEST_QUBITS = 17
_WIDEST_QUBITS = 1_000
_MOST_OPERATIONS = 20_000
_AT_MOST = 3
"""Circuits of one job that are probed."""

_NOTHING = 1e-12
_KEPT = 4_096


class Probing:
    """Probes.

    Args:
        shelf: Where circuits are.
        pool: Children.
        capacity_bytes: Memory that this machine can ever grant.
    """

    def __init__(self, shelf: StoreShelf, pool: ChildPool, capacity_bytes: int) -> None:
        self._shelf = shelf
        self._pool = pool
        self._capacity_bytes = capacity_bytes
        self._known: dict[str, Probe] = {}

    async def probes(self, wish: Wish, offers: Mapping[str, Sequence[Offer]]) -> Mapping[str, Probe]:
        """What probes tell of a job's circuits, by canonical hash; of each circuit asked once as long as this worker lives.

        Args:
            wish: What the job wants.
            offers: Candidates; only ideal simulators choose by entanglement.
        """
        targets = [offer.target for found in offers.values() for offer in found if offer.target is not None]
        if not any(target.answer_kind is AnswerKind.SIMULATOR for target in targets):
            return {}
        wanted = [circuit for circuit in wish.circuits if self._is_worth_it(circuit, wish)][:_AT_MOST]
        found = {}
        for circuit in wanted:
            if circuit.canonical not in self._known:
                while len(self._known) >= _KEPT:
                    self._known.pop(next(iter(self._known)))
                self._known[circuit.canonical] = await self._probe(circuit)
            found[circuit.canonical] = self._known[circuit.canonical]
        return found

    def _is_worth_it(self, circuit: ParsedCircuit, wish: Wish) -> bool:
        """Whether an ideal simulator may answer, and the entanglement is unknown and would decide by which method."""
        traits = circuit.traits
        if (
            wish.asks_for not in (AsksFor.AUTO, AsksFor.SIMULATOR)
            or wish.options.method is not Method.AUTOMATIC
            or traits.is_clifford
            or traits.is_dynamic
            or traits.parameters
            or not _SMALLEST_QUBITS <= traits.active_qubits <= _WIDEST_QUBITS
            or traits.size > _MOST_OPERATIONS
        ):
            return False
        work = work_of(circuit.canonical, wish, {})
        try:
            choice = choose_noiseless(
                traits, wish.options, self._capacity_bytes, circuit.dress.name, work=work
            )
        except JobTooLarge:
            return True
        bound = traits.max_bond
        if choice.method is Method.MATRIX_PRODUCT_STATE and bound is not None and bound <= PROBE_BOND:
            return False
        return method_seconds(choice.method, traits, work) > WORTH_SECONDS

    async def _probe(self, circuit: ParsedCircuit) -> Probe:
        payload = {"qpy": await self._shelf.artifact(circuit.qpy), "max_bond": PROBE_BOND}
        memory_bytes = CHILD_OVERHEAD_BYTES + chain_bytes(circuit.traits, PROBE_BOND)
        began = time.monotonic()
        try:
            told = await self._pool.call(
                "isolation.entanglement_probe:probe",
                payload,
                Limits(memory_bytes=memory_bytes, wall_seconds=PROBE_SECONDS),
                what="the probe of entanglement",
                fresh=True,
            )
        except HybridError:  # out of time or of memory, or Aer does not run it so: then it tells nothing
            return Probe(None, 0.0, PROBE_BOND, time.monotonic() - began)
        discarded = float(told["discarded"])
        needed = int(told["bond"]) if discarded <= _NOTHING else None
        return Probe(needed, discarded, PROBE_BOND, time.monotonic() - began)
