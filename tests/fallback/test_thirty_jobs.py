"""Thirty jobs of different kinds, planned as `auto` plans them: never an impossible choice, and the choices by name."""

from collections.abc import Mapping

import pytest

from benchmarks.route_jobs import ROUTE_JOBS, RouteJob
from circuits.methods import Probe
from fallback.planner import Plan, plan
from fallback.solvers.circuits import CIRCUIT_SOLVERS, questions_of
from fallback.table import AsksFor
from fallback.table_file import load_table
from fallback.wish import Wish
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.jobs import EstimateJob, Method, SampleJob, SimulatorOptions
from tests.circuits.running import parse
from tests.fallback.places import GIB, aer, around, solver

TABLE = load_table()
MACHINE = 16 * GIB

SV, MPS, TABLEAU = "aer statevector", "aer matrix_product_state", "aer stabilizer"
STIM, PAULI = "classical:clifford", "classical:pauli"

CHOICES = {
    "GHZ, 5 qubits": TABLEAU,
    "GHZ, 28 qubits, 100,000 shots": STIM,
    "Bernstein-Vazirani, 24 qubits": TABLEAU,
    "graph state, 20 qubits, 10,000 shots": STIM,
    "Clifford bricks, 100 qubits, 20 layers": STIM,
    "Clifford bricks, 300 qubits, 20,000 shots": STIM,
    "repetition code, distance 9, 8 rounds": STIM,
    "QFT, 10 qubits": SV,
    "QFT, 20 qubits, 4,096 shots": MPS,
    "phase estimation, 14 qubits": SV,
    "QAOA, ring of 18, 1 layer": SV,
    "QAOA, ring of 40, 2 layers": MPS,
    "QAOA, complete graph of 16, 3 layers": SV,
    "ansatz, 22 qubits, 2 repetitions": MPS,
    "ansatz, 12 qubits, 20 repetitions": SV,
    "scrambled, 18 qubits, 12 layers": SV,
    "scrambled, 23 qubits, 8 layers": SV,
    "Trotter chain, 26 qubits, 4 steps": MPS,
    "Trotter chain, 60 qubits, 12 steps": MPS,
    "W state, 12 qubits": SV,
    "W state, 40 qubits, 2,000 shots": MPS,
    "ripple-carry adder, 20 qubits": SV,
    "Draper's adder, 14 qubits": SV,
    "Grover, 6 qubits": SV,
    "iterative phase estimation, 6 bits": SV,
    "monitored bricks, 12 qubits": MPS,
    "Ising energy, ansatz of 16, exact": MPS,
    "Ising energy, ansatz of 12, precision 0.02": SV,
    "one Z of a Trotter chain of 64, exact": MPS,
    "ZZ of a kicked lattice of 8 x 8, exact": PAULI,
}

PROBED = {
    "QFT, 20 qubits, 4,096 shots": Probe(2, 0.0, 64, 0.2),
    "Trotter chain, 60 qubits, 12 steps": Probe(16, 0.0, 64, 0.5),
}
"""What probes of them tell; the runs of all candidates use real ones."""


def _planned(entry: RouteJob, probes: Mapping[str, Probe]) -> tuple[Plan, ParsedCircuit]:
    job = entry.job()
    assert isinstance(job, SampleJob | EstimateJob)
    parsed, _ = parse(entry.circuit())
    told = {parsed.canonical: probes[entry.name]} if entry.name in probes else {}
    wish = Wish(
        asked="auto",
        asks_for=AsksFor.AUTO,
        kind=job.kind,
        circuits=[parsed],
        questions=questions_of(job.kind, job.pubs, [parsed], [0], SimulatorOptions()),
        exact=entry.shots is None and not entry.precision,
    )
    offers = {
        name: [solver(name, dynamic_circuits=known.dynamic_circuits)]
        for name, known in CIRCUIT_SOLVERS.items()
    }
    there = around({"aer": [aer()], **offers}, capacity_bytes=MACHINE, probes=told)
    return plan(wish, TABLE, there), parsed


def _chosen(planned: Plan) -> str:
    rung = planned.route.rungs[0]
    (choice,) = rung.methods.values()
    return rung.name if rung.name in CIRCUIT_SOLVERS else f"{rung.name} {choice.method}"


@pytest.mark.parametrize("entry", ROUTE_JOBS, ids=lambda entry: entry.name)
def test_each_job_goes_where_a_person_of_the_field_would_send_it(entry: RouteJob) -> None:
    """By its method and solver; the benchmark runs all that could answer, and compares."""
    planned, parsed = _planned(entry, PROBED)

    assert _chosen(planned) == CHOICES[entry.name]
    traits = parsed.traits
    for rung in planned.route.rungs:
        (choice,) = rung.methods.values()
        assert choice.memory_bytes <= MACHINE
        assert rung.estimate.run_seconds is not None
        assert choice.method is not Method.STABILIZER or traits.is_clifford
        assert rung.name != PAULI or (entry.shots is None and not traits.is_dynamic)
        exact = choice.method is not Method.MATRIX_PRODUCT_STATE or rung.name != "classical:mps"
        assert exact, "nobody allowed truncation"


def test_every_job_has_its_choice() -> None:
    """A job that is added is judged too."""
    assert [entry.name for entry in ROUTE_JOBS] == list(CHOICES)
    assert len(CHOICES) == 30


def test_what_a_probe_told_is_in_the_routes_words() -> None:
    """With the time that it took; where none was run, none is spoken of."""
    entry = next(entry for entry in ROUTE_JOBS if entry.name.startswith("QFT, 20"))
    told, _ = _planned(entry, PROBED)
    silent, _ = _planned(entry, {})

    (verdict,) = [found for found in told.route.considered if found.name == "aer"]
    assert verdict.estimate.probe_seconds == 0.2
    assert "a probe of its entanglement needed a bond dimension of 2, which took 0.2 s" in verdict.because
    assert _chosen(silent) == SV
    assert silent.route.rungs[0].estimate.probe_seconds is None
    assert "probe" not in silent.route.rungs[0].because
