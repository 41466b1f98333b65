"""(d) Eight circuits of 20 to 23 qubits, against the ways in which one would run them by hand."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from qiskit import QuantumCircuit

from benchmarks.figures import Figure, heading, ratio
from benchmarks.house import service
from qurable.requests import sample

WIDTHS = (20, 21, 22, 23, 20, 21, 22, 23)
DEPTH = 10
SHOTS = 1000
ROUNDS = 3


def circuits() -> list[QuantumCircuit]:
    """Random brickwork, ten layers deep."""
    return [_brickwork(width, seed) for seed, width in enumerate(WIDTHS)]


def _brickwork(qubits: int, seed: int) -> QuantumCircuit:
    angles = np.random.default_rng(seed).uniform(0, 3, (DEPTH, qubits))
    circuit = QuantumCircuit(qubits)
    for layer in range(DEPTH):
        for qubit in range(qubits):
            circuit.rx(angles[layer, qubit], qubit)
        for qubit in range(layer % 2, qubits - 1, 2):
            circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def _simulate(circuit: QuantumCircuit | list[QuantumCircuit], **options: int) -> None:
    from qiskit_aer import AerSimulator

    simulator = AerSimulator(method="statevector", **options)
    simulator.run(circuit, shots=SHOTS, seed_simulator=1, memory=True).result().get_counts()


def _one_thread(circuit: QuantumCircuit) -> None:
    _simulate(circuit, max_parallel_threads=1)


def sequential() -> None:
    """One after the other, with as many threads as Aer likes."""
    for circuit in circuits():
        _simulate(circuit)


def threads() -> None:
    """Two threads of Python."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_one_thread, circuits()))


def processes() -> None:
    """Two processes, started for the purpose."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("forkserver")) as pool:
        list(pool.map(_one_thread, circuits()))


def one_call() -> None:
    """One Aer call with all circuits in parallel."""
    _simulate(circuits(), max_parallel_experiments=2)


async def strategies(home: Path) -> None:
    """Part (d)."""
    heading(f"(d) {len(WIDTHS)} circuits of {min(WIDTHS)} to {max(WIDTHS)} qubits")
    by_hand: dict[str, Callable[[], None]] = {
        "sequential": sequential,
        "threads": threads,
        "processes": processes,
        "one Aer call": one_call,
    }
    seconds: dict[str, list[float]] = {"one job": [], **{name: [] for name in by_hand}}
    async with service(home) as qurable:
        await qurable.run(circuits()[0], shots=1)
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await qurable.run(
                sample(*circuits(), shots=SHOTS, backend="aer", simulator={"method": "statevector"})
            )
            seconds["one job"].append(time.perf_counter() - began)
            for name, strategy in by_hand.items():
                began = time.perf_counter()
                strategy()
                seconds[name].append(time.perf_counter() - began)
    figures = {name: Figure(name, tuple(values)) for name, values in seconds.items()}
    for figure in figures.values():
        print(figure)
    best = min(figures[name].median for name in by_hand)
    ratio("one job / the best of them", figures["one job"].median / best, 1.1)
