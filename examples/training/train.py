"""A small classifier trained in mini-batches through the service: `python examples/training/train.py [--steps 40]`.

Every step is one job under a key of its own, and one line of a log: weights, the optimiser's moments, the samples of the
mini-batch. Kill it anywhere and run it again: it goes on after the last whole line, asks for the step that was under way by the
same key, which runs nothing twice, and ends with the weights that it would have had.
"""

import argparse
import asyncio
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import ParameterVector, QuantumCircuit
from sklearn.calibration import calibration_curve
from sklearn.datasets import make_moons
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler

from qurable import JobReport, Qurable, estimate

Floats = npt.NDArray[np.float64]

LOG, PICTURE = Path("training.jsonl"), Path("training.svg")
QUBITS, LAYERS = 2, 3
WEIGHTS = 2 * QUBITS * LAYERS
BATCH, RATE = 16, 0.15
PRECISION, TEST_PRECISION = 1 / 16, 1 / 32
"""Standard errors of each expectation value, while it learns and when it is judged."""

OBSERVABLE = "IZ"
"""On qubit 0, the rightmost letter; the probability of class 1 is (1 - <Z>) / 2."""

BINS = 6


@dataclass(frozen=True)
class Step:
    """One line of the log: how things stand after a step.

    Attributes:
        number: Of the step, from 1.
        batch: Training samples that it looked at.
        weights: After it.
        mean, square: Adam's moments after it.
        loss: Brier score on the mini-batch, before it.
        job: That evaluated it.
    """

    number: int
    batch: list[int]
    weights: list[float]
    mean: list[float]
    square: list[float]
    loss: float
    job: str


def ansatz() -> QuantumCircuit:
    """Data put in again in every layer, between rotations that are learnt; parameters are weights, then features."""
    weights, x = ParameterVector("w", WEIGHTS), ParameterVector("x", QUBITS)
    circuit, at = QuantumCircuit(QUBITS, name="classifier"), 0
    for _ in range(LAYERS):
        for qubit in range(QUBITS):
            circuit.ry(x[qubit], qubit)
            circuit.rz(weights[at], qubit)
            circuit.ry(weights[at + 1], qubit)
            at += 2
        circuit.cx(1, 0)
    return circuit


def samples() -> Any:
    """Training samples, held-out samples and their labels; the scale is learnt from the training samples alone."""
    x, labels = make_moons(n_samples=300, noise=0.2, random_state=3)
    train, test, of_train, of_test = train_test_split(
        x, labels, test_size=140, stratify=labels, random_state=3
    )
    scale = MinMaxScaler((-np.pi / 2, np.pi / 2)).fit(train)
    return scale.transform(train), scale.transform(test), of_train, of_test


def batch_of(number: int, size: int, seed: int) -> list[int]:
    """The mini-batch of a step: an epoch's order is drawn by the seed and the epoch, so that nobody has to remember it."""
    in_epoch = size // BATCH
    epoch, place = divmod(number - 1, in_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(size)
    return [int(index) for index in order[place * BATCH : (place + 1) * BATCH]]


def rows_of(weights: Floats, x: Floats) -> Floats:
    """Bindings of a step, shape (1 + 2 weights, samples, parameters).

    First the weights as they are, then with each a quarter turn up, then with each a quarter turn down.

    Source: Mitarai and others, Phys. Rev. A 98, 032309 (2018).
    """
    shifts = np.vstack([np.zeros(WEIGHTS), *(sign * np.pi / 2 * np.eye(WEIGHTS) for sign in (1, -1))])
    shifted = np.repeat((weights + shifts)[:, None], len(x), axis=1)
    return np.concatenate([shifted, np.repeat(x[None], len(shifts), axis=0)], axis=2)


def gradient_of(values: Floats, labels: Floats) -> tuple[float, Floats]:
    """Brier score of a mini-batch, and its gradient in the weights.

    Args:
        values: Of the observable, as `rows_of` orders the bindings, shape (1 + 2 weights, samples).
        labels: 0 or 1.
    """
    off = (1 - values[0]) / 2 - labels
    slopes = (values[1 : WEIGHTS + 1] - values[WEIGHTS + 1 :]) / 2  # of <Z>
    return float(np.mean(off**2)), np.mean(-off * slopes, axis=1)


def moved(before: Step, gradient: Floats) -> dict[str, list[float]]:
    """Weights and moments after a step of Adam.

    Source: Kingma and Ba, ICLR (2015).
    """
    mean = 0.9 * np.array(before.mean) + 0.1 * gradient
    square = 0.99 * np.array(before.square) + 0.01 * gradient**2
    number = before.number + 1
    step = mean / (1 - 0.9**number) / (np.sqrt(square / (1 - 0.99**number)) + 1e-8)
    weights = np.array(before.weights) - RATE * step
    return {"weights": weights.tolist(), "mean": mean.tolist(), "square": square.tolist()}


def first(seed: int) -> Step:
    """Where training starts."""
    weights = np.random.default_rng([seed, 1]).uniform(-np.pi, np.pi, WEIGHTS)
    return Step(0, [], weights.tolist(), [0.0] * WEIGHTS, [0.0] * WEIGHTS, 0.0, "")


def read(log: Path) -> list[Step]:
    """The steps that a log holds; a last line that was cut off in writing is none, and is written anew."""
    whole = log.read_bytes().rpartition(b"\n")[0] if log.exists() else b""
    if log.exists():
        os.truncate(log, len(whole) + 1 if whole else 0)
    return [Step(**json.loads(line)) for line in whole.splitlines()]


def append(log: Path, step: Step) -> None:
    """Keep a step before the next one begins."""
    with log.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(step)) + "\n")
        lines.flush()
        os.fsync(lines.fileno())


def seed_of(seed: int, number: int) -> int:
    """The base of a step's seeds, far from its neighbours'."""
    return int(hashlib.sha256(f"{seed}\0{number}".encode()).hexdigest()[:7], 16)


async def train(client: Qurable, name: str, steps: int, seed: int, data: Any) -> list[Step]:
    """Go on from where the log ends."""
    x, _, labels, _ = data
    circuit, done = ansatz(), read(LOG)
    before = done[-1] if done else first(seed)
    while before.number < steps:
        number = before.number + 1
        batch = batch_of(number, len(x), seed)
        rows = rows_of(np.array(before.weights), x[batch])
        job = estimate(
            (circuit, OBSERVABLE, rows, PRECISION),
            backend="aer",
            seed=seed_of(seed, number),
            key=f"{name}-{seed}-{number}",
        )
        report = await client.run(job)
        loss, gradient = gradient_of(values_in(report), labels[batch])
        before = Step(number=number, batch=batch, loss=loss, job=report.id, **moved(before, gradient))
        append(LOG, before)
        print(f"step {number:3}: Brier score {loss:.3f} on its mini-batch", flush=True)
        done.append(before)
    return done


async def probabilities(client: Qurable, name: str, last: Step, seed: int, x: Floats) -> Floats:
    """Of class 1, for each sample."""
    rows = np.concatenate([np.repeat([last.weights], len(x), axis=0), x], axis=1)
    job = estimate(
        (ansatz(), OBSERVABLE, rows, TEST_PRECISION),
        backend="aer",
        seed=seed_of(seed, 0),
        key=f"{name}-{seed}-{last.number}-test",
    )
    report = await client.run(job)
    return np.clip((1 - values_in(report)) / 2, 0.0, 1.0)


def values_in(report: JobReport) -> Floats:
    """Expectation values of its only pub, in the shape of its bindings."""
    (result,) = report.results
    assert result.kind == "estimate"
    return result.evs.to_numpy()


async def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small classifier in mini-batches.")
    parser.add_argument("--steps", type=int, default=40, help="how many mini-batches in all (40)")
    parser.add_argument("--seed", type=int, default=5, help="of the weights, the order of samples, the shots")
    parser.add_argument("--name", default="moons", help="of this training: the same name goes on with it")
    wanted = parser.parse_args()
    data = samples()
    async with Qurable.connect() as client:
        done = await train(client, wanted.name, wanted.steps, wanted.seed, data)
        found = await probabilities(client, wanted.name, done[-1], wanted.seed, data[1])
    labels = data[3]
    auc, brier = roc_auc_score(labels, found), brier_score_loss(labels, found)
    base = brier_score_loss(labels, np.full(len(labels), np.mean(data[2])))
    print(f"held out: AUC {auc:.3f}, Brier score {brier:.3f} ({base:.3f} for the share of classes alone)")
    seen, said = calibration_curve(labels, found, n_bins=BINS)
    for share, probability in zip(seen, said, strict=True):
        print(f"  said {probability:.2f}, seen {share:.2f}")
    draw(drawn([step.loss for step in done], said, seen, auc, brier))


def draw(picture: str) -> None:
    PICTURE.write_text(picture, encoding="utf-8")


SIDE, MARGIN = 260, 50


def drawn(losses: Sequence[float], said: Floats, seen: Floats, auc: float, brier: float) -> str:
    """Loss by step, and how often class 1 was seen where it was said with a probability."""
    across = SIDE / max(1, len(losses) - 1)
    top = max(0.4, *losses)
    curve = " ".join(
        f"{MARGIN + across * at:.1f},{MARGIN + SIDE * (1 - loss / top):.1f}" for at, loss in enumerate(losses)
    )
    left = 2 * MARGIN + SIDE + 30
    points = [(left + SIDE * x, MARGIN + SIDE * (1 - y)) for x, y in zip(said, seen, strict=True)]
    reliability = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#c60"/>' for x, y in points)
    frames = "".join(
        f'<rect x="{at}" y="{MARGIN}" width="{SIDE}" height="{SIDE}" fill="none" stroke="gray"/>'
        for at in (MARGIN, left)
    )
    below = MARGIN + SIDE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + SIDE + 20} {below + 50}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>{frames}'
        f'<text x="{MARGIN}" y="20" font-size="13">Brier score of each mini-batch, before its step</text>'
        f'<text x="{MARGIN - 30}" y="{MARGIN + 5}">{top:.1f}</text><text x="{MARGIN - 30}" y="{below}">0.0</text>'
        f'<text x="{MARGIN}" y="{below + 18}">step 1</text>'
        f'<text x="{MARGIN + SIDE}" y="{below + 18}" text-anchor="end">step {len(losses)}</text>'
        f'<polyline points="{curve}" fill="none" stroke="#08306b" stroke-width="2"/>'
        f'<text x="{left}" y="20" font-size="13">Held-out samples: AUC {auc:.3f}, Brier score {brier:.3f}</text>'
        f'<text x="{left}" y="36">share of class 1 by the probability that was said</text>'
        f'<text x="{left - 30}" y="{MARGIN + 5}">1.0</text><text x="{left - 30}" y="{below}">0.0</text>'
        f'<text x="{left}" y="{below + 18}">0.0</text>'
        f'<text x="{left + SIDE}" y="{below + 18}" text-anchor="end">1.0</text>'
        f'<line x1="{left}" y1="{below}" x2="{left + SIDE}" y2="{MARGIN}" stroke="gray" stroke-dasharray="4"/>'
        f'<polyline points="{reliability}" fill="none" stroke="#c60" stroke-width="2"/>{dots}</svg>\n'
    )


if __name__ == "__main__":
    asyncio.run(main())
