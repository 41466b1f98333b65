"""Somebody's program on the drop-in sampler, which may be killed and started again.

python -m tests.chaos.program PROGRAM RUN_NAME
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from qurable.blocking import BlockingQurable
from qurable.primitives import QurableSampler
from tests.qurable.programs import cut_ring, diagonalise_samples, maxcut_by_qaoa

PROGRAMS: dict[str, Callable[[QurableSampler], Any]] = {
    "qaoa": maxcut_by_qaoa,
    "cutting": cut_ring,
    "sqd": diagonalise_samples,
}


def main(program: str, run_name: str) -> None:
    """Run a program and print what it found."""
    with BlockingQurable() as client:
        found = PROGRAMS[program](QurableSampler(client, backend="aer", seed=3, run_name=run_name))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
