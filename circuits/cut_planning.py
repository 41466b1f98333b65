"""From what a stranger wants cut to a plan and the jobs of its fragments; runs in a child."""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import QuantumCircuit

from circuits.cut_finding import (
    DISTRIBUTION,
    Experiments,
    Pieces,
    Weights,
    bare,
    busy_qubits,
    find_pieces,
    make_experiments,
)
from circuits.estimation import Product, on_busy_qubits, placed, without_final_measurements
from circuits.flatten import flatten
from circuits.marginals import wanted_observables
from circuits.parse import read_circuit
from circuits.seeds import STRIDE
from circuits.source import SourceLimits
from circuits.traits import measure_traits
from qurable.contracts.base import digest
from qurable.contracts.budgets import JobBudget
from qurable.contracts.cutting import (
    CutFragment,
    CutJob,
    CutPlan,
    CutPrice,
    FragmentPlan,
    FragmentRun,
)
from qurable.contracts.jobs import MAX_SEED, EstimateJob, SampleJob
from qurable.contracts.observables import Observable, Observables
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.errors import CircuitRejected, CutTooDear, RequestRejected
from qurable.requests import as_circuit

MAX_EXPERIMENTS = 10_000
MAX_PRODUCTS = 4096
EXPERIMENTS_OF_A_JOB = 100
"""A fragment with more has several jobs, so that what fails and runs again is small."""

LEAST_SHOTS = 100
"""Of an experiment: of fewer, the bootstrap knows too little."""

_BASES = MAX_SEED - STRIDE * MAX_EXPERIMENTS
"""Seeds of fragments stay below this, so that the last experiment's is one that a job may be given."""

Floats = npt.NDArray[np.float64]
Parts = dict[int, float]


def plan_cut(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: find cuts and make the jobs of the fragments.

    Args:
        payload: `{"job": CutJob as JSON, "limits": {...}, "width": qubits of the backend or None, "max_shots": of it}`.

    Returns:
        `{"plan": CutPlan as JSON, "requests": [the request of each of its runs, as JSON]}`; the runs name them by their hash.

    Raises:
        RequestRejected: Naming what cannot be done, and the way out.
    """
    job = CutJob.read(payload["job"])
    return _Planner(job, SourceLimits(**payload["limits"]), payload["width"], payload["max_shots"]).plan()


class _Planner:
    def __init__(self, job: CutJob, limits: SourceLimits, width: int | None, max_shots: int) -> None:
        self._job = job
        self._pub = job.estimate.pubs[0]
        self._name = self._pub.circuit.name
        self._limits = limits
        self._width = width
        self._max_shots = max_shots
        given = job.estimate.seed
        self._seed = int(digest(f"cut\0{job.cut_id}")[:8], 16) % _BASES if given is None else given
        self._warnings: list[str] = []

    def plan(self) -> dict[str, Any]:
        circuit = self._circuit()
        busy = busy_qubits(circuit)
        wanted = wanted_observables(self._job)
        self._check_reach(wanted, circuit.num_qubits)
        qubits = self._widest()
        if len(busy) <= qubits:
            return self._whole(wanted, len(busy), qubits)
        products, constants, values = _terms(wanted, busy)
        if len(products) > MAX_PRODUCTS:
            raise RequestRejected(
                f"what is asked comes to {len(products):,} Pauli products, at most {MAX_PRODUCTS:,} are put together: ask for fewer "
                "observables or smaller marginals",
                products=len(products),
                limit=MAX_PRODUCTS,
            )
        pieces = find_pieces(
            bare(circuit, busy), busy, products, self._job.cut, qubits, self._seed % 2**31, self._name
        )
        experiments, weights = make_experiments(pieces, self._job.cut.samples, self._seed % 2**31)
        number = sum(len(made.circuits) for made in experiments.values())
        if number > MAX_EXPERIMENTS:
            raise CutTooDear(
                f"cutting circuit {self._name!r} takes {number:,} experiments, at most {MAX_EXPERIMENTS:,} are run: draw fewer joint "
                "choices (cut.samples), ask for fewer observables, or let fragments be wider (cut.qubits)",
                experiments=number,
                limit=MAX_EXPERIMENTS,
            )
        return self._in_fragments(pieces, experiments, weights, constants, values, len(busy), qubits)

    def _circuit(self) -> QuantumCircuit:
        """The circuit, written out and bound, without what it measures at its end."""
        pub = self._pub
        read = read_circuit(pub.circuit.source, pub.circuit.format, self._limits, self._name)
        flat = flatten(read, limit=self._limits.expanded_gates, name=self._name)
        given = dict(zip(pub.bindings.parameters, pub.bindings.values, strict=True))
        known = {parameter.name for parameter in flat.parameters}
        if known != given.keys():
            raise RequestRejected(
                f"circuit {self._name!r} has the parameters {sorted(known)}, values are given for {sorted(given)}"
            )
        bound = flat.assign_parameters(given) if given else flat
        circuit, measured = without_final_measurements(bound)
        if measured:
            self._warnings.append(
                "final measurements were removed: expectation values are of the state before"
            )
        traits = measure_traits(circuit, self._name)
        if traits.is_dynamic or traits.measurements:
            raise CircuitRejected(
                f"circuit {self._name!r} measures and goes on, resets or branches; only circuits of gates can be cut: leave that out, or "
                "run it whole on a wider backend"
            )
        return circuit

    def _check_reach(self, wanted: Sequence[Observable], num_qubits: int) -> None:
        for observable in wanted:
            if observable.num_qubits not in (None, num_qubits) or observable.min_qubits > num_qubits:
                reach = observable.num_qubits or observable.min_qubits
                raise RequestRejected(
                    f"an observable or marginal is on {reach} qubits, circuit {self._name!r} has {num_qubits}"
                )

    def _widest(self) -> int:
        own = self._job.cut.qubits
        if own is None and self._width is None:
            raise RequestRejected(
                f"backend {self._job.estimate.asked!r} has no width of its own: say how wide fragments may be (cut.qubits)"
            )
        return min(width for width in (own, self._width) if width is not None)

    def _whole(self, wanted: Sequence[Observable], width: int, qubits: int) -> dict[str, Any]:
        """The circuit fits: one estimation job asks for everything."""
        pub = self._pub.model_copy(
            update={"observables": Observables(shape=(len(wanted),), items=tuple(wanted))}
        )
        job = self._job.estimate.model_copy(
            update={"pubs": (EstimatePub.model_validate(dict(pub)),), "key": f"{self._job.cut_id}/whole"}
        )
        request = job.model_dump_json()
        run = FragmentRun(name="whole", request=digest(request))
        self._warnings.append(
            f"the circuit uses {width} qubits and fragments may have {qubits}: it was not cut, and runs whole"
        )
        price = CutPrice(
            circuit=self._name,
            width=width,
            qubits=qubits,
            whole=True,
            experiments=1,
            jobs=1,
            warnings=tuple(self._warnings),
        )
        plan = CutPlan(job=self._job, price=price, seed=self._seed, runs=(run,), warnings=price.warnings)
        return {"plan": plan.model_dump_json(), "requests": [request]}

    def _in_fragments(
        self,
        pieces: Pieces,
        experiments: dict[Hashable, Experiments],
        weights: Weights,
        constants: Sequence[float],
        values: Sequence[Parts],
        width: int,
        qubits: int,
    ) -> dict[str, Any]:
        keys = list(experiments)
        shots = self._shots(keys, experiments, weights)
        total = sum(map(sum, shots))
        fragments, runs, requests = [], [], []
        for at, key in enumerate(keys):
            made = experiments[key]
            fragments.append(
                CutFragment(
                    name=_letters(at),
                    qubits=pieces.qubits[key],
                    width=pieces.circuits[key].num_qubits,
                    experiments=len(made.circuits),
                    shots=sum(shots[at]),
                    dynamic=any(measure_traits(circuit, self._name).is_dynamic for circuit in made.circuits),
                )
            )
            for name, first, request in self._jobs(at, made, shots[at], total):
                runs.append(
                    FragmentRun(
                        name=name,
                        fragment=at,
                        first=first,
                        request=digest(request),
                        shots=sum(shots[at][first : first + EXPERIMENTS_OF_A_JOB]),
                    )
                )
                requests.append(request)
        price = CutPrice(
            circuit=self._name,
            width=width,
            qubits=qubits,
            cuts=pieces.cuts,
            overhead=pieces.overhead,
            least=pieces.least,
            choices=pieces.choices,
            run_choices=len(weights.coefficients),
            weighed="drawn" if weights.draws else "exact",
            fragments=tuple(fragments),
            experiments=sum(map(len, shots)),
            shots=total,
            jobs=len(runs),
            warnings=tuple(self._warnings),
        )
        plan = CutPlan(
            job=self._job,
            price=price,
            seed=self._seed,
            coefficients=tuple(weights.coefficients),
            draws=weights.draws,
            drawn=tuple(weights.drawn) if weights.draws else (),
            constants=tuple(constants),
            values=tuple(tuple(parts.items()) for parts in values),
            fragments=tuple(
                FragmentPlan(
                    shots=tuple(shots[at]),
                    index=tuple(experiments[key].index),
                    lookup=tuple(experiments[key].lookup),
                )
                for at, key in enumerate(keys)
            ),
            runs=tuple(runs),
            versions={DISTRIBUTION: version(DISTRIBUTION)},
            warnings=price.warnings,
        )
        return {"plan": plan.model_dump_json(), "requests": requests}

    def _shots(
        self,
        keys: Sequence[Hashable],
        experiments: dict[Hashable, Experiments],
        weights: Weights,
    ) -> list[list[int]]:
        """Of each experiment of each fragment: what was asked, or what a precision takes."""
        if self._pub.shots is not None:
            return [[self._pub.shots] * len(experiments[key].circuits) for key in keys]
        precision = self._pub.precision
        assert precision  # noqa: S101  the contract has seen to it
        reach = [_reach(experiments[key], weights) for key in keys]
        whole = float(sum(sum(part) for part in reach))
        shots = [
            [max(LEAST_SHOTS, math.ceil(share * whole / precision**2)) for share in part] for part in reach
        ]
        most = max(map(max, shots), default=0)
        if most > self._max_shots:
            raise CutTooDear(
                f"precision {precision:g} takes {most:,} shots of one experiment of circuit {self._name!r}, and at most "
                f"{self._max_shots:,} are taken: ask for a precision of {precision * math.sqrt(most / self._max_shots):.2g} or more, "
                "give shots instead, or let fragments be wider (cut.qubits)",
                shots=most,
                limit=self._max_shots,
            )
        return shots

    def _jobs(
        self, at: int, made: Experiments, shots: Sequence[int], total: int
    ) -> Iterator[tuple[str, int, str]]:
        """The name, the first experiment and the request of each job that runs a fragment."""
        base = int(digest(f"{self._seed}\0{_letters(at)}")[:8], 16) % _BASES
        starts = range(0, len(made.circuits), EXPERIMENTS_OF_A_JOB)
        for number, first in enumerate(starts):
            name = _letters(at) + (str(number + 1) if len(starts) > 1 else "")
            part = slice(first, first + EXPERIMENTS_OF_A_JOB)
            pubs = tuple(
                SamplePub(circuit=as_circuit(circuit), shots=count)
                for circuit, count in zip(made.circuits[part], shots[part], strict=True)
            )
            job = fragment_job(
                self._job,
                pubs,
                name=name,
                seed=base + STRIDE * first,
                share=sum(shots[part]) / total,
            )
            yield name, first, job.model_dump_json()


def fragment_job(
    job: CutJob, pubs: tuple[SamplePub, ...], *, name: str, seed: int, share: float
) -> SampleJob:
    """The job that runs experiments of a fragment: as was asked, with its share of the budget."""
    asked: EstimateJob = job.estimate
    own = {
        field: getattr(asked, field) for field in EstimateJob.model_fields if field not in {"kind", "pubs"}
    }
    labels = asked.labels if len(asked.labels) > 31 else {**asked.labels, "cut": job.cut_id}
    budget = JobBudget(
        qpu_seconds=None if asked.budget.qpu_seconds is None else share * asked.budget.qpu_seconds,
        price=None if asked.budget.price is None else share * asked.budget.price,
        currency=asked.budget.currency,
    )
    return SampleJob(
        **{
            **own,
            "pubs": pubs,
            "key": f"{job.cut_id}/{name}",
            "seed": seed,
            "budget": budget,
            "labels": labels,
        }
    )


def _terms(
    wanted: Sequence[Observable], busy: Sequence[int]
) -> tuple[list[Product], list[float], list[Parts]]:
    """Pauli products on the busy qubits in their order, and each value as a constant and factors of them."""
    position = {qubit: at for at, qubit in enumerate(busy)}
    number: dict[Product, int] = {}
    constants, values = [], []
    for observable in wanted:
        kept = on_busy_qubits(observable.paulis(), position)
        constants.append(kept.pop((), 0.0))
        parts: Parts = {}
        for product, factor in kept.items():
            if factor:
                here = placed(product, position)
                parts[number.setdefault(here, len(number))] = factor
        values.append(parts)
    return list(number), constants, values


def _reach(made: Experiments, weights: Weights) -> list[float]:
    """How far the mean of each experiment moves a Pauli product's value: what its shots are shared out by.

    With N_e shots an experiment adds reach_e^2 / N_e to the variance, where reach_e^2 is the sum over the joint choices that
    it serves of the squared coefficients: the other fragments' part of a choice is at most 1, of either sign.
    N_e = reach_e * (sum of reaches) / precision^2 makes that precision^2 in all with the fewest shots.
    """
    squares = np.array(weights.coefficients) ** 2
    index = np.array(made.index)
    most: Floats = np.zeros(len(made.circuits))
    for pairs in made.lookup:
        served = np.zeros(len(made.circuits))
        for group, _ in pairs:
            np.add.at(served, index[:, group], squares / len(pairs) ** 2)
        most = np.maximum(most, served)
    return [math.sqrt(square) for square in most.tolist()]


def _letters(at: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    letters = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
