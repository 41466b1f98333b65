"""One circuit through the tasks of a child, in this process: parsed, compiled, simulated."""

import dataclasses
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit

from circuits.compilation import compile_circuits
from circuits.methods import choose_noiseless
from circuits.parse import dump_qpy, load_qpy, parse_circuits
from circuits.source import SourceLimits
from circuits.targets import describe_simulator
from isolation.aer import simulate
from qurable.contracts.base import digest
from qurable.contracts.circuits import CircuitFormat, ParsedCircuit
from qurable.contracts.jobs import Method, SimulatorOptions, TranspileOptions
from qurable.contracts.targets import TargetDocument
from qurable.requests import as_bindings, as_observables


def ignore(_event: Any) -> None:
    """For tasks that emit nothing of interest."""


def parse_text(
    text: str | bytes, form: CircuitFormat, limits: SourceLimits | None = None
) -> tuple[ParsedCircuit, QuantumCircuit]:
    """What a child makes of a text, or of QPY."""
    source = text.encode() if isinstance(text, str) else text
    entry = {"format": str(form), "source": source, "source_hash": "", "name": "circuit", "metadata": {}}
    limits = limits or SourceLimits()
    ((document, qpy),) = parse_circuits({"limits": dataclasses.asdict(limits), "circuits": [entry]}, ignore)
    return ParsedCircuit.read(document), load_qpy(qpy)


def parse(circuit: QuantumCircuit) -> tuple[ParsedCircuit, QuantumCircuit]:
    """What a child makes of a circuit of the typed client."""
    return parse_text(dump_qpy(circuit), CircuitFormat.QPY)


@dataclass(frozen=True)
class Compiled:
    """An ISA circuit, and what the compiler says of it."""

    circuit: QuantumCircuit
    facts: Mapping[str, Any]

    @property
    def layout(self) -> list[int] | None:
        """Physical qubit of each virtual one."""
        layout: list[int] | None = self.facts["layout"]
        return layout


def compile_for(circuit: QuantumCircuit, target: TargetDocument, level: int = 0, **options: Any) -> Compiled:
    """A canonical circuit, compiled."""
    payload = {
        "target": target.model_dump_json(),
        "target_hash": digest(target),
        "level": level,
        "options": TranspileOptions(**options).model_dump_json(),
        "circuits": [{"qpy": dump_qpy(circuit), "name": "circuit"}],
    }
    (facts,) = compile_circuits(payload, ignore)
    return Compiled(load_qpy(facts["qpy"]), facts)


@dataclass(frozen=True)
class Simulation:
    """Settings of a run.

    Attributes:
        device: Compile for it, and simulate its noise.
        level: Of the transpiler.
        method: Of Aer; by default as the planner chooses.
        transpile: Other options of the transpiler.
        task: What runs it, where that is not Aer.
        target: What that compiles for.
        options: Of the task.
    """

    device: TargetDocument | None = None
    level: int = 0
    method: Method | None = None
    transpile: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    task: Callable[[Any, Callable[[Any], None]], Any] = simulate
    target: TargetDocument | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def sample(
        self,
        circuit: QuantumCircuit,
        values: Any = None,
        *,
        shots: int = 1000,
        seed: int = 7,
        part: tuple[int, int] | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Packed outcomes, shape (bindings, shots, bytes), of all bindings or a part."""
        arrays: dict[str, npt.NDArray[np.uint8]] = self.answer(circuit, values, None, shots, seed, part)[0]
        return arrays["bits"]

    def estimate(
        self,
        circuit: QuantumCircuit,
        observables: Any,
        values: Any = None,
        *,
        shots: int = 0,
        seed: int = 7,
        part: tuple[int, int] | None = None,
    ) -> dict[str, Any]:
        """The arrays `index`, `evs`, `stds`, of all bindings or a part."""
        return self.answer(circuit, values, observables, shots, seed, part)[0]

    def answer(
        self,
        circuit: QuantumCircuit,
        values: Any = None,
        observables: Any = None,
        shots: int = 1000,
        seed: int = 7,
        part: tuple[int, int] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arrays of a run and its notes; a sample where no observables are given."""
        parsed, canonical = parse(circuit)
        method = self.method or choose_noiseless(parsed.traits, SimulatorOptions(), 2**34, "circuit").method
        target = self.target or self.device or describe_simulator(method)
        compiled = compile_for(canonical, target, self.level, **self.transpile)
        bindings = as_bindings(circuit, values)
        order = [bindings.parameters.index(name) for name in parsed.dress.parameters]
        table = np.array(bindings.values).reshape(bindings.size, len(order))[:, order]
        start, stop = part or (0, bindings.size)
        piece = {
            "pub": 0,
            "isa": compiled.facts["isa"],
            "layout": compiled.layout,
            "shape": list(bindings.shape),
            "parameters": [f"p{at}" for at in range(len(order))],
            "values": np.ascontiguousarray(table[start:stop]).tobytes(),
            "observables": None if observables is None else as_observables(observables).model_dump_json(),
            "shots": shots,
            "dynamic": parsed.traits.is_dynamic,
            "seed": seed,
            "start": start,
            "stop": stop,
        }
        events: list[dict[str, Any]] = []
        payload = {
            "kind": "sample" if observables is None else "estimate",
            "circuits": {compiled.facts["isa"]: compiled.facts["qpy"]},
            "options": {"method": str(method), **self.options},
            "noise": None if self.device is None else self.device.model_dump_json(),
            "noise_hash": None if self.device is None else digest(self.device),
            "work": [piece],
        }
        self.task(payload, events.append)
        with np.load(io.BytesIO(events[0]["data"]), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}, events[0]["notes"]
