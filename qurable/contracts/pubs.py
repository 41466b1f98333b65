"""Pubs: a circuit with everything that is asked of it, as in Qiskit's primitives."""

from typing import Any, Self

from pydantic import Field, model_validator

from qurable.contracts.arrays import size_of
from qurable.contracts.base import Contract
from qurable.contracts.bindings import Bindings
from qurable.contracts.circuits import Circuit
from qurable.contracts.observables import Observables

MAX_SHOTS = 1_000_000
DEFAULT_SHOTS = 1024
DEFAULT_PRECISION = 1 / 64
"""Target standard error where none is asked, as IBM Runtime's."""


class SamplePub(Contract):
    """Run a circuit and keep what its classical registers read.

    Attributes:
        circuit: Must measure something.
        bindings: Parameter values; its shape is the shape of the result.
        shots: Repetitions for each binding.
    """

    circuit: Circuit
    bindings: Bindings = Bindings()
    shots: int = Field(default=DEFAULT_SHOTS, ge=1, le=MAX_SHOTS)


class EstimatePub(Contract):
    """Estimate expectation values in the state a circuit prepares.

    Attributes:
        circuit: Final measurements are removed with a warning.
        bindings: Parameter values, broadcast against `observables`.
        observables: In virtual qubits.
        precision: Target standard error, absolute and in the unit of the observable, for a Pauli of weight
            one; 0 asks for the exact value, which simulators alone can give.
        shots: Repetitions for each group of commuting observables, instead of a precision.
    """

    circuit: Circuit
    bindings: Bindings = Bindings()
    observables: Observables
    precision: float | None = Field(default=None, ge=0, le=1)
    shots: int | None = Field(default=None, ge=1, le=MAX_SHOTS)

    @model_validator(mode="before")
    @classmethod
    def _default_precision(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("precision") is None and value.get("shots") is None:
            return {**value, "precision": DEFAULT_PRECISION}
        return value

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.precision is not None and self.shots is not None:
            raise ValueError("give `precision` or `shots`, not both")
        if self.precision and self.precision < MAX_SHOTS**-0.5:
            raise ValueError(
                f"precision {self.precision} takes more than {MAX_SHOTS:,} shots, the most that are taken (precision "
                f"{MAX_SHOTS**-0.5}); 0 asks a simulator for the exact value"
            )
        broadcast(self.bindings.shape, self.observables.shape)
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        return broadcast(self.bindings.shape, self.observables.shape)


def broadcast(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    """Shape that two shapes broadcast to, by NumPy's rule.

    Raises:
        ValueError: They do not broadcast.
    """
    width = max(len(left), len(right))
    padded_left = (1,) * (width - len(left)) + left
    padded_right = (1,) * (width - len(right)) + right
    shape = []
    for one, other in zip(padded_left, padded_right, strict=True):
        if one != other and 1 not in (one, other):
            raise ValueError(f"bindings of shape {left} and observables of shape {right} do not broadcast")
        shape.append(other if one == 1 else one)
    return tuple(shape)


def shots_for(pub: SamplePub | EstimatePub) -> int:
    """Shots per binding (sampling) or per measured group (estimation); 0 for an exact estimate."""
    if isinstance(pub, SamplePub) or pub.shots is not None:
        return pub.shots or 0
    return 0 if not pub.precision else max(1, round(pub.precision**-2))


def items_in(pub: SamplePub | EstimatePub) -> int:
    """Number of elements in the pub's result."""
    return size_of(pub.bindings.shape if isinstance(pub, SamplePub) else pub.shape)
