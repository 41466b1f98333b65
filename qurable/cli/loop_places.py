"""What `qurable optimize` is told about the places where a loop evaluates, and what these may cost."""

from typing import Any

from qurable.cli.jobs import named_options
from qurable.cli.limits import read_job_budget
from qurable.contracts.loop_places import FinishWhen
from qurable.errors import RequestRejected


def wishes(
    backend: str | None,
    finish: str | None,
    finish_shots: int | None,
    finish_iterations: int | None,
    finish_after: str | None,
    ibm: list[str] | None,
    budget: list[str] | None,
) -> dict[str, Any]:
    """The fields of a loop that a command line names.

    Raises:
        RequestRejected: An option is not acceptable.
    """
    fields = {
        "backend": backend,
        "finish": _finish(finish, finish_shots, finish_iterations, finish_after),
        "ibm": named_options("--ibm", ibm) if ibm else None,
        "budget": read_job_budget(budget) if budget else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _finish(
    backend: str | None, shots: int | None, iterations: int | None, after: str | None
) -> dict[str, Any] | None:
    given = {"shots": shots, "iterations": iterations}
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if backend is None:
        if fields or after is not None:
            raise RequestRejected(
                "--finish-shots, --finish-iterations and --finish-after go with --finish BACKEND"
            )
        return None
    return {"backend": backend, **fields, **_when(after)}


def _when(after: str | None) -> dict[str, Any]:
    if after is None:
        return {}
    if after.isdecimal():
        return {"when": FinishWhen.ITERATIONS, "explore": int(after)}
    return {"when": after}
