"""Tasks that run the emulator's jobs on Aer with a device's noise; they are called in children only.

The nursery of these children preloads `qiskit_ibm_runtime`.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from circuits.qpu_time import MAX_EXECUTIONS, circuit_seconds, count_sub_jobs, qpu_seconds
from emulator.execution_devices import Device, find_device
from emulator.execution_methods import LONGEST_SECONDS
from emulator.execution_programs import Request, read_request
from emulator.execution_sampling import Plan, plan, registers, sample
from isolation.child import Emit
from qurable.errors import JobTooLarge, RequestRejected, UnsupportedCircuit

__all__ = ["NOT_EMULATED", "NOT_VALID", "describe", "run"]

NOT_VALID = 1002
"""IBM's code of a job that is not valid on its backend."""

NOT_EMULATED = 9900
"""Code of a job that a device might run and the emulator cannot; none of IBM's."""


@dataclass(frozen=True)
class _Item:
    """An item of a quantum program, bound.

    Attributes:
        plan: How its circuits are run.
        shape: Of its bindings and randomizations.
        extra: Arrays that go back beside the outcomes, such as the flips of twirled measurements.
    """

    plan: Plan
    shape: tuple[int, ...]
    extra: dict[str, Any]


def describe(payload: Any, _emit: Emit) -> Any:
    """Task: what a job will take, and whether it can be run.

    Args:
        payload: `{"program": "sampler", "estimator" or "executor", "params": JSON text of the job's parameters,
            "backend": "ibm_<device>"}`, and maybe `"properties"`, JSON text that stands for the device's own.

    Returns:
        `{"executions", "sub_jobs", "circuit_seconds", "rep_delay", "qpu_seconds", "refusal": None or {"code",
        "message"}}`; all 0 where the parameters cannot be read.
    """
    answer: dict[str, Any] = {
        "executions": 0,
        "sub_jobs": 0,
        "circuit_seconds": 0.0,
        "rep_delay": 0.0,
        "qpu_seconds": 0.0,
        "refusal": None,
    }
    try:
        device = find_device(payload["backend"], payload.get("properties"))
        request = read_request(payload["program"], payload["params"], device)
        answer |= _cost(request, device)
        _check(request, answer["executions"], device)
        _bind(request, seed=0, noisy=True)
    except (JobTooLarge, UnsupportedCircuit) as error:
        answer["refusal"] = {"code": NOT_EMULATED, "message": error.message}
    except RequestRejected as error:
        answer["refusal"] = {"code": NOT_VALID, "message": error.message}
    return answer


def run(payload: Any, _emit: Emit) -> Any:
    """Task: run a job.

    Args:
        payload: As for `describe`, with `"seed"`, and `"noise"`, False for a device without any.

    Returns:
        `{"body": what the results of the job answer, "seconds": how long it was computed, "notes": what is not as on
        the device, a sentence each}`. Equal seeds give equal bodies.

    Raises:
        RequestRejected: It would have been refused by `describe`.
        ExecutionFailed: Aer could not run it.
    """
    began = time.perf_counter()
    device = find_device(payload["backend"], payload.get("properties"))
    request = read_request(payload["program"], payload["params"], device)
    _check(request, _cost(request, device)["executions"], device)
    seed = int(payload["seed"])
    bound = _bind(request, seed, noisy=payload["noise"])
    answers = [
        [
            item.extra
            | registers(item.plan.circuit, sample(item.plan, device, (seed, number, position)), item.shape)
            for position, item in enumerate(items)
        ]
        for number, items in enumerate(bound)
    ]
    notes = sorted({note for items in bound for item in items for note in item.plan.notes})
    if not payload["noise"]:
        notes.append("simulated without noise, as was asked for")
    return {
        "body": request.encode(answers, notes),
        "seconds": time.perf_counter() - began,
        "notes": notes,
    }


def _cost(request: Request, device: Device) -> dict[str, Any]:
    sizes = [(item.size(), program.shots) for program in request.programs for item in program.items]
    executions = sum(circuits * shots for circuits, shots in sizes)
    sub_jobs = count_sub_jobs(sum(circuits for circuits, _ in sizes))
    longest = max(
        (
            circuit_seconds(item.circuit, device.document)
            for program in request.programs
            for item in program.items
        ),
        default=0.0,
    )
    delay = device.rep_delay if request.execution.rep_delay is None else request.execution.rep_delay
    return {
        "executions": executions,
        "sub_jobs": sub_jobs,
        "circuit_seconds": longest,
        "rep_delay": delay,
        "qpu_seconds": qpu_seconds(executions, longest, delay, sub_jobs),
    }


def _check(request: Request, executions: int, device: Device) -> None:
    """Refuse what the service would refuse, and options that would have to be ignored."""
    from qiskit_ibm_runtime.utils.utils import is_isa_circuit

    if executions > MAX_EXECUTIONS:
        raise RequestRejected(
            f"the job makes {executions} executions; at most {MAX_EXECUTIONS} are run in one: ask for fewer shots, or split it"
        )
    if not request.execution.init_qubits:
        raise UnsupportedCircuit(
            "shots that start where the last one ended are not emulated; leave init_qubits on"
        )
    delay, limits = request.execution.rep_delay, device.rep_delay_range
    if delay is not None and limits is not None and not limits[0] <= delay <= limits[1]:
        raise RequestRejected(
            f"rep_delay {delay:g} s is out of range: {device.name!r} takes {limits[0]:g} s to {limits[1]:g} s"
        )
    for program in request.programs:
        for item in program.items:
            if item.circuit.num_stretches:
                raise UnsupportedCircuit(
                    "delays whose length is left to the device are not emulated, as nothing is scheduled here; give them numbers"
                )
            if reason := is_isa_circuit(item.circuit, device.target):
                raise RequestRejected(
                    f"a circuit is not made for {device.name!r}: {reason} Transpile it for the device."
                )


def _bind(request: Request, seed: int, *, noisy: bool) -> list[list[_Item]]:
    """Every item with its parameters' values, randomizations drawn."""
    bound = [
        [
            _bound(item, program.shots, np.random.default_rng([seed, number, position]), noisy=noisy)
            for position, item in enumerate(program.items)
        ]
        for number, program in enumerate(request.programs)
    ]
    seconds = sum(item.plan.seconds for items in bound for item in items)
    if seconds > LONGEST_SECONDS:
        raise JobTooLarge(
            f"the job's circuits take about {seconds / 60:,.0f} min to simulate with their noise; the emulator begins nothing longer than "
            f"{LONGEST_SECONDS / 60:g} min: ask for fewer shots or twirls, or send fewer pubs in a job"
        )
    return bound


def _bound(item: Any, shots: int, generator: np.random.Generator, *, noisy: bool) -> _Item:
    from qiskit_ibm_runtime.fake_provider.executor.broadcast_sample import broadcast_sample

    extra: dict[str, Any] = {}
    if hasattr(item, "samplex"):
        extra = dict(broadcast_sample(item.samplex, item.samplex_arguments, item.shape, generator))
        values = extra.pop("parameter_values", None)
    else:
        values = item.circuit_arguments
    rows = item.size()
    columns = {}
    if item.circuit.num_parameters:
        table = np.asarray(values, dtype=np.float64).reshape(rows, item.circuit.num_parameters)
        columns = {parameter: table[:, at] for at, parameter in enumerate(item.circuit.parameters)}
    return _Item(plan(item.circuit, columns, rows, shots, noisy=noisy), tuple(item.shape), extra)
