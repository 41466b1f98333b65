"""The strategy table: which places answer a job, in which order, and from where on each is worth it.

It is data, read once at the start. A table that could send a job nowhere, or that does not say what its author
thinks it says, is refused then, with the line.
"""

import fnmatch
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from circuits.methods import AFFORDABLE_BOND, CHEAP_BOND
from fallback.approval import ApprovalRule, idle_rules
from fallback.breaker import BreakerRules
from qurable.contracts.base import Contract
from qurable.contracts.budgets import CURRENCY_PATTERN
from qurable.contracts.fallback import Age
from qurable.contracts.targets import AnswerKind
from qurable.names import CACHE, CLASSICAL_PREFIX

ASKED = "asked"
OTHER_DEVICES = "other_devices"
TWIN = "twin"
FITTING = "fitting"
SELECTORS = frozenset({ASKED, OTHER_DEVICES, TWIN, FITTING})
"""Places that depend on the job; every other word is a backend's name, or a pattern of names of classical solvers."""

_WIDEST = 10_000


class AsksFor(StrEnum):
    """What a job asks to be answered by."""

    AUTO = "auto"
    HARDWARE = "hardware"
    SIMULATOR = "simulator"
    CLASSICAL = "classical"
    REQUIREMENTS = "requirements"


JobKind = Literal["sample", "estimate", "solve"]
KINDS: tuple[JobKind, ...] = ("sample", "estimate", "solve")


@dataclass(frozen=True)
class Asked:
    """What the conditions of rules look at.

    Attributes:
        kind: Of the job.
        asks_for: What it asks to be answered by.
        clifford: Whether every circuit is Clifford.
        dynamic: Whether some circuit measures and goes on, resets or branches.
        exact: Whether values without shots are asked.
        problem: Whether the job carries a problem.
        qubits: Of the widest circuit.
    """

    kind: JobKind
    asks_for: AsksFor
    clifford: bool = False
    dynamic: bool = False
    exact: bool = False
    problem: bool = False
    qubits: int = 1


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class When(Contract):
    """Conditions; those that are absent hold always, and all of them have to.

    Attributes:
        kind: One of these kinds of job.
        asks_for: One of these.
        clifford: As in `Asked`, as the next three.
        qubits_from: At least so many qubits.
        qubits_to: At most so many qubits.
    """

    kind: Annotated[tuple[JobKind, ...], BeforeValidator(_as_tuple)] = KINDS
    asks_for: Annotated[tuple[AsksFor, ...], BeforeValidator(_as_tuple)] = tuple(AsksFor)
    clifford: bool | None = None
    dynamic: bool | None = None
    exact: bool | None = None
    problem: bool | None = None
    qubits_from: int = Field(default=0, ge=0)
    qubits_to: int = Field(default=_WIDEST, ge=0)

    def holds(self, asked: Asked) -> bool:
        """Whether a job meets all of them."""
        flags = (
            (self.clifford, asked.clifford),
            (self.dynamic, asked.dynamic),
            (self.exact, asked.exact),
            (self.problem, asked.problem),
        )
        return (
            asked.kind in self.kind
            and asked.asks_for in self.asks_for
            and self.qubits_from <= asked.qubits <= self.qubits_to
            and all(want is None or want == have for want, have in flags)
        )


class Rule(Contract):
    """Jobs, and the rung that their ladder begins with."""

    when: When = When()
    first: str


class TableRung(Contract):
    """A sort of place.

    Attributes:
        kind: What sort of answer it gives; None for whatever the places give.
        places: Where to look: `asked`, `other_devices` (of the asked provider), `twin` (noisy simulator of the asked
            device), `fitting` (whatever meets the job's requirements), a backend's name, or a pattern such as
            `classical:*` over the names of classical solvers.
        most: At most so many of those that fit become rungs of a route.
        then: The rung below, empty for none.
        quickest: Whether a place that is expected to be clearly quicker comes before those that are named before it.
            What answers with an error of its own is then asked only where nothing exact can answer.
        max_age: Of a cached answer, unless the job says otherwise; for the rung of the cache alone.
    """

    kind: AnswerKind | None = None
    places: tuple[str, ...] = Field(min_length=1)
    most: int | None = Field(default=None, ge=1)
    then: str = ""
    quickest: bool = False
    max_age: Age | None = None

    @model_validator(mode="after")
    def _places_are_names(self) -> Self:
        for place in self.places:
            pattern = any(sign in place for sign in "*?[")
            if pattern and not place.startswith(CLASSICAL_PREFIX):
                raise ValueError(f"pattern {place!r} is not about classical solvers: name the backend")
        cached = self.kind is AnswerKind.CACHE
        if cached != (CACHE in self.places) or (cached and len(self.places) > 1):
            raise ValueError(
                "answers of kind 'cache' come from the place 'cache', and nothing else does: give both, in a rung alone"
            )
        if cached != (self.max_age is not None):
            raise ValueError(
                "`max_age` says how old a cached answer may be: a rung of kind 'cache' needs it, no other has it"
            )
        return self


class Thresholds(Contract):
    """From where on something is worth it.

    Attributes:
        min_survival: Least best-case survival for which a device is asked, 0 to 1.
        queue_seconds_per_job: What each job ahead in a provider's queue is expected to take (s).
        gpu_from_qubits: Active qubits from which a GPU is asked for a statevector.
        cheap_bond: Bond dimension up to which a matrix product state is preferred to a statevector that is not quicker.
        affordable_bond: Bond dimension up to which a matrix product state is run without truncation.
        quicker_by_seconds: What a place has to save before it counts as quicker (s); it has to save a third as well.
    """

    min_survival: float = Field(default=0.01, ge=0, le=1)
    queue_seconds_per_job: float = Field(default=30.0, ge=0, allow_inf_nan=False)
    gpu_from_qubits: int = Field(default=24, ge=1)
    cheap_bond: int = Field(default=CHEAP_BOND, ge=1)
    affordable_bond: int = Field(default=AFFORDABLE_BOND, ge=1)
    quicker_by_seconds: float = Field(default=0.025, ge=0, allow_inf_nan=False)


class Price(Contract):
    """What a second costs.

    Attributes:
        places: Pattern of the backends' names, such as `ibm:*`.
        per_second: Of QPU time.
        currency: Three capital letters.
    """

    places: str = Field(min_length=1)
    per_second: float = Field(ge=0, allow_inf_nan=False)
    currency: str = Field(pattern=CURRENCY_PATTERN)


class StrategyTable(Contract):
    """The whole of it.

    Attributes:
        rules: The first that holds names the first rung.
        rungs: By name.
        thresholds: From where on something is worth it.
        prices: For places whose account names none, the first that fits.
        approval: Which jobs wait for somebody's word; the first that is about a job asks.
        breaker: From where on a place that fails is left alone, and how often what failed is tried again.
        sha256: Of the file.
    """

    rules: tuple[Rule, ...] = Field(min_length=1)
    rungs: dict[str, TableRung]
    thresholds: Thresholds = Thresholds()
    prices: tuple[Price, ...] = ()
    approval: tuple[ApprovalRule, ...] = ()
    breaker: BreakerRules = BreakerRules()
    sha256: str = ""

    def ladder(self, asked: Asked) -> list[tuple[str, TableRung]]:
        """The rungs for a job, from the first down."""
        name = next(rule.first for rule in self.rules if rule.when.holds(asked))
        steps = []
        while name:
            steps.append((name, self.rungs[name]))
            name = self.rungs[name].then
        return steps

    def price(self, backend: str) -> Price | None:
        """What a second on a backend costs, as far as the table knows."""
        return next((price for price in self.prices if fnmatch.fnmatchcase(backend, price.places)), None)


Place = tuple[str | int, ...]
"""Where in the file something stands: keys and positions from the top."""


def flaws(table: StrategyTable) -> Iterator[tuple[Place, str]]:
    """What is wrong with a table whose every word is one: where, and why."""
    yield from _unknown_rungs(table)
    yield from _cycles(table.rungs)
    yield from _idle_rules(table.rules)
    yield from _idle_rungs(table)
    yield from idle_rules(table.approval)


def _unknown_rungs(table: StrategyTable) -> Iterator[tuple[Place, str]]:
    known = f"there are {', '.join(sorted(table.rungs)) or 'none'}"
    for number, rule in enumerate(table.rules):
        if rule.first not in table.rungs:
            yield ("rules", number, "first"), f"no rung {rule.first!r}; {known}"
    for name, rung in table.rungs.items():
        if rung.then and rung.then not in table.rungs:
            yield ("rungs", name, "then"), f"no rung {rung.then!r}; {known}"


def _cycles(rungs: Mapping[str, TableRung]) -> Iterator[tuple[Place, str]]:
    told: set[str] = set()
    for start in rungs:
        way = [start]
        while (then := rungs[way[-1]].then) in rungs and then not in way:
            way.append(then)
        if then in way and told.isdisjoint(way):
            circle = [*way[way.index(then) :], then]
            told.update(circle)
            yield (
                ("rungs", circle[-2], "then"),
                f"the rungs {' -> '.join(circle)} form a cycle; a ladder has to end",
            )


def _idle_rules(rules: Sequence[Rule]) -> Iterator[tuple[Place, str]]:
    """Rules that no job meets, and jobs that no rule meets; there are few sorts of jobs, so all of them are tried."""
    edges = {1, _WIDEST}
    for rule in rules:
        edges |= {
            rule.when.qubits_from,
            rule.when.qubits_from - 1,
            rule.when.qubits_to,
            rule.when.qubits_to + 1,
        }
    used, alone = set(), set()
    unmet: Asked | None = None
    flags = (False, True)
    for kind, asks_for, clifford, dynamic, exact, problem, qubits in itertools.product(
        KINDS, AsksFor, flags, flags, flags, flags, sorted(edges & set(range(_WIDEST + 1)))
    ):
        asked = Asked(kind, asks_for, clifford, dynamic, exact, problem, qubits)
        meeting = [number for number, rule in enumerate(rules) if rule.when.holds(asked)]
        alone.update(meeting)
        if meeting:
            used.add(meeting[0])
        elif unmet is None:
            unmet = asked
    for number in range(len(rules)):
        if number not in alone:
            yield ("rules", number), "no job meets this rule: its conditions exclude each other"
        elif number not in used:
            yield ("rules", number), "every job that meets this rule is taken by the rules before it"
    if unmet is not None:
        sort = f"asks for {unmet.asks_for} ({unmet.kind}, {unmet.qubits} qubits)"
        yield ("rules",), f"no rule for a job that {sort}: end with a rule without conditions"


def _idle_rungs(table: StrategyTable) -> Iterator[tuple[Place, str]]:
    """Rungs that no ladder comes to: most likely a name that was misspelt elsewhere."""
    reached = {rule.first for rule in table.rules} | {rung.then for rung in table.rungs.values()}
    for name in table.rungs:
        if name not in reached:
            yield ("rungs", name), f"no rule begins with rung {name!r} and no other rung leads to it"
