"""Seeds of simulations, numbered as one Aer call over everything would number them."""

import hashlib
from collections.abc import Iterator, Sequence

STRIDE = 2113
"""Aer gives experiment i of a call the seed `seed_simulator + 2113 i`; binding i of a job owns base + 2113 i."""

GROUP_STRIDE = 2**40
"""Between the groups of observables that one binding is measured in. Where Aer runs noisy trajectories, shot j has the
seed of its run plus j: groups with neighbouring seeds would share all shots but one, and not be independent."""

FOLD_STRIDE = 2**36
"""Between the noise factors that one pub is run at, for the same reason: beyond any binding's seed, and ten of them before
the next group's."""


def seed_at(seed: int, seeds: Sequence[int], binding: int) -> int:
    """The seed of a binding: its own where each has one, else by the rule from the pub's."""
    return seeds[binding] if seeds else seed + STRIDE * binding


def base_at(seed: int, seeds: Sequence[int], start: int) -> int:
    """What a run from a binding on is given, whose binding j then has the base + 2113 j."""
    return seed_at(seed, seeds, start) - STRIDE * start


def stretches(seeds: Sequence[int], bindings: int) -> Iterator[tuple[int, int]]:
    """Ranges of bindings (first, end) that one Aer call gives the right seeds: each is 2113 more than the one before."""
    first = 0
    for at in range(1, len(seeds)):
        if seeds[at] != seeds[at - 1] + STRIDE:
            yield first, at
            first = at
    if bindings:
        yield first, bindings


def iteration_base(seed: int, iteration: int) -> int:
    """The base of an iteration of a loop: a hash, so that neighbouring iterations share no binding's seed."""
    body = hashlib.sha256(f"{seed}\0{iteration}".encode()).digest()
    return int.from_bytes(body[:4]) >> 1
