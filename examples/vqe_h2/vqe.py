"""The ground state of molecular hydrogen by a loop that outlives this script: `python examples/vqe_h2/vqe.py [LOOP]`.

Close the lid, and run it again with the id that it printed, here or on another machine: it goes on watching.
"""

import asyncio
import math
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

from qurable import Qurable
from qurable.contracts.optimisations import CurvePoint

H2 = {  # at 0.735 angstrom in STO-3G, on two qubits (O'Malley and others, Phys. Rev. X 6, 031007 (2016))
    "II": -1.052373245772859,
    "IZ": 0.39793742484318045,
    "ZI": -0.39793742484318045,
    "ZZ": -0.01128010425623538,
    "XX": 0.18093119978423156,
}
PICTURE = Path("convergence.svg")
WIDTH, HEIGHT, MARGIN = 640, 320, 40


async def main(loop_id: str | None) -> None:
    async with Qurable.connect() as client:
        if loop_id is None:
            loop = await client.optimise(
                H2, "real_amplitudes:1", optimiser={"name": "cma_es"}, stop={"evaluations": 400}, seed=3
            )
            print(f"loop {loop.id}")
        else:
            loop = client.attach_loop(loop_id)
        async for status in loop.progress():
            if status.best is not None and status.reference is not None:
                draw(status.curve, status.reference.value)
                print(f"{status.spent.iterations:5} iterations, best {status.best.value:.6f} hartree")
        report = await loop.report()
        print(f"{report.value:.6f} hartree, {1000 * (report.gap or 0):.3f} mHa above the exact energy")


def draw(curve: Sequence[CurvePoint], exact: float) -> None:
    PICTURE.write_text(drawn(curve, exact), encoding="utf-8")


def drawn(curve: Sequence[CurvePoint], exact: float) -> str:
    """The distance to the exact energy by iteration, on a logarithmic scale, as an SVG."""
    if not curve:
        return ""
    logs = [math.log10(max(point.best - exact, 1e-12)) for point in curve]
    low, high = math.floor(min(logs)), math.ceil(max(logs)) or 1
    across = (WIDTH - 2 * MARGIN) / max(curve[-1].iteration, 1)
    down = (HEIGHT - 2 * MARGIN) / max(high - low, 1)
    points = " ".join(
        f"{MARGIN + across * point.iteration:.1f},{MARGIN + down * (high - value):.1f}"
        for point, value in zip(curve, logs, strict=True)
    )
    bound = MARGIN + down * (high - math.log10(1.6e-3))
    labels = "".join(
        f'<text x="4" y="{MARGIN + down * (high - power) + 4:.1f}" font-size="11">1e{power}</text>'
        for power in range(low, high + 1)
    )
    title = escape("VQE of H2: distance of the best energy to the exact one (hartree) by iteration")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
        f'<rect width="100%" height="100%" fill="white"/><text x="{MARGIN}" y="20" font-size="13">{title}</text>{labels}'
        f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{bound:.1f}" y2="{bound:.1f}" stroke="gray" stroke-dasharray="4"/>'
        f'<text x="{WIDTH - MARGIN - 60}" y="{bound - 4:.1f}" font-size="11">1.6 mHa</text>'
        f'<polyline points="{points}" fill="none" stroke="#0b5" stroke-width="2"/></svg>\n'
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
