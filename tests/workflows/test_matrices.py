"""Kernels and features: against exact states, each entry run once, kept as a file that is checked."""

import asyncio
from typing import Any

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit

from qurable.contracts.executions import JobRef, JobState, Phase
from qurable.contracts.matrices import MatrixReport, MatrixState
from qurable.contracts.reports import State
from qurable.errors import JobFailed, JobNotFound, KeyReused, RequestRejected
from qurable.matrices import MatrixRun
from qurable.matrix_files import Matrix, read_matrix
from tests.chaos.harness import until
from tests.conftest import Service, Stack
from tests.fakes.scripted import ScriptedBackend
from tests.matrices_at_hand import data, exact_features, exact_kernel, feature_map

MAP = feature_map()
LABELS = ["ZI", "IX", "YZ"]
SHOTS = 2000


async def ended(run: MatrixRun) -> tuple[MatrixReport, Matrix]:
    """Its report and the matrix."""
    async with asyncio.timeout(120):
        return await run.report(), await run.matrix()


async def circuits_run(service: Service, report: MatrixReport) -> int:
    """Bindings that the jobs of a matrix's batches have run."""
    number = 0
    for batch in report.batches:
        async for item in service.qurable.attach_batch(batch).results():
            number += item.results[0].shape[0] if item.results else 0
    return number


async def test_half_of_a_kernel_is_run_and_its_overlaps_are_right(service: Service) -> None:
    """By shots, within five of its own standard errors of the state vectors' overlaps: 45 + 30 circuits for 10 and 3 samples."""
    train, test = data(10), data(3, seed=8)

    run = await service.qurable.kernel(MAP, train, test, shots=SHOTS, seed=5, project="halves")
    report, matrix = await ended(run)

    assert (report.state, report.entries, report.kept, report.reused) == (MatrixState.COMPLETED, 75, 75, 0)
    assert await circuits_run(service, report) == 75
    assert (report.shape, report.test_shape, report.served_by) == ((10, 10), (3, 10), {"aer": 75})
    for name, rows in (("train", train), ("test", test)):
        off = np.abs(matrix[name] - exact_kernel(MAP, rows, train))
        assert (off <= 5 * matrix[f"{name}_error"] + 1e-12).all()
        assert ((matrix[f"{name}_lower"] <= matrix[name]) & (matrix[name] <= matrix[f"{name}_upper"])).all()
    assert np.array_equal(matrix["train"], matrix["train"].T)
    assert np.array_equal(np.diag(matrix["train"]), np.ones(10))
    assert (np.diag(matrix["train_job"]) == -1).all()
    jobs = matrix.header.provenance["jobs"]
    assert {State((await service.qurable.status(job["id"])).state) for job in jobs} == {State.COMPLETED}
    eigenvalues = np.linalg.eigvalsh(matrix["train"])
    assert report.spectrum is not None
    assert report.spectrum.smallest == pytest.approx(eigenvalues[0])
    assert np.linalg.eigvalsh(matrix.repaired())[0] > -1e-12


async def test_an_exact_kernel_is_that_of_the_state_vectors(service: Service) -> None:
    """As the value of a projector, without shot noise; a sample that is there twice is run once."""
    train = data(4)
    train[3] = train[1]

    report, matrix = await ended(await service.qurable.kernel(MAP, train, shots="exact", project="exact"))

    assert report.entries == 3
    assert matrix["train"] == pytest.approx(exact_kernel(MAP, train, train), abs=1e-9)
    assert (report.largest_error, matrix["train"][1, 3]) == (0.0, 1.0)
    assert report.spectrum is not None
    assert report.spectrum.shift == 0.0
    assert matrix.header.confidence["origin"] == ["exact"]


async def test_only_what_no_earlier_matrix_has_is_run(service: Service) -> None:
    """Two more training samples are seventeen pairs; the others keep their values, to the bit, and the job that made them."""
    train = data(10)
    first, before = await ended(await service.qurable.kernel(MAP, train[:8], shots=100, project="more"))

    second, after = await ended(await service.qurable.kernel(MAP, train, shots=100, project="more"))
    third, _ = await ended(await service.qurable.kernel(MAP, train, shots=100, project="more"))
    anew, fresh = await ended(
        await service.qurable.kernel(MAP, train[:8], shots=100, project="more", reuse=False)
    )
    elsewhere, _ = await ended(await service.qurable.kernel(MAP, train[:3], shots=100, project="others"))

    assert [await circuits_run(service, report) for report in (first, second, third)] == [28, 17, 0]
    assert [report.reused for report in (first, second, third, anew, elsewhere)] == [0, 28, 45, 0, 0]
    assert (third.batches, third.jobs, third.qpu_seconds) == ((), 0, 0.0)
    assert np.array_equal(after["train"][:8, :8], before["train"])
    assert not np.array_equal(fresh["train"], before["train"])
    made = {job["id"] for job in before.header.provenance["jobs"]}
    assert made <= {job["id"] for job in after.header.provenance["jobs"]}


async def test_a_circuit_whose_names_alone_differ_asks_for_its_own_columns(service: Service) -> None:
    """Columns stand in the order of the names: to swap these swaps what an entry asks, and no earlier value serves."""

    def turned(first: str, second: str) -> QuantumCircuit:
        circuit = QuantumCircuit(2)
        circuit.ry(2 * Parameter(first), 0)
        circuit.ry(Parameter(second), 1)
        return circuit

    samples = np.array([[1.0, 2.0], [0.5, 0.25]])
    found = []
    for names in (("a", "b"), ("b", "a"), ("y0000", "x0001")):
        options: dict[str, Any] = {"shots": "exact", "project": "names"}
        kernel, overlaps = await ended(await service.qurable.kernel(turned(*names), samples, **options))
        features, values = await ended(
            await service.qurable.features(
                turned(*names), ["IZ"], samples, precision=0, project="names", backend="aer"
            )
        )
        column = sorted(names).index(names[0])
        assert values["values"][:, 0] == pytest.approx(np.cos(2 * samples[:, column]))
        assert overlaps["train"] == pytest.approx(exact_kernel(turned(*names), samples, samples), abs=1e-9)
        found.append((kernel.reused, features.reused))

    assert found == [(0, 0), (0, 0), (1, 2)]


@pytest.mark.long
async def test_the_same_seed_gives_the_same_matrix(service: Service) -> None:
    """Whatever was run before: entries with a seed of their own are others than those without."""
    train = data(5)

    _, one = await ended(await service.qurable.kernel(MAP, train, shots=50, seed=3, project="seed-a"))
    _, other = await ended(await service.qurable.kernel(MAP, train, shots=50, seed=3, project="seed-b"))
    _, unlike = await ended(await service.qurable.kernel(MAP, train, shots=50, seed=4, project="seed-b"))

    assert np.array_equal(one["train"], other["train"])
    assert not np.array_equal(one["train"], unlike["train"])


async def test_features_are_expectation_values_with_their_errors(service: Service) -> None:
    """Exact ones are those of the state vectors; measured ones lie within five standard errors."""
    rows = data(6)
    exact = exact_features(MAP, LABELS, rows)

    report, matrix = await ended(
        await service.qurable.features(MAP, LABELS, rows, precision=0.0, project="features")
    )
    _, noisy = await ended(
        await service.qurable.features(MAP, LABELS, rows, shots=SHOTS, seed=1, project="features")
    )

    assert (report.kind, report.shape, report.entries) == ("features", (6, 3), 6)
    assert matrix["values"] == pytest.approx(exact, abs=1e-9)
    assert (noisy["values_error"] > 0).all()
    assert (np.abs(noisy["values"] - exact) <= 5 * noisy["values_error"]).all()
    assert noisy["values"] != pytest.approx(exact, abs=1e-9)
    assert np.array_equal(matrix["x"], rows)


@pytest.mark.long
async def test_a_key_finds_the_matrix_and_refuses_another(service: Service) -> None:
    """Anybody attaches by id; the file is the same whoever reads it."""
    run = await service.qurable.kernel(MAP, data(3), shots=50, key="one", project="keys")
    report, _ = await ended(run)

    again = await service.qurable.kernel(MAP, data(3), shots=50, key="one", project="keys")
    with pytest.raises(KeyReused):
        await service.qurable.kernel(MAP, data(3), shots=60, key="one", project="keys")

    assert again.id == run.id
    attached = service.qurable.attach_matrix(run.id)
    assert read_matrix(await attached.file(), sha256=report.sha256).header.id == run.id
    assert (await attached.status()).state is MatrixState.COMPLETED
    with pytest.raises(JobNotFound):
        await service.qurable.attach_matrix("keys-matrix-none").report()
    with pytest.raises(JobNotFound):
        await service.qurable.run_matrix_again("no matrix")


def _bad(**changes: Any) -> dict[str, Any]:
    return {"feature_map": MAP, "x_train": data(3), **changes}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (_bad(x_train=[[0.1, float("nan")], [0.1, 0.2]]), r"x_train holds nan in row 0, column 1"),
        (_bad(x_train=[[0.1, 0.2], [float("inf"), 0.2]]), r"x_train holds inf in row 1, column 0"),
        (_bad(x_train=np.zeros((0, 2))), r"x_train is empty"),
        (_bad(x_train=[0.1, 0.2]), r"one row for each sample"),
        (_bad(x_train=[[0.1, 0.2], [0.1]]), r"ragged"),
        (_bad(x_test=data(2, columns=3)), r"x_test has 3 columns, x_train has 2"),
        (_bad(x_train=data(1000)), r"499,500 entries; at most 100,000"),
        (_bad(x_train=data(10_001)), r"at most 10,000 of 1,000 are taken"),
        (_bad(shots=0), "shots"),
        (_bad(shots="many"), "shots"),
    ],
)
async def test_data_that_cannot_be_used_are_refused_before_they_are_sent(
    service: Service, asked: dict[str, Any], said: str
) -> None:
    """Naming the row, the column, the limit."""
    with pytest.raises(RequestRejected, match=said):
        await service.qurable.kernel(asked.pop("feature_map"), **asked)


async def test_a_feature_map_that_does_not_fit_is_refused(service: Service) -> None:
    """Too few parameters, measurements on the way, too many qubits for an exact overlap."""
    measuring = MAP.copy()
    measuring.measure_all()
    measuring.h(0)
    resetting = MAP.copy()
    resetting.reset(0)

    for circuit, rows, said, options in (
        (MAP, data(3, columns=3), r"'map' has 2 parameters, and the data have 3 columns", {}),
        (measuring, data(3), r"measures, resets or branches before its end", {}),
        (resetting, data(3), r"measures, resets or branches before its end", {}),
        (feature_map(13), data(2, columns=13), r"has 13 qubits; .* at most 12", {"shots": "exact"}),
        (MAP, data(3), r"seed 2147483647 is above", {"seed": 2**31 - 1}),
    ):
        refused = await service.qurable.kernel(circuit, rows, **options)
        with pytest.raises(JobFailed, match=said):
            await refused.report()


@pytest.mark.long
async def test_what_fails_is_missing_and_alone_is_run_again(service: Service) -> None:
    """A sample that divides by zero leaves its chunk without values; the sweep of the others is kept."""
    circuit = MAP.copy()
    x = circuit.parameters[0]
    circuit.rz(1 / x, 0)
    rows = data(20, seed=3)
    rows[19, 0] = 0.0

    run = await service.qurable.kernel(circuit, rows, shots=20, project="broken")
    report = await run.report()
    with pytest.raises(RequestRejected, match=r"lacks \d+ of 190 entries"):
        await run.file()
    again = await service.qurable.run_matrix_again(run.id)
    second = await again.report()

    assert report.state is second.state is MatrixState.INCOMPLETE
    assert 19 <= report.missing < 190
    assert report.error is not None
    assert "not finite" in report.error.message
    assert len(second.batches) == 2
    assert await circuits_run(service, report) == report.kept
    rerun = service.qurable.attach_batch(second.batches[1])
    assert (await rerun.status()).items == -(-report.missing // 16)


class FirstOnly(ScriptedBackend):
    """Answers the first job; the others wait for ever."""

    async def state(self, job: JobRef) -> JobState:
        phase = Phase.DONE if job.key.tag == self.submitted[0] else Phase.QUEUED
        self.script(phase)
        return await super().state(job)


@pytest.mark.long
async def test_a_cancelled_matrix_withdraws_its_jobs_and_keeps_what_it_had(stack: Stack) -> None:
    """What was answered is paid for: whoever asks next is given it."""
    qpu = FirstOnly("qpu")
    asked: dict[str, Any] = {"shots": 20, "backend": "qpu"}

    async with stack(backends={"qpu": qpu}) as own:
        run = await own.qurable.kernel(MAP, data(20), **asked)
        taken = await until("the first job's entries have values", lambda: _kept(run))
        await until("the others are sent", lambda: len(qpu.submitted) == 12)
        await run.cancel()
        report = await run.report()
        next_time = await own.qurable.kernel(MAP, data(20), **asked)
        found = await until("the next one is taken in", lambda: _kept(next_time))
        await next_time.cancel()
        await next_time.report()

    assert (report.state, report.error and report.error.code) == (MatrixState.CANCELLED, "JobCancelled")
    assert (report.kept, report.entries) == (taken.kept, 190)
    assert 15 <= report.kept <= 16
    assert set(qpu.submitted[1:12]) <= set(qpu.cancelled)
    assert found.reused == report.kept


async def _kept(run: MatrixRun) -> Any:
    try:
        status = await run.status()
    except JobNotFound:
        return None
    return status if status.kept else None
