"""Callers who come one by one, each with a job of its own, and what the provider saw: `python examples/sharing/callers.py`.

It takes an account of IBM's, or an emulator: `qurable emulate` prints the variables that the worker needs.
"""

import asyncio
import math
import random
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

from qurable import Qurable, sample
from qurable.client import Job
from qurable.contracts.reports import JobReport

DEVICE = "ibm:manila"
CALLERS = 24
BETWEEN_SECONDS = 0.15
PICTURE = Path("sharing.svg")
WIDTH, ROW, TOP, LEFT = 760, 14, 60, 70
COLOURS = ("#0b7285", "#e67700", "#862e9c", "#2b8a3e", "#c92a2a", "#364fc7")

ANSATZ = """
OPENQASM 3.0;
include "stdgates.inc";
input float theta;
qubit[2] q;
bit[2] c;
ry(theta) q[0];
cx q[0], q[1];
c = measure q;
"""


async def main(device: str) -> None:
    async with Qurable.connect() as client:
        jobs: list[Job] = []
        for number in range(CALLERS):
            angle = math.pi * number / (CALLERS - 1)
            work = sample((ANSATZ, {"theta": angle}), shots=200, backend=device, batch_window="2s")
            jobs.append(await client.submit(work))
            await asyncio.sleep(random.uniform(0, 2 * BETWEEN_SECONDS))  # whenever people come
        reports = await asyncio.gather(*(job.result() for job in jobs))
    for report in reports:
        shared = report.shared
        part = "alone" if shared is None else f"one of {shared.members} in {', '.join(shared.provider_jobs)}"
        print(f"{report.id}  {report.counts()}  {report.qpu_seconds:.3f} QPU seconds, {part}")
    provider_jobs = {ids_of(report) for report in reports}
    total = sum(report.qpu_seconds for report in reports)
    print(f"{CALLERS} callers, {len(provider_jobs)} provider jobs, {total:.2f} QPU seconds")
    draw(reports)


def draw(reports: Sequence[JobReport]) -> None:
    PICTURE.write_text(drawn(reports), encoding="utf-8")


def ids_of(report: JobReport) -> tuple[str, ...]:
    """The provider's ids of what ran for a caller, alone or with others."""
    return report.shared.provider_jobs if report.shared else tuple(job.id for job in report.provider_jobs)


def drawn(reports: Sequence[JobReport]) -> str:
    """A line for each caller, from when it came until it had its answer; a colour for each provider job. As an SVG."""
    came = [report.events[0].at for report in reports]
    answered = [report.events[-1].at for report in reports]
    start, whole = min(came), (max(answered) - min(came)).total_seconds() or 1.0
    across = (WIDTH - LEFT - 20) / whole
    colour: dict[tuple[str, ...], str] = {}
    for report in reports:
        colour.setdefault(ids_of(report), COLOURS[len(colour) % len(COLOURS)])
    lines = []
    for number, report in enumerate(reports):
        y = TOP + ROW * number
        begin = LEFT + across * (came[number] - start).total_seconds()
        end = LEFT + across * (answered[number] - start).total_seconds()
        run = next(event.at for event in report.events if event.state == "running")
        ran = min(max(LEFT + across * (run - start).total_seconds(), begin), end)
        fill = colour[ids_of(report)]
        lines.append(
            f'<line x1="{begin:.1f}" x2="{ran:.1f}" y1="{y}" y2="{y}" stroke="{fill}" stroke-width="2" stroke-dasharray="2 3"/>'
            f'<line x1="{ran:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}" stroke="{fill}" stroke-width="8"/>'
            f'<circle cx="{begin:.1f}" cy="{y}" r="3" fill="{fill}"/>'
        )
    height = TOP + ROW * len(reports) + 40
    ticks = "".join(
        f'<text x="{LEFT + across * second:.1f}" y="{height - 12}" font-size="11">{second} s</text>'
        for second in range(0, math.ceil(whole), max(1, math.ceil(whole / 10)))
    )
    title = escape(
        f"{len(reports)} callers, {len(colour)} provider jobs: each colour is one of them; dots are when callers came, "
        "broken lines their wait, bars from the run to the answer"
    )
    middle = TOP + ROW * len(reports) / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
        f'<rect width="100%" height="100%" fill="white"/><text x="12" y="24" font-size="12">{title}</text>'
        f'<text x="12" y="{middle:.0f}" font-size="12">callers</text>{"".join(lines)}{ticks}</svg>\n'
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else DEVICE))
