"""Registered objectives: which function answers to a name, and what a function that misbehaves amounts to."""

import importlib
import sys
from pathlib import Path

import pytest

from circuits.objective_functions import penalised, variance
from circuits.registered_objectives import CalledObjective, ObjectiveBroke, known
from qurable.contracts.objectives import KnownObjective, ObjectiveCall
from qurable.errors import OptimisationFailed, RequestRejected

MODULE = """
import math
import time

import numpy as np


def plain(expectations, parameters, data):
    return sum(expectations) + parameters[0] + data.get("more", 0)


def as_numpy(expectations, parameters, data):
    return np.float64(2.5)


def hangs(expectations, parameters, data):
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


def raises(expectations, parameters, data):
    raise ZeroDivisionError("by hand")


def text(expectations, parameters, data):
    return "1.0"


def nothing(expectations, parameters, data):
    pass


def truth(expectations, parameters, data):
    return True


def no_number(expectations, parameters, data):
    return math.nan


def endless(expectations, parameters, data):
    return math.inf


def of_one(expectations):
    return 0.0


VALUE = 3
"""

_FUNCTIONS = (
    "plain",
    "as_numpy",
    "hangs",
    "raises",
    "text",
    "nothing",
    "truth",
    "no_number",
    "endless",
    "of_one",
)


def install(folder: Path, name: str = "acme", version: str = "1.2", module: str = MODULE) -> Path:
    """A distribution that registers objectives, as an installer leaves it."""
    (folder / f"{name}_objectives.py").write_text(module, encoding="utf-8")
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    lines = [f"{entry} = {name}_objectives:{entry}" for entry in _FUNCTIONS]
    lines += [f"value = {name}_objectives:VALUE", f"gone = {name}_objectives:gone", "lost = no_such_module:f"]
    (info / "entry_points.txt").write_text(
        "[qurable.objectives]\n" + "\n".join(lines) + "\n", encoding="utf-8"
    )
    return info


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "acme_objectives", raising=False)
    return tmp_path


def _called(name: str, **fields: object) -> CalledObjective:
    return CalledObjective(ObjectiveCall.model_validate({"name": name, **fields}), known(name))


def test_a_function_is_told_values_parameters_and_data(acme: Path) -> None:
    """In this order; numbers of other libraries are numbers."""
    assert _called("plain", data={"more": 10}).value([1.0, 2.0], [0.5]) == 13.5
    assert _called("as_numpy").value([], []) == 2.5
    assert (known("plain").package, known("plain").version) == ("acme", "1.2")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hangs", "took longer than its 0.2 s"),
        ("raises", "raised ZeroDivisionError: by hand"),
        ("text", "gave '1.0' of type str"),
        ("nothing", "gave None of type NoneType"),
        ("truth", "gave True of type bool"),
        ("no_number", "gave nan"),
        ("endless", "gave inf"),
        ("of_one", "raised TypeError"),
    ],
)
def test_what_gives_no_number_is_told_so(acme: Path, name: str, words: str) -> None:
    """By its name; one that hangs is stopped, whatever it catches."""
    with pytest.raises(ObjectiveBroke, match=f"'{name}' {words}"):
        _called(name, seconds=0.2).value([1.0], [0.0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plane", "no objective 'plane' is registered on this worker: did you mean 'plain'"),
        ("nothing_like_it", "registered are .*penalised.*variance"),
        ("value", "which is no function"),
        ("gone", "cannot be loaded from 'acme_objectives:gone': AttributeError"),
        ("lost", "cannot be loaded from 'no_such_module:f': ModuleNotFoundError"),
    ],
)
def test_a_name_that_leads_to_no_function_is_refused(acme: Path, name: str, words: str) -> None:
    """With what is registered, or what is wrong with it."""
    with pytest.raises(RequestRejected, match=words):
        known(name)


def test_a_name_that_two_packages_register_is_refused(acme: Path) -> None:
    """Which of them answers must not depend on the order of a path."""
    install(acme, "zeal")
    importlib.invalidate_caches()

    with pytest.raises(RequestRejected, match="registered by acme_objectives:plain and zeal"):
        known("plain")


def test_a_function_that_has_changed_is_another(acme: Path) -> None:
    """A loop that went on with it would mix two walks."""
    before = known("plain")
    (acme / "acme_objectives.py").write_text(MODULE + "\n# changed\n", encoding="utf-8")

    with pytest.raises(OptimisationFailed, match=r"'plain' has changed since the loop began \(acme 1.2 "):
        CalledObjective(ObjectiveCall(name="plain"), before)
    with pytest.raises(OptimisationFailed, match="no objective 'missing'"):
        CalledObjective(
            ObjectiveCall(name="missing"),
            KnownObjective(name="missing", function="a:b", package="", version="", digest=""),
        )


def test_those_that_come_along_do_what_they_say() -> None:
    """By hand."""
    assert penalised([-1.0, 2.0, 0.5], [], {"targets": [1.0, 0.0], "weight": 2}) == -1 + 2 * (1 + 0.25)
    assert variance([0.5, 1.0], [], {}) == 0.75


def test_data_of_a_call_have_a_size() -> None:
    """They travel with every chunk."""
    with pytest.raises(ValueError, match="65,536 at most"):
        ObjectiveCall(name="plain", data={"x": "y" * 70_000})
