"""(c) First and cached transpilation for a 127-qubit device."""

import contextlib
import math
from datetime import timedelta
from pathlib import Path

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate

from benchmarks.figures import heading, ratio
from benchmarks.house import service
from qurable.client import Qurable
from qurable.contracts.jobs import Limits, TranspileOptions
from qurable.contracts.reports import State
from qurable.errors import JobFailed
from qurable.names import Activity

DEVICE = "fake_brisbane"
LEVEL = 2


def qft(qubits: int) -> QuantumCircuit:
    """A Fourier transform, read out in part so that its simulation is cheap."""
    circuit = QuantumCircuit(qubits, 1)
    circuit.append(QFTGate(qubits), range(qubits))
    circuit = circuit.decompose(reps=2)
    circuit.measure(0, 0)
    return circuit


def qaoa(qubits: int, layers: int, seed: int = 1) -> QuantumCircuit:
    """MaxCut on a 3-regular graph: a ring with its diameters."""
    ring = [(node, (node + 1) % qubits) for node in range(qubits)]
    diameters = [(node, node + qubits // 2) for node in range(qubits // 2)]
    angles = np.random.default_rng(seed).uniform(0, math.pi, (layers, 2))
    circuit = QuantumCircuit(qubits, 1)
    circuit.h(range(qubits))
    for gamma, beta in angles:
        for left, right in ring + diameters:
            circuit.rzz(gamma, left, right)
        circuit.rx(beta, range(qubits))
    circuit.measure(0, 0)
    return circuit


CIRCUITS = {
    "QFT, 8 qubits": qft(8),
    "QFT, 20 qubits": qft(20),
    "QAOA, 10 qubits, 1 layer": qaoa(10, 1),
    "QAOA, 20 qubits, 12 layers": qaoa(20, 12),
    "QAOA, 50 qubits, 8 layers": qaoa(50, 8),
}


async def caching(home: Path) -> None:
    """Part (c)."""
    heading(
        f"(c) transpilation for {DEVICE} at level {LEVEL}: first, from this worker's memory, from the store"
    )
    first: dict[str, float] = {}
    gates: dict[str, int] = {}
    memory: dict[str, float] = {}
    async with service(home) as qurable:
        await _stage(qurable, qaoa(4, 1), "miss")
        for name, circuit in CIRCUITS.items():
            first[name], gates[name] = await _stage(qurable, circuit, "miss")
            memory[name], _ = await _stage(qurable, circuit, "hit")
    async with service(home) as another:
        await _stage(another, qaoa(4, 1), "hit")
        for name, circuit in CIRCUITS.items():
            stored, _ = await _stage(another, circuit, "hit")
            print(
                f"{name:<28} {gates[name]:>6} gates   first {first[name] * 1e3:8.1f} ms   memory {memory[name] * 1e3:6.1f} ms   "
                f"store {stored * 1e3:6.1f} ms"
            )
            large = 0.1 if gates[name] > 1000 else 1.0
            ratio("  hit in memory / first", memory[name] / first[name], large)
            ratio("  hit in the store / first", stored / first[name], large)


async def _stage(qurable: Qurable, circuit: QuantumCircuit, expected: str) -> tuple[float, int]:
    """Seconds that the transpile stage took, and the gates of what it was given.

    The run is cut short: what is measured has happened before it.
    """
    limits = Limits(run=timedelta(seconds=0.2))
    job = await qurable.submit(
        circuit, shots=1, backend=DEVICE, transpile=TranspileOptions(level=LEVEL), limits=limits
    )
    with contextlib.suppress(JobFailed):
        await job.result()
    report = await qurable.read_report(job.id)
    (compiled,) = (event for event in report.events if event.state is State.COMPILED)
    hit = compiled.detail.endswith("1 of 1 from the cache")
    if hit != (expected == "hit"):
        raise RuntimeError(f"{compiled.detail!r} where a {expected} was due")
    (stage,) = (record for record in report.stages if record.stage == Activity.TRANSPILE)
    return stage.took.total_seconds(), circuit.size()
