"""A probe tells the bond dimension a circuit needs, or that it needs more than it was allowed."""

import pytest
from qiskit import QuantumCircuit

from benchmarks.route_jobs import qft, scrambled, w_state
from circuits.parse import dump_qpy
from isolation.limits import MIB, Limits
from isolation.pool import ChildPool
from qurable.errors import OutOfTime
from tests.circuits.running import parse

_TASK = "isolation.entanglement_probe:probe"
_ROOMY = Limits(memory_bytes=2048 * MIB, wall_seconds=120.0)


def _payload(circuit: QuantumCircuit, bond: int) -> dict[str, object]:
    _, canonical = parse(circuit)
    return {"qpy": dump_qpy(canonical), "max_bond": bond}


async def test_little_entanglement_is_found_where_the_bound_knows_nothing(pool: ChildPool) -> None:
    """A Fourier transform of a basis state stays a product, a W state has rank 2; gates alone would allow 1,024 and 4."""
    fourier = await pool.call(_TASK, _payload(qft(20), 64), _ROOMY, fresh=True)
    single = await pool.call(_TASK, _payload(w_state(20), 64), _ROOMY, fresh=True)

    assert fourier["bond"] <= 2
    assert single["bond"] == 2
    assert fourier["discarded"] == single["discarded"] == 0.0


async def test_much_entanglement_is_cut_off_and_told(pool: ChildPool) -> None:
    """Then the bond says nothing, and what was cut off says how little."""
    told = await pool.call(_TASK, _payload(scrambled(18, 10, 1), 8), _ROOMY, fresh=True)

    assert told["bond"] >= 8
    assert told["discarded"] > 0.1


async def test_a_probe_ends_with_its_time(pool: ChildPool) -> None:
    """The child is killed; planning goes on without it."""
    with pytest.raises(OutOfTime, match=r"passed its limit of 0.2 s"):
        await pool.call(
            _TASK,
            _payload(scrambled(30, 40, 1), 512),
            Limits(memory_bytes=2048 * MIB, wall_seconds=0.2),
            fresh=True,
        )
