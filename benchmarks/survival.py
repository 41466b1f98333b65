"""(s) The survival estimate against the noisy twin: circuits whose right outcomes are known, and how often they come.

The twin is Aer with the device's noise on the scheduled circuit: idle windows are written out as delays, so that
they relax as well. It is Markovian and has no crosstalk; a real device is worse, and less orderly.
"""

import functools
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import ALAPScheduleAnalysis, PadDelay
from qiskit_aer import AerSimulator
from scipy.stats import rankdata, spearmanr

from benchmarks.calibration_plot import Point, draw
from benchmarks.figures import heading, ratio
from circuits.compilation import compile_circuits
from circuits.parse import dump_qpy, load_qpy
from circuits.squeeze import squeeze
from circuits.survival import rates_of, survival_of
from circuits.targets import build_target, describe_target
from isolation.device_noise import noise_model
from qurable.contracts.base import digest
from qurable.contracts.confidence import Survival
from qurable.contracts.jobs import TranspileOptions
from qurable.contracts.targets import TargetDocument

DEVICE = "FakeTorino"
LEVEL = 2
SHOTS = 4_000
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "survival-calibration.svg"


@dataclass(frozen=True)
class Probe:
    """A circuit whose right outcomes are known.

    Attributes:
        kind: Family it is of.
        size: Which of the family.
        circuit: With its readings.
        right: Outcomes of a run without errors, rightmost character bit 0.
    """

    kind: str
    size: str
    circuit: QuantumCircuit
    right: frozenset[str]

    @property
    def name(self) -> str:
        return f"{self.kind} {self.size}"


def probes() -> list[Probe]:
    """Thirty circuits of five families, two to nine qubits, from a few to several hundred two-qubit gates."""
    return [
        *(ghz(width) for width in (2, 3, 4, 6, 9)),
        *(hidden_string(width, seed) for seed, width in enumerate((3, 4, 6, 8))),
        *(fourier(width, number) for width, number in ((2, 1), (3, 5), (4, 9), (5, 19), (6, 42), (7, 77))),
        *(mirror(width, layers, seed) for seed, (width, layers) in enumerate(_MIRRORS)),
        *(waiting(microseconds) for microseconds in (5, 20, 60)),
    ]


_MIRRORS = (
    *((2, 2), (3, 3), (3, 12), (4, 2), (4, 8), (4, 20), (4, 50)),
    *((5, 5), (6, 3), (6, 12), (6, 36), (8, 14)),
)
"""Width and layers."""


def ghz(width: int) -> Probe:
    """All qubits agree."""
    circuit = QuantumCircuit(width)
    circuit.h(0)
    for qubit in range(width - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return Probe("GHZ", str(width), circuit, frozenset({"0" * width, "1" * width}))


def hidden_string(width: int, seed: int) -> Probe:
    """Bernstein and Vazirani's: one question gives the string away."""
    ones = np.random.default_rng(seed).integers(0, 2, width - 1)
    ones[0] = 1
    circuit = QuantumCircuit(width, width - 1)
    circuit.x(width - 1)
    circuit.h(range(width))
    for qubit in np.flatnonzero(ones):
        circuit.cx(int(qubit), width - 1)
    circuit.h(range(width - 1))
    circuit.measure(range(width - 1), range(width - 1))
    return Probe(
        "hidden string", str(width), circuit, frozenset({"".join(str(bit) for bit in reversed(ones))})
    )


def fourier(width: int, number: int) -> Probe:
    """A number written into phases, and read by the inverse Fourier transform."""
    circuit = QuantumCircuit(width)
    circuit.h(range(width))
    for qubit in range(width):
        circuit.p(2 * math.pi * number * 2**qubit / 2**width, qubit)
    circuit.append(QFTGate(width).inverse(), range(width))
    circuit = circuit.decompose(reps=3)
    circuit.measure_all()
    return Probe("Fourier", str(width), circuit, frozenset({f"{number:0{width}b}"}))


def mirror(width: int, layers: int, seed: int) -> Probe:
    """Random layers, and all of them backwards: everything is 0 again."""
    random = np.random.default_rng(1000 + seed)
    there = QuantumCircuit(width)
    for layer in range(layers):
        for qubit in range(width):
            there.u(*random.uniform(0, 2 * math.pi, 3), qubit)
        for qubit in range(layer % 2, width - 1, 2):
            there.cx(qubit, qubit + 1)
    circuit = there.copy()
    circuit.barrier()
    circuit.compose(there.inverse(), inplace=True)
    circuit.measure_all()
    return Probe("mirror", f"{width}x{layers}", circuit, frozenset({"0" * width}))


def waiting(microseconds: float) -> Probe:
    """A pair is entangled, waits, and is disentangled: hardly any gates, and all the error of idling."""
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.barrier()
    for _ in range(2):
        circuit.delay(round(microseconds * 1000 / 32) * 32, 0, "ns")
        circuit.delay(round(microseconds * 1000 / 32) * 32, 1, "ns")
    circuit.barrier()
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.measure_all()
    return Probe("waiting", f"{2 * microseconds:g} us", circuit, frozenset({"00"}))


def _compiled(circuit: QuantumCircuit, name: str, document: TargetDocument) -> Mapping[str, Any]:
    payload = {
        "target": document.model_dump_json(),
        "target_hash": digest(document),
        "level": LEVEL,
        "options": TranspileOptions().model_dump_json(),
        "circuits": [{"qpy": dump_qpy(circuit), "name": name}],
    }
    (facts,) = compile_circuits(payload, lambda _: None)
    found: Mapping[str, Any] = facts
    return found


def measured(probe: Probe, document: TargetDocument, shots: int, seed: int) -> Point:
    """The estimate as the compiler gives it, beside what comes on the noisy twin."""
    facts = _compiled(probe.circuit, probe.name, document)
    small, active = squeeze(load_qpy(facts["qpy"]))
    target = build_target(document, only=active)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduled = PassManager([ALAPScheduleAnalysis(target=target), PadDelay(target=target)]).run(small)
    twin = AerSimulator(method="density_matrix", noise_model=noise_model(document, active))
    counts = twin.run(scheduled, shots=shots, seed_simulator=seed).result().get_counts()
    survival = Survival.model_validate(facts["survival"])
    return Point(
        name=probe.name,
        kind=probe.kind,
        estimate=survival.value,
        without_idle=survival.gates * survival.readout,
        success=sum(counts.get(outcome, 0) for outcome in probe.right) / shots,
        shots=shots,
        two_qubit_gates=facts["two_qubit_gates"],
    )


@dataclass(frozen=True)
class Correlation:
    """How well one number ranks what another measures.

    Attributes:
        rho: Spearman's rank correlation.
        interval: 95 %, by Fisher's transformation with the variance of Bonett and Wright (2000).
        null: The 99.9 % quantile of rho where the two have nothing to do with each other, by permutation.
    """

    rho: float
    interval: tuple[float, float]
    null: float

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.rho:.3f} (95 %: {low:.3f} to {high:.3f}; by chance below {self.null:.2f} with 99.9 %)"


def correlation(estimates: Sequence[float], successes: Sequence[float]) -> Correlation:
    """Spearman's rank correlation of two columns."""
    rho = float(spearmanr(estimates, successes).statistic)
    spread = 1.96 * math.sqrt((1 + rho**2 / 2) / (len(estimates) - 3))
    middle = math.atanh(min(rho, 1 - 1e-12))
    return Correlation(rho, (math.tanh(middle - spread), math.tanh(middle + spread)), _by_chance(successes))


def _by_chance(values: Sequence[float], permutations: int = 20_000) -> float:
    ranks = rankdata(values) - (len(values) + 1) / 2
    shuffled = np.random.default_rng(0).permuted(np.tile(ranks, (permutations, 1)), axis=1)
    return float(np.quantile(shuffled @ ranks / (ranks @ ranks), 0.999))


@functools.cache
def _device() -> TargetDocument:
    from qiskit_ibm_runtime import fake_provider

    return describe_target(getattr(fake_provider, DEVICE)().target)


def measure_all(found: Sequence[Probe], shots: int) -> Iterator[Point]:
    """Each circuit on the twin of the device."""
    document = _device()
    for number, probe in enumerate(found):
        yield measured(probe, document, shots, seed=100 + number)


def _overhead(document: TargetDocument) -> None:
    """What the estimate adds to a compilation: 100 qubits, 1,000 two-qubit gates, in processor time."""
    random, circuit = np.random.default_rng(1), QuantumCircuit(100)
    for left in random.integers(0, 99, 1000):
        circuit.rx(float(random.uniform(0.1, 3)), int(left))
        circuit.cx(int(left), int(left) + 1)
    circuit.measure_all()
    isa = load_qpy(_compiled(circuit, "warm up", document)["qpy"])
    rates = rates_of(document)
    assert rates is not None  # a device reports its errors
    compiling = min(_processor_seconds(lambda: _compiled(circuit, "deep", document)) for _ in range(5))
    judging = min(_processor_seconds(lambda: survival_of(isa, rates)) for _ in range(5))
    ratio("survival / compilation with it, 100 qubits, 1,000 two-qubit gates", judging / compiling, 0.1)


def _processor_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


async def calibration(_home: Path) -> None:
    """Part (s)."""
    heading(f"(s) survival estimate and success on the noisy twin of {DEVICE}, {SHOTS} shots each")
    points = []
    for point in measure_all(probes(), SHOTS):
        points.append(point)
        print(
            f"{point.name:<18} {point.two_qubit_gates:>4} two-qubit gates   estimate {point.estimate:.3f}   without idle "
            f"{point.without_idle:.3f}   success {point.success:.3f}",
            flush=True,
        )
    successes = [point.success for point in points]
    whole = correlation([point.estimate for point in points], successes)
    print(f"rank correlation                {whole}")
    print(
        f"rank correlation without idle   {correlation([point.without_idle for point in points], successes)}"
    )
    off = [point.success - point.estimate for point in points]
    print(
        f"success less estimate: mean {np.mean(off):+.3f}, from {min(off):+.3f} to {max(off):+.3f}; success is the higher in "
        f"{sum(difference > 0 for difference in off)} of {len(off)}"
    )
    over = [point.two_qubit_gates for point in points]
    print(f"{len(points)} circuits of {min(over)} to {max(over)} two-qubit gates")
    _overhead(_device())
    PICTURE.write_text(draw(points, str(whole), DEVICE), encoding="utf-8")
    print(f"drawn in {PICTURE.relative_to(PICTURE.parents[2])}")
