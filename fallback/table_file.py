"""Read a strategy table from YAML, and say at which line it is wrong."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from fallback.table import Place, StrategyTable, flaws
from qurable.errors import RequestRejected

DEFAULT = Path(__file__).with_name("strategy.yaml")
_AT_MOST = 5
"""Problems that one message names."""


def load_table(file: Path | None = None) -> StrategyTable:
    """The table of a file, or the one that is shipped.

    Raises:
        RequestRejected: The file cannot be read or its table cannot be used; every problem with its line.
    """
    path = file or DEFAULT
    try:
        body = path.read_bytes()
    except OSError as failure:
        raise RequestRejected(
            f"the strategy table {str(path)!r} cannot be read: {failure.strerror}"
        ) from None
    return parse_table(body, path.name)


def parse_table(body: bytes, name: str) -> StrategyTable:
    """A table from the bytes of a YAML file.

    Raises:
        RequestRejected: Every problem with its line.
    """
    try:
        node = yaml.compose(body, Loader=yaml.SafeLoader)
        document = yaml.safe_load(body)
        if not isinstance(document, dict) or node is None:
            raise _refused(name, ["line 1: a table is a mapping with `rules` and `rungs`"])
        lines = dict(_lines(node, ()))
        twice = list(_twice(node))
    except yaml.YAMLError as failure:
        mark = getattr(failure, "problem_mark", None)
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise _refused(name, [f"{where}{getattr(failure, 'problem', None) or failure}"]) from None
    except RecursionError:
        raise _refused(name, ["it nests too deeply, or holds itself"]) from None
    except ValueError as failure:  # a date that does not exist, say
        raise _refused(name, [str(failure)]) from None
    if twice:
        raise _refused(name, twice)
    try:
        table = StrategyTable.model_validate({**document, "sha256": hashlib.sha256(body).hexdigest()})
    except ValidationError as failure:
        problems = [
            _problem(lines, error["loc"], error["msg"].removeprefix("Value error, "))
            for error in failure.errors(include_url=False, include_context=False)
        ]
        raise _refused(name, problems) from None
    wrong = [_problem(lines, place, why) for place, why in flaws(table)]
    if "sha256" in document:
        wrong.append(_problem(lines, ("sha256",), "the digest is computed and not given"))
    if wrong:
        raise _refused(name, wrong)
    return table


def _refused(name: str, problems: list[str]) -> RequestRejected:
    more = "" if len(problems) <= _AT_MOST else f"; and {len(problems) - _AT_MOST} more"
    return RequestRejected(
        f"the strategy table {name!r} is not acceptable: {'; '.join(problems[:_AT_MOST])}{more}",
        problems=problems,
    )


def _problem(lines: dict[Place, int], place: Place, why: str) -> str:
    """A problem with its line: that of the word, or of the nearest thing around it."""
    known = place
    while known not in lines:
        known = known[:-1]
    return f"line {lines[known]}: {'.'.join(map(str, place))}: {why}"


def _lines(node: Any, place: Place) -> Iterator[tuple[Place, int]]:
    """The line of every key and entry."""
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, key.value)
            yield from _lines(value, inner)
            yield inner, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _lines(value, (*place, number))


def _twice(node: Any) -> Iterator[str]:
    """Keys that stand twice in one mapping; of these the last would win in silence."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield f"line {key.start_mark.line + 1}: {key.value!r} is given twice"
            seen.add(key.value)
            yield from _twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _twice(value)
