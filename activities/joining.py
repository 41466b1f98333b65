"""Who may share a provider job with whom, and the job that runs for all of them; nothing here is kept or sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic_core import to_json

from activities import steps
from activities.checkpoint import Documents
from activities.documents import ValidatedDocument
from activities.questions import logical_digest
from circuits.runnable import pubs_of
from circuits.seeds import seed_at
from qurable.contracts.base import digest
from qurable.contracts.budgets import JobBudget
from qurable.contracts.executions import SubmissionKey
from qurable.contracts.fallback import Fallback
from qurable.contracts.jobs import MAX_PUBS, MAX_SEED, EstimateJob, Limits, SampleJob, SolveJob, read_request
from qurable.contracts.mitigation import Mitigation
from qurable.contracts.pubs import EstimatePub, SamplePub, shots_for
from qurable.contracts.routes import Rung
from qurable.contracts.sharing import CollectorHead, Joined, Joiner, collector_id
from qurable.contracts.stages import StageCall
from store.shelf import StoreShelf

MOST_EXECUTIONS = 5_000_000
"""Of a group: as many as IBM takes in one job, so that a group is one job and fails or answers as a whole."""

_LONGEST_RUN = timedelta(days=365)

_MUST_AGREE = ("user", "data_class", "priority", "transpile", "ibm")
_MAY_DIFFER = frozenset(
    {
        *("schema_version", "kind", "key", "labels", "project", "backend", "batch_window", "hooks"),
        *("pubs", "pub", "problem", "seed", "seeds", "simulator", "limits", "fallback"),
        *("budget", "checks", "mitigation"),
    }
)
"""What says nothing about the provider's job, or is looked at by `alone_because`."""

Request = SampleJob | EstimateJob | SolveJob


@dataclass(frozen=True)
class Member:
    """What a job brings into a group.

    Attributes:
        request: As it runs.
        validated: What was found of it.
    """

    request: Request
    validated: ValidatedDocument


async def member_of(shelf: StoreShelf, documents: Documents) -> Member:
    """A job that was validated."""
    validated = documents.need(steps.VALIDATE, ValidatedDocument)
    return Member(read_request(await shelf.artifact(validated.request)), validated)


def key_of(call: StageCall, member: Member) -> SubmissionKey:
    """Of the submission that a job makes where it goes alone; its seat has the same tag."""
    kind, pubs = pubs_of(member.request)
    question = logical_digest(kind, pubs, member.validated, member.request.checks.twin)
    return SubmissionKey(job_id=call.job_id, backend=call.backend, digest=question)


def joined(call: StageCall, member: Member, rung: Rung) -> Joined:
    """As whom a job waits, and where; or why it goes alone."""
    alone = _alone_because(member.request, rung)
    if alone:
        return Joined(alone=alone)
    topic = _topic(member, rung)
    head = CollectorHead(
        id=collector_id(member.request.project, topic), project=member.request.project, backend=rung.name
    )
    return Joined(head=head, joiner=joiner(call, member))


def joiner(call: StageCall, member: Member) -> Joiner:
    """A job as one of those that wait."""
    _, pubs = pubs_of(member.request)
    return Joiner(
        tag=key_of(call, member).tag,
        window=member.request.batch_window or timedelta(0),
        pubs=len(pubs),
        executions=sum(map(_executions, pubs)),
    )


def _executions(pub: SamplePub | EstimatePub) -> int:
    observables = 1 if isinstance(pub, SamplePub) else max(1, len(pub.observables.items))
    return max(1, pub.bindings.size * max(1, shots_for(pub)) * observables)


def _alone_because(request: Request, rung: Rung) -> str:
    """Why a job's options keep it from sharing; empty where they do not."""
    reasons: Mapping[str, bool] = {
        f"ibm.mode {request.ibm.mode!r} is a session of its own": request.ibm.mode != "job",
        "ibm.max_execution_time bounds a provider job of its own": request.ibm.max_execution_time is not None,
        "it has a budget of its own, and what is shared is booked as a whole": request.budget != JobBudget(),
        f"somebody has to approve of what it sends to {rung.name!r}, and has a part of its own to look at": rung.approval
        is not None,
        "twins ride along with it": request.checks.twin is not None,
        f"{rung.name!r} reads no circuits": not rung.target.reads_circuits,
        "its mitigation takes more than its own counts": request.mitigation
        != Mitigation(readout=request.mitigation.readout, max_age=request.mitigation.max_age),
        f"it has more than {MOST_EXECUTIONS // 2:,} executions, and hardly any other fits beside it": sum(
            map(_executions, pubs_of(request)[1])
        )
        > MOST_EXECUTIONS // 2,
        f"it has more than {MAX_PUBS // 2:,} pubs": len(pubs_of(request)[1]) > MAX_PUBS // 2,
    }
    unknown = [
        name
        for name, field in type(request).model_fields.items()
        if name not in _MAY_DIFFER.union(_MUST_AGREE)
        and getattr(request, name) != field.get_default(call_default_factory=True)
    ]
    return next((reason for reason, holds in reasons.items() if holds), "") or (
        f"jobs with {unknown[0]!r} are not put together" if unknown else ""
    )


def _topic(member: Member, rung: Rung) -> str:
    """What all who share a provider job have in common."""
    request, validated = member.request, member.validated
    kind, pubs = pubs_of(request)
    circuits = [validated.circuits[at] for at in validated.circuit_of]
    words: Sequence[Any] = (
        rung.name,
        rung.target.account,
        kind,
        *(getattr(request, name) for name in _MUST_AGREE),
        request.limits.queue,
        request.limits.run,
        *(circuit.canonical if circuit.cacheable else circuit.source for circuit in circuits),
        *(None if isinstance(pub, SamplePub) else pub.observables for pub in pubs),
        *(shots_for(pub) for pub in pubs),
        *(None if isinstance(pub, SamplePub) else pub.precision for pub in pubs),
    )
    return digest(to_json(words))


def group_job(members: Sequence[Member], key: str, backend: str) -> SampleJob | EstimateJob:
    """The job that runs the pubs of all, one member's after the other's.

    What members ask of their answers is theirs to see to; nobody else answers in the group's place, since each member
    has a route of its own for that.
    """
    first = members[0].request
    kind, _ = pubs_of(first)
    pubs = tuple(pub for member in members for pub in pubs_of(member.request)[1])
    run = min(first.limits.run * len(members), _LONGEST_RUN)
    fields: dict[str, Any] = {
        **{name: getattr(first, name) for name in _MUST_AGREE},
        "key": key,
        "project": first.project,
        "backend": backend,
        "limits": Limits(queue=first.limits.queue, run=run),
        "fallback": Fallback(policy="none"),
        "pubs": pubs,
        "seeds": _seeds(members),
    }
    return SampleJob(**fields) if kind == "sample" else EstimateJob(**fields)


def _seeds(members: Sequence[Member]) -> tuple[int, ...]:
    """The seed that every binding has in a job of its own, where somebody named one; empty for the group's own.

    IBM's devices take none. A place that does gives a member the answer that it would have had alone.
    """
    if not any(member.request.seeds or member.request.seed is not None for member in members):
        return ()
    seeds: list[int] = []
    for member in members:
        bindings = sum(pub.bindings.size for pub in pubs_of(member.request)[1])
        own = member.validated.seed, member.request.seeds
        seeds += (seed_at(*own, binding) for binding in range(bindings))
    # By the rule a long sweep may pass what a request can say.
    return tuple(seeds) if max(seeds, default=0) <= MAX_SEED else ()
