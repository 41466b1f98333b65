"""A spin chain at zero noise, which no device has: `python examples/zne/zne.py` draws how it gets there to `zne.svg`."""

import asyncio
from html import escape
from pathlib import Path

from qiskit import QuantumCircuit

from qurable import Qurable, estimate
from qurable.contracts.extrapolation import ExtrapolatedValues
from qurable.contracts.results import EstimateResult

SPINS, STEPS, TURN = 4, 3, 0.4
OBSERVABLE = {"ZIII": 0.25, "IZII": 0.25, "IIZI": 0.25, "IIIZ": 0.25}
PICTURE = Path("zne.svg")
WIDTH, HEIGHT, MARGIN = 640, 360, 50


def chain() -> QuantumCircuit:
    """Magnetisation of an Ising chain that starts with all spins up, by Trotter steps."""
    circuit = QuantumCircuit(SPINS, name="chain")
    for _ in range(STEPS):
        circuit.rx(TURN, range(SPINS))
        for spin in range(SPINS - 1):
            circuit.rzz(TURN, spin, spin + 1)
    return circuit


async def main() -> None:
    noisy = estimate(
        (chain(), OBSERVABLE),
        precision=0.005,
        backend="fake_manila",
        seed=1,
        transpile={"layout": (0, 1, 2, 3)},
        mitigation={"zne": {"factors": [1, 2, 3, 5], "extrapolator": "exponential"}},
    )
    async with Qurable.connect() as client:
        report = await client.run(noisy)
        ideal = await client.run(estimate((chain(), OBSERVABLE), precision=0, backend="aer"))
    result, truth = report.results[0], ideal.results[0]
    assert isinstance(result, EstimateResult)
    assert isinstance(truth, EstimateResult)
    found = result.extrapolated
    assert found is not None
    print(f"measured  {result.evs.values[0]:+.4f} ± {result.stds.values[0]:.4f}")
    print(f"no noise  {found.evs.values[0]:+.4f} ± {found.stds.values[0]:.4f}")
    print(f"truth     {truth.evs.values[0]:+.4f}")
    print(report.extrapolation)
    draw(found, truth.evs.values[0])


def draw(found: ExtrapolatedValues, truth: float) -> None:
    PICTURE.write_text(drawn(found, truth), encoding="utf-8")


def drawn(found: ExtrapolatedValues, truth: float) -> str:
    """Values by noise factor with their error bars, the value at zero noise, and the truth, as an SVG."""
    points = [
        (0.0, found.evs.values[0], found.stds.values[0]),
        *zip(found.factors, found.measured[0], found.errors[0], strict=True),
    ]
    low = min(value - error for _, value, error in points)
    high = max(truth, *(value + error for _, value, error in points))
    room = 0.1 * (high - low)
    low, high, last = low - room, high + room, found.factors[-1]

    def across(factor: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * factor / last

    def down(value: float) -> float:
        return MARGIN + (HEIGHT - 2 * MARGIN) * (high - value) / (high - low)

    marks = "".join(
        f'<line x1="{across(factor):.1f}" x2="{across(factor):.1f}" y1="{down(value - error):.1f}" '
        f'y2="{down(value + error):.1f}" stroke="{colour}" stroke-width="2"/>'
        f'<circle cx="{across(factor):.1f}" cy="{down(value):.1f}" r="4" fill="{colour}"/>'
        for (factor, value, error), colour in zip(points, ["#06c", *["#333"] * len(points)], strict=False)
    )
    ticks = "".join(
        f'<text x="{across(factor) - 8:.1f}" y="{HEIGHT - 18}" font-size="11">{factor:.3g}</text>'
        for factor, *_ in points
    ) + "".join(
        f'<text x="4" y="{down(value) + 4:.1f}" font-size="11">{value:.3f}</text>'
        for value in (low + room, (low + high) / 2, high - room)
    )
    line = " ".join(f"{across(factor):.1f},{down(value):.1f}" for factor, value, _ in points)
    title = escape("Magnetisation of an Ising chain by noise factor, one standard error each way")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
        f'<rect width="100%" height="100%" fill="white"/><text x="{MARGIN}" y="20" font-size="13">{title}</text>{ticks}'
        f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{down(truth):.1f}" y2="{down(truth):.1f}" stroke="#0a5" '
        f'stroke-dasharray="5"/><text x="{WIDTH - MARGIN - 90}" y="{down(truth) - 5:.1f}" font-size="11">without noise</text>'
        f'<polyline points="{line}" fill="none" stroke="#bbb"/>{marks}'
        f'<text x="{MARGIN}" y="{HEIGHT - 4}" font-size="11">noise factor; blue: extrapolated to zero</text></svg>\n'
    )


if __name__ == "__main__":
    asyncio.run(main())
