"""Groups of a batch whose circuits are the same but for names, formatting and angles are one group, with a seed for each item."""

import json
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from circuits.batch_file import most_in_a_chunk
from circuits.seeds import STRIDE
from qurable.contracts.base import digest
from qurable.contracts.batches import MAX_ITEMS
from qurable.contracts.bindings import Bindings
from qurable.contracts.circuits import Circuit, CircuitFormat
from qurable.contracts.jobs import MAX_SEED, SolveJob, read_request

_BASES = MAX_SEED - STRIDE * MAX_ITEMS
"""Minted bases stay below this, so that the last item's seed is one that a job may be given."""

Document = dict[str, Any]
"""A group, as `circuits.batch_file.Group.document` gives it."""


def comparable(groups: Sequence[Document]) -> list[int]:
    """Which groups may be the same as another: those that ask the same question."""
    asked: dict[str, list[int]] = {}
    for at, group in enumerate(groups):
        if group["question"]:
            asked.setdefault(group["question"], []).append(at)
    return sorted(at for same in asked.values() if len(same) > 1 for at in same)


def put_together(groups: Sequence[Document], forms: Mapping[int, Any]) -> list[Document]:
    """Groups with the same form as one, in the order in which each began.

    Args:
        groups: As read.
        forms: By the number of a group, as `circuits.batch_forms.read_forms` gives them.
    """
    alike: dict[str, list[int]] = {}
    for at, group in enumerate(groups):
        alike.setdefault(_identity(group, forms.get(at)), []).append(at)
    return [
        groups[members[0]]
        if len(members) == 1
        else _merged(identity, [(groups[at], forms[at]) for at in members])
        for identity, members in alike.items()
    ]


def ready(groups: Sequence[Document], batch: str) -> list[Document]:
    """Groups with a seed for every item, and the size of their chunks."""
    total = sum(len(group["items"]) for group in groups)
    return [
        {
            **with_seeds(group, batch),
            "chunk": most_in_a_chunk(
                total,
                group["executions"],
                len(group["items"][0][4]) // array("d").itemsize,
                paid=group["paid"],
            ),
        }
        for group in groups
    ]


def with_seeds(group: Document, batch: str) -> Document:
    """A group with a seed for every item that has none."""
    base = int(digest(f"seeds\0{batch}\0{group['identity']}")[:8], 16) % _BASES
    items = [
        [line, key, labels, base + STRIDE * at if seed is None else seed, values, registers]
        for at, (line, key, labels, seed, values, registers) in enumerate(group["items"])
    ]
    return {**group, "items": items}


def _identity(group: Document, form: Any) -> str:
    """What is asked, by the form of the circuit where that says all, and every parameter has its value."""
    if form is None or {*form["parameters"]} != {*group["parameters"], *form["angles"]}:
        return str(group["identity"])
    bits = json.dumps([bits for _, bits in form["registers"]])
    return digest("\0".join((group["question"], form["canonical"], bits)))


def _merged(identity: str, members: Sequence[tuple[Document, Any]]) -> Document:
    """One group of several: the first one's circuit, and everybody's values in its terms."""
    first, form = members[0]
    names = sorted(form["parameters"])
    items = []
    for group, own in members:
        registers = [name for name, _ in own["registers"]]
        said = "" if registers == [name for name, _ in form["registers"]] else json.dumps(registers)
        # The canonical form puts parameters that mean the same at the same place.
        place = dict(zip(form["parameters"], own["parameters"], strict=True))
        at = {name: index for index, name in enumerate(group["parameters"])}
        for line, key, labels, seed, values, _ in group["items"]:
            given = array("d", values)
            ordered = [
                own["angles"][place[name]] if place[name] in own["angles"] else given[at[place[name]]]
                for name in names
            ]
            items.append([line, key, labels, seed, array("d", ordered).tobytes(), said])
    items.sort(key=lambda item: item[0])
    return {**first, "identity": identity, "request": _lifted(first, form, names), "items": items}


def _lifted(group: Document, form: Any, names: Sequence[str]) -> str:
    """The first item's request, with its numbers as parameters."""
    if not form["angles"]:
        return str(group["request"])
    job = read_request(group["request"])
    assert not isinstance(job, SolveJob)  # noqa: S101  these run alone
    (pub,) = job.pubs
    circuit = Circuit(
        format=CircuitFormat.QPY, qpy=form["qpy"], name=pub.circuit.name, metadata=pub.circuit.metadata
    )
    # The values mean nothing here: each job has those of its items.
    bindings = Bindings(parameters=tuple(names), values=(0.0,) * len(names))
    changed = pub.model_copy(update={"circuit": circuit, "bindings": bindings})
    return job.model_copy(update={"pubs": (changed,)}).model_dump_json()
