"""Seeds of simulations, numbered as one Aer call over everything would number them."""

STRIDE = 2113
"""Aer gives experiment i of a call the seed `seed_simulator + 2113 i`; binding i of a job owns base + 2113 i."""
