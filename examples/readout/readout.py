"""Counts of a device that misreads bits, as they were read and mended: `python examples/readout/readout.py`.

It draws both histograms to `readout.svg`, beside what a device without errors would have read.
"""

import asyncio
from collections.abc import Mapping
from html import escape
from pathlib import Path

from qurable import Qurable, sample
from qurable.contracts.results import SampleResult

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
IDEAL = {"0000": 0.5, "1111": 0.5}
PICTURE = Path("readout.svg")
WIDTH, HEIGHT, MARGIN = 760, 340, 56


async def main() -> None:
    work = sample(GHZ, shots=20_000, backend="fake_manila", seed=5, mitigation="readout")
    async with Qurable.connect() as client:
        report = await client.run(work)
    result = report.results[0]
    assert isinstance(result, SampleResult)
    counts = result.counts()
    read = {word: number / sum(counts.values()) for word, number in counts.items()}
    mended = result.quasi()
    for name, shares in (("as read", read), ("mitigated", mended)):
        print(f"{name:9} {sum(shares.get(word, 0.0) for word in IDEAL):.4f} of the weight on right outcomes")
    print(report.mitigation)
    draw(read, mended)


def draw(read: Mapping[str, float], mended: Mapping[str, float]) -> None:
    PICTURE.write_text(drawn(read, mended), encoding="utf-8")


def drawn(read: Mapping[str, float], mended: Mapping[str, float]) -> str:
    """Both weights of every outcome that was read, and those without errors, as an SVG; mended ones may be below zero."""
    words = sorted({*read, *mended, *IDEAL})
    top, low = 1.1 * max(*read.values(), *mended.values(), *IDEAL.values()), min(0.0, *mended.values())
    across, down = (WIDTH - 2 * MARGIN) / len(words), (HEIGHT - 2 * MARGIN) / (top - low)

    def at(weight: float) -> float:
        return MARGIN + down * (top - weight)

    marks = []
    for level in (0.0, 0.25, 0.5):
        marks.append(
            f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{at(level):.1f}" y2="{at(level):.1f}" stroke="#ddd"/>'
        )
        marks.append(text(MARGIN - 8, at(level) + 4, f"{level:.0%}", "end"))
    for number, word in enumerate(words):
        middle = MARGIN + across * (number + 0.5)
        for x, shares, colour in ((middle - 15, read, "#b8860b"), (middle + 1, mended, "#1b6ca8")):
            weight = shares.get(word, 0.0)
            marks.append(
                f'<rect x="{x:.1f}" y="{at(max(weight, 0.0)):.1f}" width="14" height="{down * abs(weight):.1f}" fill="{colour}"/>'
            )
        ideal = at(IDEAL.get(word, 0.0))
        marks.append(
            f'<line x1="{middle - 17:.1f}" x2="{middle + 17:.1f}" y1="{ideal:.1f}" y2="{ideal:.1f}" stroke="black" stroke-width="1.5"/>'
        )
        marks.append(text(middle, HEIGHT - MARGIN + 18, word, "middle"))
    legend = (("#b8860b", "as read"), ("#1b6ca8", "mitigated"), ("black", "without errors"))
    for number, (colour, name) in enumerate(legend):
        x = WIDTH / 2 - 150 + 105 * number
        marks.append(f'<rect x="{x:.0f}" y="{MARGIN - 22}" width="12" height="12" fill="{colour}"/>')
        marks.append(text(x + 18, MARGIN - 12, name))
    marks.append(
        text(MARGIN, 22, "GHZ state on fake_manila: weight of each outcome (rightmost bit is bit 0)")
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(marks)}</svg>\n'
    )


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


if __name__ == "__main__":
    asyncio.run(main())
