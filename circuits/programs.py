"""Linear programs: read in a child, and score assignments of their variables.

Needs `highspy`, which the dependency group `problems` brings.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qurable.contracts.problems import ProblemAnswer, Sense
from qurable.errors import BackendNotInstalled, RequestRejected

_TOLERANCE = 1e-6


def read_variables(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: names of a program's variables in the order of assignments.

    Raises:
        RequestRejected: It is not readable, or has a variable that no qubit can carry.
    """
    program = Program(payload["format"], payload["text"])
    names = list(payload["variables"] or program.names)
    program.check_names(names)
    for name in names:
        lower, upper = program.bounds[name]
        if lower < -_TOLERANCE or upper > 1 + _TOLERANCE:
            raise RequestRejected(
                f"variable {name!r} ranges over [{lower}, {upper}]; a qubit carries 0 or 1 only: write it in binary"
            )
    return names


def best_assignment(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: the best of measured bitstrings (rightmost character bit 0), as a `ProblemAnswer` in JSON.

    A feasible assignment beats every infeasible one.
    """
    program = Program(payload["format"], payload["text"])
    names: Sequence[str] = payload["variables"] or program.names
    bit_of_variable: Sequence[int] = payload["bit_of_variable"]
    sign = -1.0 if program.sense is Sense.MAXIMIZE else 1.0
    best: tuple[tuple[int, float], tuple[int, ...], tuple[str, ...]] | None = None
    for word in sorted(payload["bitstrings"]):
        bits = tuple(int(word[len(word) - 1 - bit]) for bit in bit_of_variable)
        objective, violations = program.score(dict(zip(names, bits, strict=True)))
        rank = (len(violations), sign * objective)
        if best is None or rank < best[0]:
            best = (rank, bits, violations)
    if best is None:
        return ProblemAnswer(kind="linear_program", sense=program.sense).model_dump_json()
    return ProblemAnswer(
        kind="linear_program",
        sense=program.sense,
        assignment=tuple(float(bit) for bit in best[1]),
        objective=sign * best[0][1],
        feasible=not best[2],
        violations=best[2],
        samples_considered=len(payload["bitstrings"]),
    ).model_dump_json()


class Program:
    """A program as HiGHS reads it.

    Attributes:
        solver: HiGHS, which holds it.
        names: Of its variables, in the file's order.
        sense: Which way is better.
        bounds: Lowest and highest value of each variable.
        kinds: Of each variable: `continuous`, `integer`, or what else the file says.
        costs: Of the objective, one per variable.
        offset: Constant of the objective.
        quadratic: Whether the objective has squares or products, which nothing here takes.
    """

    def __init__(self, form: str, text: str) -> None:
        try:
            import highspy
        except ImportError:
            raise BackendNotInstalled(
                "linear programs are read with highspy, which is not installed on this worker: install the dependency group 'problems'",
                missing="highspy",
            ) from None
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"program.{form}"
            path.write_text(text, encoding="utf-8")
            status = solver.readModel(str(path))
        model = solver.getLp()
        if status == highspy.HighsStatus.kError or not model.num_col_:  # prose is read as an empty program
            raise RequestRejected(
                f"the {form} text is not a program that can be read: it has no variables, or a number that HiGHS does not take"
            )
        self.solver = solver
        self.names: list[str] = [
            model.col_names_[at] if model.col_names_ else f"x{at}" for at in range(model.num_col_)
        ]
        self.sense = Sense.MAXIMIZE if model.sense_ == highspy.ObjSense.kMaximize else Sense.MINIMIZE
        self.bounds = {
            name: (model.col_lower_[at], model.col_upper_[at]) for at, name in enumerate(self.names)
        }
        self.costs = list(model.col_cost_)
        self.offset = float(model.offset_)
        self._rows = [
            model.row_names_[at] if model.row_names_ else f"row {at}" for at in range(model.num_row_)
        ]
        self._limits = list(zip(model.row_lower_, model.row_upper_, strict=True))
        # of a column without entries HiGHS says that row 0 has the weight 0, also where there is no row
        self._columns = [
            solver.getColEntries(at)[1:] if self._rows else ((), ()) for at in range(model.num_col_)
        ]
        self._whole = [kind == highspy.HighsVarType.kInteger for kind in model.integrality_]
        kinds = [str(kind.name).removeprefix("k").lower() for kind in model.integrality_]
        self.kinds = kinds or ["continuous"] * len(self.names)
        self.quadratic = solver.getHessianNumNz() > 0

    def check_names(self, names: Sequence[str]) -> None:
        """Make sure that a problem's variables are the program's.

        Raises:
            RequestRejected: One is missing, strange, or named twice.
        """
        if sorted(names) != sorted(self.names):
            raise RequestRejected(
                f"the program's variables are {self.names[:10]}, the problem names {list(names)[:10]}"
            )

    def rows(self) -> Iterator[tuple[str, float, float, dict[int, float]]]:
        """Name, bounds and weights by position of variable of each constraint."""
        entries: list[dict[int, float]] = [{} for _ in self._rows]
        for at, (rows, weights) in enumerate(self._columns):
            for row, weight in zip(rows, weights, strict=True):
                entries[int(row)][at] = float(weight)
        for name, (lower, upper), of_row in zip(self._rows, self._limits, entries, strict=True):
            yield name, float(lower), float(upper), of_row

    def rounded(self, values: Sequence[float]) -> list[float]:
        """Values in the file's order, whole where the program says so."""
        whole = self._whole or [False] * len(self.names)
        return [float(round(value)) if at else float(value) for value, at in zip(values, whole, strict=True)]

    def score(self, values: Mapping[str, float]) -> tuple[float, tuple[str, ...]]:
        """Objective of an assignment, and the rows it breaks."""
        activity = [0.0] * len(self._rows)
        objective = self.offset
        for at, name in enumerate(self.names):
            objective += self.costs[at] * values[name]
            rows, weights = self._columns[at]
            for row, weight in zip(rows, weights, strict=True):
                activity[row] += weight * values[name]
        broken = tuple(
            self._rows[row]
            for row, (lower, upper) in enumerate(self._limits)
            if not lower - _TOLERANCE <= activity[row] <= upper + _TOLERANCE
        )
        return objective, broken
