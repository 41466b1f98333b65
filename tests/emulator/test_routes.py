"""What the installed client can call, found in the client itself: a release that calls something new is noticed."""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import qiskit_ibm_runtime.accounts.account as account
import qiskit_ibm_runtime.api.rest as rest
from qiskit_ibm_runtime.api.rest.base import RestAdapterBase

from emulator.api import OFFERED

_VERBS = {"get", "post", "put", "patch", "delete", "request"}


class Answer:
    """An answer that holds anything."""

    text = ""

    def json(self, **_: Any) -> dict[str, Any]:
        return {}


class Recorder:
    """A session that sends nothing: it writes down what would be sent, and from which line."""

    def __init__(self) -> None:
        self.calls: set[tuple[str, str]] = set()
        self.lines: set[tuple[str, int]] = set()

    def __getattr__(self, verb: str) -> Any:
        if verb not in _VERBS:
            raise AttributeError(verb)

        def send(url: str, **_: Any) -> Answer:
            frame = sys._getframe(1)
            self.calls.add((verb.upper(), url))
            self.lines.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
            return Answer()

        return send


def adapters() -> list[Any]:
    """Every class of the client that builds URLs."""
    for module in pkgutil.iter_modules(rest.__path__):
        importlib.import_module(f"{rest.__name__}.{module.name}")
    return list(RestAdapterBase.__subclasses__())


def recorded() -> Recorder:
    """Every method of every adapter was called once."""
    recorder = Recorder()
    for kind in adapters():
        for identifier, methods in _methods(kind).items():
            adapter = kind(recorder, *identifier)
            for name in methods:
                method = getattr(adapter, name)
                method(**{one: {} if one == "params" else "x" for one in _needed(method)})
    return recorder


def _methods(kind: Any) -> dict[tuple[str, ...], set[str]]:
    """What to call an adapter's class with, and its methods to call then."""
    public = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
    public.discard("get_url")
    if kind.__name__ == "Runtime":
        return {(): public}
    if kind.__name__ == "RuntimeSession":  # without an id it is the collection
        return {("{id}",): public - {"create"}, ("",): {"create"}}
    return {("{id}",): public}


def _needed(method: Any) -> list[str]:
    """Names of the arguments that a method must have."""
    return [
        parameter.name
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]


def test_every_call_of_the_client_has_a_route() -> None:
    """A path, or a method, that the emulator lacks would surprise its users, not us."""
    templates = {(method, re.sub(r"\{[a-z]+\}", "{id}", path)) for method, path in OFFERED}

    assert recorded().calls - templates == set()


def test_no_call_in_the_clients_sources_was_missed() -> None:
    """Each line that sends something was run by the test above."""
    lines = set()
    for file in Path(rest.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in _VERBS
                and ast.unparse(node.func.value) == "self.session"
            ):
                lines.add((file.name, node.lineno))

    reached = recorded().lines
    missed = {
        (file, line) for file, line in lines if not any((file, line + up) in reached for up in range(-3, 4))
    }
    assert len(lines) > 15
    assert missed == set()


def test_the_client_asks_the_cloud_for_nothing_else() -> None:
    """Beside IAM: search, catalogue, resource controller."""
    source = inspect.getsource(account) + inspect.getsource(sys.modules[account.resolve_crn.__module__])
    services = set(re.findall(r"\b(Global\w+V\d|Resource\w+V\d|IAM\w+|\w+V\d)\(", source))
    asked = set(re.findall(r"\b(?:client|catalog)\.(?!set_|configure_)(\w+)\(", source))

    assert services == {"GlobalSearchV2", "GlobalCatalogV1", "ResourceControllerV2", "IAMAuthenticator"}
    assert asked == {"search", "get_catalog_entry", "list_resource_instances"}


def test_a_call_that_is_new_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan finds what nobody has told it of."""

    class Forecast(RestAdapterBase):
        """Of tomorrow's client."""

        URL_MAP = {"weather": "/weather"}  # noqa: RUF012  as the client writes it

        def __init__(self, session: Any, _name: str) -> None:
            super().__init__(session)

        def weather(self) -> Any:
            return self.session.get(self.get_url("weather"))

    monkeypatch.setattr(sys.modules[__name__], "adapters", lambda: [Forecast])
    assert recorded().calls == {("GET", "/weather")}
