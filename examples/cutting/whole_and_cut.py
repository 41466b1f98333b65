"""A magnet of eight spins on fragments of four qubits, beside the whole: `python examples/cutting/whole_and_cut.py [CUT]`.

It shows the price first, and draws what came of it into `cutting.svg`. Close the lid, and run it again with the id that it
printed, here or on another machine: it waits for the same cut.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from qiskit import QuantumCircuit

from qurable import Qurable, estimate

SPINS, FRAGMENT = 8, 4
PICTURE = Path("cutting.svg")
WIDTH, HEIGHT, MARGIN = 640, 320, 48


def magnet() -> QuantumCircuit:
    """Two steps in time of a chain of spins in a tilted field; only RZZ rotations join one half to the other."""
    circuit = QuantumCircuit(SPINS, name="magnet")
    for step in range(2):
        for spin in range(SPINS):
            circuit.rx(0.5 + 0.1 * spin, spin)
            circuit.rz(0.3 * (step + 1), spin)
        for spin in range(SPINS - 1):
            circuit.rzz(0.6, spin, spin + 1)
    return circuit


def wanted() -> list[str]:
    """The magnetisation of each spin, and what neighbours have in common across the cut."""
    labels = ["".join("Z" if at == spin else "I" for at in reversed(range(SPINS))) for spin in range(SPINS)]
    middle = ["I"] * SPINS
    middle[FRAGMENT - 1] = middle[FRAGMENT] = "Z"
    return [*labels, "".join(middle)]


async def main(cut_id: str | None) -> None:
    asked = (magnet(), wanted())
    options = {
        "backend": "aer",
        "cut": {"qubits": FRAGMENT, "max_overhead": 100},
        "precision": 0.05,
        "seed": 7,
    }
    async with Qurable.connect() as client:
        if cut_id is None:
            price = await client.price_cut(asked, **options)
            print(
                f"{len(price.cuts)} cuts, {price.overhead:.1f} times the shots, {price.experiments} experiments"
            )
            cut = await client.cut(asked, **options)
            print(f"cut {cut.id}")
        else:
            cut = client.attach_cut(cut_id)
        report = await cut.report()
        whole = await client.run(estimate(asked, precision=0.0, backend="aer"))
        (result,) = whole.results
        assert result.kind == "estimate"
        assert report.evs is not None
        assert report.stds is not None
        exact, values, errors = result.evs.values, report.evs.values, report.stds.values
        for label, *numbers in zip(wanted(), exact, values, errors, strict=True):
            print(f"{label}  whole {numbers[0]:+.4f}  cut {numbers[1]:+.4f} ± {numbers[2]:.4f}")
        draw(exact, values, errors)


def draw(exact: Sequence[float], values: Sequence[float], errors: Sequence[float]) -> None:
    PICTURE.write_text(drawn(exact, values, errors), encoding="utf-8")


def drawn(exact: Sequence[float], values: Sequence[float], errors: Sequence[float]) -> str:
    """Values of the cut circuit with their standard errors, doubled, beside the exact ones of the whole, as an SVG."""
    down = (HEIGHT - 2 * MARGIN) / 2

    def at(value: float) -> float:
        return HEIGHT / 2 - down * max(-1.0, min(1.0, value))

    across = (WIDTH - 2 * MARGIN) / len(values)
    marks = []
    for number, (true, value, error) in enumerate(zip(exact, values, errors, strict=True)):
        x = MARGIN + across * (number + 0.5)
        name = f"Z{number}" if number < SPINS else f"Z{FRAGMENT - 1}Z{FRAGMENT}"
        marks.append(
            f'<line x1="{x - 14:.1f}" x2="{x + 14:.1f}" y1="{at(true):.1f}" y2="{at(true):.1f}" stroke="#999" stroke-width="3"/>'
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{at(value - 2 * error):.1f}" y2="{at(value + 2 * error):.1f}" stroke="#06c" stroke-width="2"/>'
            f'<circle cx="{x:.1f}" cy="{at(value):.1f}" r="4" fill="#06c"/>'
            f'<text x="{x:.1f}" y="{HEIGHT - 16}" font-size="11" text-anchor="middle">{name}</text>'
        )
    axis = "".join(
        f'<text x="8" y="{at(level) + 4:.1f}" font-size="11">{level:+.1f}</text>'
        f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{at(level):.1f}" y2="{at(level):.1f}" stroke="#eee"/>'
        for level in (-1.0, -0.5, 0.0, 0.5, 1.0)
    )
    title = f"{SPINS} spins on fragments of {FRAGMENT} qubits (dots, two standard errors) and whole (bars)"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
        f'<rect width="100%" height="100%" fill="white"/><text x="{MARGIN}" y="24" font-size="13">{title}</text>'
        f"{axis}{''.join(marks)}</svg>\n"
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
