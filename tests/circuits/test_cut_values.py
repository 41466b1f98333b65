"""Fragments put together: exactly where their outcomes are exact, and within error bars that hold what they promise."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult
from qiskit_addon_cutting import generate_cutting_experiments, reconstruct_expectation_values
from qiskit_addon_cutting.instructions import CutWire
from qiskit_addon_cutting.utils.simulation import ExactSampler

from circuits.cut_finding import _with_wires_apart, find_pieces, make_experiments
from circuits.cut_planning import plan_cut
from circuits.cut_values import OBSERVED, QPD, Outcomes, _coefficients, values_of
from circuits.parse import load_qpy
from circuits.source import SourceLimits
from qurable.contracts.cutting import CutOptions, CutPlan, FragmentPlan
from qurable.contracts.jobs import SampleJob, read_request
from qurable.cutting import as_cut
from qurable.errors import CircuitRejected
from tests.cut_at_hand import HALF, MARGINALS, WANTED, exact_marginal, exact_values, two_halves

Read = list[list[Outcomes]]


def planned(circuit: QuantumCircuit, wanted: Any = WANTED, **options: Any) -> tuple[CutPlan, list[SampleJob]]:
    """A plan, and the jobs of its runs."""
    options = {"backend": "aer", "marginals": MARGINALS, "seed": 3, **options}
    job = as_cut((circuit, wanted), **options)
    payload = {
        "job": job.model_dump_json(),
        "limits": vars(SourceLimits()),
        "width": None,
        "max_shots": 10**6,
    }
    answer = plan_cut(payload, print)
    jobs = [read_request(request) for request in answer["requests"]]
    return CutPlan.read(answer["plan"]), [job for job in jobs if isinstance(job, SampleJob)]


def exact_outcomes(plan: CutPlan, jobs: Sequence[SampleJob]) -> Read:
    """What every experiment reads, by its probabilities; some are below 0 by rounding."""
    read: Read = [[] for _ in plan.fragments]
    for run, job in zip(plan.runs, jobs, strict=True):
        for pub in job.pubs:
            assert pub.circuit.qpy is not None
            circuit = load_qpy(pub.circuit.qpy)
            found = ExactSampler().run([circuit]).result().quasi_dists[0]
            at = {bit: number for number, bit in enumerate(circuit.clbits)}
            bits = {register.name: [at[bit] for bit in register] for register in circuit.cregs}
            words = list(found)
            read[run.fragment].append(
                Outcomes(
                    np.array([[word >> bit & 1 for bit in bits[OBSERVED]] for word in words], dtype=np.uint8),
                    np.array(
                        [1.0 - 2 * (sum(word >> bit & 1 for bit in bits.get(QPD, ())) % 2) for word in words]
                    ),
                    np.clip([found[word] for word in words], 0.0, None),
                )
            )
    return read


def drawn(plan: CutPlan, exact: Read, generator: np.random.Generator) -> Read:
    """As many shots of every experiment as the plan says."""
    return [
        [
            Outcomes(
                one.observed,
                one.signs,
                generator.multinomial(shots, one.weights / one.weights.sum()).astype(float),
            )
            for one, shots in zip(experiments, fragment.shots, strict=True)
        ]
        for experiments, fragment in zip(exact, plan.fragments, strict=True)
    ]


def due(circuit: QuantumCircuit) -> list[float]:
    """The exact value of each of the plan's values."""
    marginals = [value for qubits in MARGINALS for value in exact_marginal(circuit, qubits).values()]
    return [*exact_values(circuit), *marginals]


@pytest.mark.parametrize(
    ("links", "kinds", "cut"),
    [
        (1, {"gate"}, {"qubits": HALF}),
        (2, {"gate"}, {"qubits": HALF}),
        (1, {"gate"}, {"qubits": 1}),
        (1, {"wire"}, {"qubits": 3, "gates": False}),
    ],
)
def test_exact_outcomes_give_the_exact_values(links: int, kinds: set[str], cut: dict[str, Any]) -> None:
    """Cut gates, cut wires: no error is left but rounding."""
    circuit = two_halves(links)
    plan, jobs = planned(circuit, cut=cut, shots=100)

    values, _ = values_of(plan, exact_outcomes(plan, jobs), replicates=1)

    assert not plan.draws
    assert values == pytest.approx(due(circuit), abs=1e-8)
    assert {place.kind for place in plan.price.cuts} == kinds
    assert max(piece.width for piece in plan.price.fragments) <= cut["qubits"]


def test_a_wire_that_is_cut_twice_has_three_stretches() -> None:
    """Also where another wire is cut in between, which the addon counts wrongly."""
    marked = QuantumCircuit(3)
    for wire in (0, 1, 0):
        marked.cx(wire, wire + 1)
        marked.append(CutWire(), [wire])
    marked.cx(0, 2)

    apart, origin = _with_wires_apart(marked)

    assert origin == [0, 0, 0, 1, 1, 2]
    assert [[apart.find_bit(bit).index for bit in item.qubits] for item in apart.data] == [
        [0, 3],
        [0, 1],
        [3, 5],
        [3, 4],
        [1, 4],
        [1, 2],
        [2, 5],
    ]


def test_values_are_those_of_the_addon() -> None:
    """From the same shots; the addon has no error bars, and takes a loop over shots for each value."""
    circuit, products = two_halves(), [((0, "X"),), ((0, "Z"), (2, "Y")), ((3, "Z"),)]
    pieces = find_pieces(circuit, range(4), products, CutOptions(), HALF, 1, "two_halves")
    experiments, weights = make_experiments(pieces, 100, 1)
    made, weighed = generate_cutting_experiments(pieces.circuits, pieces.products, np.inf)
    generator = np.random.default_rng(1)
    shots: dict[Any, PrimitiveResult[Any]] = {}
    fragments, read = [], []
    for key, found in experiments.items():
        # Any shots will do; those of one experiment are the same wherever it stands in the addon's list.
        own = [
            {
                register.name: generator.integers(0, 2, (50, register.size), dtype=np.uint8)
                for register in one.cregs
            }
            for one in found.circuits
        ]
        read.append([_outcomes(bits) for bits in own])
        flat = [experiment for numbers in found.index for experiment in numbers]
        assert len(flat) == len(made[key])
        shots[key] = PrimitiveResult([SamplerPubResult(_data(own[experiment])) for experiment in flat])
        fragments.append(
            FragmentPlan(shots=(50,) * len(own), index=tuple(found.index), lookup=tuple(found.lookup))
        )
    plan, _ = planned(circuit, shots=50, cut={"qubits": HALF})
    plan = plan.model_copy(
        update={
            "fragments": tuple(fragments),
            "coefficients": tuple(weights.coefficients),
            "constants": (0.0,) * len(products),
            "values": tuple(((at, 1.0),) for at in range(len(products))),
        }
    )

    values, errors = values_of(plan, read)

    expected = reconstruct_expectation_values(shots, weighed, pieces.products)
    assert values == pytest.approx(expected)
    assert (errors > 0).all()


def _outcomes(bits: dict[str, Any]) -> Outcomes:
    qpd = bits.get(QPD, np.zeros((50, 0), dtype=np.uint8))
    return Outcomes(bits[OBSERVED], 1.0 - 2.0 * (qpd.sum(axis=1) % 2), np.ones(50))


def _data(bits: dict[str, Any]) -> DataBin:
    arrays = {QPD: np.zeros((50, 0), dtype=np.uint8), **bits}
    return DataBin(
        **{
            name: BitArray.from_bool_array(array.astype(bool), order="little")
            if array.shape[1]
            else BitArray(np.zeros((50, 1), dtype=np.uint8), 1)
            for name, array in arrays.items()
        }
    )


def test_where_choices_are_many_they_are_drawn_and_the_error_counts_that() -> None:
    """Two thirds of them are left out, with exact outcomes: what is left of the error is that of drawing."""
    circuit = two_halves(2)
    plan, jobs = planned(circuit, cut={"qubits": HALF, "samples": 12}, shots=10**6)

    values, errors = values_of(plan, exact_outcomes(plan, jobs))

    assert (plan.price.weighed, plan.price.choices) == ("drawn", 36)
    assert plan.price.run_choices < 36
    assert sum(map(abs, plan.coefficients)) == pytest.approx(plan.price.overhead**0.5)
    assert (errors > 0.01).all()
    assert (np.abs(values - due(circuit)) < 4 * errors).all()


@pytest.mark.long
@pytest.mark.parametrize(
    ("links", "cut"),
    [(1, {"qubits": HALF}), (2, {"qubits": HALF}), (1, {"qubits": 3, "gates": False})],
)
def test_error_bars_cover_the_exact_value_as_often_as_they_say(links: int, cut: dict[str, Any]) -> None:
    """200 repetitions: 95 % intervals hold 90 to 98 % of the time, and the errors are those asked for, or smaller."""
    circuit = two_halves(links)
    plan, jobs = planned(circuit, cut=cut, precision=0.1)
    exact, true = exact_outcomes(plan, jobs), np.array(due(circuit))
    generator = np.random.default_rng(17)

    held, sizes = [], []
    for repetition in range(200):
        again = plan.model_copy(update={"seed": repetition})
        values, errors = values_of(again, drawn(plan, exact, generator))
        held.append(np.abs(values - true) < 1.96 * errors)
        sizes.append(errors)

    coverage = np.mean(held, axis=0)
    print(f"{links} links, {cut}: coverage {coverage}, errors {np.mean(sizes, axis=0)}")
    assert ((coverage >= 0.90) & (coverage <= 0.98)).all()
    assert (np.mean(sizes, axis=0)[:2] <= 0.1).all()


@pytest.mark.long
def test_error_bars_cover_also_where_choices_are_drawn() -> None:
    """200 repetitions, each with choices of its own: here too, 95 % intervals hold 90 to 98 % of the time."""
    circuit, held = two_halves(2), []
    true, generator = np.array(due(circuit)), np.random.default_rng(18)
    every, jobs = planned(circuit, cut={"qubits": HALF}, shots=200)
    exact = exact_outcomes(every, jobs)

    for repetition in range(200):
        plan, read = _with_drawn_choices(every, exact, 24, repetition)
        values, errors = values_of(plan, drawn(plan, read, generator))
        held.append(np.abs(values - true) < 1.96 * errors)

    coverage = np.mean(held, axis=0)
    print(f"drawn: coverage {coverage}")
    assert ((coverage >= 0.90) & (coverage <= 0.98)).all()


def test_a_few_draws_spread_as_much_as_they_vary() -> None:
    """Of 4 draws, as many drawn again would tell of three quarters of the variance: norm^2 p (1 - p) / (draws - 1)."""
    plan, _ = planned(two_halves(), cut={"qubits": HALF}, shots=100)
    few = {"draws": 4, "drawn": (True, True), "coefficients": (1.5, -0.5)}

    found = _coefficients(plan.model_copy(update=few), 20_000, np.random.default_rng(2))

    assert found[:, 1:].mean(axis=1) == pytest.approx([1.5, -0.5], abs=0.02)
    assert found[:, 1:].var(axis=1) == pytest.approx([4 * 0.75 * 0.25 / 3] * 2, rel=0.05)


def _with_drawn_choices(plan: CutPlan, exact: Read, draws: int, seed: int) -> tuple[CutPlan, Read]:
    """The plan with choices drawn by their weights, as the addon does where none is heavy enough to be taken for certain."""
    weights = np.array(plan.coefficients)
    norm = np.abs(weights).sum()
    tally = np.random.default_rng(seed).multinomial(draws, np.abs(weights) / norm)
    kept = np.flatnonzero(tally)
    fragments, read = [], []
    for fragment, experiments in zip(plan.fragments, exact, strict=True):
        index = [fragment.index[at] for at in kept]
        used = sorted({experiment for numbers in index for experiment in numbers})
        number = {experiment: at for at, experiment in enumerate(used)}
        fragments.append(
            FragmentPlan(
                shots=tuple(fragment.shots[experiment] for experiment in used),
                index=tuple(tuple(number[experiment] for experiment in numbers) for numbers in index),
                lookup=fragment.lookup,
            )
        )
        read.append([experiments[experiment] for experiment in used])
    update = {
        "seed": seed,
        "draws": draws,
        "drawn": (True,) * len(kept),
        "coefficients": tuple((np.sign(weights) * tally * norm / draws)[kept].tolist()),
        "fragments": tuple(fragments),
    }
    return plan.model_copy(update=update), read


def test_final_measurements_idle_qubits_and_wide_gates_are_no_hindrance() -> None:
    """They are removed, left out and written out; a circuit that measures on its way is refused."""
    circuit = QuantumCircuit(5, 1, name="odd")
    circuit.compose(two_halves(), [0, 1, 3, 4], inplace=True)
    circuit.ccx(3, 4, 0)
    circuit.barrier()
    circuit.measure(1, 0)
    wanted = ["IIZII", {"ZIIIX": 1.0, "IIXII": 5.0}]
    plan, jobs = planned(
        circuit, wanted, cut={"qubits": 3, "max_overhead": 1e5}, shots=100, marginals=((2, 0),)
    )

    values, _ = values_of(plan, exact_outcomes(plan, jobs), replicates=1)

    bare = circuit.remove_final_measurements(inplace=False)
    assert bare is not None
    marginal = exact_marginal(bare, (2, 0))
    assert values == pytest.approx([*exact_values(bare, wanted), *marginal.values()], abs=1e-8)
    assert plan.price.width == 4
    assert "final measurements were removed" in plan.warnings[0]
    circuit.h(1)
    with pytest.raises(CircuitRejected, match="'odd' measures and goes on"):
        planned(circuit, wanted, cut={"qubits": 3}, shots=100)
