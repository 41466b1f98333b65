"""Who imports whom, read from the source: also imports inside functions and tasks that are named for a child."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_TASK = re.compile(r"([a-z_]+(?:\.[a-z_]+)+):[a-z_]+")
"""How a task for a child is named: the child imports the module before the colon."""


@dataclass(frozen=True)
class Import:
    """One import.

    Attributes:
        file: Where it stands, from the root.
        line: Its line.
        module: What is imported, dotted.
        nested: Whether it runs only when a function is called or a type checker looks.
    """

    file: str
    line: int
    module: str
    nested: bool = False

    @property
    def package(self) -> str:
        """The first part of what is imported."""
        return self.module.partition(".")[0]

    def __str__(self) -> str:
        """Where to look, and what is there."""
        return f"{self.file}:{self.line} imports {self.module}"


def imports_of(source: str, file: str) -> Iterator[Import]:
    """Every import of a module's source.

    Args:
        source: Its text.
        file: Its path from the root.
    """
    tree = ast.parse(source)
    at_import = {id(node) for node in _run_at_import(tree)}
    for node in ast.walk(tree):
        nested = id(node) not in at_import
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield Import(file, node.lineno, alias.name, nested)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = _absolute(module or "", level, file)
                for alias in names:  # `from store import jobs` imports the module `store.jobs`
                    yield Import(file, node.lineno, f"{base}.{alias.name}", nested)
            case ast.Constant(value=str(text)) if task := _TASK.fullmatch(text):
                yield Import(file, node.lineno, task.group(1), nested=True)


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for rest in child.orelse:
                yield rest
                yield from _run_at_import(rest)
            continue
        yield child
        yield from _run_at_import(child)


def _absolute(module: str, level: int, file: str) -> str:
    if not level:
        return module
    package = Path(file).with_suffix("").parts[:-level]
    return ".".join([*package, module] if module else package)


def sources(*places: str) -> Iterator[tuple[str, str]]:
    """(path from the root, text) of every Python file in these folders, or of these files."""
    for place in places:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.is_file() else []:
            yield str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")


def imports_in(*places: str) -> list[Import]:
    """Every import in these folders and files."""
    return [found for file, text in sources(*places) for found in imports_of(text, file)]
