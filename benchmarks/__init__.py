"""Ratios against the floor and against direct calls, each measured in one run, with the raw figures beside them."""
