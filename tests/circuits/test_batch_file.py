"""Items are grouped by what they ask but for values and seeds, and cut into chunks."""

import json
from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.batch_file import cut, most_in_a_chunk, read_batch
from circuits.batch_groups import ready, with_seeds
from circuits.seeds import STRIDE
from qurable.contracts.batches import MAX_ITEMS
from qurable.contracts.jobs import MAX_SEED
from qurable.errors import RequestRejected

CIRCUIT = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float a;\ninput float b;\nqubit q;\nbit c;\nrx(a) q;\nrz(b) q;\nc = measure q;\n'


def line(a: float = 0.1, *, circuit: str = CIRCUIT, shots: int = 100, **fields: Any) -> dict[str, Any]:
    pub = {"circuit": circuit, "bindings": {"b": 0.5, "a": a}, "shots": shots}
    return {"kind": "sample", "pubs": [pub], **fields}


def read(*lines: Any) -> Any:
    text = "\n".join(entry if isinstance(entry, str) else json.dumps(entry) for entry in lines)
    payload = {"lines": text.encode(), "project": "default", "qpy": True}
    return read_batch(payload, lambda _: None)


def seeded_in(batch: str, *lines: Any) -> Any:
    return [with_seeds(group, batch) for group in read(*lines)["groups"]]


def test_items_that_differ_in_values_keys_labels_and_seeds_are_one_group() -> None:
    """The values stand in the order of the sorted names, whatever order they came in."""
    (group,) = read(line(0.1), line(0.2, key="k", labels={"x": "y"}), line(0.3, seed=5))["groups"]

    assert [array("d", entry[4]).tolist() for entry in group["items"]] == [[0.1, 0.5], [0.2, 0.5], [0.3, 0.5]]
    assert [entry[:3] for entry in group["items"]] == [[1, "", "{}"], [2, "k", '{"x": "y"}'], [3, "", "{}"]]


@pytest.mark.parametrize(
    "other",
    [
        line(shots=101),
        line(circuit=CIRCUIT.replace("rx", "ry")),
        line(backend="aer"),
        line(priority=1),
        line(limits={"total": 60}),
        line(user="ann"),
        line(data_class="secret"),
        line(simulator={"method": "statevector"}),
        line(transpile={"level": 1}),
        line(fallback={"policy": "none"}),
    ],
)
def test_whatever_else_differs_is_another_group(other: dict[str, Any]) -> None:
    """It might be answered elsewhere, otherwise, or at another time."""
    assert len(read(line(), other)["groups"]) == 2


@pytest.mark.parametrize(
    "alone",
    [
        line(budget={"qpu_seconds": 5}),
        line(hooks={"after": {"activity": "mine", "task_queue": "mine"}}),
        {**line(), "pubs": line()["pubs"] * 2},
        {**line(), "pubs": [{"circuit": CIRCUIT, "bindings": {"a": [0.1], "b": [0.2]}}]},
        {"kind": "solve", "problem": {"kind": "qubo", "linear": [1.0, -1.0]}},
    ],
)
def test_what_is_no_single_binding_runs_alone(alone: dict[str, Any]) -> None:
    """Also beside another that is the same: a budget, for instance, is one job's."""
    found = read(alone, alone)["groups"]

    assert [(group["alone"], len(group["items"])) for group in found] == [(True, 1), (True, 1)]


def test_minted_seeds_follow_each_other_as_in_one_call_of_aer() -> None:
    """So a chunk is one call. Another batch has others, and an item's own seed stands."""
    (group,) = seeded_in("default-batch-1", *(line(0.1 * at) for at in range(5)))
    (elsewhere,) = seeded_in("default-batch-2", line())
    (seeded,) = seeded_in("default-batch-1", line(), line(seed=5), line())

    seeds = [entry[3] for entry in group["items"]]
    assert seeds == [seeds[0] + STRIDE * at for at in range(5)]
    assert elsewhere["items"][0][3] != seeds[0]
    assert [entry[3] for entry in seeded["items"]] == [seeds[0], 5, seeds[2]]
    assert seeds[0] + STRIDE * MAX_ITEMS <= MAX_SEED


def test_broken_lines_are_named_and_empty_ones_left_out() -> None:
    """Lines are counted as an editor counts them."""
    found = read("", "nonsense", line(), "[1]", line(circuit=""), line(project="other"), '{"kind": "sample"')

    assert [number for number, _ in found["broken"]] == [2, 4, 6, 7]
    assert "'other'" in found["broken"][2][1]
    assert [entry[0] for group in found["groups"] for entry in group["items"]] == [3, 5]


def test_an_empty_batch_and_one_that_is_too_long_are_refused() -> None:
    """Each with what is taken."""
    with pytest.raises(RequestRejected, match="empty"):
        read("", "  ")
    with pytest.raises(RequestRejected, match=f"{MAX_ITEMS + 1:,} lines; at most {MAX_ITEMS:,}"):
        read(*["0"] * (MAX_ITEMS + 1))


@pytest.mark.parametrize(
    ("backend", "chunk"), [("ibm:manila", 5), ("ibm", 5), ("aer", 10), ("fake_torino", 10)]
)
def test_observables_count_where_a_provider_has_a_limit(backend: str, chunk: int) -> None:
    """Each may have to be measured by itself; a chunk that the provider's limit cuts in two may be paid twice in part."""
    pub = {"circuit": CIRCUIT, "bindings": {"a": 0.1, "b": 0.5}, "observables": ["Z", "X"], "shots": 500_000}
    estimate = {"kind": "estimate", "backend": backend, "pubs": [pub]}

    (group,) = ready(read(*[estimate] * 40)["groups"], "default-batch-1")

    assert group["chunk"] == chunk


@settings(deadline=None)
@given(
    size=st.integers(1, 3000),
    more=st.integers(0, 3000),
    shots=st.sampled_from([1, 1024, 10**6]),
    values=st.sampled_from([0, 12, 2000]),
    paid=st.booleans(),
)
def test_chunks_hold_every_item_once_and_are_small(
    size: int, more: int, shots: int, values: int, paid: bool
) -> None:
    """A twentieth of the batch, where that is worth a job and a kill repeats one; and what a provider takes at once."""
    chunks = cut(range(size), most_in_a_chunk(size + more, shots, values, paid=paid))

    assert [item for chunk in chunks for item in chunk] == list(range(size))
    assert paid or max(map(len, chunks)) <= max(16, (size + more) // 20)
    assert max(map(len, chunks)) <= 250
    assert max(map(len, chunks)) * shots <= 5_000_000
    assert max(map(len, chunks)) * values <= 100_000
    assert max(map(len, chunks)) - min(map(len, chunks)) <= 1
