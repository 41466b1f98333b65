"""TSPLIB (Reinelt, ORSA J. Comput. 3, 376 (1991)): round trips, by a matrix of distances or by places on a map.

Cities are called by the numbers of the file, which count from 1 unless the file's owner says 0. Distances are as
published with the library: EXPLICIT in every EDGE_WEIGHT_FORMAT but FUNCTION, EUC_2D, CEIL_2D, ATT, and GEO with
degrees cut off rather than rounded, by which the library's optima hold.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from circuits.problem_files.lines import Found, weight, wrong
from circuits.tours import MAX_CITIES, as_qubo
from qurable.contracts.optimisations import ProblemFile
from qurable.errors import RequestRejected

Distances = tuple[tuple[float, ...], ...]
Place = tuple[float, float]

_SMALLEST = 3
_LARGEST_READ = 1_000
_FARTHEST = 1e9
_KEYWORDS = frozenset(
    "NAME COMMENT TYPE DIMENSION EDGE_WEIGHT_TYPE EDGE_WEIGHT_FORMAT NODE_COORD_TYPE DISPLAY_DATA_TYPE".split()
)
_SECTIONS = frozenset({"NODE_COORD_SECTION", "EDGE_WEIGHT_SECTION", "DISPLAY_DATA_SECTION"})


@dataclass
class Instance:
    """A file in its parts.

    Attributes:
        file: Where it comes from.
        header: Value and line of each keyword.
        sections: Words of each section with their lines.
    """

    file: ProblemFile
    header: dict[str, tuple[str, int]] = field(default_factory=dict)
    sections: dict[str, list[tuple[int, list[str]]]] = field(default_factory=dict)

    def says(self, keyword: str, default: str | None = None) -> str:
        """The value of a keyword, in capitals.

        Raises:
            RequestRejected: It is missing.
        """
        if keyword in self.header:
            return self.header[keyword][0].upper()
        if default is None:
            raise RequestRejected(f"the tsplib file has no {keyword}")
        return default

    def wrong(self, keyword: str, what: str) -> RequestRejected:
        """The error of a keyword's line."""
        return wrong(self.file, self.header[keyword][1], what)

    def lines(self, section: str) -> list[tuple[int, list[str]]]:
        """The lines of a section.

        Raises:
            RequestRejected: There is none.
        """
        if section not in self.sections:
            raise RequestRejected(f"the tsplib file has no {section}, which its EDGE_WEIGHT_TYPE needs")
        return self.sections[section]

    @property
    def dimension(self) -> int:
        """How many cities there are."""
        said = self.says("DIMENSION")
        if not said.isdecimal() or len(said) > 9 or not _SMALLEST <= int(said) <= _LARGEST_READ:
            raise self.wrong(
                "DIMENSION",
                f"the dimension is {said[:40]!r}; a tour has {_SMALLEST} cities or more, and {_LARGEST_READ:,} are read at most",
            )
        return int(said)


def read(file: ProblemFile) -> Found:
    """The tour as a QUBO."""
    instance = parse(file)
    if instance.dimension > MAX_CITIES:
        raise instance.wrong(
            "DIMENSION",
            f"{instance.dimension} cities need {(instance.dimension - 1) ** 2:,} qubits, one for each city and place in the tour but "
            f"the first; at most {MAX_CITIES} cities are put into bits: take a part of them",
        )
    base = 1 if file.index_base is None else file.index_base
    matrix = distances(instance)
    cities = _names(instance) or tuple(str(base + at) for at in range(len(matrix)))
    problem, terms = as_qubo(cities, matrix)
    return Found(problem, terms)


def parse(file: ProblemFile) -> Instance:
    """The parts of a file.

    Raises:
        RequestRejected: Naming the line.
    """
    instance, section = Instance(file), ""
    for number, line in enumerate(file.text.splitlines(), start=1):
        if not line.strip():
            continue
        if not line.strip()[0].isalpha():
            if not section:
                raise wrong(file, number, "numbers before any section")
            instance.sections[section].append((number, line.split()))
            continue
        keyword, _, value = (part.strip() for part in line.partition(":"))
        keyword = keyword.upper()
        if keyword == "EOF":
            break
        if keyword in _SECTIONS and keyword not in instance.sections:
            instance.sections[keyword], section = [], keyword
        elif keyword in _KEYWORDS and (keyword not in instance.header or keyword == "COMMENT"):
            instance.header[keyword] = (value, number)
        else:
            raise wrong(file, number, f"{keyword[:40]!r} is unknown, not for round trips, or there twice")
    if instance.says("TYPE", "TSP").split(" ")[0] not in {"TSP", "ATSP"}:
        raise instance.wrong("TYPE", f"the type is {instance.says('TYPE')[:40]!r}; TSP and ATSP are read")
    return instance


def distances(instance: Instance) -> Distances:
    """The distance from the city of a row to that of a column.

    Raises:
        RequestRejected: Naming the line.
    """
    kind = instance.says("EDGE_WEIGHT_TYPE")
    if kind == "EXPLICIT":
        return _explicit(instance)
    if kind not in _BETWEEN:
        raise instance.wrong(
            "EDGE_WEIGHT_TYPE",
            f"distances of type {kind[:40]!r} are not read: EXPLICIT, {', '.join(_BETWEEN)} are",
        )
    if instance.says("TYPE", "TSP").startswith("ATSP"):
        raise instance.wrong("TYPE", "an ATSP has EXPLICIT distances in a FULL_MATRIX")
    places, between = list(_places(instance).values()), _BETWEEN[kind]
    return tuple(
        tuple(0.0 if one is other else float(between(one, other)) for other in places) for one in places
    )


def _names(instance: Instance) -> tuple[str, ...]:
    if "NODE_COORD_SECTION" not in instance.sections:
        return ()
    return tuple(_places(instance))


def _places(instance: Instance) -> dict[str, Place]:
    """Coordinates by city, in the file's order."""
    file, found = instance.file, {}
    for number, words in instance.lines("NODE_COORD_SECTION"):
        if words == ["-1"]:
            break
        if len(words) != 3:
            raise wrong(file, number, f"a city is `number x y`, this has {len(words)} words")
        if not words[0].isdecimal():
            raise wrong(file, number, f"{words[0][:40]!r} is no city's number")
        if words[0] in found:
            raise wrong(file, number, f"city {words[0][:40]} is there twice")
        x, y = (weight(file, number, word) for word in words[1:])
        farthest = 180.0 if instance.says("EDGE_WEIGHT_TYPE") == "GEO" else _FARTHEST
        if max(abs(x), abs(y)) > farthest:
            raise wrong(file, number, f"a coordinate is beyond {farthest:g}")
        found[words[0]] = (x, y)
    if len(found) != instance.dimension:
        raise instance.wrong(
            "DIMENSION", f"it says {instance.dimension} cities, and {len(found)} have coordinates"
        )
    return found


def _nearest(value: float) -> int:
    return int(value + 0.5)


def _euclidean(one: Place, other: Place) -> int:
    return _nearest(math.hypot(one[0] - other[0], one[1] - other[1]))


def _ceiling(one: Place, other: Place) -> int:
    return math.ceil(math.hypot(one[0] - other[0], one[1] - other[1]))


def _pseudo_euclidean(one: Place, other: Place) -> int:
    exact = math.sqrt(((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2) / 10.0)
    nearest = _nearest(exact)
    return nearest + 1 if nearest < exact else nearest


def _geographical(one: Place, other: Place) -> int:
    """Kilometres on a sphere of radius 6378.388 km; a coordinate is degrees and, behind the point, minutes."""
    (lat, lon), (lat_2, lon_2) = (tuple(map(_radians, place)) for place in (one, other))
    q1, q2, q3 = math.cos(lon - lon_2), math.cos(lat - lat_2), math.cos(lat + lat_2)
    cosine = 0.5 * ((1.0 + q1) * q2 - (1.0 - q1) * q3)
    return int(6378.388 * math.acos(max(-1.0, min(1.0, cosine))) + 1.0)


def _radians(coordinate: float) -> float:
    degrees = int(coordinate)
    return 3.141592 * (degrees + 5.0 * (coordinate - degrees) / 3.0) / 180.0  # the library's own pi


_BETWEEN: Mapping[str, Callable[[Place, Place], int]] = {
    "EUC_2D": _euclidean,
    "CEIL_2D": _ceiling,
    "GEO": _geographical,
    "ATT": _pseudo_euclidean,
}


def _explicit(instance: Instance) -> Distances:
    """A matrix whose numbers are in lines of any length."""
    size, form = instance.dimension, instance.says("EDGE_WEIGHT_FORMAT")
    if form not in _ORDERS:
        raise instance.wrong(
            "EDGE_WEIGHT_FORMAT",
            f"a matrix in the format {form[:40]!r} is not read: {', '.join(_ORDERS)} are",
        )
    order = list(_ORDERS[form](size))
    words = [(number, word) for number, line in instance.lines("EDGE_WEIGHT_SECTION") for word in line]
    if len(words) != len(order):
        raise instance.wrong(
            "EDGE_WEIGHT_FORMAT",
            f"a {form} of {size} cities has {len(order):,} numbers, and {len(words):,} are there",
        )
    found = [[0.0] * size for _ in range(size)]
    for (row, column), (number, word) in zip(order, words, strict=True):
        value = weight(instance.file, number, word)
        if row == column:
            continue  # no tour stays where it is, and files write anything there
        if value < 0:
            raise wrong(instance.file, number, f"the distance {word[:40]} is negative")
        found[row][column] = value
        if form != "FULL_MATRIX":
            found[column][row] = value
    if not instance.says("TYPE", "TSP").startswith("ATSP"):
        _check_symmetry(instance, found)
    elif form != "FULL_MATRIX":
        raise instance.wrong("EDGE_WEIGHT_FORMAT", "an ATSP has a FULL_MATRIX")
    return tuple(map(tuple, found))


def _check_symmetry(instance: Instance, found: list[list[float]]) -> None:
    for row, line in enumerate(found):
        for column in range(row):
            if line[column] != found[column][row]:
                raise instance.wrong(
                    "EDGE_WEIGHT_FORMAT",
                    f"there and back differ between cities {column + 1} and {row + 1} ({found[column][row]:g} and {line[column]:g}): "
                    "say TYPE: ATSP where that is meant",
                )


def _pairs(
    size: int, keep: Callable[[int, int], bool], *, by_column: bool = False
) -> Iterator[tuple[int, int]]:
    for outer in range(size):
        for inner in range(size):
            row, column = (inner, outer) if by_column else (outer, inner)
            if keep(row, column):
                yield row, column


_ORDERS: Mapping[str, Callable[[int], Iterator[tuple[int, int]]]] = {
    "FULL_MATRIX": lambda size: _pairs(size, lambda _row, _column: True),
    "UPPER_ROW": lambda size: _pairs(size, lambda row, column: row < column),
    "LOWER_ROW": lambda size: _pairs(size, lambda row, column: row > column),
    "UPPER_DIAG_ROW": lambda size: _pairs(size, lambda row, column: row <= column),
    "LOWER_DIAG_ROW": lambda size: _pairs(size, lambda row, column: row >= column),
    "UPPER_COL": lambda size: _pairs(size, lambda row, column: row < column, by_column=True),
    "LOWER_COL": lambda size: _pairs(size, lambda row, column: row > column, by_column=True),
    "UPPER_DIAG_COL": lambda size: _pairs(size, lambda row, column: row <= column, by_column=True),
    "LOWER_DIAG_COL": lambda size: _pairs(size, lambda row, column: row >= column, by_column=True),
}
