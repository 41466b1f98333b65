"""FCIDUMP (Knowles and Handy, Comput. Phys. Commun. 54, 75 (1989)): integrals over real spatial orbitals.

(ij|kl) in chemists' notation, orbitals counted from 1. Mode p is the orbital p + 1 with spin up, mode n + p that with
spin down, as blocks.
"""

import re
from collections.abc import Iterator

from circuits.problem_files.lines import Found, index, weight, wrong
from qurable.contracts.optimisations import ProblemFile
from qurable.contracts.problems import FermionicHamiltonian, LadderTerm
from qurable.errors import RequestRejected

_MAX_ORBITALS = 32
_NEGLIGIBLE = 1e-14


def read(file: ProblemFile) -> Found:
    """The Hamiltonian of a molecule."""
    header, end, body = file.text.partition("/") if "/" in file.text else file.text.partition("&END")
    norb = re.search(r"NORB\s*=\s*(\d+)", header, re.IGNORECASE)
    if not end or norb is None or "&FCI" not in header.upper():
        raise RequestRejected("the fcidump file has no header `&FCI NORB=..., ... &END`")
    if re.search(r"(UHF|IUHF)\s*=\s*(\.TRUE\.|1)", header, re.IGNORECASE):
        raise RequestRejected("the fcidump file is unrestricted (UHF), and restricted ones are read")
    orbitals = int(norb.group(1))
    if not 1 <= orbitals <= _MAX_ORBITALS:
        raise RequestRejected(f"the fcidump file has {orbitals} orbitals, 1 to {_MAX_ORBITALS} are read")
    first = header.count("\n")
    one: dict[tuple[int, int], float] = {}
    two: dict[tuple[int, int, int, int], float] = {}
    offset = 0.0
    for at, line in enumerate(body.splitlines(), start=first + 1):
        words = line.split()
        if not words or words[0].upper().startswith("&END"):
            continue
        if len(words) != 5:
            raise wrong(file, at, f"an integral is `value i j k l`, this has {len(words)} words")
        value = weight(file, at, words[0])
        i, j, k, l = (index(file, at, word, 0) for word in words[1:])  # noqa: E741  the format's letters
        if max(i, j, k, l) > orbitals:
            raise wrong(file, at, f"an orbital beyond {orbitals}")
        if k and l and i and j:
            for a, b, c, d in {
                *((i, j, k, l), (j, i, k, l), (i, j, l, k), (j, i, l, k)),
                *((k, l, i, j), (l, k, i, j), (k, l, j, i), (l, k, j, i)),
            }:
                two[a - 1, b - 1, c - 1, d - 1] = value
        elif i and j:
            one[i - 1, j - 1] = one[j - 1, i - 1] = value
        elif not i and not j:
            offset += value
        # `value i 0 0 0` is an orbital's energy, which no Hamiltonian holds
    return Found(
        FermionicHamiltonian(
            num_modes=2 * orbitals,
            terms=tuple(_ladder_terms(orbitals, one, two)),
            mapping=file.mapping,
            offset=offset,
        )
    )


def _ladder_terms(
    orbitals: int, one: dict[tuple[int, int], float], two: dict[tuple[int, int, int, int], float]
) -> Iterator[LadderTerm]:
    """The sum of h_pq a+_p a_q + 1/2 sum (pq|rs) a+_p a+_r a_s a_q, over spins."""
    for (p, q), value in sorted(one.items()):
        if abs(value) > _NEGLIGIBLE:
            for spin in (0, orbitals):
                yield LadderTerm(operators=((p + spin, "+"), (q + spin, "-")), coefficient=value)
    for (p, q, r, s), value in sorted(two.items()):
        if abs(value) <= _NEGLIGIBLE:
            continue
        for spin in (0, orbitals):
            for other in (0, orbitals):
                created = (p + spin, r + other)
                annihilated = (s + other, q + spin)
                if created[0] != created[1] and annihilated[0] != annihilated[1]:
                    yield LadderTerm(
                        operators=(
                            *((mode, "+") for mode in created),
                            *((mode, "-") for mode in annihilated),
                        ),
                        coefficient=value / 2,
                    )
