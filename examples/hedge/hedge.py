"""A slow place is asked first, a fast one a second later, and the first good answer is kept: `python examples/hedge/hedge.py`.

It draws when each place was asked and how it ended to `hedge.svg`.
"""

import asyncio
from collections.abc import Sequence
from html import escape
from pathlib import Path

from qiskit import QuantumCircuit

from qurable import Qurable, sample
from qurable.contracts.comparisons import ComparisonReport
from qurable.contracts.reports import JobReport, State

QUBITS = 16
PLACES = ["fake_torino", "aer"]
PICTURE = Path("hedge.svg")
WIDTH, ROW, TOP, LEFT = 720, 60, 60, 110
COLOURS = {True: "#3a7d44", False: "#c8553d"}


def chain() -> QuantumCircuit:
    """Turns and entanglement along a line: shot by shot with noise it takes a minute, without noise no time."""
    circuit = QuantumCircuit(QUBITS, QUBITS)
    for layer in range(3):
        for qubit in range(QUBITS):
            circuit.ry(0.3 + 0.1 * layer, qubit)
        for qubit in range(QUBITS - 1):
            circuit.cx(qubit, qubit + 1)
    circuit.measure(range(QUBITS), range(QUBITS))
    return circuit


async def main() -> None:
    async with Qurable.connect() as client:
        hedged = await client.hedge(sample(chain(), shots=20_000, seed=3), on=PLACES, after="1s")
        answer = await hedged.answer()  # while the loser is still being withdrawn
        print(f"{answer.served_by} answered with {sum(answer.counts().values())} shots")
        report = await hedged.report()
        jobs = [await client.read_report(leg.job_id) for leg in report.legs]
    for leg in report.legs:
        print(f"{leg.place}: {leg.state}, {leg.withdrawal.because if leg.withdrawal else leg.because}")
    draw(report, jobs)


def draw(report: ComparisonReport, jobs: Sequence[JobReport]) -> None:
    PICTURE.write_text(drawn(report, jobs), encoding="utf-8")


def drawn(report: ComparisonReport, jobs: Sequence[JobReport]) -> str:
    """A row for each place: thin from when it was asked, thick from when it ran, and how it ended, as an SVG."""
    start, end = min(job.events[0].at for job in jobs), max(job.events[-1].at for job in jobs)
    whole = (end - start).total_seconds()
    across = (WIDTH - LEFT - 150) / whole
    marks = []
    for number, (leg, job) in enumerate(zip(report.legs, jobs, strict=True)):
        y = TOP + ROW * (number + 0.5)
        moments = [LEFT + across * (event.at - start).total_seconds() for event in job.events]
        ran = next(
            (
                moment
                for moment, event in zip(moments, job.events, strict=True)
                if event.state is State.RUNNING
            ),
            moments[-1],
        )
        colour = COLOURS[leg.withdrawal is None]
        marks.append(text(LEFT - 14, y + 4, leg.place, "end"))
        marks.append(
            f'<line x1="{moments[0]:.1f}" x2="{ran:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="3"/>'
            f'<line x1="{ran:.1f}" x2="{moments[-1]:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="16"/>'
            f'<circle cx="{moments[0]:.1f}" cy="{y}" r="5" fill="{colour}"/>'
        )
        ended = "withdrawn, confirmed" if leg.withdrawal and leg.withdrawal.confirmed else str(leg.state)
        marks.append(text(moments[-1] + 10, y + 4, ended))
    bottom = TOP + ROW * len(jobs)
    for second in range(int(whole) + 1):
        x = LEFT + across * second
        marks.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom}" stroke="#ddd"/>')
        marks.append(text(x, bottom + 18, f"{second} s", "middle"))
    marks.append(
        text(
            14,
            24,
            "A hedged run: a dot where a place was asked, thin while it was prepared, thick while it ran",
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 32}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(marks)}</svg>\n'
    )


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


if __name__ == "__main__":
    asyncio.run(main())
