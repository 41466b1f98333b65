"""Problems in their own terms, and answers in the same, whoever gives them.

A problem names its variables in a fixed order. `qubits[i]` is the virtual qubit that carries variable i when
a circuit answers; without it, qubit i does. A measured 1 is the binary value 1 and the spin -1, as Z has
eigenvalue -1 there.
"""

import math
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from qurable.contracts.arrays import FloatArray
from qurable.contracts.base import Contract
from qurable.contracts.observables import PauliTerm

MAX_PROBLEM_TEXT = 8 * 2**20

Finite = Annotated[float, Field(allow_inf_nan=False)]
"""A weight; an infinite one, or one that is no number, would make every answer as good as any other."""


class Sense(StrEnum):
    """Which way is better."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


class _Variables(Contract):
    qubits: tuple[int, ...] | None = None

    @model_validator(mode="after")
    def _distinct_qubits(self) -> Self:
        if self.qubits is not None and (
            len(set(self.qubits)) != len(self.qubits) or min(self.qubits, default=0) < 0
        ):
            raise ValueError(f"qubits {self.qubits} must be different and not negative")
        return self


def _check_indices(indices: Any, size: int, what: str) -> None:
    for index in indices:
        if not 0 <= index < size:
            raise ValueError(f"{what} refers to variable {index}; there are {size}, counted from 0")


class Qubo(_Variables):
    """Minimise (or maximise) offset + sum_i linear[i] x_i + sum_(i,j) quadratic x_i x_j, x binary.

    Attributes:
        linear: One number per variable; its length is the number of variables.
        quadratic: (i, j, coefficient), counted from 0.
    """

    kind: Literal["qubo"] = "qubo"
    sense: Sense = Sense.MINIMIZE
    linear: tuple[Finite, ...]
    quadratic: tuple[tuple[int, int, Finite], ...] = ()
    offset: Finite = 0.0

    @model_validator(mode="after")
    def _indices(self) -> Self:
        _check_indices((i for pair in self.quadratic for i in pair[:2]), len(self.linear), "quadratic")
        return self


class Ising(_Variables):
    """Minimise (or maximise) offset + sum_i h[i] s_i + sum_(i,j) couplings s_i s_j, s = +1 or -1."""

    kind: Literal["ising"] = "ising"
    sense: Sense = Sense.MINIMIZE
    h: tuple[Finite, ...]
    couplings: tuple[tuple[int, int, Finite], ...] = ()
    offset: Finite = 0.0

    @model_validator(mode="after")
    def _indices(self) -> Self:
        _check_indices((i for pair in self.couplings for i in pair[:2]), len(self.h), "couplings")
        return self


class MaxCut(_Variables):
    """Maximise the weight of edges between the two sides of a graph.

    Attributes:
        num_nodes: Nodes are 0 to num_nodes - 1.
        edges: (u, v, weight).
    """

    kind: Literal["maxcut"] = "maxcut"
    sense: Literal[Sense.MAXIMIZE] = Sense.MAXIMIZE
    num_nodes: int = Field(ge=1)
    edges: tuple[tuple[int, int, Finite], ...]

    @model_validator(mode="after")
    def _indices(self) -> Self:
        _check_indices((i for edge in self.edges for i in edge[:2]), self.num_nodes, "an edge")
        if any(u == v for u, v, _ in self.edges):
            raise ValueError("an edge from a node to itself is never cut; leave it out")
        return self


class LinearProgram(_Variables):
    """A linear or mixed-integer program as an LP or MPS file; its own sense holds.

    Attributes:
        format: `lp` or `mps`.
        text: The file.
        variables: Names in the order of the assignment; the file's order without it.
    """

    kind: Literal["linear_program"] = "linear_program"
    format: Literal["lp", "mps"]
    text: str = Field(max_length=MAX_PROBLEM_TEXT)
    variables: tuple[str, ...] | None = None


class PauliHamiltonian(_Variables):
    """Find the lowest (or highest) energy of a Hamiltonian written in Paulis.

    Attributes:
        num_qubits: Width of the register.
        terms: The sum, in the register's own qubits (before the map `qubits`).
    """

    kind: Literal["pauli_hamiltonian"] = "pauli_hamiltonian"
    sense: Sense = Sense.MINIMIZE
    num_qubits: int = Field(ge=1)
    terms: tuple[PauliTerm, ...]

    @model_validator(mode="after")
    def _within(self) -> Self:
        _check_indices((qubit for term in self.terms for qubit in term.qubits), self.num_qubits, "a term")
        return self


class LadderTerm(Contract):
    """A coefficient times a product of creation and annihilation operators.

    Attributes:
        operators: (mode, "+" to create or "-" to annihilate), leftmost first.
    """

    operators: tuple[tuple[int, Literal["+", "-"]], ...]
    coefficient: Finite


class FermionicHamiltonian(_Variables):
    """Find the lowest energy of a fermionic Hamiltonian.

    Attributes:
        num_modes: Spin orbitals, counted from 0.
        terms: Must add up to a Hermitian operator.
        mapping: How modes become qubits.
        offset: Constant energy, such as the nuclear repulsion (same unit as the coefficients).
    """

    kind: Literal["fermionic_hamiltonian"] = "fermionic_hamiltonian"
    sense: Literal[Sense.MINIMIZE] = Sense.MINIMIZE
    num_modes: int = Field(ge=1)
    terms: tuple[LadderTerm, ...]
    mapping: Literal["jordan_wigner", "parity"] = "jordan_wigner"
    offset: Finite = 0.0

    @model_validator(mode="after")
    def _within(self) -> Self:
        _check_indices((mode for term in self.terms for mode, _ in term.operators), self.num_modes, "a term")
        return self


class KernelData(_Variables):
    """Points whose pairwise similarity is asked.

    Attributes:
        train: Shape (m, d).
        test: Shape (k, d); without it the symmetric matrix of `train` is asked.
    """

    kind: Literal["kernel"] = "kernel"
    train: FloatArray
    test: FloatArray | None = None

    @model_validator(mode="after")
    def _matrices(self) -> Self:
        if len(self.train.shape) != 2 or (self.test is not None and len(self.test.shape) != 2):
            raise ValueError("train and test are matrices: one row per point, one column per feature")
        if self.test is not None and self.test.shape[1] != self.train.shape[1]:
            raise ValueError(f"test has {self.test.shape[1]} features, train has {self.train.shape[1]}")
        points = (*self.train.values, *(() if self.test is None else self.test.values))
        if not all(map(math.isfinite, points)):
            raise ValueError("train and test hold finite numbers only")
        return self


Problem = Annotated[
    Qubo | Ising | MaxCut | LinearProgram | PauliHamiltonian | FermionicHamiltonian | KernelData,
    Field(discriminator="kind"),
]

PROBLEM_KINDS = (
    "qubo",
    "ising",
    "maxcut",
    "linear_program",
    "pauli_hamiltonian",
    "fermionic_hamiltonian",
    "kernel",
)
"""What tells a problem's document from a job's; no set, since the kind of a strange document may be a list."""


class ProblemAnswer(Contract):
    """An answer in the problem's own terms.

    Attributes:
        kind: Of the problem.
        sense: Of the problem.
        assignment: Value of each variable, in the problem's order: 0 or 1, +1 or -1 for spins.
        objective: Value of the assignment, or the estimated energy.
        standard_error: Of an estimated objective, same unit.
        feasible: Whether the assignment satisfies every constraint; None where there is no assignment.
        violations: The constraints it breaks, by name.
        bound: Best known bound on the optimum, None where none is known.
        gap: How far the objective can be from the optimum at most, in its own unit; None without a bound.
        samples_considered: Distinct assignments among which this one was chosen.
        matrix: Of a kernel: similarities of `train` with itself, or of `test` (rows) with `train` (columns).
        names: What the assignment's numbers belong to, where they have names: variables, or the cities of a tour, whose
            numbers are their places in it, from 0.
    """

    kind: str
    sense: Sense | None = None
    assignment: tuple[float, ...] | None = None
    objective: float | None = None
    standard_error: float | None = None
    feasible: bool | None = None
    violations: tuple[str, ...] = ()
    bound: float | None = None
    gap: float | None = None
    samples_considered: int = 0
    matrix: FloatArray | None = None
    names: tuple[str, ...] = ()

    @property
    def tour(self) -> tuple[str, ...]:
        """The cities of a tour in the order of the visit; empty for what is none."""
        if self.kind != "tour" or self.assignment is None:
            return ()
        return tuple(name for _, name in sorted(zip(self.assignment, self.names, strict=True)))
