"""Observables in virtual qubits: Pauli labels, sparse terms, projectors, and sums of them."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from qurable.contracts.arrays import flatten, size_of
from qurable.contracts.base import Contract

LETTERS = frozenset("IXYZ01+-rl")
"""Paulis, and projectors on the eigenstates of Z (0, 1), X (+, -) and Y (r, l), as in Qiskit."""

_PROJECTORS = {"0": ("Z", 1), "1": ("Z", -1), "+": ("X", 1), "-": ("X", -1), "r": ("Y", 1), "l": ("Y", -1)}

MAX_EXPANDED_TERMS = 4096
"""A product of k projectors is a sum of 2^k Paulis; wider products are refused."""


def _check_letters(label: str) -> None:
    strange = set(label) - LETTERS
    if strange:
        raise ValueError(f"{sorted(strange)} in {label!r}; letters are {''.join(sorted(LETTERS))}")


class PauliTerm(Contract):
    """A coefficient times a product of single-qubit operators.

    Attributes:
        pauli: One letter of `IXYZ01+-rl` for each entry of `qubits`.
        qubits: Virtual qubits; `pauli[i]` acts on `qubits[i]`.
        coefficient: Real, or the observable would not be Hermitian.
    """

    pauli: str
    qubits: tuple[int, ...]
    coefficient: float = 1.0

    @model_validator(mode="after")
    def _well_formed(self) -> Self:
        _check_letters(self.pauli)
        if len(self.pauli) != len(self.qubits):
            raise ValueError(f"{self.pauli!r} has {len(self.pauli)} letters for {len(self.qubits)} qubits")
        if len(set(self.qubits)) != len(self.qubits) or any(qubit < 0 for qubit in self.qubits):
            raise ValueError(f"qubits {self.qubits} must be different and not negative")
        if not math.isfinite(self.coefficient):
            raise ValueError(f"the coefficient of {self.pauli!r} is {self.coefficient}; it must be finite")
        return self

    @classmethod
    def dense(cls, label: str, coefficient: float = 1.0) -> Self:
        """A term from a label as wide as the circuit; the rightmost letter acts on qubit 0."""
        _check_letters(label)
        letters = [(letter, qubit) for qubit, letter in enumerate(reversed(label)) if letter != "I"]
        return cls(
            pauli="".join(letter for letter, _ in letters),
            qubits=tuple(qubit for _, qubit in letters),
            coefficient=coefficient,
        )

    def paulis(self) -> Iterator["PauliTerm"]:
        """The same operator with projectors written out as sums of Paulis."""
        choices: list[tuple[tuple[str, int, float], ...]] = []
        for letter, qubit in zip(self.pauli, self.qubits, strict=True):
            if letter in _PROJECTORS:
                pauli, sign = _PROJECTORS[letter]
                choices.append((("", qubit, 0.5), (pauli, qubit, 0.5 * sign)))
            elif letter != "I":
                choices.append(((letter, qubit, 1.0),))
        for product in itertools.product(*choices):
            kept = [(letter, qubit) for letter, qubit, _ in product if letter]
            yield PauliTerm(
                pauli="".join(letter for letter, _ in kept),
                qubits=tuple(qubit for _, qubit in kept),
                coefficient=self.coefficient * math.prod(factor for *_, factor in product),
            )


class Observable(Contract):
    """A real combination of Pauli terms.

    May be written as a label (`"ZZ"`, rightmost letter on qubit 0) or as a mapping from labels to
    coefficients (`{"ZZ": 1.0, "XI": -0.5}`).

    Attributes:
        terms: The sum; empty is the zero operator.
        num_qubits: Width that the labels were written for, None for sparse terms.
    """

    terms: tuple[PauliTerm, ...]
    num_qubits: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _labels(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {value: 1.0}
        if not isinstance(value, Mapping) or "terms" in value:
            return value
        widths = {len(label) for label in value}
        if len(widths) != 1:
            raise ValueError(f"labels of different widths: {sorted(widths)}")
        terms = tuple(PauliTerm.dense(str(label), _real(label, factor)) for label, factor in value.items())
        return {"terms": terms, "num_qubits": widths.pop()}

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        expanded = sum(2 ** sum(letter in _PROJECTORS for letter in term.pauli) for term in self.terms)
        if expanded > max(MAX_EXPANDED_TERMS, len(self.terms)):
            raise ValueError(
                f"its projectors expand to {expanded} Pauli terms, at most {MAX_EXPANDED_TERMS} are allowed: "
                "estimate fewer qubits at once, or sample instead"
            )
        return self

    @property
    def min_qubits(self) -> int:
        """Fewest qubits a circuit must have to carry this observable."""
        return max((qubit + 1 for term in self.terms for qubit in term.qubits), default=0)

    def paulis(self) -> dict[tuple[tuple[int, str], ...], float]:
        """Sum of Pauli products: ((qubit, letter), ...) in ascending qubits, with its coefficient."""
        total: dict[tuple[tuple[int, str], ...], float] = {}
        for term in self.terms:
            for part in term.paulis():
                product = tuple(sorted(zip(part.qubits, part.pauli, strict=True)))
                total[product] = total.get(product, 0.0) + part.coefficient
        return total


def _real(label: str, factor: Any) -> float:
    if isinstance(factor, complex):
        if factor.imag:
            raise ValueError(
                f"the coefficient of {label!r} is {factor}; observables are Hermitian, so it must be real"
            )
        return factor.real
    try:
        return float(factor)
    except (TypeError, OverflowError):
        raise ValueError(f"the coefficient of {label!r} is no real number") from None


class Observables(Contract):
    """An array of observables, broadcast against a pub's bindings as Qiskit's `ObservablesArray`.

    May be written as one observable or as a nested list of them.

    Attributes:
        shape: Broadcast shape; empty for a single observable.
        items: Flat, in C order.
    """

    shape: tuple[int, ...] = ()
    items: tuple[Observable, ...] = Field(repr=False)

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and "items" in value:
            return value
        shape, items = flatten(value)
        return {"shape": shape, "items": items}

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if len(self.items) != size_of(self.shape):
            raise ValueError(
                f"shape {self.shape} holds {size_of(self.shape)} observables, {len(self.items)} are given"
            )
        return self
