"""Readout errors that a device reports, and counts corrected for them; the correction is a task of a child.

M3 solves A x = p, where p are the shares of the outcomes that were read and x their weights without readout errors. A
holds the probability to read one outcome where another is right: the product, over all bits, of the 2 x 2 assignment
matrices of the qubits they were read from. It is kept for the outcomes that were read and no others, each column scaled
to add up to 1 over them, so that the weights add up to 1. Qubits are taken to be misread independently of each other.

The overhead is gamma squared, with gamma an estimate of the 1-norm of the inverse of A: the standard error of a mean of
values in [-1, 1] is at most gamma / sqrt(shots).

Bit order: the rightmost character of an outcome is bit 0.

Source: P. D. Nation, H. Kang, N. Sundaresan, J. M. Gambetta, PRX Quantum 2, 040326 (2021).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qurable.contracts.circuits import ParsedCircuit, Register
from qurable.contracts.targets import TargetDocument
from qurable.errors import RequestRejected

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

LIBRARY = "mthree"

COIN = 0.5
"""Where a reading is wrong as often as right it says nothing, and dividing by what it says is no correction."""

_FACTORED = 4096
"""Outcomes up to which M3 factors the matrix, as it does by itself; it iterates beyond."""

_FLIPS = 3
"""Bits misread at once that M3 follows where it iterates, its own default; where it factors it follows all."""

Matrix = npt.NDArray[np.float64]
Errors = Mapping[int, tuple[float, float]]
"""By qubit, the probabilities to read 1 after preparing 0, and to read 0 after preparing 1."""


def readout_errors(document: TargetDocument, *, symmetric: bool = False) -> dict[int, tuple[float, float]]:
    """The readout errors of a device's qubits; those that are missing, or 0.5 or more in the mean, are left out.

    Args:
        document: The device.
        symmetric: Take the mean for both, as twirled measurements have it.
    """
    found: dict[int, tuple[float, float]] = {}
    for operation in document.operations:
        if operation.name != "measure":
            continue
        both = bool(operation.prob_meas1_prep0 and operation.prob_meas0_prep1)
        for at, qubits in enumerate(operation.qargs or ()):
            mean = operation.errors[at]
            zero = operation.prob_meas1_prep0[at] if both else mean
            one = operation.prob_meas0_prep1[at] if both else mean
            if zero is None or one is None:
                zero = one = mean
            if zero is None or one is None or not 0 <= (zero + one) / 2 < COIN:
                continue
            found[qubits[0]] = ((zero + one) / 2, (zero + one) / 2) if symmetric else (zero, one)
    return found


def usable(errors: Errors) -> dict[int, tuple[float, float]]:
    """Readout errors without those that are 0.5 or more in the mean."""
    return {qubit: (zero, one) for qubit, (zero, one) in errors.items() if (zero + one) / 2 < COIN}


def refuse_unreadable(number: int, circuit: ParsedCircuit) -> None:
    """See that every bit of a circuit is read from one qubit, at the end, before anything is paid for.

    Raises:
        RequestRejected: Naming what it does instead, and the way out.
    """
    traits, bits = circuit.traits, [bit for _, bit in circuit.dress.measured]
    if traits.is_dynamic:
        why = "measures or resets on its way, or branches"
    elif len(set(bits)) < traits.measurements:
        why = "reads several qubits into one bit"
    else:
        return
    raise RequestRejected(
        f"mitigation.readout corrects what is read once, at the end; circuit {circuit.dress.name!r} of pub {number} {why}: leave "
        "mitigation out, or measure each qubit once, at the end, into a bit of its own"
    )


def bits_of_words(registers: Sequence[Register]) -> list[int]:
    """The classical bit of each character of an outcome over all registers as results write it, without its spaces."""
    return [bit for register in reversed(registers) for bit in reversed(register.bits)]


def measured_qubits(isa: "QuantumCircuit") -> dict[int, int]:
    """The physical qubit that each classical bit is read from.

    The ISA circuit says so itself: a layout tells where a qubit is at the end, and routing may have moved what was there
    when it was read.
    """
    qubits = {qubit: at for at, qubit in enumerate(isa.qubits)}
    clbits = {clbit: at for at, clbit in enumerate(isa.clbits)}
    return {clbits[item.clbits[0]]: qubits[item.qubits[0]] for item in isa.data if item.name == "measure"}


def mitigate(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: correct the counts of one pub.

    Args:
        payload: `{"isa": QPY, "errors": {qubit: (1 after 0, 0 after 1)}, "bits": classical bit of each character of an
            outcome, "counts": [{outcome: count}, ...]}`, an entry of `counts` for each element.

    Returns:
        `{"weights": [{outcome: weight}, ...], "overheads": [...], "qubits": {bit: qubit}, "left_out": [qubit, ...],
        "version"}`. A bit that no measurement writes is 0 and stays so.
    """
    from circuits.parse import load_qpy

    qubits, errors = measured_qubits(load_qpy(payload["isa"])), payload["errors"]
    # Registers may share bits: what M3 is given holds each once.
    first = {bit: at for at, bit in reversed(list(enumerate(payload["bits"])))}
    matrices = [_assignment(errors.get(qubits.get(bit))) for bit in first]
    weights, overheads = [], []
    for counts in payload["counts"]:
        short = {word: "".join(word.replace(" ", "")[at] for at in first.values()) for word in counts}
        quasi, overhead = corrected({short[word]: count for word, count in counts.items()}, matrices)
        weights.append({word: quasi[short[word]] for word in counts})
        overheads.append(overhead)
    read = {bit: qubits[bit] for bit in sorted(first) if bit in qubits}
    return {
        "weights": weights,
        "overheads": overheads,
        "qubits": read,
        "left_out": sorted(set(read.values()) - set(errors)),
        "version": version(LIBRARY),
    }


def _assignment(errors: Sequence[float] | None) -> Matrix:
    """Column j holds the probabilities to read 0 and 1 after preparing j; without errors, the identity."""
    one_after_zero, zero_after_one = errors or (0.0, 0.0)
    return np.array([[1 - one_after_zero, zero_after_one], [one_after_zero, 1 - zero_after_one]])


def corrected(counts: Mapping[str, int], matrices: Sequence[Matrix]) -> tuple[dict[str, float], float]:
    """Weights of the outcomes that were read, and the overhead.

    Args:
        counts: Outcomes of one bit for each matrix, without spaces.
        matrices: Assignment matrices of the qubits that the characters were read from, leftmost first.

    Raises:
        ArithmeticError: The readings do not determine finite weights.
        mthree.exceptions.M3Error: The iteration did not converge.
    """
    from mthree import M3Mitigation

    factored = len(counts) <= _FACTORED
    mitigation = M3Mitigation()
    mitigation.cals_from_matrices([np.asarray(matrix, np.float32) for matrix in reversed(matrices)])
    quasi = mitigation.apply_correction(
        dict(counts),
        list(range(len(matrices))),  # M3 counts bits from the right
        distance=len(matrices) if factored else min(_FLIPS, len(matrices)),
        method="direct" if factored else "iterative",
        return_mitigation_overhead=True,
    )
    weights = {word: float(weight) for word, weight in quasi.items()}
    overhead = float(quasi.mitigation_overhead)
    if not all(map(math.isfinite, (*weights.values(), overhead))):
        raise ArithmeticError("the readings do not determine finite weights")
    return weights, overhead
