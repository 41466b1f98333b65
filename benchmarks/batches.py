"""(g) A thousand bindings of one ansatz as a batch, against one call of Aer with all of them and against single jobs."""

import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit, qasm3
from qiskit.circuit import Parameter

from benchmarks.figures import Figure, heading, ratio
from benchmarks.house import service
from qurable.client import Qurable
from qurable.requests import sample

QUBITS, LAYERS, BINDINGS, SHOTS, ROUNDS = 12, 4, 1000, 1000, 3
SINGLE_JOBS = 40
"""So many are run, and their time is taken for that of a thousand: each costs the same."""

Values = npt.NDArray[np.float64]


def ansatz() -> QuantumCircuit:
    """Layers of rotations and a ring of entangling gates."""
    angles = [Parameter(f"a{at:03}") for at in range(QUBITS * LAYERS)]
    circuit = QuantumCircuit(QUBITS)
    for layer in range(LAYERS):
        for qubit in range(QUBITS):
            circuit.ry(angles[layer * QUBITS + qubit], qubit)
        for qubit in range(QUBITS):
            circuit.cx(qubit, (qubit + 1) % QUBITS)
    circuit.measure_all()
    return circuit


def directly(circuit: QuantumCircuit, values: Values, threads: int = 0) -> float:
    """Seconds of one call of Aer, compilation included, as one would write it by hand; 0 threads are as many as Aer likes."""
    from qiskit import transpile
    from qiskit_aer import AerSimulator

    began = time.perf_counter()
    simulator = AerSimulator(method="statevector", max_parallel_threads=threads)
    ready = transpile(circuit, simulator, optimization_level=0)
    binds = [{parameter: values[:, at] for at, parameter in enumerate(ready.parameters)}]
    result = simulator.run(ready, parameter_binds=binds, shots=SHOTS, seed_simulator=1, memory=True).result()
    for number in range(len(values)):
        result.get_counts(number)
    return time.perf_counter() - began


async def as_batch(qurable: Qurable, file: Path) -> float:
    """Seconds from the file to the last item's result."""
    began = time.perf_counter()
    batch = await qurable.batch(file)
    found = [item async for item in batch.results()]
    seconds = time.perf_counter() - began
    assert len(found) == BINDINGS, f"{len(found)} of {BINDINGS} items ended"
    assert all(item.results for item in found), "an item has no result"
    return seconds


def written(path: Path, circuit: QuantumCircuit, values: Values) -> Path:
    """The batch's file."""
    text, names = qasm3.dumps(circuit), [parameter.name for parameter in circuit.parameters]
    with path.open("w", encoding="utf-8") as file:
        for row in values:
            pub = {
                "circuit": text,
                "bindings": dict(zip(names, map(float, row), strict=True)),
                "shots": SHOTS,
            }
            file.write(json.dumps({"kind": "sample", "backend": "aer", "pubs": [pub]}) + "\n")
    return path


async def ratios(home: Path) -> None:
    """Part (g)."""
    heading(f"(g) {BINDINGS} bindings of an ansatz of {QUBITS} qubits, {SHOTS} shots each")
    circuit = ansatz()
    values = np.random.default_rng(5).uniform(0, np.pi, (BINDINGS, circuit.num_parameters))
    file = written(home / "batch.jsonl", circuit, values)
    batches: list[float] = []
    calls: list[float] = []
    on_one_thread: list[float] = []
    singles: list[float] = []
    async with service(home) as qurable:
        await qurable.run((circuit, values[0]), shots=SHOTS, backend="aer")
        for _ in range(ROUNDS):
            batches.append(await as_batch(qurable, file))
            calls.append(directly(circuit, values))
            on_one_thread.append(directly(circuit, values, 1))
            began = time.perf_counter()
            for row in values[:SINGLE_JOBS]:
                await qurable.run(sample((circuit, row), shots=SHOTS, backend="aer"))
            singles.append((time.perf_counter() - began) * BINDINGS / SINGLE_JOBS)
    figures = {
        "batch": Figure("batch", tuple(batches)),
        "one call": Figure("one call of Aer", tuple(calls)),
        "one thread": Figure("one call of Aer on one thread", tuple(on_one_thread)),
        "single jobs": Figure("single jobs", tuple(singles)),
    }
    for figure in figures.values():
        print(figure)
    # On a busy machine Aer's threads wait for each other: the quicker of both is what a batch is held to.
    quickest = min(figures[name].median for name in ("one call", "one thread"))
    ratio("batch / the quicker call", figures["batch"].median / quickest, 1.3)
    ratio("batch / single jobs", figures["batch"].median / figures["single jobs"].median, 1 / 20)
