"""Problems from files: what each format means, and in which line something is wrong."""

import json
from typing import Any

import dimod
import pytest

from circuits.problem_files import read_problem
from qurable.contracts.optimisations import ProblemFile
from qurable.contracts.problems import (
    FermionicHamiltonian,
    Ising,
    MaxCut,
    PauliHamiltonian,
    Qubo,
)
from qurable.errors import RequestRejected
from tests.fermions_at_hand import exact_spectrum

FCIDUMP = """ &FCI NORB=2,NELEC=2,MS2=0,
  ORBSYM=1,1,
  ISYM=1,
 &END
 0.6757101548035161  1 1 1 1
 0.1809311997842314  2 1 2 1
 0.6645817302552963  2 2 1 1
 0.6985737227320175  2 2 2 2
 -1.2563390730032498 1 1 0 0
 -0.4718960072811407 2 2 0 0
 0.7199689944489797  0 0 0 0
"""
"""Molecular hydrogen at 0.735 angstrom in STO-3G, as PySCF writes it."""


def read(form: str, text: str, **more: Any) -> Any:
    return read_problem(ProblemFile.model_validate({"format": form, "text": text, **more})).problem


def test_an_edge_list_counts_from_0_unless_its_owner_says_1() -> None:
    """One off, and another graph is solved."""
    assert read("edge_list", "# a path\n0 1\n1 2 2.5\n") == MaxCut(
        num_nodes=3, edges=((0, 1, 1.0), (1, 2, 2.5))
    )
    assert read("edge_list", "1 2\n2 3\n", index_base=1).edges == ((0, 1, 1.0), (1, 2, 1.0))


def test_a_g_set_file_counts_from_1_and_keeps_lone_nodes() -> None:
    """As its authors write it."""
    assert read("g_set", "4 2\n1 2 1\n2 3 -1\n") == MaxCut(num_nodes=4, edges=((0, 1, 1.0), (1, 2, -1.0)))


def test_qubo_and_coo_add_up_what_stands_on_either_side_of_the_diagonal() -> None:
    """Some write the upper triangle, some both halves."""
    wanted = Qubo(linear=(1.0, 0.0, -2.0), quadratic=((0, 2, 3.0),))

    assert read("coo", "0 0 1\n0 2 1\n2 0 2\n2 2 -2\n") == wanted
    assert read("qubo", "c by hand\np qubo 0 3 2 1\n0 0 1\n2 2 -2\n0 2 3\n") == wanted


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
def test_a_model_that_dimod_wrote_has_the_energies_that_dimod_gives(vartype: str) -> None:
    """Against the library itself."""
    from circuits.problems import score

    model = dimod.BinaryQuadraticModel(
        {"a": 1.0, "b": -0.5, "c": 0.0}, {("a", "b"): 2.0, ("b", "c"): -1.0}, 0.25, vartype
    )
    problem = read("dimod", json.dumps(model.to_serializable()))

    assert isinstance(problem, Ising if vartype == "SPIN" else Qubo)
    for number in range(8):
        bits = [number >> at & 1 for at in range(3)]
        values = bits if vartype == "BINARY" else [1 - 2 * bit for bit in bits]
        assert score(problem, bits).objective == pytest.approx(
            model.energy(dict(zip("abc", values, strict=True)))
        )


def test_labels_of_a_sparse_pauli_op_are_read_as_qiskit_reads_them() -> None:
    """The rightmost letter acts on qubit 0; a coefficient may be a pair without imaginary part."""
    found = read("sparse_pauli_op", '{"paulis": ["IZ", "XY"], "coeffs": [0.5, [1.5, 0.0]]}')

    assert isinstance(found, PauliHamiltonian)
    assert [(term.pauli, term.qubits, term.coefficient) for term in found.terms] == [
        ("Z", (0,), 0.5),
        ("YX", (0, 1), 1.5),
    ]


@pytest.mark.parametrize("mapping", ["jordan_wigner", "parity"])
def test_an_fcidump_of_hydrogen_has_its_full_configuration_energy(mapping: str) -> None:
    """-1.1373 hartree, by creation and annihilation on occupation numbers."""
    found = read("fcidump", FCIDUMP, mapping=mapping)

    assert isinstance(found, FermionicHamiltonian)
    assert (found.num_modes, found.mapping) == (4, mapping)
    assert exact_spectrum(found)[0] == pytest.approx(-1.137306035753, abs=1e-9)


def test_a_mapping_of_what_has_no_modes_is_refused() -> None:
    """A document that somebody wrote may hold what nothing heeds."""
    with pytest.raises(RequestRejected, match="mapping says nothing of a g_set file"):
        read("g_set", "2 1\n1 2 1\n", mapping="parity")


@pytest.mark.parametrize(
    ("form", "text", "words"),
    [
        ("edge_list", "", "no edges"),
        ("edge_list", "0 1\n1\n", "line 2"),
        ("edge_list", "0 x\n", "'x' is no index"),
        ("edge_list", "0 -1\n", "out of range"),
        ("edge_list", "0 1 nan\n", "finite"),
        ("edge_list", "0 0\n", "itself"),
        ("edge_list", "0 99999999\n", "out of range"),
        ("g_set", "0 1 1\n", "nodes edges"),
        ("g_set", "2 2\n1 2 1\n", "says 2 edges, and 1"),
        ("g_set", "2 1\n0 1 1\n", "out of range"),
        ("g_set", "2 1\n1 3 1\n", "beyond"),
        ("qubo", "0 0 1\n", "p qubo"),
        ("coo", "0 1\n", "i j value"),
        ("coo", "", "no entries"),
        ("dimod", "[1]", "object"),
        ("dimod", "{", "no JSON"),
        ("dimod", '{"type": "BinaryQuadraticModel", "linear_biases": [1], "variable_labels": []}', "label"),
        ("sparse_pauli_op", '{"paulis": ["Z"], "coeffs": [[1, 0.5]]}', "Hermitian"),
        ("sparse_pauli_op", '{"paulis": ["Z", "ZZ"], "coeffs": [1, 1]}', "different widths"),
        ("sparse_pauli_op", '{"paulis": ["Z"], "coeffs": ["1"]}', "no number"),
        ("sparse_pauli_op", '{"paulis": ["Q"], "coeffs": [1]}', "Q"),
        ("sparse_pauli_op", '{"paulis": ["Z"], "coeffs": [1e999]}', "finite"),
        ("fcidump", "1 1 1 1 1\n", "header"),
        ("fcidump", "&FCI NORB=2 &END\n1.0 3 1 0 0\n", "beyond 2"),
        ("fcidump", "&FCI NORB=99 &END\n", "1 to 32"),
        ("fcidump", "&FCI NORB=2,IUHF=1 &END\n", "unrestricted"),
        ("sparse_pauli_op", "[" * 100_000, "JSON|nested"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(form: str, text: str, words: str) -> None:
    """Whoever wrote it has to find it."""
    with pytest.raises(RequestRejected, match=words):
        read(form, text)
