"""No text makes a reader of problem files raise anything but an error that the sender can act on."""

import base64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from circuits.problem_files import FORMATS, read_problem
from qurable.contracts.optimisations import ProblemFile, ProblemFormat
from qurable.errors import HybridError
from tests.circuits.test_problem_files import FCIDUMP
from tests.circuits.test_tsplib import BURMA14, FIVE, ONE_WAY
from tests.circuits.test_whole_programs import KNAPSACK, SHARES

GOOD = {
    ProblemFormat.EDGE_LIST: "0 1\n1 2 2.5\n",
    ProblemFormat.G_SET: "3 2\n1 2 1\n2 3 -1\n",
    ProblemFormat.QUBO: "p qubo 0 3 2 1\n0 0 1\n2 2 -2\n0 2 3\n",
    ProblemFormat.COO: "0 0 1\n0 2 1\n",
    ProblemFormat.DIMOD: '{"type": "BinaryQuadraticModel", "variable_type": "SPIN", "variable_labels": [0, 1], '
    '"linear_biases": [1, 2], "quadratic_head": [0], "quadratic_tail": [1], "quadratic_biases": [3], "offset": 0}',
    ProblemFormat.SPARSE_PAULI_OP: '{"paulis": ["IZ", "XY"], "coeffs": [0.5, [1.5, 0.0]]}',
    ProblemFormat.FCIDUMP: FCIDUMP,
    ProblemFormat.TSPLIB: FIVE,
    ProblemFormat.LP: KNAPSACK,
    ProblemFormat.MPS: SHARES,
    ProblemFormat.CSV: "u,v,weight\n0,1,1\n1,2,2.5\n",
    ProblemFormat.PARQUET: "",
}

_NASTY = (
    *(
        "nan",
        "-nan",
        "inf",
        "-inf",
        "1e999",
        "-1",
        "0",
        "1000000000",
        "9" * 400,
        "1e-400",
        "0x10",
        "1_0",
        "١",
    ),
    *(
        "",
        " ",
        "\n",
        "\r",
        "\t",
        "\0",
        "\ufeff",
        '"',
        ",",
        ";",
        ":",
        "/",
        "&END",
        "End",
        "free",
        "[",
        "{",
        "null",
        "true",
    ),
)


@st.composite
def _mutated(draw: Any, text: str) -> str:
    """A good file with some of its pieces put out of place."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        put = draw(st.one_of(st.sampled_from(_NASTY), st.text(max_size=6)))
        text = text[:start] + put + text[end:]
    return text


def _read(form: ProblemFormat, text: str, base: int | None, table: str | None) -> None:
    if form is ProblemFormat.PARQUET:
        text = base64.b64encode(text.encode(errors="replace")).decode()
    file = ProblemFile.model_validate(
        {
            "format": form,
            "text": text,
            "index_base": base if FORMATS[form].base is not None else None,
            "table": table if FORMATS[form].table else None,
        }
    )
    try:
        read_problem(file)
    except HybridError as failure:
        assert failure.message  # noqa: PT017
        assert len(failure.message) < 1000  # noqa: PT017


@pytest.mark.parametrize("form", ProblemFormat)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_file_that_was_damaged_is_read_or_refused(form: ProblemFormat, data: st.DataObject) -> None:
    """Never a traceback, and never a message as long as the file."""
    good = [GOOD[form], *([BURMA14, ONE_WAY] if form is ProblemFormat.TSPLIB else [])]
    text = data.draw(st.one_of(*map(_mutated, good), st.text(max_size=80)))
    base, table = (
        data.draw(st.sampled_from([None, 0, 1])),
        data.draw(st.sampled_from([None, "maxcut", "qubo"])),
    )

    _read(form, text, base, table)


@pytest.mark.parametrize("form", ProblemFormat)
def test_the_good_ones_are_good(form: ProblemFormat) -> None:
    """Or their mutations would show nothing."""
    if form is not ProblemFormat.PARQUET:
        assert read_problem(ProblemFile.model_validate({"format": form, "text": GOOD[form]})).problem
