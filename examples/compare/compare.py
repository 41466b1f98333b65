"""One request at several places, side by side: `python examples/compare/compare.py [PICTURE]`.

A GHZ state, whose counts are compared, and a MaxCut instance, of which the best objective is kept.
"""

import asyncio
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

from qurable import Qurable
from qurable.contracts.comparisons import ComparisonReport
from qurable.contracts.reports import JobReport
from qurable.requests import sample, solve

GHZ = """OPENQASM 3.0;
include "stdgates.inc";
qubit[4] q;
bit[4] c;
h q[0];
cx q[0], q[1];
cx q[1], q[2];
cx q[2], q[3];
c = measure q;
"""
RING = {"kind": "maxcut", "num_nodes": 5, "edges": [(0, 1, 1), (1, 2, 1), (2, 3, 1), (3, 4, 1), (4, 0, 1)]}
GUESSES = """OPENQASM 3.0;
include "stdgates.inc";
qubit[5] q;
bit[5] c;
h q;
c = measure q;
"""
PLACES = ["aer", "fake_torino", "fake_manila", "classical:clifford"]
COLOURS = ("#1b6ca8", "#c8553d", "#b8860b", "#3a7d44")


async def main(picture: Path) -> None:
    async with Qurable.connect() as client:
        comparison = await client.compare(sample(GHZ, shots=4000, seed=7), on=PLACES)
        report = await comparison.report()
        jobs = [await client.result(leg.job_id) for leg in report.legs]
        for pair in report.pairs:
            variation = pair.pubs[0].total_variation
            if variation is not None:
                print(
                    f"{' | '.join(pair.places):36} total variation {variation.value:.3f}, by chance {variation.expected:.3f}, "
                    f"{'differ' if pair.differ else 'agree'}"
                )
        if report.decided is not None:
            print(report.decided.because)
        draw(picture, report, jobs)
        cut = await client.compare(solve(RING, GUESSES, shots=4, seed=7), on=["aer", "fake_manila"])
        best = (await cut.report()).decided
        if best is not None and best.answer is not None:
            print(f"a cut of {best.answer.objective:g} by {best.place}: {best.because}")


def draw(picture: Path, report: ComparisonReport, jobs: Sequence[JobReport]) -> None:
    picture.write_text(drawn(report, jobs), encoding="utf-8")


def drawn(report: ComparisonReport, jobs: Sequence[JobReport]) -> str:
    """Above the most frequent outcomes at each place, below how far each two are apart, as an SVG."""
    frequencies = [{word: n / 4000 for word, n in job.counts().items()} for job in jobs]
    words = sorted(
        {word for counts in frequencies for word in counts},
        key=lambda word: -max(c.get(word, 0) for c in frequencies),
    )[:8]
    marks = [
        text(320, 22, "GHZ state on four qubits: share of each outcome (rightmost bit is bit 0)", "middle")
    ]
    for number, place in enumerate(PLACES):
        marks.append(
            f'<rect x="{40 + 150 * number}" y="34" width="12" height="12" fill="{COLOURS[number]}"/>'
        )
        marks.append(text(58 + 150 * number, 45, place))
    for at, word in enumerate(words):
        for number, counts in enumerate(frequencies):
            height = 280 * counts.get(word, 0)
            marks.append(
                f'<rect x="{44 + 72 * at + 14 * number}" y="{220 - height:.1f}" width="12" height="{height:.1f}" fill="{COLOURS[number]}"/>'
            )
        marks.append(text(72 + 72 * at, 236, word, "middle"))
    marks.append(
        text(
            320,
            268,
            "total variation of each two places; the bar behind is what chance makes of it, 99 times in 100",
            "middle",
        )
    )
    gaps = [(pair, pair.pubs[0].total_variation) for pair in report.pairs]
    for at, (pair, gap) in enumerate(gaps):
        if gap is not None:
            top = 284 + 22 * at
            marks.append(text(232, top + 11, " | ".join(pair.places), "end"))
            marks.append(
                f'<rect x="240" y="{top}" width="{1200 * gap.null_quantile:.1f}" height="14" fill="#ddd"/>'
            )
            colour = "#c8553d" if pair.differ else "#3a7d44"
            marks.append(
                f'<rect x="240" y="{top + 3}" width="{1200 * gap.value:.1f}" height="8" fill="{colour}"/>'
            )
            marks.append(text(246 + 1200 * max(gap.value, gap.null_quantile), top + 11, f"{gap.value:.3f}"))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 430" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(marks)}</svg>\n'
    )


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "compare.svg")))
