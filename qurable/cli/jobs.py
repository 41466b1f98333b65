"""From the words of a command line to a job."""

import json
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from qurable.contracts.base import explain
from qurable.contracts.circuits import MAX_TEXT_BYTES, Circuit
from qurable.contracts.jobs import parse_request
from qurable.contracts.reports import State
from qurable.errors import RequestRejected
from qurable.requests import AnyJob, as_circuit, estimate, sample


@dataclass(frozen=True)
class Wishes:
    """The options of `run` and `submit`."""

    shots: int | None
    seed: int | None
    backend: str
    observables: list[str]
    precision: float | None
    parameters: list[str]
    key: str | None
    project: str
    deadline: float | None
    level: int | None
    method: str | None


def read_job(file: Path, wishes: Wishes) -> AnyJob:
    """The job that a file and options describe.

    Raises:
        RequestRejected: The file or an option is not acceptable.
    """
    if file.suffix == ".json":
        return _from_document(file, wishes)
    circuit = _read_circuit(file)
    values = dict(map(_parameter, wishes.parameters)) or None
    if wishes.observables:
        shots_or_precision = (
            {"shots": wishes.shots} if wishes.shots is not None else {"precision": wishes.precision}
        )
        pub = {
            "circuit": circuit,
            "observables": list(wishes.observables),
            "bindings": values or {},
            **shots_or_precision,
        }
        return estimate(_checked_pub(pub), **_options(wishes))
    if wishes.precision is not None:
        raise RequestRejected("--precision belongs to estimates: name an --observable, or give --shots")
    return sample((circuit, values), shots=wishes.shots, **_options(wishes))


def _checked_pub(pub: dict[str, Any]) -> Any:
    from qurable.contracts.pubs import EstimatePub

    try:
        return EstimatePub.model_validate(pub)
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the estimate")) from None


def _options(wishes: Wishes) -> dict[str, Any]:
    options: dict[str, Any] = {"backend": wishes.backend, "seed": wishes.seed, "project": wishes.project}
    if wishes.key is not None:
        options["key"] = wishes.key
    if wishes.deadline is not None:
        options["limits"] = {"total": timedelta(seconds=wishes.deadline)}
    if wishes.level is not None:
        options["transpile"] = {"level": wishes.level}
    if wishes.method is not None:
        options["simulator"] = {"method": wishes.method}
    return options


def _read_circuit(file: Path) -> Circuit:
    if str(file) == "-":
        return as_circuit(sys.stdin.read(MAX_TEXT_BYTES + 1))
    if not file.is_file():
        raise RequestRejected(f"there is no file {str(file)!r}")
    return as_circuit(file)


def _parameter(word: str) -> tuple[str, float]:
    name, _, number = word.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise RequestRejected(f"--parameter {word!r} is not name=number") from None


def _from_document(file: Path, wishes: Wishes) -> AnyJob:
    if not file.is_file():
        raise RequestRejected(f"there is no file {str(file)!r}")
    try:
        document = json.loads(file.read_bytes())
        if not isinstance(document, dict):
            raise RequestRejected(f"{str(file)!r} holds no job: a job is a JSON object")
        given = {
            name: value for name, value in _options(wishes).items() if value not in (None, "auto", "default")
        }
        return parse_request({**document, **given})
    except json.JSONDecodeError as failure:
        raise RequestRejected(
            f"{str(file)!r}, line {failure.lineno}, column {failure.colno}: {failure.msg}"
        ) from None
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the job")) from None


def read_states(words: list[str]) -> tuple[State, ...]:
    """States by their names.

    Raises:
        RequestRejected: One is none.
    """
    try:
        return tuple(State(word) for word in words)
    except ValueError:
        raise RequestRejected(f"states are {', '.join(State)}, not {words}") from None
