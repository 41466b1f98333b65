"""Loops that tests know the answers of."""

from qurable.contracts.observables import PauliTerm
from qurable.contracts.problems import MaxCut, PauliHamiltonian

H2 = {
    "II": -1.052373245772859,
    "IZ": 0.39793742484318045,
    "ZI": -0.39793742484318045,
    "ZZ": -0.01128010425623538,
    "XX": 0.18093119978423156,
}
"""Molecular hydrogen at 0.735 angstrom in STO-3G, two qubits: O'Malley and others, Phys. Rev. X 6, 031007 (2016)."""

H2_ENERGY = -1.857275030202382
"""Its lowest eigenvalue (hartree, without the nuclei's repulsion)."""


def chain(sites: int) -> PauliHamiltonian:
    """The open chain of Ising spins in a transverse field, where it is critical: -sum ZZ - sum X."""
    bonds = [PauliTerm(pauli="ZZ", qubits=(at, at + 1), coefficient=-1.0) for at in range(sites - 1)]
    fields = [PauliTerm(pauli="X", qubits=(at,), coefficient=-1.0) for at in range(sites)]
    return PauliHamiltonian(num_qubits=sites, terms=(*bonds, *fields))


def three_regular(nodes: int) -> MaxCut:
    """The Mobius ladder of so many nodes: a ring whose opposite nodes are joined."""
    ring = [(at, (at + 1) % nodes, 1.0) for at in range(nodes)]
    rungs = [(at, at + nodes // 2, 1.0) for at in range(nodes // 2)]
    return MaxCut(num_nodes=nodes, edges=(*ring, *rungs))
