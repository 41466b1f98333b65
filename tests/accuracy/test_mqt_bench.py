"""Whole jobs against the truth: every family of MQT Bench through the real command line.

The suite's false alarm is 10^-3: each circuit fails below its share of it (`bound`). Seeds are fixed.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from qiskit import QuantumCircuit

from circuits.statistics import bound
from tests.accuracy.conftest import Bench, Runs, row
from tests.accuracy.families import CASES, CLIENT, FAMILIES, QASM2, QASM3, WIDE_CASES, Case, exported

Note = Callable[[str, object], None]

BOUND = bound(len(CASES) + len(WIDE_CASES))


def _sizes() -> Iterator[Any]:
    """The first size of a family is for the short tests, unless a single run takes long."""
    seen: set[str] = set()
    for case in CASES:
        short = case.family not in seen and not case.once
        seen.add(case.family)
        yield pytest.param(case, marks=() if short else pytest.mark.long, id=str(case))


@pytest.mark.parametrize("case", tuple(_sizes()))
async def test_counts_are_those_of_the_circuit(
    case: Case, runs: Mapping[Case, asyncio.Task[Runs]], bench: Bench, record_property: Note
) -> None:
    """What comes out of a whole job is distributed as the circuit says, and a seed repeats it to the shot."""
    done = await runs[case]
    verdict = await bench.judge(case, done.first)
    record_property(*row(str(case), done.first, verdict, BOUND))

    assert done.first["state"] == "completed"
    assert done.first["results"] == done.second["results"]
    assert verdict["p_value"] >= BOUND


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("case", WIDE_CASES, ids=str)
async def test_counts_of_wide_circuits_are_those_of_the_circuit(
    case: Case, runs: Mapping[Case, asyncio.Task[Runs]], bench: Bench, record_property: Note
) -> None:
    """Up to 26 qubits."""
    done = await runs[case]
    verdict = await bench.judge(case, done.first)
    record_property(*row(str(case), done.first, verdict, BOUND))

    assert done.first["results"] == done.second["results"]
    assert verdict["p_value"] >= BOUND


def _without_last(gate: str) -> Callable[[QuantumCircuit], None]:
    def leave_out(circuit: QuantumCircuit) -> None:
        at = max(at for at, item in enumerate(circuit.data) if item.name == gate)
        del circuit.data[at]

    return leave_out


def _turned(gate: str, angle: float) -> Callable[[QuantumCircuit], None]:
    def turn(circuit: QuantumCircuit) -> None:
        at = next(at for at, item in enumerate(circuit.data) if item.name == gate)
        item = circuit.data[at]
        operation = item.operation.to_mutable()
        operation.params[0] += angle
        circuit.data[at] = item.replace(operation=operation)

    return turn


BROKEN = {
    Case("ghz", 6, QASM2): _without_last("cx"),
    Case("wstate", 5, QASM3): _turned("ry", 0.4),
    Case("qnn", 5, QASM2): _turned("ry", 0.4),
    Case("vqe_su2", 6, QASM3): _turned("ry", 0.4),
    Case("bmw_quark_copula", 6, QASM2): _turned("rx", 0.4),
    Case("qaoa", 12, QASM3): _without_last("rzz"),
    Case("vqe_real_amp", 16, QASM2): _without_last("cx"),
    Case("iqpe", 5, QASM3): _turned("cp", 0.4),
    Case("dynamic_qft", 3, QASM3): _without_last("h"),
}
"""One gate wrong in each: the last of a kind left out, or the first rotation turned by 0.4 rad."""


@pytest.mark.parametrize("case", BROKEN, ids=str)
async def test_a_broken_circuit_fails(case: Case, bench: Bench, record_property: Note) -> None:
    """A test that nothing could fail would prove nothing."""
    broken = case.circuit()
    BROKEN[case](broken)

    report = await bench.run(case, broken)
    verdict = await bench.judge(case, report)
    record_property(*row(f"{case}, broken", report, verdict, BOUND))

    assert verdict["p_value"] < BOUND


def test_every_family_is_listed() -> None:
    """A family that a new version brings must not be forgotten."""
    from mqt.bench.benchmarks import get_available_benchmark_names

    assert {family.name for family in FAMILIES} == set(get_available_benchmark_names())
    assert sum(case.form is not CLIENT for case in CASES) >= 40


@pytest.mark.parametrize(
    "case", [Case("ae", 5, CLIENT), Case("dynamic_qft", 3, CLIENT), Case("iqpe", 4, CLIENT)]
)
def test_what_the_table_says_cannot_be_exported_cannot(case: Case) -> None:
    """The table names a limitation of the exporters; when it goes, the family travels as text."""
    with pytest.raises(Exception, match=r"0-dimensional|register-equality"):
        exported(case.circuit(), QASM2)
