"""Expectation values from measured shots: group observables, rotate, and put values and errors together.

A Pauli product here is `((qubit, letter), ...)` in ascending qubits; the empty product is the identity.
"""

import functools
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import ClassicalRegister, QuantumCircuit
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import Optimize1qGatesDecomposition

Product = tuple[tuple[int, str], ...]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """Pauli products that one measurement serves, because on each qubit they agree.

    Attributes:
        basis: Letter to measure on each qubit of the group.
        products: Members.
    """

    basis: Mapping[int, str]
    products: tuple[Product, ...]

    @property
    def qubits(self) -> tuple[int, ...]:
        """Qubits to measure, ascending: classical bit i of the measurement reads qubits[i]."""
        return tuple(sorted(self.basis))


def group_products(products: Iterable[Product]) -> list[Group]:
    """Divide Pauli products into groups that commute qubit by qubit, greedily, widest first.

    The identity belongs to no group. Equal inputs in any order give equal groups.
    """
    bases: list[dict[int, str]] = []
    members: list[list[Product]] = []
    for product in sorted(
        {product for product in products if product}, key=lambda product: (-len(product), product)
    ):
        for basis, group in zip(bases, members, strict=True):
            if all(basis.get(qubit, letter) == letter for qubit, letter in product):
                basis.update(product)
                group.append(product)
                break
        else:
            bases.append(dict(product))
            members.append([product])
    return [Group(basis, tuple(group)) for basis, group in zip(bases, members, strict=True)]


def measured_in(circuit: QuantumCircuit, group: Group, native: frozenset[str]) -> QuantumCircuit:
    """The circuit with a measurement of a group at its end, rotations in native gates.

    Args:
        circuit: On the group's qubits; its own classical bits stay.
        group: In the circuit's qubits.
        native: Gate names the rotations may use; empty for any.

    Returns:
        A circuit whose register `qurable` holds the outcome, bit i of `group.qubits[i]`.
    """
    measured = circuit.copy()
    outcome = ClassicalRegister(len(group.qubits), "qurable")
    measured.add_register(outcome)
    for qubit in group.qubits:
        measured.compose(_rotation(group.basis[qubit], native), [qubit], inplace=True)
    measured.measure(list(group.qubits), list(outcome))
    return measured


@functools.lru_cache(maxsize=64)
def _rotation(letter: str, native: frozenset[str]) -> QuantumCircuit:
    """Maps the eigenstates of a Pauli to those of Z, +1 to |0>."""
    rotation = QuantumCircuit(1)
    if letter == "Y":
        rotation.sdg(0)
    if letter in "XY":
        rotation.h(0)
    if not native or {"h", "sdg"} <= native:
        return rotation
    result: QuantumCircuit = PassManager([Optimize1qGatesDecomposition(basis=sorted(native))]).run(rotation)
    return result


def without_final_measurements(circuit: QuantumCircuit) -> tuple[QuantumCircuit, bool]:
    """The circuit without the measurements (and barriers) at its end, and whether there were any."""
    bare = circuit.remove_final_measurements(inplace=False)
    return bare, bare.size() != circuit.size()


def estimate_from_shots(
    observable: Mapping[Product, float], groups: Sequence[Group], outcomes: Sequence[npt.NDArray[np.uint8]]
) -> tuple[float, float]:
    """Value and standard error of an observable.

    Each group's contribution is averaged shot by shot, so that correlations between its members count; groups
    are independent. Every group is given one imaginary shot at either end of its range before its variance is
    taken: a thousand equal outcomes do not prove that there is no other.

    Args:
        observable: Coefficient of each Pauli product, the identity included.
        groups: Must cover the observable.
        outcomes: For each group, bits of shape (shots, len(group.qubits)), column i for group.qubits[i].

    Returns:
        The mean, and its standard error.
    """
    value, variance = observable.get((), 0.0), 0.0
    for group, bits in zip(groups, outcomes, strict=True):
        wanted = [(product, observable[product]) for product in group.products if observable.get(product)]
        if not wanted:
            continue
        column = {qubit: at for at, qubit in enumerate(group.qubits)}
        per_shot: Floats = np.zeros(bits.shape[0])
        for product, coefficient in wanted:
            parity = np.bitwise_xor.reduce(bits[:, [column[qubit] for qubit, _ in product]], axis=1)
            per_shot += coefficient * (1.0 - 2.0 * parity)
        reach = sum(abs(coefficient) for _, coefficient in wanted)
        value += float(per_shot.mean())
        variance += float(np.concatenate([per_shot, [reach, -reach]]).var()) / bits.shape[0]
    return value, variance**0.5


def on_busy_qubits(observable: Mapping[Product, float], busy: Container[int]) -> dict[Product, float]:
    """What an observable comes to on the busy qubits of a circuit.

    All others are still |0>, where Z is 1 and X and Y are 0; a simulator would take memory for each of them.
    """
    total: dict[Product, float] = {}
    for product, factor in observable.items():
        if all(qubit in busy or letter == "Z" for qubit, letter in product):
            kept = tuple((qubit, letter) for qubit, letter in product if qubit in busy)
            total[kept] = total.get(kept, 0.0) + factor
    return total


def placed(product: Product, position: Mapping[int, int]) -> Product:
    """A product moved to other qubits."""
    return tuple(sorted((position[qubit], letter) for qubit, letter in product))


def label(product: Product, width: int) -> str:
    """The product as a dense label, rightmost letter on qubit 0."""
    letters: list[Any] = ["I"] * width
    for qubit, letter in product:
        letters[width - 1 - qubit] = letter
    return "".join(letters)
