"""The log of a loop: it only grows, at its end, and by one hand at a time."""

import struct
from typing import Any

import pytest

from circuits.seeds import STRIDE, iteration_base
from qurable.contracts.observables import Observable
from qurable.contracts.optimisations import (
    LoopState,
    Optimisation,
    OptimisationReport,
    PreparedLoop,
    StartedLoop,
)
from qurable.errors import InternalError, KeyReused
from store import optimisations
from store.database import Database, now
from store.optimisations import Block


def _loop(key: str = "k") -> PreparedLoop:
    loop = Optimisation.model_validate(
        {"observable": "ZZ", "ansatz": {"family": "real_amplitudes"}, "key": key, "seed": 9, "shots": 10}
    )
    return PreparedLoop.model_validate(
        {
            "loop": StartedLoop.of(loop),
            "problem": {
                "kind": "pauli_hamiltonian",
                "num_qubits": 2,
                "terms": Observable.model_validate("ZZ").terms,
            },
            "qpy": b"",
            "identity": "ansatz",
            "parameters": ("a", "b"),
            "observable": "ZZ",
            "qubits": 2,
            "groups": 1,
            "start": (0.0, 0.0),
        }
    )


def _doubles(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}d", *numbers)


def _block(first: int, *sizes: int) -> Block:
    points = sum(sizes)
    values = [first + 0.5 * at for at in range(points)]
    return Block(
        first=first,
        sizes=sizes,
        x=_doubles(*(number for value in values for number in (value, -value))),
        values=_doubles(*values),
        errors=_doubles(*([0.25] * points)),
        shots=10,
        seconds=0.5,
    )


async def test_a_log_is_read_as_it_was_kept(database: Database) -> None:
    """Every evaluation with its seed, from any iteration on."""
    prepared = _loop()
    name = prepared.loop.id
    await database.write(optimisations.begin, prepared, "body", "owner")
    await database.write(optimisations.claim, name, "first")
    for block in (_block(0, 2, 1), _block(2, 2)):
        assert await database.write(optimisations.append, name, "first", block)
    log = await database.read(optimisations.log, name)
    found = await database.read(optimisations.evaluations, name, 1)

    assert await database.read(optimisations.find, name) == prepared
    assert [(block.first, block.stop) for block in log] == [(0, 2), (2, 3)]
    assert [(entry.iteration, entry.member, entry.value) for entry in found] == [
        (1, 0, 1.0),
        (2, 0, 2.0),
        (2, 1, 2.5),
    ]
    assert found[-1].x == (2.5, -2.5)
    assert found[-1].seed == iteration_base(9, 2) + STRIDE


async def test_only_the_last_attempt_appends_and_only_at_the_end(database: Database) -> None:
    """One that was given up may still run: what it brings is its own walk's, and must not be mixed in."""
    name = _loop().loop.id
    await database.write(optimisations.begin, _loop(), "body", "owner")
    await database.write(optimisations.claim, name, "first")
    await database.write(optimisations.append, name, "first", _block(0, 1))
    await database.write(optimisations.claim, name, "second")

    assert not await database.write(optimisations.append, name, "first", _block(1, 1))
    assert await database.write(optimisations.append, name, "second", _block(1, 1))
    for first in (1, 3):
        with pytest.raises(InternalError, match="does not follow"):
            await database.write(optimisations.append, name, "second", _block(first, 1))


async def test_a_loop_begins_once_and_its_first_report_stands(database: Database) -> None:
    """Activities run twice; a key means one body."""
    prepared = _loop()
    name: Any = prepared.loop.id
    await database.write(optimisations.begin, prepared, "body", "owner")
    await database.write(optimisations.begin, prepared, "body", "another")
    with pytest.raises(KeyReused):
        await database.write(optimisations.begin, prepared, "other body", "owner")
    began = await database.read(optimisations.began, name)
    first = OptimisationReport(id=name, state=LoopState.COMPLETED, value=1.0, began=began, ended=now())
    second = first.model_copy(update={"value": 2.0})

    assert await database.read(optimisations.find_report, name) is None
    assert (await database.write(optimisations.end, first)).value == 1.0
    assert (await database.write(optimisations.end, second)).value == 1.0
