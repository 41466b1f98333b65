"""What the planner and the workers ask of a classical solver.

`fits` is pure and quick and imports nothing heavy; what computes runs in a child, and the library behind it is
imported there.
"""

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal, Protocol, Self

from pydantic import Field, TypeAdapter

from qurable.contracts.base import Contract
from qurable.contracts.circuits import CircuitTraits
from qurable.contracts.confidence import Confidence
from qurable.contracts.executions import IsaPub
from qurable.contracts.jobs import Method
from qurable.contracts.problems import Problem, ProblemAnswer
from qurable.contracts.targets import TargetDocument


@dataclass(frozen=True)
class Fit:
    """Whether a solver suits a piece of work.

    Attributes:
        suits: Whether it may be tried.
        because: Why, or why not and what to do instead, in one sentence.
        memory_bytes: What it takes beyond an idle child.
        seconds: Rough seconds on one core, good to an order of magnitude.
        certain: Whether the answer is expected with a proof, or to the precision of the arithmetic.
        basis: What `seconds` was measured on.
        max_bond: Largest bond dimension it is planned with, where it keeps a matrix product state.
    """

    suits: bool
    because: str
    memory_bytes: int = 0
    seconds: float = 0.0
    certain: bool = False
    basis: str = ""
    max_bond: int | None = None


def unfit(because: str) -> Fit:
    """A refusal."""
    return Fit(suits=False, because=because)


@dataclass(frozen=True)
class CircuitQuestion:
    """One circuit and everything that a job asks of it.

    Attributes:
        name: Of the circuit, for messages.
        kind: Whether it is sampled, or observables are estimated.
        traits: Of the canonical circuit.
        shots: Most shots of a binding, or of a measured group; 0 where values without shots are asked.
        bindings: Sets of parameter values, over all pubs with this circuit.
        twins: Runs of a twin of the circuit beside these, each with the shots of the first pub, where there is noise.
        factors: Noise factors that it is run at, each as often as the first, which is 1; where there is noise.
        calibration: Runs, and shots of each, of circuits that measure readout errors beside these, where there is noise.
        terms: Pauli terms of the observables of one pub; 0 for sampling.
        pubs: Bindings and shots of each pub with this circuit; empty where there is one.
        quarter_turns: Whether every value that is bound is a multiple of a quarter turn.
        max_bond: The caller's bound on the bond dimension of a matrix product state.
    """

    name: str
    kind: Literal["sample", "estimate"]
    traits: CircuitTraits
    shots: int
    bindings: int = 1
    twins: int = 0
    terms: int = 0
    quarter_turns: bool = True
    max_bond: int | None = None
    pubs: Sequence[tuple[int, int]] = ()
    factors: Sequence[float] = (1.0,)
    calibration: tuple[int, int] = (0, 0)

    def by_shots(self) -> Mapping[int, Sequence[int]]:
        """Bindings of each pub at every noise factor, by its shots; a twin is one more, with the shots of the first."""
        pubs: dict[int, list[int]] = {}
        for bindings, shots in self.pubs or [(self.bindings, self.shots)]:
            pubs.setdefault(shots, []).extend([bindings] * len(self.factors))
        if self.twins:
            pubs[next(iter(pubs))].append(self.twins)
        runs, shots = self.calibration
        if runs:
            pubs.setdefault(shots, []).append(runs)
        return pubs


class CircuitSolver(Protocol):
    """Answers jobs made of circuits.

    Attributes:
        name: As in the backend's name `classical:<name>`.
        task: `module:function` that runs in a child: it takes and emits what `isolation.pieces` says.
        needs: Packages it imports there.
        distributions: Those whose versions decide its answers.
        fresh: Whether every run needs a child that ran nothing before.
        method: Aer's method that it runs by; automatic where it does not run on Aer.
        target: What circuits are compiled for; None for whatever Aer runs by `method`.
        dynamic_circuits: Whether it measures and goes on, and resets.
        description: One line for people.
    """

    name: str
    task: str
    needs: Sequence[str]
    distributions: Sequence[str]
    fresh: bool
    method: Method
    target: TargetDocument | None
    dynamic_circuits: bool
    description: str

    def fits(self, question: CircuitQuestion, capacity_bytes: int) -> Fit:
        """Whether it suits a circuit. Pure, and quick.

        Args:
            question: What is asked.
            capacity_bytes: Memory that the machine can ever grant.
        """
        ...

    def seconds(self, pub: IsaPub) -> float:
        """Rough seconds of one binding; how a run is cut into pieces depends on it."""
        ...


class ProblemSolver(Protocol):
    """Answers problems without a circuit.

    Attributes:
        name: As in the backend's name `classical:<name>`.
        needs: Packages that `solve` imports.
        distributions: What brings them, and decides the answer by its version.
        description: One line for people.
    """

    name: str
    needs: Sequence[str]
    distributions: Sequence[str]
    description: str

    def fits(self, problem: Problem) -> Fit:
        """Whether it suits a problem. Pure, and quick also for the largest problem that is let in."""
        ...

    def solve(self, task: "ProblemPayload") -> "Solution":
        """The answer; runs in a child, where its packages are.

        Raises:
            HybridError: There is none.
        """
        ...


class Solution(Contract):
    """A solver's answer to a problem, as it is kept under the submission's handle.

    Attributes:
        answer: In the problem's terms.
        confidence: How far it can be trusted, None where nothing is known.
        method: What was done, in a few words.
        because: With which effort, in one sentence.
        warnings: What the caller should know.
        versions: Of the libraries that decided the answer.
    """

    answer: ProblemAnswer
    confidence: Confidence | None = None
    method: str
    because: str
    warnings: tuple[str, ...] = ()
    versions: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class ProblemPayload:
    """What a child is given.

    Attributes:
        problem: What is asked.
        seed: Same seed, same answer, unless the clock stops the solver.
        seconds: After which it answers with the best it has.
    """

    problem: Problem
    seed: int
    seconds: float

    def pack(self) -> dict[str, Any]:
        """As plain data."""
        return {"problem": self.problem.model_dump_json(), "seed": self.seed, "seconds": self.seconds}

    @classmethod
    def unpack(cls, payload: Any) -> Self:
        """From what `pack` made."""
        problem = _PROBLEM.validate_json(payload["problem"], extra="ignore")
        return cls(problem, payload["seed"], payload["seconds"])


_PROBLEM: TypeAdapter[Any] = TypeAdapter(Problem)


def absent(needs: Iterable[str]) -> list[str]:
    """Packages that are not installed, found out without importing them."""
    return [name for name in needs if importlib.util.find_spec(name) is None]


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """Versions of what is installed."""
    return {name: version(name) for name in distributions}
