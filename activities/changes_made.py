"""What was changed on the rungs of a job so far, and what was compiled with it, from what the stages kept."""

from activities import steps
from activities.checkpoint import Documents
from activities.documents import CompiledDocument
from qurable.contracts.changes import Change


def changes_on(documents: Documents, rung: int, number: int) -> tuple[Change, ...]:
    """The first so many changes of a rung.

    Raises:
        StageForgotten: The store lacks one of them.
    """
    return tuple(documents.need(steps.change(rung, at), Change) for at in range(1, number + 1))


def every_change(documents: Documents) -> tuple[Change, ...]:
    """All changes of a job, rung by rung, in order."""
    found = [documents.need(step, Change) for step in documents.steps if step.startswith(steps.CHANGE)]
    return tuple(sorted(found, key=lambda change: (change.rung, change.number)))


def compiled_with(documents: Documents, rung: int, changes: int) -> CompiledDocument:
    """What was compiled for a rung, with as many of its changes as there were by then.

    Raises:
        StageForgotten: The store lacks it.
    """
    for number in range(changes, 0, -1):
        found = documents.find(steps.transpile(rung, number), CompiledDocument)
        if found is not None:
            return found
    return documents.need(steps.transpile(rung), CompiledDocument)
