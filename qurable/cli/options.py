"""The options that describe a job on a command line, shared by the commands that take one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, Optional, get_type_hints

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
JobId = Annotated[str, typer.Argument(help="A job's id, as `run`, `submit` and `list` print it.")]
File = Annotated[
    Path,
    typer.Argument(
        help="An OpenQASM 2 or 3 file, a job or a problem as JSON, a program as *.lp or *.mps, or - for OpenQASM from standard input."
    ),
]
Shots = Annotated[Optional[int], typer.Option(help="Repetitions; 1024 by default.")]  # noqa: UP045  typer reads it at run time
Seed = Annotated[Optional[int], typer.Option(help="Base seed of the simulation; minted if absent.")]  # noqa: UP045
Backend = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--backend", "-b", help="auto (the default), classical, or a name that `qurable backends` lists."
    ),
]
Observables = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--observable", "-o", help="Estimate this Pauli label instead of sampling; may be repeated."
    ),
]
Precision = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(help="Target standard error of estimates; 0 for the exact value."),
]
Parameters = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--parameter", "-p", help="A value for a parameter, as name=number; may be repeated."),
]
Key = Annotated[Optional[str], typer.Option(help="Idempotency key: the same key is the same job.")]  # noqa: UP045
Project = Annotated[str, typer.Option(help="Public slug of letters, digits and dashes.")]
JobsProject = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Public slug of letters, digits and dashes; `default` by default."),
]
User = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        help="On whose account it is booked, a slug as the project's; nobody's in particular by default."
    ),
]
OwnBudget = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--budget",
        help="The most it may cost: QPU time in s, min or h, or money in a currency, such as 60s or 25EUR; may be repeated.",
    ),
]
Deadline = Annotated[Optional[float], typer.Option(help="Seconds in all, after which the job is given up.")]  # noqa: UP045
Level = Annotated[Optional[int], typer.Option(min=0, max=3, help="Optimisation level of the transpiler.")]  # noqa: UP045
Method = Annotated[Optional[str], typer.Option(help="Simulation method; automatic by default.")]  # noqa: UP045
Ibm = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--ibm",
        help="An option of IBM's hardware, as name=value, such as resilience_level=1; may be repeated.",
    ),
]
Fallback = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--fallback",
        help="none: only the place that is asked; or a wish about the others as name=value: kinds=simulator,classical, "
        "other_devices=true, leave_house=false, floor.kind=standard_error, floor.value=0.01, cache_age=12h, "
        "least_shots=1000; may be repeated.",
    ),
]
DataClass = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="How confidential it is, a slug such as internal; rules of approval may look at it."),
]
Checks = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--checks",
        help='A JSON file of what the answer has to stand up to: a list of checks, or {"level": 0.001, "items": [...], "twin": {"shots": 1000}}.',
    ),
]
Mitigation = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--mitigation",
        help="readout: correct counts for the readout errors that the device reports; readout=measured for those that "
        "calibration circuits measure there; max_age=12h bounds how old these may be; "
        "zne: extrapolate estimates to zero noise, with zne.factors=[1,3,5], zne.extrapolator=linear, quadratic or exponential, "
        "zne.folding=global or gates; may be repeated.",
    ),
]
BatchWindow = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        help="Where a place costs money, wait so long for other jobs of the project to share a provider job with, such as 2s."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 3 where a lower rung than asked answered.")]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a command line says of a job beside its file: an option for each field; None, or nothing, where it is silent."""

    shots: Shots = None
    seed: Seed = None
    backend: Backend = None
    observables: Observables = None
    precision: Precision = None
    parameters: Parameters = None
    key: Key = None
    project: JobsProject = None
    user: User = None
    budget: OwnBudget = None
    deadline: Deadline = None
    level: Level = None
    method: Method = None
    ibm: Ibm = None
    fallback: Fallback = None
    data_class: DataClass = None
    checks: Checks = None
    mitigation: Mitigation = None
    batch_window: BatchWindow = None


def with_wishes(command: Callable[..., None]) -> Callable[..., None]:
    """A command with an option for each field of `Wishes` in the place of its parameter `wishes`."""
    said = get_type_hints(Wishes, include_extras=True)
    options = [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=said[field.name])
        for field in fields(Wishes)
    ]
    parameters: list[Parameter] = []
    for parameter in signature(command, eval_str=True).parameters.values():
        own = parameter.replace(kind=Parameter.KEYWORD_ONLY)
        parameters.extend(options if parameter.name == "wishes" else [own])

    @wraps(command)
    def spelled_out(**given: Any) -> None:
        wishes = Wishes(**{option.name: given.pop(option.name) for option in options})
        command(wishes=wishes, **given)

    # typer reads both.
    spelled_out.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    spelled_out.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return spelled_out
