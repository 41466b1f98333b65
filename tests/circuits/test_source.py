"""Hostile texts are refused before a parser sees them, and in linear time."""

import pytest

from circuits.source import SourceLimits, check_source, defined_gates
from qurable.contracts.circuits import CircuitFormat
from qurable.errors import CircuitRejected

QASM2, QASM3 = CircuitFormat.OPENQASM2, CircuitFormat.OPENQASM3

LIMITS = SourceLimits()


def refusal(text: str, form: CircuitFormat, limits: SourceLimits = LIMITS) -> CircuitRejected:
    """The error that a text meets."""
    with pytest.raises(CircuitRejected) as error:
        check_source(text, form, limits, "bomb")
    return error.value


@pytest.mark.parametrize(
    ("form", "version"), [(QASM2, "OPENQASM 2.0;"), (QASM3, "OPENQASM 3;")], ids=["qasm2", "qasm3"]
)
@pytest.mark.parametrize(
    "include",
    [
        'include "/etc/passwd";',
        'include "//etc/passwd";',
        "include '/etc/passwd';",
        'include "../../etc/passwd";',
        'include "/proc/self/environ";',
        'include/* */"/dev/zero";',
        'include\t\n"own.inc";',
        'include "qelib1.inc/*"; include "/etc/passwd"; // */',
    ],
)
def test_a_foreign_include_is_refused_by_name(form: CircuitFormat, version: str, include: str) -> None:
    """Qiskit's parser opens what a text names and quotes its first word back."""
    error = refusal(f"{version}\n{include}\n", form)

    assert "may include" in error.message
    assert (error.details["line"], error.details["column"]) == (2, 1)


@pytest.mark.parametrize(("form", "include"), [(QASM2, "qelib1.inc"), (QASM3, "stdgates.inc")])
def test_the_standard_include_is_let_through(form: CircuitFormat, include: str) -> None:
    """Each language has one, and a comment may name any file."""
    check_source(f'// include "/etc/passwd";\ninclude "{include}"; /* include "x"; */', form, LIMITS)


@pytest.mark.parametrize(
    ("form", "declaration"),
    [
        (QASM2, "qreg q[1000000000];"),
        (QASM2, "creg c[10001];"),
        (QASM2, "qreg a[6000];creg b[6000];"),
        (QASM2, "qreg q[99999999999999999999999999999999999999999999999999];"),
        (QASM3, "qubit[1000000000] q;"),
        (QASM3, "qubit[1_000_000_000] q;"),
        (QASM3, "qubit[0x3B9ACA00] q;"),
        (QASM3, "bit [ 0b111111111111111 ] c;"),
        (QASM3, "qreg q[20000];"),
    ],
)
def test_a_huge_register_is_refused_with_the_limit(form: CircuitFormat, declaration: str) -> None:
    """The parsers allocate it at once, and abort or panic."""
    error = refusal(declaration, form)

    assert "at most 10,000 are taken" in error.message
    assert error.details["line"] == 1


@pytest.mark.parametrize("size", ["1000*1000*1000", "N", "-5", "", "2**40"])
def test_a_size_that_is_no_number_is_refused(size: str) -> None:
    """What a parser has to work out, a check cannot bound."""
    error = refusal(f"OPENQASM 3;\n  qubit[{size}] q;", QASM3)

    assert f"size {size!r} is no number" in error.message
    assert (error.details["line"], error.details["column"]) == (2, 3)


@pytest.mark.parametrize("cover", ["@note /*", "pragma hide /*", "#pragma hide /*", 'defcalgrammar "/*";'])
def test_nothing_hides_behind_what_is_no_comment(cover: str) -> None:
    """The language swallows such a line whole: what stands under it is code, not the inside of a comment."""
    error = refusal(f"OPENQASM 3;\n{cover}\nqubit[1000000000] q;\n// */\n", QASM3)

    assert error.details["line"] == 3


def test_the_types_of_parameters_are_no_bits() -> None:
    """A circuit of 400 parameters declares 25,600 bits of floating-point numbers and no qubit."""
    parameters = "".join(f"input float[64] p{at};\n" for at in range(400))

    check_source(f"OPENQASM 3;\n{parameters}qubit[4] q;\n", QASM3, LIMITS)


def nested(levels: int, call: str = "g{0} a;") -> str:
    """Gate definitions of which each calls the one before it twice."""
    inner = "gate g0 a { U(0,0,0) a; U(0,0,0) a; }\n"
    for level in range(1, levels):
        use = call.format(level - 1)
        inner += f"gate g{level} a {{ {use} {use} }}\n"
    return inner


@pytest.mark.parametrize("levels", [20, 40, 400])
@pytest.mark.parametrize("call", ["g{0} a;", "inv @ g{0} a;", "ctrl(1) @ inv @ g{0} a;"])
def test_exponential_definitions_are_refused_where_they_pass_the_limit(levels: int, call: str) -> None:
    """Sixteen nested lines were enough to crash a bare transpile."""
    error = refusal(nested(levels, call), QASM3)

    assert "gate 'g19' expands to 1,048,576 operations; at most 1,000,000 are taken" in error.message
    assert error.details["line"] == 20


def test_calls_of_a_large_gate_add_up() -> None:
    """Each definition is within the limit, the program is not."""
    error = refusal(nested(19) + "g18 q[0];" * 2, QASM2)

    assert error.details == {"size": 2 * 2**19, "limit": 1_000_000}


def test_loops_in_a_definition_do_not_end_it() -> None:
    """A brace too early would let the rest of a definition go uncounted."""
    body = "for int i in [0:1] { h a; } h a; h a;"

    error = refusal(f"gate g a {{ {body} }} g q; g q;", QASM3, SourceLimits(expanded_gates=7))

    assert error.details["size"] == 8


def test_too_many_definitions_are_refused() -> None:
    """Each costs the parser an object, however small."""
    text = "".join(f"gate g{at} a {{ }}\n" for at in range(5_001))

    assert refusal(text, QASM2).details["line"] == 5_001


@pytest.mark.parametrize("opening", ["(", "[", "{"])
def test_deep_nesting_is_refused_at_the_bracket(opening: str) -> None:
    """Recursive parsers overflow their stack."""
    error = refusal(f"h q;\nx {opening * 65}", QASM3)

    assert "nest deeper than 64" in error.message
    assert (error.details["line"], error.details["column"]) == (2, 3 + 64)


@pytest.mark.parametrize("sign", ["-", "~", "!", "- ", "-\n~"])
def test_long_runs_of_signs_are_refused(sign: str) -> None:
    """Each is a level of recursion without a bracket."""
    assert "more than 64 signs" in refusal(f"rx({sign * 66}1) q;", QASM3).message


@pytest.mark.parametrize(("form", "limit"), [(QASM2, 4 * 2**20), (QASM3, 512 * 2**10)])
def test_fifty_megabytes_are_refused_by_their_size(form: CircuitFormat, limit: int) -> None:
    """The size is known before anything is read, and the message says what to send instead."""
    error = refusal("h q[0];\n" * (50 * 2**20 // 8), form)

    assert error.details == {"size": 50 * 2**20, "limit": limit}
    assert "as QPY" in error.message


@pytest.mark.parametrize(
    "text",
    [
        "/*" * 200_000,
        "gate a " * 60_000,
        ";a(]" * 100_000,
        "a" + " " * 400_000 + "x",
        "a @ " * 100_000,
        "a(" + "b" * 400_000,
        "bit " * 100_000,
        "qreg " * 80_000,
        "include " * 50_000,
        "\"'" * 200_000,
        "\"\n'\n" * 100_000,
        "@a /*" * 80_000,
        "- " * 30 + "x" * 400_000,
    ],
    ids=lambda text: text[:8].replace("\n", " "),
)
@pytest.mark.timeout(20)
def test_no_text_takes_longer_than_its_length_is_worth(text: str) -> None:
    """A check that a text can hang would be the bomb itself; the worst of these took minutes when it was quadratic."""
    check_source(text, QASM2, LIMITS)


def test_names_a_text_defines_are_found() -> None:
    """A gate that the text defines must not be taken for Qiskit's of the same name."""
    text = 'include "qelib1.inc";\n// gate ghost a {}\ngate swap a,b { cx a,b; }\n/* gate ghost */ gate\tp(t) a { }'

    assert defined_gates(text) == {"swap", "p"}


def test_an_ordinary_circuit_passes() -> None:
    """Strictness must not cost anybody a real program."""
    check_source(
        'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
        "gate majority a, b, c { cx c, b; cx c, a; ccx a, b, c; }\n"
        "input float[64] theta;\nqubit[4] q; bit[4] c;\n"
        "majority q[0], q[1], q[2];\nctrl @ rx(-(theta + 2*pi)/3) q[0], q[3];\n"
        "for int i in [0:9] { rz(0.1) q[0]; }\n"
        "c[0] = measure q[0];\nif (c[0]) { x q[1]; } else { h q[1]; }\nc = measure q;\n",
        QASM3,
        LIMITS,
    )
