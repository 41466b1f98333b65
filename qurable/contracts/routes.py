"""Where a job may run: the rungs in order, and what was thought of every candidate."""

from typing import Self

from pydantic import Field

from qurable.contracts.approvals import Terms
from qurable.contracts.base import Contract
from qurable.contracts.executions import EarlierAnswer, Seconds
from qurable.contracts.jobs import Method
from qurable.contracts.shadows import Shadowing
from qurable.contracts.targets import AnswerKind, TargetSnapshot


class MethodChoice(Contract):
    """How a simulator is to run one circuit.

    Attributes:
        method: For Aer.
        because: Why, in one sentence.
        memory_bytes: What its state takes.
        max_bond: Largest bond dimension of a matrix product state; None where the caller's option decides.
        solver: What runs it, where that is not Aer by this method.
    """

    method: Method
    because: str
    memory_bytes: int
    max_bond: int | None = None
    solver: str = ""


class Estimate(Contract):
    """What a place is expected to take, before anything is transpiled; None where nobody can say.

    Attributes:
        wait_seconds: Before it runs, in a queue (s).
        run_seconds: Until it has run (s), good to an order of magnitude.
        qpu_seconds: Of a place that costs money, over the whole job.
        price: Of the most of these.
        currency: Of the price.
        survival: Best-case probability that no gate and no reading of a circuit fails, with the device's best coupling
            and qubits and the gates as written: a bound, and no estimate of the answer's quality.
        memory_bytes: Of the largest circuit, on this house's machines.
        method: Of simulation, or the solver.
        probe_seconds: That probes of the circuits' entanglement took while planning (s).
        error_rate: Share of the place's latest calls that ended in its fault, 0 to 1.
    """

    wait_seconds: float | None = None
    run_seconds: float | None = None
    qpu_seconds: Seconds | None = None
    price: float | None = None
    currency: str = ""
    survival: float | None = None
    memory_bytes: int | None = None
    method: str = ""
    error_rate: float | None = None
    probe_seconds: float | None = None

    @property
    def seconds(self) -> float:
        """All the time it takes, as far as somebody can say (s)."""
        return (self.wait_seconds or 0.0) + (self.run_seconds or 0.0)

    def times(self, share: float) -> Self:
        """The estimate with a share of its cost, 0 to 1."""
        if share == 1 or self.qpu_seconds is None:
            return self
        seconds = Seconds(low=share * self.qpu_seconds.low, high=share * self.qpu_seconds.high)
        price = None if self.price is None else share * self.price
        return self.model_copy(update={"qpu_seconds": seconds, "price": price})


class Rung(Contract):
    """One place to try.

    Attributes:
        target: Snapshot it was planned on.
        because: Why it is on the route, in one sentence.
        methods: For simulators without noise, the method for each canonical circuit; elsewhere empty.
        rung: Name of the strategy table's rung that it belongs to.
        degraded: Whether an answer from here is less than what was asked.
        estimate: What it is expected to take.
        earlier: What is answered again, where it is the cache.
        approval: What needs somebody's word before the job is sent there; None where nothing does.
    """

    target: TargetSnapshot
    because: str
    methods: dict[str, MethodChoice] = Field(default_factory=dict)
    rung: str = ""
    degraded: bool = False
    estimate: Estimate = Estimate()
    earlier: EarlierAnswer | None = None
    approval: Terms | None = None

    @property
    def name(self) -> str:
        """Name of the backend."""
        return self.target.name


class Considered(Contract):
    """A candidate and the verdict on it.

    Attributes:
        name: Of the backend.
        taken: Whether it is on the route.
        because: Why, or why not, in one sentence.
        rung: Name of the strategy table's rung that it belongs to.
        kind: What sort of answer it gives, None where it could not be asked.
        estimate: What it is expected to take, as far as that was worked out.
    """

    name: str
    taken: bool
    because: str
    rung: str = ""
    kind: AnswerKind | None = None
    estimate: Estimate = Estimate()


class Route(Contract):
    """The recorded plan of a job; a later change of tables or health does not touch it.

    Attributes:
        rungs: Places to try, in order.
        considered: Every candidate that was looked at.
        table: SHA-256 of the strategy table it was planned by.
        min_survival: That table's least survival for which a device is asked, looked at again once a circuit is
            compiled; 0 where an older worker planned.
        sha256: Of what is decided when somebody approves of it: the request that runs, the places, and what they cost.
        shadow: Where a rollout rule has the job run too, once it has its answer; None for nowhere.
    """

    rungs: tuple[Rung, ...]
    considered: tuple[Considered, ...] = ()
    table: str = ""
    min_survival: float = 0.0
    sha256: str = ""
    shadow: Shadowing | None = None
