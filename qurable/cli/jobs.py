"""From the words of a command line to a job."""

import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from qurable.cli.json_input import json_file, json_or_text
from qurable.cli.limits import read_job_budget
from qurable.cli.options import Wishes
from qurable.contracts.base import Contract, explain
from qurable.contracts.circuits import MAX_TEXT_BYTES, Circuit
from qurable.contracts.jobs import parse_request
from qurable.contracts.mitigation import READOUT, ZNE
from qurable.contracts.problems import MAX_PROBLEM_TEXT, PROBLEM_KINDS
from qurable.contracts.reports import State
from qurable.errors import RequestRejected
from qurable.input_files import readable
from qurable.requests import AnyJob, as_circuit, estimate, sample, solve

_PROGRAMS = frozenset({".lp", ".mps"})


def read_job(file: Path, wishes: Wishes) -> AnyJob:
    """The job that a file and options describe.

    Raises:
        RequestRejected: The file or an option is not acceptable.
    """
    if file.suffix == ".json":
        return _from_document(file, wishes)
    if file.suffix in _PROGRAMS:
        return _solve({"kind": "linear_program", "format": file.suffix[1:], "text": _text_of(file)}, wishes)
    circuit = _read_circuit(file)
    values = dict(map(_parameter, wishes.parameters or [])) or None
    if wishes.observables:
        pub = {
            "circuit": circuit,
            "observables": list(wishes.observables),
            "bindings": values or {},
            "shots": wishes.shots,
            "precision": wishes.precision,
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
    plain = ("backend", "seed", "project", "key", "user", "data_class", "batch_window")
    options = {name: said for name in plain if (said := getattr(wishes, name)) is not None}
    if wishes.budget:
        options["budget"] = read_job_budget(wishes.budget)
    if wishes.deadline is not None:
        options["limits"] = {"total": wishes.deadline}
    if wishes.level is not None:
        options["transpile"] = {"level": wishes.level}
    if wishes.method is not None:
        options["simulator"] = {"method": wishes.method}
    if wishes.ibm:
        options["ibm"] = named_options("--ibm", wishes.ibm)
    if wishes.fallback:
        options["fallback"] = _fallback(wishes.fallback)
    if wishes.checks is not None:
        options["checks"] = json_file(wishes.checks)
    if wishes.mitigation:
        options["mitigation"] = _mitigation(wishes.mitigation)
    return options


def _mitigation(words: list[str]) -> dict[str, Any]:
    """What is mitigated by its name, and options such as `max_age=12h` and `zne.extrapolator=exponential`."""
    options = named_options("--mitigation", [word for word in words if word not in (READOUT, ZNE)])
    if READOUT in words:
        options = {"readout": "reported", **options}
    return {"zne": {}, **options} if ZNE in words else options


def _fallback(words: list[str]) -> dict[str, Any]:
    """A policy by its name, and wishes such as `kinds=simulator,classical`."""
    named = [word for word in words if "=" in word]
    options = named_options("--fallback", named)
    for policy in (word for word in words if "=" not in word):
        options["policy"] = policy
    if isinstance(options.get("kinds"), str):
        options["kinds"] = options["kinds"].split(",")
    return options


def named_options(flag: str, words: list[str]) -> dict[str, Any]:
    """Options from words such as `resilience_level=1` and `dynamical_decoupling.sequence_type=XY4`."""
    options: dict[str, Any] = {}
    for word in words:
        path, equals, text = word.partition("=")
        if not equals:
            raise RequestRejected(f"{flag} {word!r} is not name=value")
        value = json_or_text(text)
        *groups, name = path.split(".")
        inner = options
        for group in groups:
            inner = inner.setdefault(group, {})
            if not isinstance(inner, dict):
                raise RequestRejected(f"{flag} {word!r}: {group!r} was given a value of its own before")
        inner[name] = value
    return options


def _read_circuit(file: Path) -> Circuit:
    if str(file) == "-":
        return as_circuit(sys.stdin.read(MAX_TEXT_BYTES + 1))
    with readable(file):
        return as_circuit(file)


def _text_of(file: Path) -> str:
    """The text of a program; HiGHS itself reads it in a child."""
    with readable(file), file.open(encoding="utf-8", errors="replace") as opened:
        return opened.read(MAX_PROBLEM_TEXT + 1)


def _solve(problem: dict[str, Any], wishes: Wishes) -> AnyJob:
    """A job that answers a problem without a circuit."""
    strange = _given({**_of_pubs(wishes), "--level": wishes.level, "--method": wishes.method})
    if strange:
        raise RequestRejected(
            f"{', '.join(strange)} belong to circuits, and a problem alone has none: leave them out, or write a job with `pub`"
        )
    return solve(problem, **_options(wishes))


def _of_pubs(wishes: Wishes) -> dict[str, Any]:
    """What a pub says of itself, where there is one."""
    return {
        "--shots": wishes.shots,
        "--precision": wishes.precision,
        "--observable": wishes.observables,
        "--parameter": wishes.parameters,
    }


def _given(options: dict[str, Any]) -> list[str]:
    return [name for name, value in options.items() if value not in (None, [])]


def _parameter(word: str) -> tuple[str, float]:
    name, _, number = word.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise RequestRejected(f"--parameter {word!r} is not name=number") from None


def _from_document(file: Path, wishes: Wishes) -> AnyJob:
    document = json_file(file)
    if not isinstance(document, dict):
        raise RequestRejected(f"{str(file)!r} holds no job: a job is a JSON object")
    try:
        if document.get("kind") in PROBLEM_KINDS:
            return _solve(document, wishes)
        return parse_request(_overridden(document, wishes))
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the job")) from None


def _overridden(document: dict[str, Any], wishes: Wishes) -> dict[str, Any]:
    """A job's document with what the command line says in the place of it: of a group of fields, those that it names.

    Raises:
        RequestRejected: An option is about a circuit, and the document has pubs of its own.
    """
    strange = _given(_of_pubs(wishes))
    if strange and ("pubs" in document or "pub" in document):
        raise RequestRejected(
            f"{', '.join(strange)}: a job's document says that of each pub; leave them out, or change its `pubs`"
        )
    whole = dict(document)
    for name, said in _options(wishes).items():
        known = document.get(name)
        news = said.model_dump(exclude_unset=True) if isinstance(said, Contract) else said
        if name != "checks" and isinstance(known, dict) and isinstance(news, dict):
            whole[name] = {**known, **news}
        else:
            whole[name] = news
    return whole


def read_states(words: list[str]) -> tuple[State, ...]:
    """States by their names.

    Raises:
        RequestRejected: One is none.
    """
    try:
        return tuple(State(word) for word in words)
    except ValueError:
        raise RequestRejected(f"states are {', '.join(State)}, not {words}") from None
