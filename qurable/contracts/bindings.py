"""Values for a circuit's parameters, broadcast as Qiskit's primitives do."""

import math
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from qurable.contracts.arrays import flatten, size_of
from qurable.contracts.base import Contract

MAX_BINDINGS = 1_000_000


class Bindings(Contract):
    """An array of parameter values; one element of the shape is one binding of all parameters.

    May be written as a mapping from names to values: `{"theta": 0.5}`, or `{"theta": [0.1, 0.2], "phi":
    [1.0, 2.0]}` for two bindings.

    Attributes:
        parameters: Names, in the order of the last axis of `values`.
        shape: Broadcast shape, as of Qiskit's `BindingsArray`; empty for a single binding.
        values: Flat in C order, `prod(shape) * len(parameters)` numbers, radians where the gate says so.
    """

    parameters: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    values: tuple[float, ...] = Field(default=(), repr=False)

    @model_validator(mode="before")
    @classmethod
    def _from_mapping(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or "parameters" in value or not value:
            return value
        return _columns(value)

    @model_validator(mode="after")
    def _complete_and_finite(self) -> Self:
        if len(set(self.parameters)) != len(self.parameters):
            raise ValueError("a parameter is named twice")
        if any(extent < 0 for extent in self.shape) or size_of(self.shape) > MAX_BINDINGS:
            raise ValueError(
                f"shape {self.shape} is outside 0 to {MAX_BINDINGS:,} bindings: split the sweep into several jobs"
            )
        due = size_of(self.shape) * len(self.parameters)
        if len(self.values) != due:
            raise ValueError(
                f"shape {self.shape} with {len(self.parameters)} parameters takes {due} values, {len(self.values)} are given"
            )
        for at, number in enumerate(self.values):
            if not math.isfinite(number):
                name = self.parameters[at % len(self.parameters)]
                raise ValueError(
                    f"parameter {name!r} is {number} in binding {at // len(self.parameters)}; values must be finite"
                )
        return self

    @property
    def size(self) -> int:
        """Number of bindings."""
        return size_of(self.shape)


def _columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping of names to equally shaped arrays, as parameters on the last axis."""
    shapes: set[tuple[int, ...]] = set()
    flat: dict[str, list[float]] = {}
    for name, column in columns.items():
        shape, values = flatten(column)
        shapes.add(shape)
        flat[str(name)] = values
    if len(shapes) != 1:
        raise ValueError(
            f"parameters have values of different shapes: {sorted(shapes)}; give each the same shape"
        )
    (shape,) = shapes
    names = tuple(flat)
    rows = zip(*flat.values(), strict=True)
    return {"parameters": names, "shape": shape, "values": tuple(number for row in rows for number in row)}
