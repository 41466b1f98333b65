"""Programs of bounded whole numbers as QUBOs, and what measured bits say of their variables.

A whole number in [l, u] is l plus bits of weights 1, 2, 4, ..., the last one as large as is left. A constraint is
multiplied until its weights are whole, and tightened by what its variables can reach; an inequality gets a slack of
bits, an equality, or at most one of several bits, none. The penalty of one step is more than the whole range of the
objective, so that no assignment that breaks a constraint is as good as one that keeps all.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from circuits.programs import Program
from qurable.contracts.problems import LinearProgram, ProblemAnswer, Qubo, Sense
from qurable.contracts.translations import MAX_TRANSLATED_BITS, ProgramRow, ProgramTerms, WholeVariable
from qurable.errors import RequestRejected

_LARGEST_RANGE = 2**20
_FINEST = 10_000
"""Largest denominator of a constraint's weights: 0.0001 is the smallest step."""

_TOLERANCE = 1e-6
_SHOWN = 40


def as_qubo(program: LinearProgram) -> tuple[Qubo, ProgramTerms]:
    """A QUBO whose value is the program's objective where every constraint holds, and worse than those where not.

    Raises:
        RequestRejected: It cannot be read, has variables that are no bounded whole numbers, or needs too many bits.
    """
    read = Program(program.format, program.text)
    names = list(program.variables or read.names)
    read.check_names(names)
    _check_finite(read)
    order = {name: at for at, name in enumerate(names)}
    position = [order[name] for name in read.names]  # of the file's variables among the problem's
    building = _Building()
    by_name = {
        name: building.variable(name, kind, *read.bounds[name])
        for name, kind in zip(read.names, read.kinds, strict=True)
    }
    variables = [by_name[name] for name in names]
    costs = [0.0] * len(names)
    for at, cost in zip(position, read.costs, strict=True):
        costs[at] = float(cost)
    rows = [
        ProgramRow(
            name=name,
            lower=lower if math.isfinite(lower) else None,
            upper=upper if math.isfinite(upper) else None,
            entries=tuple((position[at], weight) for at, weight in weights.items() if weight),
        )
        for name, lower, upper, weights in read.rows()
    ]
    own = building.bits
    spread = sum(abs(cost) * _range(variable) for cost, variable in zip(costs, variables, strict=True))
    penalty = spread + 1.0 if spread else 1.0
    sign = -1.0 if read.sense is Sense.MAXIMIZE else 1.0
    for cost, variable in zip(costs, variables, strict=True):
        building.add_objective(cost, variable)
    building.offset += read.offset
    for row in rows:
        building.add_row(row, variables, sign * penalty)
    terms = ProgramTerms(
        program=program,
        sense=read.sense,
        variables=tuple(variables),
        costs=tuple(costs),
        offset=read.offset,
        rows=tuple(rows),
        slack_bits=building.bits - own,
        penalty=penalty,
    )
    return building.qubo(read.sense), terms


def _check_finite(read: Program) -> None:
    if not any(read.costs) and not any(True for _ in read.rows()):
        raise RequestRejected(
            "the program has neither an objective nor constraints: check the words that begin its sections"
        )
    if read.quadratic:
        raise RequestRejected(
            "the program's objective has squares or products; linear ones are put into bits"
        )
    numbers = [
        *read.costs,
        read.offset,
        *(weight for *_, weights in read.rows() for weight in weights.values()),
    ]
    if not all(map(math.isfinite, numbers)):
        raise RequestRejected("the program has a weight that is no finite number")
    if len(set(read.names)) != len(read.names):
        raise RequestRejected("the program has two variables of one name")


def _range(variable: WholeVariable) -> int:
    return sum(weight for _, weight in variable.bits)


@dataclass
class _Building:
    """A QUBO as far as it was built."""

    bits: int = 0
    offset: float = 0.0
    linear: dict[int, float] = field(default_factory=dict)
    quadratic: dict[tuple[int, int], float] = field(default_factory=dict)

    def variable(self, name: str, kind: str, lower: float, upper: float) -> WholeVariable:
        """A variable in bits of its own.

        Raises:
            RequestRejected: It is no whole number within bounds, or too many bits are needed.
        """
        shown = name[:_SHOWN]
        if kind not in {"integer", "continuous"}:
            raise RequestRejected(
                f"variable {shown!r} is {kind}; whole numbers within bounds are put into bits"
            )
        if kind == "continuous" and lower != upper:
            raise RequestRejected(
                f"variable {shown!r} is continuous; whole numbers within bounds are put into bits: name it under General or Binary, "
                "or send the program as a job to a classical solver"
            )
        if not (math.isfinite(lower) and math.isfinite(upper)):
            raise RequestRejected(
                f"variable {shown!r} ranges over [{lower:g}, {upper:g}]; a number of bits needs bounds: give it some"
            )
        low, high = math.ceil(lower - _TOLERANCE), math.floor(upper + _TOLERANCE)
        if kind == "continuous" and low != high:
            raise RequestRejected(f"variable {shown!r} is fixed at {lower:g}, which is no whole number")
        if low > high:
            raise RequestRejected(f"variable {shown!r} has no whole number in [{lower:g}, {upper:g}]")
        return WholeVariable(name=name, lower=low, bits=self._bits(high - low, f"variable {shown!r}"))

    def _bits(self, span: int, what: str) -> tuple[tuple[int, int], ...]:
        """Bits whose weights add up to every whole number from 0 to the span."""
        if span > _LARGEST_RANGE:
            raise RequestRejected(
                f"{what} spans {span:,} steps; {_LARGEST_RANGE:,} are put into bits at most: tighten its bounds"
            )
        found, weight = [], 1
        while span:
            taken = min(weight, span)
            found.append((self.bits, taken))
            self.bits, span, weight = self.bits + 1, span - taken, 2 * weight
        if self.bits > MAX_TRANSLATED_BITS:
            raise RequestRejected(
                f"the program needs more than {MAX_TRANSLATED_BITS} bits, slacks included (reached by {what}): tighten bounds, or send "
                "it as a job to a classical solver"
            )
        return tuple(found)

    def add_objective(self, cost: float, variable: WholeVariable) -> None:
        """A cost of a variable."""
        self.offset += cost * variable.lower
        for bit, weight in variable.bits:
            self._add_linear(bit, cost * weight)

    def add_row(self, row: ProgramRow, variables: Sequence[WholeVariable], penalty: float) -> None:
        """The penalty of a constraint.

        Raises:
            RequestRejected: No assignment keeps it, or its weights have no common step.
        """
        step = _step(row)
        constant = Fraction(0)
        bits: dict[int, int] = {}
        for at, weight in row.entries:
            whole = round(Fraction(weight).limit_denominator(_FINEST) / step)
            constant += whole * variables[at].lower
            for bit, value in variables[at].bits:
                bits[bit] = bits.get(bit, 0) + whole * value
        bits = {bit: weight for bit, weight in bits.items() if weight}
        least = sum(weight for weight in bits.values() if weight < 0)
        most = sum(weight for weight in bits.values() if weight > 0)
        if most - least > _LARGEST_RANGE:  # squares of more are not exact in floating point
            raise RequestRejected(
                f"constraint {row.name[:_SHOWN]!r} ranges over {most - least:,} steps of {float(step):g}; {_LARGEST_RANGE:,} are put into "
                "bits at most: use coarser weights"
            )
        low, high = least, most
        if row.lower is not None:
            low = max(least, math.ceil(_steps(row.lower, step) - constant))
        if row.upper is not None:
            high = min(most, math.floor(_steps(row.upper, step, up=True) - constant))
        if low > high:
            raise RequestRejected(
                f"no assignment of the variables keeps constraint {row.name[:_SHOWN]!r}: the program has no solution"
            )
        if (low, high) == (least, most):
            return  # it always holds
        if (least, low, high) == (0, 0, 1) and set(bits.values()) == {1}:
            self._at_most_one(list(bits), penalty)
            return
        slack = self._bits(high - low, f"the slack of constraint {row.name[:_SHOWN]!r}")
        self._add_square({**bits, **{bit: -weight for bit, weight in slack}}, -low, penalty)

    def _at_most_one(self, bits: Sequence[int], penalty: float) -> None:
        for at, one in enumerate(bits):
            for other in bits[at + 1 :]:
                self._add_product(one, other, penalty)

    def _add_square(self, bits: Mapping[int, int], constant: int, penalty: float) -> None:
        """The square of a constant plus a sum of weights times bits, times the penalty."""
        self.offset += penalty * constant**2
        entries = list(bits.items())
        for at, (one, weight) in enumerate(entries):
            self._add_linear(one, penalty * weight * (weight + 2 * constant))
            for other, second in entries[at + 1 :]:
                self._add_product(one, other, 2 * penalty * weight * second)

    def _add_linear(self, bit: int, weight: float) -> None:
        self.linear[bit] = self.linear.get(bit, 0.0) + weight

    def _add_product(self, one: int, other: int, weight: float) -> None:
        pair = (min(one, other), max(one, other))
        self.quadratic[pair] = self.quadratic.get(pair, 0.0) + weight

    def qubo(self, sense: Sense) -> Qubo:
        """All of it."""
        if not self.bits:
            raise RequestRejected(
                "the program's variables are all fixed by their bounds: there is nothing to choose"
            )
        return Qubo(
            sense=sense,
            linear=tuple(self.linear.get(bit, 0.0) for bit in range(self.bits)),
            quadratic=tuple((*pair, weight) for pair, weight in sorted(self.quadratic.items()) if weight),
            offset=self.offset,
        )


def _step(row: ProgramRow) -> Fraction:
    """The largest number of which all weights of a constraint are multiples.

    Raises:
        RequestRejected: There is none of a denominator that is small enough.
    """
    weights = []
    for _, weight in row.entries:
        near = Fraction(weight).limit_denominator(_FINEST)
        if abs(near - Fraction(weight)) > Fraction(1, 10**9) * max(Fraction(1), abs(near)):
            raise _no_step(row, f"the weight {weight:.12g}")
        weights.append(near)
    if not any(weights):
        return Fraction(1)
    scale = math.lcm(*(weight.denominator for weight in weights))
    step = Fraction(math.gcd(*(int(weight * scale) for weight in weights)), scale)
    if step < Fraction(1, _FINEST):
        raise _no_step(row, f"weights whose common step is {float(step):g}")
    return step


def _no_step(row: ProgramRow, has: str) -> RequestRejected:
    return RequestRejected(
        f"constraint {row.name[:_SHOWN]!r} has {has}: only multiples of a step of {1 / _FINEST:g} or more are put into bits; round them"
    )


def _steps(bound: float, step: Fraction, *, up: bool = False) -> Fraction:
    """A bound in steps, with the room that rounding needs."""
    room = Fraction(_TOLERANCE)
    return (Fraction(bound) + (room if up else -room)) / step


def answer_of(terms: ProgramTerms, bits: Sequence[int]) -> ProblemAnswer:
    """What bits, one per variable of the QUBO, say: values, objective, and the constraints that they break."""
    values = [
        variable.lower + sum(weight * bits[bit] for bit, weight in variable.bits)
        for variable in terms.variables
    ]
    broken = []
    for row in terms.rows:
        activity = sum(weight * values[at] for at, weight in row.entries)
        below = row.lower is not None and activity < row.lower - _TOLERANCE
        if below or (row.upper is not None and activity > row.upper + _TOLERANCE):
            broken.append(row.name)
    objective = terms.offset + sum(cost * value for cost, value in zip(terms.costs, values, strict=True))
    return ProblemAnswer(
        kind="linear_program",
        sense=terms.sense,
        assignment=tuple(map(float, values)),
        objective=objective,
        feasible=not broken,
        violations=tuple(broken),
        names=tuple(variable.name for variable in terms.variables),
    )
