"""(f) Thirty jobs: the route that `auto` chooses against every other that could answer, all of them really run.

Timed is the run stage, which is what a user waits for besides queues: from the worker's taking the job up to the
last piece of its answer in the store, the child process included. Each candidate's time is the least of its runs.
"""

import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from qiskit import transpile
from qiskit.quantum_info import Statevector
from qiskit_ibm_runtime.fake_provider import FakeBrisbane

from benchmarks.figures import heading, ratio
from benchmarks.house import BELL, service
from benchmarks.route_jobs import ROUTE_JOBS, RouteJob, scrambled
from benchmarks.transpile import DEVICE, LEVEL
from circuits.statistics import (
    any_of,
    choose_bits,
    g_test,
    marginal_counts,
    marginal_probabilities,
    permutation_test,
)
from circuits.traits import final_measurements, measure_traits
from qurable.client import Qurable
from qurable.contracts.confidence import ConfidenceKind
from qurable.contracts.jobs import Limits, Method, mint_key
from qurable.contracts.reports import JobReport
from qurable.contracts.results import EstimateResult, SampleResult
from qurable.contracts.routes import Route, Rung
from qurable.errors import JobFailed, RunLimitReached
from qurable.names import Activity
from qurable.requests import AnyJob, as_job

ALLOWED_REGRET = 1.5
FLOOR_SECONDS = 0.025
"""What nobody notices: a small job takes some 60 ms through all its stages."""

MOST_SECONDS = 60.0
HOPELESS = 10.0
"""A candidate that takes so many times the best so far is cut off."""

_LEAST_CUT_SECONDS = 3.0
_ROUNDS = 3
_REPEATED_SECONDS = 2.0
"""What takes longer is run once."""

UNLIKELY = 1e-4
_LOOKS = 8
_LOOK_BITS = 3
_DEALINGS = 99_999
_EXACT_QUBITS = 16
_ROUNDING = 1e-6
_DEVIATIONS = 5.0


@dataclass(frozen=True)
class Candidate:
    """A place, and where that is Aer the method.

    Attributes:
        backend: Its name.
        method: Of Aer.
    """

    backend: str
    method: Method = Method.AUTOMATIC

    @classmethod
    def of(cls, rung: Rung) -> "Candidate":
        """What a rung of a job with one circuit comes to."""
        (choice,) = rung.methods.values()
        return cls(rung.name) if rung.name.startswith("classical:") else cls(rung.name, choice.method)

    def __str__(self) -> str:
        return self.backend if self.method is Method.AUTOMATIC else f"{self.backend} {self.method}"


CANDIDATES: Sequence[Candidate] = (
    Candidate("aer", Method.STATEVECTOR),
    Candidate("aer", Method.MATRIX_PRODUCT_STATE),
    Candidate("aer", Method.STABILIZER),
    Candidate("aer", Method.DENSITY_MATRIX),
    Candidate("classical:clifford"),
    Candidate("classical:pauli"),
    Candidate("classical:mps"),
)


@dataclass
class Judged:
    """What became of one job.

    Attributes:
        name: Of the job.
        chosen: Where `auto` sends it; None where it is refused.
        planned_seconds: Estimate of the route for the chosen one.
        seconds: Least time of the run stage of every candidate that answered (s).
        failures: Why the others did not: cut off, or the error.
        wrong: Candidates whose answers are not within tolerance, with the reason.
    """

    name: str
    chosen: Candidate | None
    planned_seconds: float = 0.0
    seconds: dict[Candidate, float] = field(default_factory=dict)
    failures: dict[Candidate, str] = field(default_factory=dict)
    wrong: dict[Candidate, str] = field(default_factory=dict)

    @property
    def possible(self) -> bool:
        """Whether the chosen one ran and answered."""
        return self.chosen in self.seconds

    @property
    def best(self) -> Candidate | None:
        """The quickest whose answer is right."""
        right = [candidate for candidate in self.seconds if candidate not in self.wrong]
        return min(right, key=lambda candidate: self.seconds[candidate], default=None)

    @property
    def regret(self) -> float:
        """Time of the chosen one over that of the best; 1 where they differ by less than anybody notices."""
        if self.chosen is None or self.best is None or not self.possible or self.chosen in self.wrong:
            return float("inf")
        mine, best = self.seconds[self.chosen], self.seconds[self.best]
        return 1.0 if mine - best <= FLOOR_SECONDS else mine / best

    def row(self) -> str:
        """A line of the table."""
        others = ", ".join(
            f"{candidate} {_human(seconds)}{' WRONG' if candidate in self.wrong else ''}"
            for candidate, seconds in sorted(self.seconds.items(), key=lambda entry: entry[1])
        )
        failed = ", ".join(f"{candidate} {why}" for candidate, why in self.failures.items())
        return (
            f"{self.name:<44} {self.chosen!s:<26} {_human(self.planned_seconds):>8} {_human(self.seconds.get(self.chosen)):>8} "  # type: ignore[arg-type]
            f"{self.best!s:<26} {self.regret:>6.2f}  {'; '.join(filter(None, (others, failed)))}"
        )


HEADING = f"{'job':<44} {'chosen':<26} {'planned':>8} {'took':>8} {'best':<26} {'regret':>6}  all"


def _human(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


async def judged(
    qurable: Qurable,
    entry: RouteJob,
    *,
    most_seconds: float = MOST_SECONDS,
    patience: float = MOST_SECONDS,
    rounds: int = _ROUNDS,
) -> Judged:
    """Plan a job with `auto`, then run it by every candidate that its planner does not refuse.

    Args:
        qurable: Of a service that nothing else uses.
        entry: The job.
        most_seconds: After which another than the chosen one is cut off.
        patience: After which the chosen one is.
        rounds: Runs of each candidate.
    """
    route = await qurable.route(entry.job())
    verdict = Judged(entry.name, Candidate.of(route.rungs[0]) if route.rungs else None)
    verdict.planned_seconds = _planned(route)
    answers: dict[Candidate, JobReport] = {}
    for candidate, job in await _possible(qurable, entry, verdict.chosen):
        best = min(verdict.seconds.values(), default=most_seconds)
        cut = (
            patience
            if candidate == verdict.chosen
            else min(most_seconds, max(HOPELESS * best, _LEAST_CUT_SECONDS))
        )
        try:
            answers[candidate], verdict.seconds[candidate] = await _timed(qurable, job, cut, rounds)
        except JobFailed as failure:
            late = failure.error.code == RunLimitReached.__name__
            verdict.failures[candidate] = f"cut off at {cut:.0f} s" if late else failure.error.code
    verdict.wrong = dict(_wrong(entry, answers))
    return verdict


def _planned(route: Route) -> float:
    return (route.rungs[0].estimate.run_seconds or 0.0) if route.rungs else 0.0


async def _possible(
    qurable: Qurable, entry: RouteJob, chosen: Candidate | None
) -> Sequence[tuple[Candidate, AnyJob]]:
    """The chosen one as `auto` sends it, then those that are not refused by name, as quick as they are expected to be."""
    found = []
    for candidate in CANDIDATES:
        if candidate != chosen:
            job = entry.job(
                backend=candidate.backend, simulator={"method": candidate.method}, seed=_seed(entry)
            )
            route = await qurable.route(job)
            if route.rungs:
                found.append((candidate, job, _planned(route)))
    others = [(candidate, job) for candidate, job, _ in sorted(found, key=lambda known: known[2])]
    return others if chosen is None else [(chosen, entry.job(seed=_seed(entry))), *others]


def _seed(entry: RouteJob) -> int:
    return zlib.crc32(entry.name.encode()) % 2**31


async def _timed(qurable: Qurable, job: AnyJob, cut: float, rounds: int) -> tuple[JobReport, float]:
    """A report, and the least time of the run stage (s).

    Raises:
        JobFailed: It did not answer, or not within the cut.
    """
    seconds: list[float] = []
    limits = Limits(run=timedelta(seconds=cut))
    while True:
        report = await qurable.run(as_job(job, limits=limits, key=mint_key()))
        (stage,) = (record for record in report.stages if record.stage == Activity.AWAIT_DONE)
        seconds.append(stage.took.total_seconds())
        if len(seconds) >= rounds or sum(seconds) > _REPEATED_SECONDS:
            return report, min(seconds)


def _wrong(entry: RouteJob, answers: Mapping[Candidate, JobReport]) -> Iterator[tuple[Candidate, str]]:
    """Answers out of tolerance: of the truth where that is at hand, else of the first that is exact."""
    if not answers:
        return
    if entry.shots is None:
        yield from _wrong_values(answers)
        return
    exact = _probabilities(entry)
    counts = {candidate: _counts(report) for candidate, report in answers.items()}
    reference = next(iter(counts.values()))
    for candidate, found in counts.items():
        looks = choose_bits(_width(found), min(_LOOK_BITS, _width(found)), _LOOKS, seed=1)
        if exact is not None:
            verdicts = [
                g_test(marginal_counts(found, bits), marginal_probabilities(exact, bits)) for bits in looks
            ]
        else:
            verdicts = [
                permutation_test(
                    marginal_counts(found, bits),
                    marginal_counts(reference, bits),
                    seed=1,
                    permutations=_DEALINGS,
                )
                for bits in looks
                if found is not reference
            ]
        p_value = any_of([verdict.p_value for verdict in verdicts]) if verdicts else 1.0
        if p_value < UNLIKELY:
            yield candidate, f"p = {p_value:.1g}"


def _counts(report: JobReport) -> Mapping[str, int]:
    (result,) = report.results
    assert isinstance(result, SampleResult)
    return result.counts()


def _width(counts: Mapping[str, int]) -> int:
    return len(next(iter(counts)).replace(" ", ""))


def _probabilities(entry: RouteJob) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Exact probabilities of the classical bits of a narrow circuit that measures at its end."""
    circuit = entry.circuit()
    traits = measure_traits(circuit, entry.name)
    if traits.is_dynamic or traits.active_qubits > _EXACT_QUBITS:
        return None
    qubit_of = {bit: qubit for qubit, bit in final_measurements(circuit).items()}
    bare = circuit.remove_final_measurements(inplace=False)
    found = Statevector(bare).probabilities([qubit_of[bit] for bit in range(circuit.num_clbits)])
    return np.asarray(found, dtype=np.float64)


def _wrong_values(answers: Mapping[Candidate, JobReport]) -> Iterator[tuple[Candidate, str]]:
    """The reference is the first without an error of its own, or the one with the least."""
    reach = {candidate: _reach(report) for candidate, report in answers.items()}
    reference = min(reach, key=lambda candidate: reach[candidate])
    truth = _value(answers[reference])
    for candidate, report in answers.items():
        off = abs(_value(report) - truth)
        if off > reach[candidate] + reach[reference] + _ROUNDING:
            yield candidate, f"off by {off:.2g}"


def _value(report: JobReport) -> float:
    (result,) = report.results
    assert isinstance(result, EstimateResult)
    return float(result.evs.values[0])


def _reach(report: JobReport) -> float:
    """How far an answer says itself that it may be off: five standard errors, or its bound or estimate."""
    (result,) = report.results
    assert isinstance(result, EstimateResult)
    own = sum(
        record.value
        for record in report.confidence
        if record.kind in (ConfidenceKind.TRUNCATION_BOUND, ConfidenceKind.TRUNCATION_ESTIMATE)
    )
    return _DEVIATIONS * float(result.stds.values[0]) + own


async def _planning(qurable: Qurable) -> None:
    """What a plan costs against what compiling costs, for a device, where no probe is needed.

    The plan is taken with all that `qurable route` does besides: parsing, measuring the circuit, the way there and back.
    """
    circuit = scrambled(100, 20, 13)
    planned, compiled = [], []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        await qurable.route(circuit, shots=1000, backend=DEVICE)
        planned.append(time.perf_counter() - began)
        began = time.perf_counter()
        transpile(circuit, FakeBrisbane(), optimization_level=LEVEL)
        compiled.append(time.perf_counter() - began)
    gates = circuit.num_nonlocal_gates()
    print(
        f"planning {circuit.num_qubits} qubits and {gates} two-qubit gates for {DEVICE}: {_human(min(planned))}, and to compile them at "
        f"level {LEVEL} {_human(min(compiled))}"
    )
    ratio("planning / compiling", min(planned) / min(compiled), 0.1)


async def regrets(home: Path) -> None:
    """Part (f)."""
    heading(
        f"(f) {len(ROUTE_JOBS)} jobs by the route that `auto` chooses, and by every other that could answer"
    )
    print(
        f"run stage, least of {_ROUNDS}; regret is chosen / best, 1 where they differ by less than {FLOOR_SECONDS * 1e3:.0f} ms; "
        f"cut off at {HOPELESS:g} times the best or {MOST_SECONDS:g} s"
    )
    print(HEADING, flush=True)
    verdicts = []
    began = time.perf_counter()
    async with service(home) as qurable:
        await qurable.run(BELL, shots=1)
        for entry in ROUTE_JOBS:
            verdicts.append(await judged(qurable, entry))
            print(verdicts[-1].row(), flush=True)
        await _planning(qurable)
    print(f"{time.perf_counter() - began:.0f} s in all")
    ratio("impossible choices", sum(not verdict.possible for verdict in verdicts), 0)
    ratio("wrong answers among the chosen", sum(verdict.chosen in verdict.wrong for verdict in verdicts), 0)
    good = sum(verdict.regret <= ALLOWED_REGRET for verdict in verdicts)
    ratio(f"regret of at most {ALLOWED_REGRET:g}, of {len(verdicts)}", good, 27, at_least=True)
