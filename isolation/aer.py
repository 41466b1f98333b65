"""Simulation on Aer, as tasks for a child: Aer holds the interpreter's lock for a whole run.

`simulate` runs pieces of work. A piece is a range of bindings of one pub; its binding j runs with the seed
`seed + 2113 j`, which is what one Aer call over all bindings would give it, so that pieces and chunks never
change an answer.

Bit order: outcomes are packed as in Qiskit's `BitArray`, classical bit 0 in the lowest bit of the last byte.
"""

import functools
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import Pauli
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from circuits.estimation import (
    estimate_from_shots,
    group_products,
    label,
    measured_in,
)
from circuits.parse import load_qpy
from circuits.seeds import GROUP_STRIDE, STRIDE
from circuits.squeeze import squeeze
from isolation.child import Emit
from isolation.device_noise import noise_model
from isolation.pieces import Answer, Expectation, Floats, expectation_of, run_pieces, values_of
from qurable.contracts.targets import TargetDocument
from qurable.errors import BackendNotInstalled, ExecutionFailed, OutOfMemory, RequestRejected

_DISCARDED = re.compile(r"discarded_value\s*=\s*([0-9.eE+-]+)")
_NOISE_MODELS = 32
_logged = 0
"""Entries of Aer's log of truncations that have been counted."""

Bits = npt.NDArray[np.uint8]


class Run:
    """The settings that all pieces of a task share.

    Args:
        payload: As of `simulate`.
    """

    def __init__(self, payload: Any) -> None:
        self.circuits: dict[str, bytes] = payload["circuits"]
        self.options: dict[str, Any] = payload["options"]
        self.noise_hash: str | None = payload.get("noise_hash")
        if self.noise_hash is not None and self.noise_hash not in _targets:
            _targets[self.noise_hash] = TargetDocument.read(payload["noise"])
        # Rotations before a measurement are noisy too, so they are made of the device's own gates.
        self.native: frozenset[str] = (
            frozenset()
            if self.noise_hash is None
            else frozenset(entry.name for entry in _targets[self.noise_hash].operations)
        )

    @functools.lru_cache(maxsize=64)  # noqa: B019  lives as long as the task
    def circuit(self, isa: str) -> QuantumCircuit:
        """An ISA circuit by its hash."""
        return load_qpy(self.circuits[isa])

    def simulator(self, active: tuple[int, ...], *, exact: bool) -> AerSimulator:
        """A simulator of these qubits of a device."""
        noise = None if self.noise_hash is None else _noise_model(self.noise_hash, active)
        # Where Aer leaves qubits out by itself, it mixes up those of saved expectation values: its issue 2442.
        return AerSimulator(noise_model=noise, enable_truncation=not exact, **self.options)


_targets: dict[str, TargetDocument] = {}


def simulate(payload: Any, emit: Emit) -> Any:
    """Task: run pieces of a submission and emit the result of each as it is done.

    Args:
        payload: `{"kind", "circuits": {isa: QPY}, "options": for AerSimulator, "noise", "noise_hash", "work":
            [piece, ...]}`, with pieces as of `isolation.pieces`.
        emit: As of `run_pieces`.
    """
    run = Run(payload)
    answer = sample_piece if payload["kind"] == "sample" else estimate_piece
    run_pieces(payload, emit, lambda piece: answer(run, piece))


def sample_piece(run: Run, piece: Any) -> Answer:
    """Outcomes of a piece."""
    circuit, active = squeeze(run.circuit(piece["isa"]))
    shots, rows = piece["shots"], piece["stop"] - piece["start"]
    result = _execute(run, circuit, active, piece, 0, rows, shots, piece["seed"])
    bits = np.stack(
        [packed_outcomes(result.results[row].data, shots, circuit.num_clbits) for row in range(rows)]
    )
    return {"bits": bits}, _notes(result)


def _execute(
    run: Run,
    circuit: QuantumCircuit,
    active: tuple[int, ...],
    piece: Any,
    first: int,
    last: int,
    shots: int,
    seed: int,
) -> Any:
    """One Aer call over rows first to last (exclusive) of the piece; `seed` is that of the pub's binding 0."""
    binds = None
    circuits = [circuit] * (last - first)
    if circuit.num_parameters:
        values = values_of(piece)[first:last]
        columns = {name: values[:, at] for at, name in enumerate(piece["parameters"])}
        binds = [{parameter: columns[parameter.name] for parameter in circuit.parameters}]
        circuits = [circuit]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            job = run.simulator(active, exact=not shots).run(
                circuits,
                parameter_binds=binds,
                shots=max(shots, 1),
                seed_simulator=seed + STRIDE * (piece["start"] + first),
                memory=bool(shots),
            )
            result = job.result()
        except ArithmeticError as error:
            raise RequestRejected(
                f"with these values an angle of the circuit is not finite: {error}; give others"
            ) from None
    if not result.success:
        raise failure(result)
    if shots and "measure" in circuit.count_ops():
        _check_ran(result)
    return result


def _check_ran(result: Any) -> None:
    """Whether a run that is said to have gone well gave outcomes: without any they would be taken for zeros.

    Raises:
        ExecutionFailed: It gave none.
    """
    if not all(getattr(entry.data, "memory", None) for entry in result.results):
        raise ExecutionFailed(
            "Aer said that it ran the circuit, and gave no outcomes: ask for another simulator.method"
        )


def failure(result: Any) -> Exception:
    """The error that an unsuccessful Aer result amounts to."""
    reasons = {entry.status for entry in result.results if not entry.success} or {result.status}
    reason = "; ".join(str(reason) for reason in reasons)[:500]
    if "memory" in reason.lower():
        return OutOfMemory(f"Aer refused the circuit: {reason}")
    return ExecutionFailed(f"Aer could not run the circuit: {reason}")


def packed_outcomes(data: Any, shots: int, num_clbits: int) -> Bits:
    """Aer's hexadecimal outcomes as bytes, shape (shots, ceil(num_clbits / 8))."""
    width = (num_clbits + 7) // 8
    memory = getattr(data, "memory", None)
    if not memory:
        return np.zeros((shots, width), dtype=np.uint8)
    raw = bytes.fromhex("".join(outcome[2:].zfill(2 * width) for outcome in memory))
    return np.frombuffer(raw, dtype=np.uint8).reshape(shots, width)


def _notes(result: Any) -> dict[str, Any]:
    metadata = result.results[0].metadata if result.results else {}
    notes: dict[str, Any] = {"method": metadata.get("method", "")}
    if "MPS_log_data" in metadata:
        notes["discarded_weight"] = max(
            _discarded(entry.metadata["MPS_log_data"]) for entry in result.results
        )
    return notes


def _discarded(log: str) -> float:
    """Squared singular values that one experiment cut off, summed.

    Aer keeps one log for the whole process and hands all of it to every experiment: what is new since the last
    one is this one's. A child that ran anything before has to be fresh for that to hold.
    """
    global _logged
    weights = discarded_weights(log)
    new, _logged = weights[_logged:], len(weights)
    return sum(new)


def discarded_weights(log: str) -> list[float]:
    """Squared singular values that were cut off, truncation by truncation, from Aer's log."""
    return [float(found) for found in _DISCARDED.findall(log)]


def estimate_piece(run: Run, piece: Any) -> Answer:
    """Expectation values of a piece, exact where it has no shots."""
    asked = expectation_of(run.circuit(piece["isa"]), piece, idle_is_zero=run.noise_hash is None)
    compute = _sampled_values if piece["shots"] else _exact_values
    evs, stds, notes = compute(run, piece, asked)
    return asked.arrays(evs, stds), notes


def _exact_values(run: Run, piece: Any, asked: Expectation) -> tuple[Floats, Floats, dict[str, Any]]:
    circuit, active, sums, pairs = asked.circuit, asked.active, asked.sums, asked.pairs
    products = sorted({product for observable in sums for product in observable if product})
    saving = circuit.copy()
    for product in products:
        qubits = [qubit for qubit, _ in product]
        pauli = Pauli("".join(letter for _, letter in reversed(product)))
        saving.save_expectation_value(pauli, qubits, label=label(product, circuit.num_qubits))
    result = _execute(run, saving, active, piece, 0, piece["stop"] - piece["start"], 0, piece["seed"])
    values = np.zeros(len(pairs))
    for at, (_, row, observable) in enumerate(pairs):
        found = result.data(row)
        values[at] = sum(
            factor * (found[label(product, circuit.num_qubits)] if product else 1.0)
            for product, factor in sums[observable].items()
        )
    return values, np.zeros(len(pairs)), _notes(result)


def _sampled_values(run: Run, piece: Any, asked: Expectation) -> tuple[Floats, Floats, dict[str, Any]]:
    circuit, active, sums, pairs = asked.circuit, asked.active, asked.sums, asked.pairs
    groups = group_products(product for observable in sums for product in observable)
    shots, seed = piece["shots"], piece["seed"]
    outcomes: dict[tuple[int, int], Bits] = {}
    notes: dict[str, Any] = {}
    for number, group in enumerate(groups):
        measured = measured_in(circuit, group, run.native)
        members = set(group.products)
        needed = sorted({row for _, row, observable in pairs if members.intersection(sums[observable])})
        for first, last in _contiguous(needed):
            result = _execute(
                run, measured, active, piece, first, last + 1, shots, seed + GROUP_STRIDE * number
            )
            discarded = notes.get("discarded_weight", 0.0)
            notes = _notes(result)
            if "discarded_weight" in notes:
                notes["discarded_weight"] = max(discarded, notes["discarded_weight"])
            for row in range(first, last + 1):
                outcomes[number, row] = _group_bits(
                    result.results[row - first].data, shots, measured, len(group.qubits)
                )
    evs, stds = np.zeros(len(pairs)), np.zeros(len(pairs))
    for at, (_, row, observable) in enumerate(pairs):
        relevant = [
            number
            for number, group in enumerate(groups)
            if set(group.products).intersection(sums[observable])
        ]
        evs[at], stds[at] = estimate_from_shots(
            sums[observable],
            [groups[number] for number in relevant],
            [outcomes[number, row] for number in relevant],
        )
    return evs, stds, notes | {"groups": len(groups)}


def _group_bits(data: Any, shots: int, measured: QuantumCircuit, width: int) -> Bits:
    """Outcome bits of the measured group, column i for its i-th qubit."""
    packed = packed_outcomes(data, shots, measured.num_clbits)
    lowest_first = np.unpackbits(packed[:, ::-1], axis=1, bitorder="little")
    return lowest_first[:, measured.num_clbits - width : measured.num_clbits]


def _contiguous(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers as (first, last)."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


@functools.lru_cache(maxsize=_NOISE_MODELS)
def _noise_model(noise_hash: str, active: tuple[int, ...]) -> NoiseModel:
    return noise_model(_targets[noise_hash], active)


def probe_gpu(_payload: Any, _emit: Emit) -> Any:
    """Task: run a small circuit on the GPU, and say what is missing where that fails.

    Returns:
        `{"custatevec": bool}`.

    Raises:
        BackendNotInstalled: Naming the missing piece.
    """
    if "GPU" not in AerSimulator().available_devices():
        raise BackendNotInstalled(
            "backend 'aer_gpu' needs a GPU build of Aer; this environment has the CPU build: install qiskit-aer-gpu instead of "
            "qiskit-aer in the GPU worker's environment",
            missing="qiskit-aer-gpu",
        )
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    if (refusal := _refusal(circuit, device="GPU")) is not None:
        missing = "a CUDA device" if "CUDA device" in refusal else "a working GPU run"
        raise BackendNotInstalled(
            f"backend 'aer_gpu' needs {missing}: Aer says {refusal!r}; check nvidia-smi and CUDA_VISIBLE_DEVICES",
            missing=missing,
        )
    return {"custatevec": _refusal(circuit, device="GPU", cuStateVec_enable=True) is None}


def _refusal(circuit: QuantumCircuit, **options: Any) -> str | None:
    """Why Aer does not run a circuit with these options; None if it does."""
    try:
        result = AerSimulator(method="statevector", **options).run(circuit, shots=10).result()
    except Exception as error:  # noqa: BLE001  whatever it is, it is the answer
        return str(error)
    return None if result.success else str(result.status)
