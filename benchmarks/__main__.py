"""`python -m benchmarks`, or `make bench`: everything, or the parts that are named."""

import argparse
import logging
import platform
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks import batches, bell, fairness, loops, parallel, routes, survival, transpile
from qurable.temporal.run_main import run_main

PARTS: dict[str, Callable[[Path], Awaitable[None]]] = {
    "a": bell.latency,
    "b": bell.throughput,
    "c": transpile.caching,
    "d": parallel.strategies,
    "e": fairness.shares,
    "f": routes.regrets,
    "g": batches.ratios,
    "h": loops.overhead,
    "s": survival.calibration,
}


async def main(parts: list[str]) -> None:
    """Measure parts, each on a service and in a data folder of its own."""
    logging.getLogger("temporalio").setLevel(
        logging.CRITICAL
    )  # what (c) measures ends with the transpilation
    print(
        f"Python {platform.python_version()} on {platform.machine()}, {_cores()} cores; ratios are of medians in one run"
    )
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="qurable-bench-") as home:
            await PARTS[part](Path(home))


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", epilog="example: python -m benchmarks a b")
    parser.add_argument(
        "parts",
        nargs="*",
        choices=[[], *PARTS],
        default=[],
        help="(a) latency (b) rate (c) cache (d) strategies (e) fairness (f) routes (g) batches (h) loops (s) survival estimate",
    )
    run_main(main(parser.parse_args().parts or list(PARTS)))
