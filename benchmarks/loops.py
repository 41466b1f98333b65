"""(h) What durability costs a variational loop per iteration, in chunks, against the same loop in plain Python.

The direct loop is what somebody writes without us: the same library's CMA-ES, the same circuit on the same simulator, in
this process. The durable one's cost per iteration is the slope between a short and a long loop, so that preparing and
reporting, which each loop pays once, are not in it.
"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from cmaes import CMA
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator

from benchmarks.figures import Figure, heading, ratio
from benchmarks.house import service
from circuits.loop_preparation import prepare_loop
from circuits.parse import load_qpy
from circuits.source import SourceLimits
from qurable.client import Qurable
from qurable.contracts.observables import PauliTerm
from qurable.contracts.optimisations import Optimisation, PreparedLoop
from qurable.contracts.problems import PauliHamiltonian

SHORT, LONG = 100, 1100
ROUNDS = 3
POPULATION = 10
SEED = 3


async def overhead(home: Path) -> None:
    """Print the time of an iteration, direct and durable, and their ratio."""
    heading("(h) an iteration of CMA-ES, ten points, exact values")
    async with service(home) as qurable:
        for sites in (4, 10):
            direct, durable = [], []
            for number in range(ROUNDS):
                direct.append(_direct(sites, LONG - SHORT))
                short = await _durable(qurable, sites, SHORT, f"short-{sites}-{number}")
                long = await _durable(qurable, sites, LONG, f"long-{sites}-{number}")
                durable.append((long - short) / (LONG - SHORT))
            plain = Figure(f"{sites} qubits, in plain Python", tuple(direct))
            kept = Figure(f"{sites} qubits, as a loop here", tuple(durable))
            print(plain, kept, sep="\n")
            ratio("durable : plain", kept.median / plain.median, 1.1)


def _chain(sites: int) -> PauliHamiltonian:
    bonds = [PauliTerm(pauli="ZZ", qubits=(at, at + 1), coefficient=-1.0) for at in range(sites - 1)]
    fields = [PauliTerm(pauli="X", qubits=(at,), coefficient=-1.0) for at in range(sites)]
    return PauliHamiltonian(num_qubits=sites, terms=(*bonds, *fields))


def _loop(sites: int, iterations: int, key: str) -> Optimisation:
    return Optimisation.model_validate(
        {
            "problem": _chain(sites),
            "ansatz": {"family": "real_amplitudes", "depth": 2},
            "optimiser": {"population": POPULATION},
            # Until then it does not converge, and both loops do the same.
            "stop": {"evaluations": iterations * POPULATION, "tolerance": 1e-12},
            "seed": SEED,
            "key": key,
            "reference": None,
        }
    )


async def _durable(qurable: Qurable, sites: int, iterations: int, key: str) -> float:
    """Seconds of a whole loop."""
    wanted = _loop(sites, iterations, key)
    fields: dict[str, Any] = {
        name: getattr(wanted, name) for name in ("optimiser", "stop", "seed", "key", "reference")
    }
    began = time.perf_counter()
    loop = await qurable.optimise(wanted.problem, {"family": "real_amplitudes", "depth": 2}, **fields)
    report = await loop.report()
    seconds = time.perf_counter() - began
    assert report.spent.iterations == iterations, report.stopped_by
    return seconds


def _direct(sites: int, iterations: int) -> float:
    """Seconds an iteration of the same loop in plain Python."""
    document = prepare_loop(
        {"loop": _loop(sites, iterations, "direct").model_dump_json(), "limits": asdict(SourceLimits())},
        lambda _: None,
    )
    prepared = PreparedLoop.read(document)
    circuit: QuantumCircuit = load_qpy(prepared.qpy)
    terms = [
        ("".join(letter for _, letter in product), [qubit for qubit, _ in product], factor)
        for product, factor in prepared.observable.paulis().items()
    ]
    operator = SparsePauliOp.from_sparse_list(terms, num_qubits=sites)
    circuit.save_expectation_value(operator, range(sites))
    simulator = AerSimulator(method="statevector", max_parallel_threads=1)
    cma = CMA(mean=np.array(prepared.start), sigma=0.3, seed=SEED, population_size=POPULATION)
    began = time.perf_counter()
    for number in range(iterations):
        points = [cma.ask() for _ in range(POPULATION)]
        binds = {
            parameter: [point[at] for point in points] for at, parameter in enumerate(circuit.parameters)
        }
        result = simulator.run(circuit, parameter_binds=[binds], shots=1, seed_simulator=number).result()
        cma.tell([(point, result.data(row)["expectation_value"]) for row, point in enumerate(points)])
    return (time.perf_counter() - began) / iterations
