"""How folded circuits and calibration circuits ride with a job: behind its own pubs and its twins."""

from collections.abc import Iterator, Sequence

from activities.documents import CompiledDocument, FoldedCircuit
from circuits.seeds import FOLD_STRIDE
from qurable.contracts.executions import IsaPub


def beside(compiled: CompiledDocument, circuit_of: Sequence[int], own: Sequence[IsaPub]) -> Iterator[IsaPub]:
    """The pubs of the folded circuits, behind those of the twins: for each of the job's own, one of every factor.

    Args:
        compiled: With the folded circuits.
        circuit_of: For each own pub, its circuit.
        own: The job's own pubs; none of them changes.
    """
    runs: dict[int, int] = {}
    for number, entry in rides(compiled, circuit_of):
        pub = own[number]
        runs[number] = runs.get(number, 0) + 1
        away = FOLD_STRIDE * runs[number]
        yield pub.model_copy(
            update={
                "isa": entry.isa,
                "size": entry.size,
                "seed": pub.seed + away,
                "seeds": tuple(seed + away for seed in pub.seeds),
            }
        )


def rides(compiled: CompiledDocument, circuit_of: Sequence[int]) -> Iterator[tuple[int, FoldedCircuit]]:
    """The own pub and the folded circuit of every pub that rides, in their order."""
    for number, at in enumerate(circuit_of):
        for entry in compiled.folded:
            if entry.circuit == at:
                yield number, entry


def positions(compiled: CompiledDocument, circuit_of: Sequence[int]) -> range:
    """Where the folded circuits' pubs stand in the submission."""
    first = len(circuit_of) + sum(bool(twin.isa) for twin in compiled.twins)
    return range(first, first + sum(1 for _ in rides(compiled, circuit_of)))


def calibration_positions(compiled: CompiledDocument, circuit_of: Sequence[int]) -> range:
    """Where the calibration circuits' pubs stand: a job samples or estimates, so that no folded ones are before them."""
    first = positions(compiled, circuit_of).stop
    return range(first, first + len(compiled.calibrating.circuits if compiled.calibrating else ()))
