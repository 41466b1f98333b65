"""Draw the nights of the table: `picture.py TABLE.csv [PICTURE]` shows each night's cut beside the weight that there was."""

import csv
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from examples.nightly.problem import problem_of

WIDTH, HEIGHT, MARGIN = 640, 320, 56


def main(table: str, picture: str = "nightly.svg") -> None:
    with Path(table).open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["scheduled"])
    Path(picture).write_text(drawn(rows), encoding="utf-8")


def drawn(rows: Sequence[Mapping[str, str]]) -> str:
    """For each night all edges' weight in grey and the weight that was cut in blue, as an SVG; failed nights have no blue."""
    whole = [sum(weight for *_, weight in problem_of(row["scheduled"]).edges) for row in rows]
    bottom, across = HEIGHT - MARGIN, (WIDTH - 2 * MARGIN) / len(rows)
    down = (bottom - MARGIN) / max(whole)
    wide = min(0.7 * across, 60)
    marks = []
    for row, weight, number in zip(rows, whole, range(len(rows)), strict=True):
        middle = MARGIN + across * (number + 0.5)
        cut = float(row["objective"] or 0)
        for value, colour in ((weight, "#ddd"), (cut, "#1b6ca8")):
            marks.append(
                f'<rect x="{middle - wide / 2:.1f}" y="{bottom - down * value:.1f}" width="{wide:.1f}" '
                f'height="{down * value:.1f}" fill="{colour}"/>'
            )
        marks.append(text(middle, bottom - down * weight - 5, f"{cut:g} of {weight:g}", "middle"))
        marks.append(text(middle, bottom + 16, row["scheduled"][5:10], "middle"))
    marks.append(text(MARGIN, 22, "MaxCut of each night: weight that is cut (blue), of all edges (grey)"))
    marks.append(text(WIDTH / 2, HEIGHT - 14, "night", "middle"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(marks)}</svg>\n'
    )


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


if __name__ == "__main__":
    main(*sys.argv[1:])
