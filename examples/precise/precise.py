"""The energy of molecular hydrogen to 2 mHa, for as few shots as that takes: `python examples/precise/precise.py` draws how.

It draws its error bar against the shots to `precise.svg`; against money where the place has a price.
"""

import asyncio
import math
from html import escape
from pathlib import Path

from qiskit import QuantumCircuit

from qurable import Qurable
from qurable.contracts.precise import PreciseReport

H2 = {  # at 0.735 angstrom in STO-3G, on two qubits (O'Malley and others, Phys. Rev. X 6, 031007 (2016))
    "II": -1.052373245772859,
    "IZ": 0.39793742484318045,
    "ZI": -0.39793742484318045,
    "ZZ": -0.01128010425623538,
    "XX": 0.18093119978423156,
}
PICTURE = Path("precise.svg")
WIDTH, HEIGHT, MARGIN = 640, 340, 50


def ground_state() -> QuantumCircuit:
    circuit = QuantumCircuit(2, name="h2")
    circuit.x(0)
    circuit.ry(-0.2234, 1)
    circuit.cx(1, 0)
    return circuit


async def main() -> None:
    async with Qurable.connect() as client:
        started = await client.start_precise(
            ground_state(), H2, precision=0.002, max_price=20, backend="aer", seed=2
        )
        print(started.id)  # `qurable precise ID` waits for it, here or on another machine
        report = await started.report()
    print(f"{report.value:+.4f} ± {report.standard_error:.4f} hartree")
    print(report.because)
    for observable, shots in report.groups:
        print(f"{shots:9,} shots for {', '.join(term.pauli for term in observable.terms)}")
    draw(report)


def draw(report: PreciseReport) -> None:
    PICTURE.write_text(drawn(report), encoding="utf-8")


def drawn(report: PreciseReport) -> str:
    """Error bar after each round, on logarithmic scales, and the precision that was asked for, as an SVG."""
    costs = [done.price or 0.0 if report.price is not None else sum(done.shots) for done in report.rounds]
    spent = [sum(costs[: at + 1]) for at in range(len(costs))]
    errors = [done.standard_error for done in report.rounds]
    left, right = math.log10(spent[0]) - 0.1, math.log10(spent[-1]) + 0.1
    low, high = math.log10(min(*errors, report.precision)) - 0.1, math.log10(max(errors)) + 0.1

    def across(cost: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (math.log10(cost) - left) / (right - left)

    def down(error: float) -> float:
        return MARGIN + (HEIGHT - 2 * MARGIN) * (high - math.log10(error)) / (high - low)

    unit = report.currency if report.price is not None else "shots"
    marks = "".join(
        f'<circle cx="{across(cost):.1f}" cy="{down(error):.1f}" r="4" fill="#06c"/>'
        f'<text x="{across(cost) - 20:.1f}" y="{HEIGHT - 22}" font-size="11">{cost:,.0f}</text>'
        f'<text x="{across(cost) + 6:.1f}" y="{down(error) - 6:.1f}" font-size="11">{error:.2g}</text>'
        for cost, error in zip(spent, errors, strict=True)
    )
    line = " ".join(
        f"{across(cost):.1f},{down(error):.1f}" for cost, error in zip(spent, errors, strict=True)
    )
    goal = down(report.precision)
    title = escape(f"Energy of H2: standard error (hartree) by {unit}, round by round")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
        f'<rect width="100%" height="100%" fill="white"/><text x="{MARGIN}" y="20" font-size="13">{title}</text>'
        f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{goal:.1f}" y2="{goal:.1f}" stroke="#0a5" stroke-dasharray="5"/>'
        f'<text x="{MARGIN}" y="{goal - 5:.1f}" font-size="11">asked for: {report.precision:g}</text>'
        f'<polyline points="{line}" fill="none" stroke="#06c"/>{marks}'
        f'<text x="{WIDTH - MARGIN - 60}" y="{HEIGHT - 6}" font-size="11">{unit} in all</text></svg>\n'
    )


if __name__ == "__main__":
    asyncio.run(main())
