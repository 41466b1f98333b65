"""Guardrails: what a project may send to places that cost money, checked on the compiled circuits."""

from bisect import bisect_left
from collections.abc import Sequence

from sqlalchemy import Connection

from activities.documents import CompiledCircuit, FoldedCircuit
from qurable.contracts.executions import IsaPub, Submission
from qurable.errors import GuardrailBroken
from store import budgets, provider_jobs


def check(
    connection: Connection, submission: Submission, circuits: Sequence[CompiledCircuit | FoldedCircuit]
) -> None:
    """Refuse a submission that is beyond its project's guardrails, unless it was written down before.

    What may be at the provider already is not called back by a guardrail that came after it. How many jobs a project
    sends is counted where they are reserved.

    Raises:
        GuardrailBroken: Naming the guardrail and the way out.
    """
    project = submission.payer.project
    rails = budgets.guardrails_of(connection, project)
    if rails is None or provider_jobs.of_submission(connection, submission.key.tag):
        return
    pubs = submission.pubs
    found = {
        "depth": max((circuit.depth for circuit in circuits), default=0),
        "two_qubit_gates": max((circuit.two_qubit_gates for circuit in circuits), default=0),
        "shots": _shots(pubs),
    }
    for name, number in found.items():
        most: int | None = getattr(rails, name)
        if most is not None and number > most:
            raise GuardrailBroken(
                f"project {project!r} may send {_WORDS[name].format(most)} to places that cost money, and this job has {number:,}: "
                f"ask for less, use a simulator, or allow more with `qurable budget guard --project {project} "
                f"--{name.replace('_', '-')} N`",
                guardrail=name,
                limit=most,
                found=number,
                **({"shots_that_fit": _shots_that_fit(pubs, most)} if name == "shots" else {}),
            )


def _shots(pubs: Sequence[IsaPub], at_most: int | None = None) -> int:
    """Shots of all bindings, by option of pubs that are cut to so many."""
    return sum(
        pub.bindings.size * (pub.shots if at_most is None else min(pub.shots, at_most)) for pub in pubs
    )


def _shots_that_fit(pubs: Sequence[IsaPub], limit: int) -> int:
    """The most shots that every pub can be cut to so that they all keep a limit; 0 for none."""
    most = max(pub.shots for pub in pubs)
    return bisect_left(range(1, most), True, key=lambda shots: _shots(pubs, shots) > limit)


_WORDS = {
    "depth": "ISA circuits of depth {:,} at most",
    "two_qubit_gates": "ISA circuits of {:,} two-qubit gates at most",
    "shots": "{:,} shots in a submission at most",
}
