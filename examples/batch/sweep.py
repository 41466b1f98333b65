"""A batch from a file of JSON lines, its items as they end, and the sum.

make up                          # in one shell
python examples/batch/sweep.py   # in another; it draws the counts to `sweep.svg`
"""

import asyncio
import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from qurable import Qurable
from qurable.contracts.batches import ItemReport

JOBS = Path(__file__).parent / "jobs.jsonl"
PICTURE = Path("sweep.svg")
WIDTH, HEIGHT, MARGIN = 640, 330, 56
OUTCOMES = {"00": "#1b6ca8", "11": "#c8553d"}


async def main() -> None:
    """Four angles, one job."""
    items: list[ItemReport] = []
    async with Qurable.connect() as qurable:
        batch = await qurable.batch(JOBS)
        async for item in batch.results():
            print(f"{item.key:>5}  {item.state}  {item.counts()}")
            items.append(item)
        report = await batch.report()
        print(f"{report.items} items in {report.chunks} job: {report.state}")
    draw(sorted(items, key=lambda item: item.item))


def draw(items: Sequence[ItemReport]) -> None:
    PICTURE.write_text(drawn(items), encoding="utf-8")


def drawn(items: Sequence[ItemReport]) -> str:
    """Share of each outcome by angle, and a black line where it is without chance, as an SVG."""
    angles = [
        json.loads(line)["pubs"][0]["bindings"]["theta"]
        for line in JOBS.read_text(encoding="utf-8").splitlines()
    ]
    bottom, across = HEIGHT - MARGIN, (WIDTH - 2 * MARGIN) / len(items)
    marks = []
    for level in (0.0, 0.5, 1.0):
        y = bottom - (bottom - MARGIN) * level
        marks.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        marks.append(text(MARGIN - 8, y + 4, f"{level:.0%}", "end"))
    for number, item in enumerate(items):
        counts, middle = item.counts(), MARGIN + across * (number + 0.5)
        exact = {"00": math.cos(angles[item.item] / 2) ** 2, "11": math.sin(angles[item.item] / 2) ** 2}
        for at, (word, colour) in enumerate(OUTCOMES.items()):
            share = counts.get(word, 0) / sum(counts.values())
            height, x = (bottom - MARGIN) * share, middle - 44 + 46 * at
            y = bottom - (bottom - MARGIN) * exact[word]
            marks.append(
                f'<rect x="{x:.1f}" y="{bottom - height:.1f}" width="42" height="{height:.1f}" fill="{colour}"/>'
                f'<line x1="{x - 1:.1f}" x2="{x + 43:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="black" stroke-width="2"/>'
            )
        marks.append(text(middle, bottom + 18, item.key.replace("pi", "π"), "middle"))
    for at, (word, colour) in enumerate(OUTCOMES.items()):
        marks.append(
            f'<rect x="{WIDTH - MARGIN - 90 + 50 * at}" y="{MARGIN - 28}" width="12" height="12" fill="{colour}"/>'
        )
        marks.append(text(WIDTH - MARGIN - 74 + 50 * at, MARGIN - 18, word))
    marks.append(text(MARGIN, 22, "A sweep as a batch: share of each outcome by angle; black lines: exact"))
    marks.append(text(WIDTH / 2, HEIGHT - 12, "theta", "middle"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(marks)}</svg>\n'
    )


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


if __name__ == "__main__":
    asyncio.run(main())
