"""Seeds of simulations, numbered as one Aer call over everything would number them."""

STRIDE = 2113
"""Aer gives experiment i of a call the seed `seed_simulator + 2113 i`; binding i of a job owns base + 2113 i."""

GROUP_STRIDE = 2**40
"""Between the groups of observables that one binding is measured in. Where Aer runs noisy trajectories, shot j has the
seed of its run plus j: groups with neighbouring seeds would share all shots but one, and not be independent."""
