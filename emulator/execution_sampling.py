"""Shots of a circuit with a device's noise, part by part.

Bit order: outcomes are arrays of shape (rows, shots, classical bits), classical bit i in column i.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import Measure, QuantumCircuit
from qiskit_aer import AerSimulator

from circuits.seeds import STRIDE
from emulator.execution_devices import Device
from emulator.execution_methods import (
    PAULI_NOISE,
    Choice,
    choose_method,
    clifford_circuits,
    free_columns,
)
from emulator.execution_pieces import Piece, split
from emulator.execution_qubit import Columns, probability_of_one
from isolation.aer import failure, packed_outcomes
from qurable.errors import JobTooLarge

Bits = npt.NDArray[np.bool_]

MOST_OUTCOME_BYTES = 2**30
"""Of one circuit, a byte for each classical bit of each shot."""

OTHER_MEASUREMENT = "measurements of another kind than 'measure' were given the readout errors of 'measure'"


@dataclass(frozen=True)
class Plan:
    """A circuit and how it will be run.

    Attributes:
        circuit: ISA circuit on the device's qubits.
        columns: Values of each parameter, shape (rows,).
        rows: Bindings.
        shots: Of each binding.
        parts: Pieces that write classical bits, with their method; None for a qubit on its own, which is computed.
        noisy: Whether the device's noise acts.
    """

    circuit: QuantumCircuit
    columns: Columns
    rows: int
    shots: int
    parts: Sequence[tuple[Piece, Choice | None]]
    noisy: bool

    @property
    def notes(self) -> list[str]:
        """What is not as on the device, a sentence each."""
        notes = [
            PAULI_NOISE.format(qubits=len(piece.qubits))
            for piece, choice in self.parts
            if choice is not None and not choice.thermal_relaxation
        ]
        return notes + [OTHER_MEASUREMENT] * any(_is_other_measurement(item) for item in self.circuit.data)

    @property
    def seconds(self) -> float:
        """What the simulation is expected to take, qubits on their own left out."""
        return sum(choice.seconds for _, choice in self.parts if choice is not None)


def plan(circuit: QuantumCircuit, columns: Columns, rows: int, shots: int, *, noisy: bool) -> Plan:
    """Decide how a circuit is run.

    Args:
        circuit: ISA circuit on the device's qubits.
        columns: Values of each parameter, shape (rows,).
        rows: Bindings.
        shots: Of each binding.
        noisy: Whether the device's noise acts.

    Raises:
        JobTooLarge: A part cannot be simulated with its noise, or the outcomes take too much memory.
    """
    size = rows * shots * circuit.num_clbits
    if size > MOST_OUTCOME_BYTES:
        raise JobTooLarge(
            f"{rows} circuits x {shots} shots x {circuit.num_clbits} classical bits make {size / 2**30:.1f} GiB of outcomes; the emulator "
            f"keeps at most {MOST_OUTCOME_BYTES / 2**30:g} GiB for each pub: ask for fewer shots, or split the job"
        )
    parts = [
        (
            piece,
            None
            if piece.is_static_qubit
            else choose_method(
                piece,
                {parameter: columns[parameter] for parameter in piece.circuit.parameters},
                rows,
                shots,
                noisy=noisy,
            ),
        )
        for piece in split(_with_plain_measurements(circuit))
    ]
    return Plan(circuit, columns, rows, shots, parts, noisy)


def sample(run: Plan, device: Device, entropy: Sequence[int]) -> Bits:
    """The outcomes of all shots, shape (rows, shots, classical bits).

    Args:
        run: From `plan`.
        device: Whose noise acts.
        entropy: What the seeds of all parts are made of; no two plans of a job have the same.

    Raises:
        ExecutionFailed: Aer could not run a part.
    """
    bits = np.zeros((run.rows, run.shots, run.circuit.num_clbits), dtype=np.bool_)
    for number, (piece, choice) in enumerate(run.parts):
        seeds = np.random.SeedSequence([*entropy, number])
        if choice is None:
            noise = device.qubit_noise(piece.qubits[0]) if run.noisy else None
            ones = probability_of_one(piece, run.columns, run.rows, noise, device.document.dt or 0.0)
            drawn = np.random.default_rng(seeds).random((run.rows, run.shots))
            bits[:, :, piece.clbits[0]] = drawn < ones[:, None]
        else:
            bits[:, :, list(piece.clbits)] = _simulate(run, piece, choice, device, seeds)
    return bits


def _simulate(run: Plan, piece: Piece, choice: Choice, device: Device, seeds: np.random.SeedSequence) -> Bits:
    """Outcomes of one part, shape (rows, shots, len(piece.clbits))."""
    model = (
        device.noise_model(piece.qubits, thermal_relaxation=choice.thermal_relaxation) if run.noisy else None
    )
    simulator = AerSimulator(method=choice.method, noise_model=model, max_parallel_threads=1)
    outcomes: list[Bits] = []
    calls = _calls(run, piece, choice)
    # Trajectories of neighbouring seeds would be shared.
    seeds_of_calls = (int(word) >> 2 for word in seeds.generate_state(len(calls), np.uint64))
    for (circuits, binds), seed in zip(calls, seeds_of_calls, strict=True):
        result = simulator.run(
            circuits,
            parameter_binds=binds,
            shots=run.shots,
            memory=True,
            seed_simulator=seed,
        ).result()
        if not result.success:
            raise failure(result)
        outcomes += [
            _columns(packed_outcomes(entry.data, run.shots, piece.circuit.num_clbits), piece.clbits)
            for entry in result.results
        ]
    return np.stack(outcomes)


def _calls(run: Plan, piece: Piece, choice: Choice) -> list[tuple[list[QuantumCircuit], Any]]:
    """The calls of Aer that make up all rows.

    Shot j of a trajectory has the seed of its row plus j, and rows lie 2113 apart: with more shots than that, rows
    of one call would share shots, so each has a call and a seed of its own.
    """
    columns = free_columns(piece.circuit, run.columns)
    apart = run.shots > STRIDE
    if choice.method == "stabilizer":
        circuits = clifford_circuits(piece.circuit, run.columns, run.rows)
        return [([circuit], None) for circuit in circuits] if apart else [(circuits, None)]
    if not columns:
        rows = [piece.circuit] * run.rows
        return [([circuit], None) for circuit in rows] if apart else [(rows, None)]
    if not apart:
        return [([piece.circuit], [columns])]
    return [
        ([piece.circuit], [{parameter: [values[row]] for parameter, values in columns.items()}])
        for row in range(run.rows)
    ]


def _is_other_measurement(item: Any) -> bool:
    """Whether it is one of IBM's further kinds, such as the `measure_2` of the middle of a circuit."""
    return str(item.name).startswith("measure_") and len(item.clbits) == 1


def _with_plain_measurements(circuit: QuantumCircuit) -> QuantumCircuit:
    if not any(_is_other_measurement(item) for item in circuit.data):
        return circuit
    plain = circuit.copy_empty_like()
    for item in circuit.data:
        plain.append(item.replace(operation=Measure()) if _is_other_measurement(item) else item)
    return plain


def _columns(packed: npt.NDArray[np.uint8], clbits: tuple[int, ...]) -> Bits:
    unpacked = np.unpackbits(packed[:, ::-1], axis=1, bitorder="little")
    return unpacked[:, list(clbits)].astype(np.bool_)


def registers(circuit: QuantumCircuit, bits: Bits, shape: tuple[int, ...]) -> dict[str, Bits]:
    """The outcomes by classical register, shape (*shape, shots, bits of the register), bit i in column i."""
    place = {bit: at for at, bit in enumerate(circuit.clbits)}
    shots = bits.shape[1]
    return {
        register.name: bits[:, :, [place[bit] for bit in register]].reshape(*shape, shots, register.size)
        for register in circuit.cregs
    }
