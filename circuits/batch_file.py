"""From the lines of a batch to groups of items that ask the same but for values and seeds; runs in a child.

A group is run as jobs of one pub with many bindings: compiled once, bound often. What cannot be asked that way (several
pubs, a sweep of its own, a problem, checks, a budget, stages of the caller's) is a group of one. Here a circuit is its text;
`circuits.batch_groups` puts groups together whose circuits are the same.
"""

import itertools
import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from qurable.contracts.arrays import size_of
from qurable.contracts.base import digest, explain
from qurable.contracts.batches import MAX_ITEMS
from qurable.contracts.budgets import JobBudget
from qurable.contracts.checks import Checks
from qurable.contracts.circuits import CircuitFormat
from qurable.contracts.jobs import EstimateJob, Hooks, Requirements, SampleJob, SolveJob, parse_request_text
from qurable.contracts.pubs import EstimatePub, SamplePub, shots_for
from qurable.errors import RequestRejected

_LARGEST_CHUNK = 250
_SMALLEST_CHUNK = 16
"""Below this a job of their own for every few items costs more than a kill that repeats them."""

_SHARE = 20
"""A chunk is at most this part of a batch: a kill repeats those that were being computed, on two cores a tenth."""

_EXECUTIONS_OF_A_CHUNK = 5_000_000
"""The most executions that IBM takes in one job."""

_VALUES_OF_A_CHUNK = 100_000
"""A few MiB of a request."""

_SHOWN = 100
"""Broken lines that are named; the others are counted."""

Job = SampleJob | EstimateJob | SolveJob


@dataclass
class Group:
    """Items that ask the same.

    Attributes:
        request: The first of them; its pub's bindings and its seed mean nothing.
        alone: Whether it is one item that is run as it stands.
        identity: Digest of what is asked.
        question: Digest of what is asked but for the circuit and the names of its parameters; empty where it runs alone.
        items: `(line, key, labels, seed or None, values)` of each, values in the order of sorted names.
    """

    request: Job
    alone: bool
    identity: str
    question: str = ""
    items: list[tuple[int, str, dict[str, str], int | None, bytes]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As plain data."""
        total, paid = self.request.limits.total, is_paid(self.request)
        return {
            "request": self.request.model_dump_json(),
            "alone": self.alone,
            "identity": self.identity,
            "question": self.question,
            "parameters": [] if self.alone else _names(self.request),
            "priority": self.request.priority,
            "deadline": None if total is None else total.total_seconds(),
            "executions": max((executions_of(pub, paid=paid) for pub in _pubs(self.request)), default=1),
            "paid": paid,
            "items": [
                [line, key, json.dumps(labels), seed, values, ""]
                for line, key, labels, seed, values in self.items
            ],
        }


def read_batch(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: read the lines of a batch.

    Args:
        payload: `{"lines": bytes, "project": slug, "qpy": whether circuits may come as QPY}`.

    Returns:
        `{"groups": [as of `Group.document`], "broken": [[line, problem], ...]}`; at most a hundred lines that are broken.

    Raises:
        RequestRejected: There are no lines, or too many.
    """
    groups: dict[str, Group] = {}
    broken: list[list[Any]] = []
    items = 0
    for number, line in _lines(payload["lines"]):
        items += 1
        if items > MAX_ITEMS:
            raise too_many(sum(1 for _ in _lines(payload["lines"])))
        try:
            _add(groups, number, _job(line, payload["project"], qpy=payload["qpy"]))
        except ValueError as problem:
            if len(broken) < _SHOWN:
                broken.append([number, str(problem)])
    if not items:
        raise RequestRejected(
            "the batch is empty: give it a job on each line, as JSON: {'kind': 'sample', 'pubs': [...]}"
        )
    return {"groups": [group.document() for group in groups.values()], "broken": broken}


def too_many(lines: int) -> RequestRejected:
    """The error of a batch that is too long."""
    return RequestRejected(
        f"the batch has {lines:,} lines; at most {MAX_ITEMS:,} are taken: split it, or make one job of a sweep, which takes up to "
        "1,000,000 bindings",
        lines=lines,
        limit=MAX_ITEMS,
    )


def _lines(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers from 1, without empty ones."""
    start, number = 0, 0
    while start < len(text):
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        number += 1
        line = text[start:end].strip()
        if line:
            yield number, line
        start = end + 1


def _job(line: bytes, project: str, *, qpy: bool) -> tuple[Job, str]:
    """The job of a line, and the key that it says.

    Raises:
        ValueError: It is none.
    """
    try:
        job = parse_request_text(line)
    except ValidationError as failure:
        raise ValueError(explain(failure, "the job")) from None
    key = job.key if "key" in job.model_fields_set else ""
    if "project" in job.model_fields_set and job.project != project:
        raise ValueError(f"it belongs to project {job.project!r}, and the batch to {project!r}")
    if not qpy and any(pub.circuit.format is CircuitFormat.QPY for pub in _pubs(job)):
        raise ValueError("QPY is taken from the typed client alone: send OpenQASM 2 or 3")
    return job.model_copy(update={"project": project}), key


def executions_of(pub: SamplePub | EstimatePub, *, paid: bool) -> int:
    """Of one binding, at most: each observable may have to be measured by itself, which matters to a provider's limit alone."""
    observables = size_of(pub.observables.shape) if paid and isinstance(pub, EstimatePub) else 1
    return max(1, shots_for(pub) * observables)


def is_paid(job: Job) -> bool:
    """Whether a job asks for a place that is paid, or may be."""
    if isinstance(job.backend, Requirements):
        return job.backend.simulator is False
    return job.backend is not None and job.backend.partition(":")[0] == "ibm"


def _pubs(job: Job) -> Sequence[SamplePub | EstimatePub]:
    """All that a job asks of circuits."""
    if isinstance(job, SolveJob):
        return () if job.pub is None else (job.pub,)
    return job.pubs


def _add(groups: dict[str, Group], line: int, read: tuple[Job, str]) -> None:
    job, key = read
    grouped = _values(job)
    if grouped is None:
        identity = digest(f"{line}\0{job.body_hash}")
        groups[identity] = Group(job, True, identity, items=[(line, key, job.labels, job.seed, b"")])
        return
    identity, question, values = grouped
    group = groups.setdefault(identity, Group(job, False, identity, question))
    group.items.append((line, key, job.labels, job.seed, values))


def _names(job: Job) -> list[str]:
    """The parameters that a job of one pub gives values for, in the order in which its values stand."""
    assert not isinstance(job, SolveJob)  # noqa: S101  these run alone
    return sorted(job.pubs[0].bindings.parameters)


def _values(job: Job) -> tuple[str, str, bytes] | None:
    """What a job asks but for its values, and but for its circuit, as digests, and its values by sorted name.

    None where it has to run alone.
    """
    if isinstance(job, SolveJob) or len(job.pubs) != 1 or job.seeds:
        return None
    if isinstance(job, SampleJob) and job.problem is not None:
        return None
    if job.checks != Checks() or job.budget != JobBudget() or job.hooks != Hooks():
        return None
    pub = job.pubs[0]
    if pub.bindings.shape:
        return None
    by_name = sorted(zip(pub.bindings.parameters, pub.bindings.values, strict=True))
    question = "\0".join(
        (
            job.model_dump_json(exclude={"key", "labels", "seed", "pubs"}),
            pub.model_dump_json(exclude={"bindings", "circuit"}),
            json.dumps(pub.circuit.metadata, sort_keys=True),
        )
    )
    names = [name for name, _ in by_name]
    identity = "\0".join((question, pub.circuit.name, pub.circuit.source_hash, *names))
    return digest(identity), digest(question), array("d", [value for _, value in by_name]).tobytes()


def most_in_a_chunk(total: int, executions: int, values: int, *, paid: bool) -> int:
    """How many items of a group one job takes.

    Args:
        total: Items of the whole batch.
        executions: Of each item, at most.
        values: Parameters of each.
        paid: Whether somebody is paid for each job. A kill repeats nothing there, and every job costs something beside its runs.
    """
    share = _LARGEST_CHUNK if paid else max(_SMALLEST_CHUNK, min(_LARGEST_CHUNK, total // _SHARE))
    return max(1, min(share, _EXECUTIONS_OF_A_CHUNK // executions, _VALUES_OF_A_CHUNK // max(values, 1)))


def cut(items: Sequence[int], most: int) -> list[Sequence[int]]:
    """A group's items in chunks of one size or nearly, each of at most so many."""
    chunks = -(-len(items) // most)
    bounds = [len(items) * at // chunks for at in range(chunks + 1)]
    return [items[first:last] for first, last in itertools.pairwise(bounds)]
