"""What the wheel offers: every name is there, and says what it is."""

import ast
from collections.abc import Iterator

import pytest

import qurable
from tests.architecture.imports import ROOT, sources

PUBLIC = sorted(qurable.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_promised_name_can_be_imported(name: str) -> None:
    """Names are imported when first used; a wrong home would be found by a user."""
    assert getattr(qurable, name).__name__ == name


def test_what_is_promised_is_what_type_checkers_and_the_interpreter_know() -> None:
    """Three lists say what the package holds: for `*`, for type checkers and for the interpreter."""
    tree = ast.parse((ROOT / "qurable" / "__init__.py").read_text(encoding="utf-8"))
    for_type_checkers = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert for_type_checkers == qurable._HOME
    assert sorted(for_type_checkers) == PUBLIC == dir(qurable)


def test_an_unknown_name_is_refused_as_of_any_module() -> None:
    """`hasattr` and tools that look around rely on it."""
    assert not hasattr(qurable, "Quorable")


def _undocumented(tree: ast.Module, file: str) -> Iterator[str]:
    """Public functions, classes and methods, and the module, that have no docstring."""
    if not ast.get_docstring(tree):
        yield file
    public: list[tuple[str, ast.AST]] = [("", tree)]
    while public:
        prefix, parent = public.pop()
        for node in ast.iter_child_nodes(parent):
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("_") or _is_signature(node):
                continue
            if not ast.get_docstring(node):
                yield f"{file}:{node.lineno} {prefix}{node.name}"
            if isinstance(node, ast.ClassDef):
                public.append((f"{prefix}{node.name}.", node))


def _is_signature(node: ast.AST) -> bool:
    """Whether it is one of a function's signatures; the function itself has the words."""
    decorators = getattr(node, "decorator_list", [])
    return any(isinstance(one, ast.Name) and one.id == "overload" for one in decorators)


def test_everything_public_in_the_wheel_says_what_it_is() -> None:
    """Who installs the wheel has its docstrings and nothing else."""
    missing = [name for file, text in sources("qurable") for name in _undocumented(ast.parse(text), file)]

    assert missing == []
