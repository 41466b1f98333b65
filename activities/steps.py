"""Names of the steps under which stages keep their documents."""

ACCEPT = "accept"
VALIDATE = "validate"
PLAN_ROUTE = "plan_route"


CHANGE = "change-"


def transpile(rung: int, changes: int = 0) -> str:
    """Transpilation for a rung; one with other options has the number of changes made by then."""
    return f"transpile-{rung}.{changes}" if changes else f"transpile-{rung}"


def change(rung: int, number: int) -> str:
    """A change of what is tried on a rung, numbered from 1."""
    return f"{CHANGE}{rung}.{number}"


def submit(rung: int, ordinal: int = 0) -> str:
    """Submission to a rung; a deliberate resubmission has the next ordinal."""
    return f"submit-{rung}.{ordinal}" if ordinal else f"submit-{rung}"


def fetch(rung: int) -> str:
    """Fetching from a rung."""
    return f"fetch-{rung}"


def post_process(rung: int) -> str:
    """Post-processing of a rung's result."""
    return f"post_process-{rung}"


def join_group(rung: int) -> str:
    """Joining those that wait to share a provider job on a rung."""
    return f"join_group-{rung}"


def await_group(rung: int) -> str:
    """Waiting for what is shared."""
    return f"await_group-{rung}"
