"""What the house's rollout rules say of a job, and which rules cannot stand together. Pure."""

import fnmatch
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from qurable.contracts.rollout import RolloutEntry, RolloutRule, RolloutWhen
from qurable.contracts.shadows import Shadowing

_BITS = 64


@dataclass(frozen=True)
class Subject:
    """The job that rules are asked about.

    Attributes:
        job_id: Of the job.
        project: Of the job.
        user: Of the job, empty for nobody in particular.
        kind: sample, estimate or solve.
        asks_for: What sort of place it asks for.
        asked: By which name.
        qubits: Of its widest circuit.
        labels: Its own marks.
        data_class: How confidential it is, empty where it does not say.
        shadow: Whether it is another job's shadow, which no rule sends elsewhere, or gives a shadow of its own.
    """

    job_id: str
    project: str
    user: str
    kind: str
    asks_for: str
    asked: str
    qubits: int
    labels: Mapping[str, str] = field(default_factory=dict)
    data_class: str = ""
    shadow: bool = False


@dataclass(frozen=True)
class Applied:
    """What the rules say of one job.

    Attributes:
        sends: The rule that sends it elsewhere first.
        kills: Kill switches that are about it.
        shadows: The rule that has it run somewhere too.
    """

    sends: RolloutEntry | None = None
    kills: Sequence[RolloutEntry] = ()
    shadows: RolloutEntry | None = None

    def killed(self, backend: str) -> RolloutEntry | None:
        """The kill switch of a place, if there is one."""
        return next((entry for entry in self.kills if _is_about(entry.rule.backend, backend)), None)

    def shadowing(self, first: str) -> Shadowing | None:
        """What runs in the job's shadow, where that is neither switched off nor the place that answers first."""
        if self.shadows is None or self.shadows.rule.backend == first:
            return None
        return None if self.killed(self.shadows.rule.backend) else self.shadows.rule.shadowing

    @property
    def because(self) -> str:
        """Why the job goes first where it goes."""
        return "" if self.sends is None else f"{self.sends} {self.sends.rule.effect}"


def _is_about(pattern: str, backend: str) -> bool:
    """Whether a kill switch is about a place: on whatever account it is asked, and `ibm` or `classical` for all of them."""
    bare = backend.partition("@")[0]
    return any(
        fnmatch.fnmatchcase(name, kind) for name in (backend, bare) for kind in (pattern, f"{pattern}:*")
    )


def applied(entries: Sequence[RolloutEntry], subject: Subject) -> Applied:
    """What the rules say of a job; of rules that send it somewhere, a cohort's comes first, then by name.

    So it is with shadows. Of a shadow itself only kill switches say anything.
    """
    about = [entry for entry in entries if concerns(entry.rule.when, subject)]
    kills = [entry for entry in about if entry.rule.kill]
    if subject.shadow:
        return Applied(kills=kills)
    going = [
        entry
        for entry in sorted(about, key=lambda entry: (not entry.rule.cohort, entry.rule.name))
        if goes(entry.rule, subject)
    ]
    sends = next((entry for entry in going if not entry.rule.shadow), None)
    return Applied(sends, kills, next((entry for entry in going if entry.rule.shadow), None))


def concerns(when: RolloutWhen, subject: Subject) -> bool:
    """Whether a job meets all conditions."""
    name, _, text = when.label.partition("=")
    return (
        fnmatch.fnmatchcase(subject.project, when.project)
        and _named(subject.user, when.user)
        and _named(subject.data_class, when.data_class)
        and (not when.kind or subject.kind in when.kind)
        and (not when.asks_for or subject.asks_for in when.asks_for)
        and fnmatch.fnmatchcase(subject.asked, when.asked)
        and (not when.label or subject.labels.get(name) == text)
        and when.qubits_from <= subject.qubits <= when.qubits_to
    )


def _named(name: str, pattern: str) -> bool:
    """Whether a name that may be empty fits a pattern; an empty one fits only the pattern for all."""
    return pattern == "*" or (bool(name) and fnmatch.fnmatchcase(name, pattern))


def goes(rule: RolloutRule, subject: Subject) -> bool:
    """Whether a rule sends a job, which meets its conditions, to its place."""
    if rule.cohort:
        return f"user:{subject.user}" in rule.cohort or f"project:{subject.project}" in rule.cohort
    return rule.share is not None and draw(rule, subject) < rule.share


def draw(rule: RolloutRule, subject: Subject) -> float:
    """The number in [0, 1) that a share is compared with: the same for ever, uniform over jobs or users, and another for each rule."""
    key = subject.user if rule.by == "user" and subject.user else subject.job_id
    word = "\0".join((rule.name, subject.project, key)).encode()
    # 53 of the bits, so that the quotient is exact: a share of 1 takes all.
    return (int.from_bytes(hashlib.sha256(word).digest()[: _BITS // 8]) >> (_BITS - 53)) / 2**53


def flaws(rule: RolloutRule, others: Sequence[RolloutRule]) -> Iterator[str]:
    """What is wrong with a rule, by itself and beside those that stand; its own earlier form is none of the others."""
    when = rule.when
    if when.qubits_from > when.qubits_to:
        yield f"no job has from {when.qubits_from} to {when.qubits_to} qubits"
    if "auto" in when.asks_for and len(when.asks_for) == 1 and not fnmatch.fnmatchcase("auto", when.asked):
        yield f"no job that asks for auto asks for {when.asked!r}"
    if rule.kill:
        return  # in an emergency nothing stands in its way, and it wins over any share
    projects = [name.partition(":")[2] for name in rule.cohort if name.startswith("project:")]
    if rule.cohort and len(projects) == len(rule.cohort):
        among = [project for project in projects if fnmatch.fnmatchcase(project, when.project)]
        if not among:
            yield f"no project of the cohort is among {when.project!r}"
    if when.asked == rule.backend:
        yield f"jobs that ask for {rule.backend!r} go there anyway"
    for other in others:
        if not _meet(when, other.when):
            continue
        if other.kill and _is_about(other.backend, rule.backend):
            yield f"rule {other.name!r} {other.effect}: remove that first"
        elif other.kill or other.backend == rule.backend:
            continue  # whoever is sent there already has no shadow there
        elif rule.shadow == other.shadow:
            yield f"rule {other.name!r} {other.effect}, and both may be about the same job: narrow one of them"
        else:
            yield (
                f"rule {other.name!r} {other.effect}, and both may be about the same job: a shadow would be compared now with the "
                "old place and now with the new one; narrow one of them"
            )


def _meet(one: RolloutWhen, other: RolloutWhen) -> bool:
    """Whether some job may meet the conditions of both; in doubt it may."""
    return (
        _common(one.project, other.project)
        and _common(one.user, other.user)
        and _common(one.data_class, other.data_class)
        and _common(one.asked, other.asked)
        and _overlap(one.kind, other.kind)
        and _overlap(one.asks_for, other.asks_for)
        and not _different_value(one.label, other.label)
        and max(one.qubits_from, other.qubits_from) <= min(one.qubits_to, other.qubits_to)
    )


def _common(one: str, other: str) -> bool:
    """Whether some name fits both patterns; two patterns with wildcards are taken to have one."""
    wild = [any(sign in pattern for sign in "*?[") for pattern in (one, other)]
    if all(wild):
        return True
    return fnmatch.fnmatchcase(one, other) or fnmatch.fnmatchcase(other, one)


def _overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    return not one or not other or bool(set(one) & set(other))


def _different_value(one: str, other: str) -> bool:
    """Whether two labels are one name with two values."""
    return bool(one and other) and one != other and one.partition("=")[0] == other.partition("=")[0]
