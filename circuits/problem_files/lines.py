"""What the readers of text formats share: numbered lines, and words that become indices and weights."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from qurable.contracts.optimisations import ProblemFile
from qurable.contracts.problems import Problem
from qurable.contracts.translations import Terms
from qurable.errors import RequestRejected

MAX_VARIABLES = 20_000
_SHOWN = 40


@dataclass(frozen=True)
class Found:
    """What a file holds.

    Attributes:
        problem: What a loop evaluates.
        terms: What its bits mean, where the file asks in other terms.
        warnings: What the caller should know.
    """

    problem: Problem
    terms: Terms | None = None
    warnings: tuple[str, ...] = ()


def numbered(file: ProblemFile, comments: str = "#c%") -> Iterator[tuple[int, list[str]]]:
    """Number and words of each line that is neither empty nor a comment."""
    for number, line in enumerate(file.text.splitlines(), start=1):
        words = line.split()
        if words and words[0][0] not in comments:
            yield number, words


def wrong(file: ProblemFile, number: int, what: str) -> RequestRejected:
    """The error of a line."""
    return RequestRejected(f"the {file.format} file, line {number}: {what}", line=number)


def index(file: ProblemFile, number: int, word: str, base: int) -> int:
    """A variable counted from 0.

    Raises:
        RequestRejected: It is no whole number, or out of range.
    """
    try:
        found = int(word) - base
    except ValueError:
        raise wrong(file, number, f"{word[:_SHOWN]!r} is no index") from None
    if not 0 <= found < MAX_VARIABLES:
        raise wrong(
            file,
            number,
            f"index {word[:_SHOWN]} is out of range: counted from {base}, {MAX_VARIABLES:,} at most",
        )
    return found


def weight(file: ProblemFile, number: int, word: str) -> float:
    """A finite number, also with the exponents of Fortran.

    Raises:
        RequestRejected: It is none.
    """
    try:
        found = float(word.replace("D", "E").replace("d", "e"))
    except ValueError:
        raise wrong(file, number, f"{word[:_SHOWN]!r} is no number") from None
    if not math.isfinite(found):
        raise wrong(file, number, f"{word[:_SHOWN]!r} is no finite number")
    return found
