"""A quantum kernel feeds scikit-learn, beside an RBF kernel on the same samples: `python examples/kernels/kernel.py`.

Both are given the same training samples, the same choices by the same cross-validation, and judged once on samples that
neither has seen. The data are toys (two moons); nothing is said here about any advantage.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from qiskit.circuit import ParameterVector, QuantumCircuit
from sklearn.datasets import make_moons
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from qurable import Qurable

PICTURE = Path("kernels.svg")
SHOTS = 1000
STRENGTHS = [0.1, 1.0, 10.0, 100.0]
WIDTHS = [0.1, 0.3, 1.0, 3.0, 10.0]
CELL, TOP, GAP = 5, 46, 40


def feature_map(features: int = 2) -> QuantumCircuit:
    """Two layers of rotations by each feature, tied together by their products."""
    x = ParameterVector("x", features)
    circuit = QuantumCircuit(features, name="moons")
    for _ in range(2):
        for at in range(features):
            circuit.h(at)
            circuit.p(2 * x[at], at)
        for at in range(features - 1):
            circuit.cx(at, at + 1)
            circuit.p(2 * x[at] * x[at + 1], at + 1)
            circuit.cx(at, at + 1)
    return circuit


def samples() -> Any:
    """Training samples, test samples and their labels; the scale is learnt from the training samples alone.

    Raises:
        SystemExit: The labels are all the same, so that there is nothing to learn.
    """
    x, labels = make_moons(n_samples=80, noise=0.2, random_state=7)
    split = train_test_split(x, labels, test_size=40, stratify=labels, random_state=7)
    train, test, of_train, of_test = split
    refuse_constant(of_train)
    order = np.argsort(of_train, kind="stable")  # so that the picture shows two blocks
    scale = MinMaxScaler((-1.0, 1.0)).fit(train)
    return scale.transform(train[order]), scale.transform(test), of_train[order], of_test


def refuse_constant(labels: Any) -> None:
    """Leave where there is one class alone: every classifier would be right, and mean nothing by it."""
    if len(np.unique(labels)) < 2:
        raise SystemExit(
            f"all labels are {labels[0]!r}: a classifier takes samples of two classes at the least"
        )


def tuned(kernel: str, choices: dict[str, list[float]], train: Any, labels: Any) -> Any:
    """A support vector classifier whose constants are chosen by cross-validation among the training samples."""
    search = GridSearchCV(SVC(kernel=kernel), choices, cv=5)
    return search.fit(train, labels)


async def main() -> None:
    train, test, of_train, of_test = samples()
    async with Qurable.connect() as client:
        run = await client.kernel(feature_map(), train, test, shots=SHOTS, seed=7)
        print(f"matrix {run.id}")
        report, matrix = await run.report(), await run.matrix()
    assert report.spectrum is not None
    print(
        f"{report.entries} overlaps for {len(train)} and {len(test)} samples, {report.reused} of them from earlier, standard errors "
        f"up to {report.largest_error:.3f}"
    )
    print(
        f"smallest eigenvalue {report.spectrum.smallest:.4f}, diagonal shifted by {report.spectrum.shift:.4f}"
    )
    quantum = tuned("precomputed", {"C": STRENGTHS}, matrix.repaired(), of_train)
    classical = tuned("rbf", {"C": STRENGTHS, "gamma": WIDTHS}, train, of_train)
    scores = {
        "quantum kernel": quantum.score(matrix["test"], of_test),
        "RBF kernel": classical.score(test, of_test),
        "larger class": max(np.mean(of_test), 1 - np.mean(of_test)),
    }
    for name, score in scores.items():
        print(f"{name:>15}: {score:.3f} of {len(of_test)} held-out samples")
    draw(matrix["train"], scores, len(of_test))


def draw(kernel: Any, scores: dict[str, float], held_out: int) -> None:
    PICTURE.write_text(drawn(kernel, scores, held_out), encoding="utf-8")


def drawn(kernel: Any, scores: dict[str, float], held_out: int) -> str:
    """The kernel as a map of shades, and accuracies as bars with the standard error that so many samples leave."""
    side = CELL * len(kernel)
    cells = "".join(
        f'<rect x="{20 + CELL * column}" y="{TOP + CELL * row}" width="{CELL}" height="{CELL}" fill="{shade(value)}"/>'
        for row, values in enumerate(kernel)
        for column, value in enumerate(values)
    )
    left = 20 + side + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + 330} {TOP + side + 30}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{cells}'
        f'<text x="20" y="20" font-size="13">Kernel of the training samples</text>'
        f'<text x="20" y="36">by class; white 0, dark 1</text>'
        f'<text x="{left}" y="20" font-size="13">Accuracy on {held_out} held-out samples</text>'
        f'<text x="{left}" y="36">with the standard error of a share of {held_out}</text>'
        f"{bars(scores, held_out, left)}</svg>\n"
    )


def shade(value: float) -> str:
    """White for 0, dark blue for 1."""
    part = min(max(float(value), 0.0), 1.0)
    red, green, blue = (round(255 - part * (255 - dark)) for dark in (8, 48, 107))
    return f"#{red:02x}{green:02x}{blue:02x}"


def bars(scores: dict[str, float], held_out: int, left: int) -> str:
    """A bar for each score, 0 to 1 on 200 units."""
    return "".join(_bar(at, entry, held_out, left) for at, entry in enumerate(scores.items()))


def _bar(at: int, entry: Sequence[Any], held_out: int, left: int) -> str:
    name, score = entry
    error = (score * (1 - score) / held_out) ** 0.5
    top = TOP + 14 + 44 * at
    begin, end = left + 100 + 200 * max(0.0, score - error), left + 100 + 200 * min(1.0, score + error)
    return (
        f'<text x="{left}" y="{top + 15}">{name}</text>'
        f'<rect x="{left + 100}" y="{top}" width="{200 * score:.1f}" height="22" fill="{("#08306b", "#c60", "#bbb")[at]}"/>'
        f'<line x1="{begin:.1f}" x2="{end:.1f}" y1="{top + 11}" y2="{top + 11}" stroke="black" stroke-width="2"/>'
        f'<text x="{left + 100}" y="{top + 35}" font-size="11">{score:.2f}</text>'
    )


if __name__ == "__main__":
    asyncio.run(main())
