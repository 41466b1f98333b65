"""Names of the steps under which stages keep their documents."""

ACCEPT = "accept"
VALIDATE = "validate"
PLAN_ROUTE = "plan_route"


def transpile(rung: int) -> str:
    """Transpilation for a rung."""
    return f"transpile-{rung}"


def submit(rung: int) -> str:
    """Submission to a rung."""
    return f"submit-{rung}"


def fetch(rung: int) -> str:
    """Fetching from a rung."""
    return f"fetch-{rung}"


def post_process(rung: int) -> str:
    """Post-processing of a rung's result."""
    return f"post_process-{rung}"
