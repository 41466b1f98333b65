"""Hostile and broken circuits go all the way to a worker: each is refused in a sentence, and the worker lives."""

import re
from pathlib import Path

import pytest

from circuits.source import SourceLimits
from qurable.contracts.circuits import MAX_TEXT_BYTES, Circuit, CircuitFormat
from qurable.contracts.pubs import SamplePub
from settings import Settings
from tests.bad_input.asking import refusal
from tests.conftest import Service, Stack

HEAD2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
HEAD3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'

DOUBLING = "".join(f"gate g{at} a {{ g{at - 1} a; g{at - 1} a; }}\n" for at in range(1, 41))
WORSE = "".join(f"gate g{at} a {{ {f'g{at - 1} a; ' * 16} }}\n" for at in range(1, 17))
LEVELS = "".join(f"gate g{at} a {{ g{at - 1} a; }}\n" for at in range(1, 4000))


def _calls(definitions: str, gate: str) -> str:
    return (
        f"{HEAD2}gate g0 a {{ x a; }}\n{definitions}qreg q[1];\ncreg c[1];\n{gate} q[0];\nmeasure q -> c;\n"
    )


HOSTILE = {
    "unparsable": (f"{HEAD2}qreg q[2];\nh q[0]\ncx q[0], q[1];\n", r"line 5, column 1: needed ';'"),
    "unparsable, OpenQASM 3": (f"{HEAD3}qubit[2] q;\n  foo q[0];\n", r"line 4, column 3: gate 'foo'"),
    "unknown gate": (f"{HEAD2}qreg q[1];\ncy2 q[0];\n", r"line 4, column 1: 'cy2' is not defined"),
    "unknown include": (
        'OPENQASM 2.0;\ninclude "/etc/passwd";\nqreg q[1];\n',
        r"line 2, column 1: include '/etc/passwd': .* may include 'qelib1.inc' and nothing else",
    ),
    "unknown include, OpenQASM 3": (
        'OPENQASM 3.0;\ninclude "/etc/passwd";\nqubit q;\n',
        r"line 2, column 1: include '/etc/passwd': .* may include 'stdgates.inc' and nothing else",
    ),
    "a thousand million qubits": (
        f"{HEAD2}qreg q[1000000000];\n",
        r"line 3, column 1: 1,000,000,000 bits are declared up to here; at most 10,000 are taken",
    ),
    "a thousand million qubits, OpenQASM 3": (
        f"{HEAD3}qubit[1000000000] q;\n",
        r"line 3, column 1: 1,000,000,000 bits are declared up to here; at most 10,000 are taken",
    ),
    "sixteen nested lines": (
        _calls(WORSE, "g16"),
        r"line 8, column 6: gate 'g5' expands to 1,048,576 operations; at most 1,000,000 are taken",
    ),
    "gates that double": (_calls(DOUBLING, "g40"), r"gate 'g20' expands to 1,048,576 operations"),
    "gates nested too deeply": (_calls(LEVELS, "g3999"), r"nests gate definitions deeper than 200"),
    "brackets nested too deeply": (
        f"{HEAD2}qreg q[1];\nrz({'(' * 5000}1{')' * 5000}) q[0];\n",
        r"line 4, column \d+: brackets nest deeper than 64",
    ),
    "loops nested too deeply": (
        f"{HEAD3}qubit q;\n" + "".join(f"for int i{at} in [0:1] {{ " for at in range(60)) + "x q;" + "}" * 60,
        r"nested too deeply to be read; flatten loops or definitions",
    ),
    "signs without end": (f"{HEAD2}qreg q[1];\nrz({'-' * 100_000}1) q[0];\n", r"more than 64 signs in a row"),
    "an angle that overflows": (
        f"{HEAD2}qreg q[1];\ncreg c[1];\nrz(1e308*10) q[0];\nmeasure q -> c;\n",
        r"gate 'rz' has the angle inf; angles must be finite",
    ),
    "no measurement": (
        f"{HEAD2}qreg q[2];\nh q[0];\n",
        r"measures nothing, so there is nothing to count: add measurements, or estimate observables",
    ),
    "no program": ("OPENQASM 2.0;\n\x00", r"circuit 'circuit', line 2, column 1: "),
    "nothing at all": ("// nothing\n", r"circuit 'circuit': it is not valid OpenQASM"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_text_is_refused_in_a_sentence(service: Service, name: str) -> None:
    """What is wrong, where, the limit and the way out; nobody but its sender notices."""
    text, reason = HOSTILE[name]

    error = await refusal(service, text)

    assert error.code in {"CircuitRejected", "RequestRejected"}
    assert error.message == error.message.strip()
    assert "\n" not in error.message
    assert re.search(reason, error.message), error.message


async def test_no_message_holds_what_stands_in_a_foreign_file(service: Service) -> None:
    """An include that is refused must not be read first."""
    error = await refusal(service, f'{HEAD2}include "/etc/passwd";\nqreg q[1];\n')

    assert "root:" not in error.message
    assert error.code == "CircuitRejected"


async def test_fifty_megabytes_never_leave_the_client(service: Service, tmp_path: Path) -> None:
    """As text and as a file; the file is not even read."""
    body = f"{HEAD2}qreg q[1];\n" + "x q[0];\n" * (50 * 2**20 // 8)
    file = tmp_path / "long.qasm"
    file.write_text(body, encoding="ascii")

    for work in (body, file):
        error = await refusal(service, work)
        assert error.code == "RequestRejected"
        assert f"at most {MAX_TEXT_BYTES:,} are taken" in error.message
        assert "send it from the typed client as QPY" in error.message


@pytest.mark.parametrize(
    ("head", "form", "limit"),
    [
        (HEAD2 + "qreg q[1];\n", CircuitFormat.OPENQASM2, SourceLimits.openqasm2_bytes),
        (HEAD3 + "qubit[1] q;\n", CircuitFormat.OPENQASM3, SourceLimits.openqasm3_bytes),
    ],
)
async def test_a_text_that_is_longer_than_workers_parse_is_refused_by_them(
    service: Service, head: str, form: CircuitFormat, limit: int
) -> None:
    """It leaves Temporal's history by external storage on the way there."""
    text = head + "x q[0];\n" * (limit // 8)
    error = await refusal(service, SamplePub(circuit=Circuit(format=form, text=text)))

    assert error.code == "CircuitRejected"
    assert f"bytes of {form}; at most {limit:,} are parsed" in error.message


async def test_fifty_megabytes_from_a_client_that_checks_nothing_are_refused(service: Service) -> None:
    """The limits hold at the worker, whoever sends."""
    circuit = Circuit.model_construct(
        format=CircuitFormat.OPENQASM2, text=HEAD2 + "x q[0];\n" * (50 * 2**20 // 8), qpy=None, name="circuit"
    )
    error = await refusal(service, SamplePub.model_construct(circuit=circuit))

    assert error.code == "RequestRejected"
    assert f"at most {MAX_TEXT_BYTES:,} are taken" in error.message


ENDLESS = {
    "while": f"{HEAD3}qubit q;\nbit c;\nx q;\nc = measure q;\nwhile (c == true) {{ x q; x q; c = measure q; }}\n",
    "for": f"{HEAD3}qubit q;\nbit c;\nfor int i in [0:1000000000] {{ x q; }}\nc = measure q;\n",
}


@pytest.mark.parametrize("loop", ENDLESS)
async def test_a_loop_that_never_ends_ends_at_its_limit(service: Service, loop: str) -> None:
    """It cannot be told beforehand; the child that runs it is killed, and the next job has its place."""
    error = await refusal(service, ENDLESS[loop], shots=10, backend="aer", limits={"run": 2.0})

    assert error.code == "RunLimitReached"
    assert error.message == "the job ran for 2 s on 'aer', its limit: allow more with limits.run"


async def test_a_panic_of_the_parser_is_a_sentence(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rust's panics are no `Exception`; without our own limit, this text makes the parser panic."""
    unlimited = SourceLimits(bits=10**12)
    monkeypatch.setattr(Settings, "source_limits", property(lambda _: unlimited))
    async with stack() as service:
        error = await refusal(service, f"{HEAD2}qreg q[1000000000];\n")

    assert error.code == "CircuitRejected"
    assert "circuit 'circuit': the parser gave up on it" in error.message


async def test_a_panic_of_any_task_is_a_defect_with_its_name(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, since it may be a passing one, and then said."""
    from isolation.pool import ChildPool

    call = ChildPool.call
    panics = iter([True] * 3)

    async def panicking(pool: ChildPool, task: str, *args: object, **options: object) -> object:
        if task == "circuits.parse:parse_circuits" and next(panics, False):
            task = "tests.isolation.tasks:panic"
        return await call(pool, task, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ChildPool, "call", panicking)
    async with stack() as service:
        error = await refusal(service, f"{HEAD2}qreg q[1];\ncreg c[1];\nmeasure q -> c;\n")

    assert error.code == "InternalError"
    assert "parsing failed with _PanicError" in error.message


@pytest.mark.parametrize("kind", ["binary", "missing", "folder"])
async def test_what_is_no_text_file_is_refused_by_name(service: Service, tmp_path: Path, kind: str) -> None:
    """Before, or by, whoever would have to read it."""
    path = tmp_path / f"{kind}.qasm"
    if kind == "binary":
        path.write_bytes(bytes(range(256)))
    elif kind == "folder":
        path.mkdir()

    error = await refusal(service, path)

    assert error.code in {"CircuitRejected", "RequestRejected"}
    assert kind in error.message
