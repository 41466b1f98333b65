"""What a planner is told: what a job wants, and what there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from circuits.methods import Probe
from circuits.survival_bound import BestErrors
from fallback.health import Health
from fallback.rollout import Applied
from fallback.solvers.protocol import CircuitQuestion
from fallback.table import Asked, AsksFor, JobKind
from qurable.contracts.budgets import JobBudget, Standing
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.executions import EarlierAnswer
from qurable.contracts.fallback import Fallback
from qurable.contracts.ibm import IbmOptions
from qurable.contracts.jobs import Limits, Requirements, SimulatorOptions
from qurable.contracts.problems import Problem
from qurable.contracts.targets import TargetSnapshot
from qurable.errors import HybridError


@dataclass(frozen=True)
class Wish:
    """What a job wants.

    Attributes:
        asked: A name, `auto`, or requirements.
        asks_for: What sort of place that is.
        kind: Of the job.
        circuits: Distinct circuits of the job.
        questions: What is asked of each circuit, by canonical hash.
        options: The caller's simulator options.
        exact: Whether an expectation value without shots is asked.
        problem: What the job carries; solvers of problems answer it without the circuits.
        fallback: Which places may answer instead.
        limits: The job's own.
        budget: What it may cost.
        fractional_gates: Whether devices have to have them.
        any_device: Whether any device of the provider is what was asked for.
        question: Digest of circuits, values, observables and shots, the same wherever they are sent; empty without circuits.
        ibm: The caller's options for IBM's hardware.
        least_share: To which share of its shots the job may be cut where it costs too much, 1 where it may not.
    """

    asked: str | Requirements
    asks_for: AsksFor
    kind: JobKind = "sample"
    circuits: Sequence[ParsedCircuit] = ()
    questions: Mapping[str, CircuitQuestion] = field(default_factory=dict)
    options: SimulatorOptions = field(default_factory=SimulatorOptions)
    exact: bool = False
    problem: Problem | None = None
    fallback: Fallback = field(default_factory=Fallback)
    limits: Limits = field(default_factory=Limits)
    budget: JobBudget = field(default_factory=JobBudget)
    fractional_gates: bool = False
    any_device: bool = False
    question: str = ""
    ibm: IbmOptions = field(default_factory=IbmOptions)
    least_share: float = 1.0

    @property
    def widest(self) -> int:
        """Qubits of the widest circuit, at least one."""
        return max((circuit.traits.num_qubits for circuit in self.circuits), default=1)

    @property
    def conditions(self) -> Asked:
        """What the rules of a strategy table look at."""
        return Asked(
            kind=self.kind,
            asks_for=self.asks_for,
            clifford=bool(self.circuits) and all(circuit.traits.is_clifford for circuit in self.circuits),
            dynamic=any(circuit.traits.is_dynamic for circuit in self.circuits),
            exact=self.exact,
            problem=self.problem is not None,
            qubits=self.widest,
        )


@dataclass(frozen=True)
class Offer:
    """A candidate as it was found.

    Attributes:
        name: Of the backend.
        target: What it says of itself; None where it says nothing.
        failure: Why it says nothing.
        beside: Why it was not even asked.
        earlier: What the cache has for the job.
    """

    name: str
    target: TargetSnapshot | None = None
    failure: HybridError | None = None
    beside: str = ""
    earlier: EarlierAnswer | None = None


@dataclass(frozen=True)
class Surroundings:
    """What there is.

    Attributes:
        offers: Candidates, best first, by the word that the strategy table uses for them.
        capacity_bytes: Memory that this machine can ever grant.
        health: By backend; those that are absent are taken for healthy.
        errors: The least errors of devices, by the hash of their target.
        probes: What probes told of circuits' entanglement, by canonical hash.
        room: What is left of every budget that bounds the job.
        rollout: What the house's rollout rules say of the job.
    """

    offers: Mapping[str, Sequence[Offer]]
    capacity_bytes: int
    health: Mapping[str, Health] = field(default_factory=dict)
    errors: Mapping[str, BestErrors] = field(default_factory=dict)
    rollout: Applied = field(default_factory=Applied)
    probes: Mapping[str, Probe] = field(default_factory=dict)
    room: Sequence[Standing] = ()
