"""Where a job may run: the rungs in order, and what was thought of every candidate."""

from pydantic import Field

from qurable.contracts.base import Contract
from qurable.contracts.jobs import Method
from qurable.contracts.targets import TargetSnapshot


class MethodChoice(Contract):
    """How a simulator is to run one circuit.

    Attributes:
        method: For Aer.
        because: Why, in one sentence.
        memory_bytes: What its state takes.
    """

    method: Method
    because: str
    memory_bytes: int


class Rung(Contract):
    """One place to try.

    Attributes:
        target: Snapshot it was planned on.
        because: Why it is on the route, in one sentence.
        methods: For simulators without noise, the method for each canonical circuit; elsewhere empty.
    """

    target: TargetSnapshot
    because: str
    methods: dict[str, MethodChoice] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the backend."""
        return self.target.name


class Considered(Contract):
    """A candidate and the verdict on it."""

    name: str
    taken: bool
    because: str


class Route(Contract):
    """The recorded plan of a job; a later change of tables or health does not touch it.

    Attributes:
        rungs: Places to try, in order.
        considered: Every candidate that was looked at.
    """

    rungs: tuple[Rung, ...]
    considered: tuple[Considered, ...] = ()
