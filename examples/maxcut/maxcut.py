"""The largest cut of Petersen's graph by QAOA, with a picture of how it went: `python examples/maxcut/maxcut.py`.

The graph is a table of edges. A loop on the service finds the angles of the circuit below, a job measures the circuit
at the best ones, and the picture `maxcut.svg` shows both: the mean cut by iteration beside the optimum, how often
which cut was measured beside guessing, and the best assignments.
"""

import asyncio
import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from qiskit.circuit import ParameterVector, QuantumCircuit

from qurable import Qurable
from qurable.contracts.optimisations import CurvePoint

GRAPH = Path(__file__).with_name("petersen.csv")
PICTURE = Path("maxcut.svg")
LAYERS, SHOTS, SHOWN = 2, 2000, 8

Edges = Sequence[tuple[int, int, float]]


def edges_of(table: Path) -> Edges:
    with table.open(newline="") as file:
        return [(int(row["u"]), int(row["v"]), float(row["weight"])) for row in csv.DictReader(file)]


def qaoa(edges: Edges, layers: int) -> QuantumCircuit:
    """Phases of the cut and rotations about X, in turns, after a uniform superposition."""
    nodes = 1 + max(max(u, v) for u, v, _ in edges)
    angles = ParameterVector("t", 2 * layers)
    circuit = QuantumCircuit(nodes, name="qaoa")
    circuit.h(range(nodes))
    for layer in range(layers):
        for u, v, weight in edges:
            circuit.rzz(-weight * angles[2 * layer], u, v)
        circuit.rx(2 * angles[2 * layer + 1], range(nodes))
    return circuit


def cut(edges: Edges, bits: str) -> float:
    """Weight between the two sides; the rightmost character is node 0."""
    return sum(weight for u, v, weight in edges if bits[-1 - u] != bits[-1 - v])


async def main() -> None:
    edges, circuit = edges_of(GRAPH), qaoa(edges_of(GRAPH), LAYERS)
    async with Qurable.connect() as client:
        loop = await client.optimise(
            GRAPH, circuit, optimiser={"name": "cobyla"}, stop={"evaluations": 200}, seed=11
        )
        print(f"loop {loop.id}")
        await loop.watch()
        report = await loop.report()
        measured = circuit.measure_all(inplace=False)
        at_best = dict(zip(report.parameters, report.x, strict=True))
        job = await client.run((measured, at_best), shots=SHOTS, seed=11)
    assert report.reference is not None
    assert report.answer is not None
    assert report.value is not None
    counts = job.counts()
    print(f"mean cut {report.value:.3f} of {report.reference.value:g}, {report.ratio:.3f} of the optimum")
    print(f"best measured cut {report.answer.objective:g}: {report.answer.assignment}")
    keep(drawn(report.curve, report.reference.value, edges, counts))


def keep(picture: str) -> None:
    PICTURE.write_text(picture, encoding="utf-8")


def drawn(curve: Sequence[CurvePoint], optimum: float, edges: Edges, counts: Mapping[str, int]) -> str:
    """Three panels beside each other, as an SVG."""
    panels = [
        convergence(curve, optimum),
        histogram(edges, counts),
        assignments(edges, counts),
    ]
    placed = "".join(
        f'<g transform="translate({20 + 320 * at}, 0)">{panel}</g>' for at, panel in enumerate(panels)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 980 300" font-family="sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="white"/>{placed}</svg>\n'
    )


def convergence(curve: Sequence[CurvePoint], optimum: float) -> str:
    low, last = min(point.value for point in curve), max(curve[-1].iteration, 1)

    def down(value: float) -> float:
        return 40 + 220 * (optimum - value) / (optimum - low)

    def line(which: str, colour: str) -> str:
        points = " ".join(
            f"{30 + 250 * point.iteration / last:.1f},{down(getattr(point, which)):.1f}" for point in curve
        )
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'

    return (
        f"{text(0, 18, 'Mean cut by iteration (best: green)', 13)}{text(0, down(low), f'{low:.1f}')}"
        f"{text(0, down(optimum) + 4, f'{optimum:g}')}{text(30, 285, '0')}{text(260, 285, str(last))}"
        f'<line x1="30" x2="280" y1="{down(optimum)}" y2="{down(optimum)}" stroke="#888" stroke-dasharray="5"/>'
        f"{text(190, down(optimum) - 5, 'largest cut')}{line('value', '#9bc')}{line('best', '#0b5')}"
    )


def histogram(edges: Edges, counts: Mapping[str, int]) -> str:
    """Share of shots by cut, and that of guessing."""
    shots = sum(counts.values())
    measured: Counter[float] = Counter()
    for bits, count in counts.items():
        measured[cut(edges, bits)] += count
    nodes = len(next(iter(counts)))
    guessed = Counter(cut(edges, f"{number:0{nodes}b}") for number in range(2**nodes))
    cuts = sorted({*measured, *guessed})
    highest = max(max(measured.values()) / shots, max(guessed.values()) / 2**nodes)
    step = 270 / len(cuts)
    parts = [text(0, 18, "Share of shots by cut (grey: guessing)", 13)]
    for at, value in enumerate(cuts):
        for offset, share, colour in (
            (0.1, guessed[value] / 2**nodes, "#ccc"),
            (0.5, measured[value] / shots, "#0b5"),
        ):
            height = 210 * share / highest
            parts.append(
                f'<rect x="{step * (at + offset):.1f}" y="{260 - height:.1f}" width="{0.4 * step:.1f}" height="{height:.1f}" '
                f'fill="{colour}"/>'
            )
        parts.append(text(step * (at + 0.3), 278, f"{value:g}"))
    return "".join(parts)


def assignments(edges: Edges, counts: Mapping[str, int]) -> str:
    """The best measured assignments, one for each that only differs in what the two sides are called."""
    merged: Counter[str] = Counter()
    for bits, count in counts.items():
        other = bits.translate(str.maketrans("01", "10"))
        merged[min(bits, other)] += count
    best = sorted(merged, key=lambda bits: (-cut(edges, bits), -merged[bits]))[:SHOWN]
    longest = max(merged[bits] for bits in best)
    parts = [text(0, 18, "Best assignments (cut, sides, shots)", 13)]
    for at, bits in enumerate(best):
        y, width = 48 + 28 * at, math.ceil(110 * merged[bits] / longest)
        parts.append(
            f'{text(0, y + 12, f"{cut(edges, bits):g}   {bits}")}<rect x="110" y="{y}" width="{width}" height="16" fill="#0b5"/>'
            f"{text(115 + width, y + 12, str(merged[bits]))}"
        )
    return "".join(parts)


def text(x: float, y: float, words: str, size: int = 11) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" xml:space="preserve">{words}</text>'


if __name__ == "__main__":
    asyncio.run(main())
