"""Results of pubs, shaped as in Qiskit's primitives.

Bit order everywhere: the rightmost character of a bitstring is bit 0 of its register, as in Qiskit.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from qurable.contracts.arrays import BitArrays, FloatArray, size_of
from qurable.contracts.base import Contract
from qurable.contracts.extrapolation import ExtrapolatedValues
from qurable.contracts.mitigation import QuasiDistributions

if TYPE_CHECKING:
    from qiskit.primitives import PrimitiveResult


class RegisterResult(Contract):
    """Shots of one classical register; the rightmost character of a bitstring is its bit 0."""

    name: str
    bits: BitArrays


class SampleResult(Contract):
    """What a sampled pub read.

    Attributes:
        shape: Shape of the pub's bindings.
        shots: Per element.
        registers: In order of declaration.
        bit_order: Said in the document, so that nobody guesses.
        metadata: The circuit's own metadata.
        mitigated: What mitigation made of the counts; None, and not said in documents, where nobody asked for it or it was
            skipped.
    """

    kind: Literal["sample"] = "sample"
    shape: tuple[int, ...] = ()
    shots: int
    registers: tuple[RegisterResult, ...]
    bit_order: Literal["rightmost character is bit 0"] = "rightmost character is bit 0"
    metadata: dict[str, Any] = Field(default_factory=dict)
    mitigated: QuasiDistributions | None = Field(default=None, exclude_if=lambda value: value is None)

    def register(self, name: str | None = None) -> BitArrays:
        """Shots of a register; of the only one if no name is given.

        Raises:
            KeyError: No such register, or several and no name.
        """
        for register in self.registers:
            if name == register.name or (name is None and len(self.registers) == 1):
                return register.bits
        raise KeyError(f"no register {name!r} among {[register.name for register in self.registers]}")

    def counts(self, index: int = 0) -> dict[str, int]:
        """Counts over all registers of one element: as Qiskit's `get_counts`, last register first, a space between."""
        if len(self.registers) == 1:
            return self.registers[0].bits.counts(index)
        columns = [register.bits.bitstrings(index) for register in reversed(self.registers)]
        tally: dict[str, int] = {}
        for outcome in zip(*columns, strict=True):
            word = " ".join(outcome)
            tally[word] = tally.get(word, 0) + 1
        return dict(sorted(tally.items(), key=lambda item: (-item[1], item[0])))

    def quasi(self, index: int = 0, name: str | None = None) -> dict[str, float]:
        """Mitigated weights of one element: over all registers as `counts` writes them, or over one that is named.

        Raises:
            ValueError: The counts were not mitigated.
            KeyError: No such register.
        """
        if self.mitigated is None:
            raise ValueError("these counts were not mitigated; the report's `mitigation` says why")
        weights = self.mitigated.weights[index]
        if name is None or len(self.registers) == 1:
            return dict(weights)
        names = [register.name for register in reversed(self.registers)]
        if name not in names:
            raise KeyError(f"no register {name!r} among {names[::-1]}")
        at = names.index(name)
        marginal: dict[str, float] = {}
        for word, weight in weights.items():
            outcome = word.split(" ")[at]
            marginal[outcome] = marginal.get(outcome, 0.0) + weight
        return marginal


class ErrorOrigin(StrEnum):
    """How an error bar arose, or why there is none.

    `shots` is the shot noise of what was measured, `target_precision` what was asked for, whatever was measured;
    `ensemble` the spread over an ensemble of randomised circuits, `extrapolation` that of a fit to zero noise,
    `bootstrap` the spread over resampled data. `exact` values have no error beside rounding; those of `truncation` have
    no error bar, were computed without shots, and are off by what was cut off on the way: see the report's confidence.
    """

    EXACT = "exact"
    TRUNCATION = "truncation"
    SHOTS = "shots"
    TARGET_PRECISION = "target_precision"
    ENSEMBLE = "ensemble"
    EXTRAPOLATION = "extrapolation"
    BOOTSTRAP = "bootstrap"


class EstimateResult(Contract):
    """Expectation values of a pub.

    Attributes:
        shape: Broadcast shape of bindings and observables.
        evs: Values.
        stds: Standard errors; 0 only where the value was computed without shots.
        error_origin: How the standard errors arose.
        shots: Per measured group, 0 where the value was computed without shots.
        target_precision: What was asked, None where shots were.
        metadata: The circuit's own metadata.
        extrapolated: The values at zero noise; None, and not said in documents, where nobody asked for them or none were
            made.
    """

    kind: Literal["estimate"] = "estimate"
    shape: tuple[int, ...] = ()
    evs: FloatArray
    stds: FloatArray
    error_origin: ErrorOrigin
    shots: int = 0
    target_precision: float | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    extrapolated: ExtrapolatedValues | None = Field(default=None, exclude_if=lambda value: value is None)


PubResult = Annotated[SampleResult | EstimateResult, Field(discriminator="kind")]


class Results(Contract):
    """Results of a job's pubs, in their order; None for a pub that is not finished yet."""

    pubs: tuple[PubResult | None, ...]


RESULTS_ADAPTER: TypeAdapter[tuple[SampleResult | EstimateResult, ...]] = TypeAdapter(tuple[PubResult, ...])


def to_primitive_result(results: tuple[SampleResult | EstimateResult, ...]) -> "PrimitiveResult[Any]":
    """The same results as Qiskit's `PrimitiveResult` (needs the extra `qiskit`)."""
    import numpy as np
    from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult

    pubs: list[Any] = []
    for result in results:
        if isinstance(result, SampleResult):
            fields = {
                entry.name: BitArray(entry.bits.to_numpy(), entry.bits.num_bits) for entry in result.registers
            }
            metadata = {"shots": result.shots, "circuit_metadata": dict(result.metadata)}
            if result.mitigated is not None:
                metadata["mitigated"] = result.mitigated.model_dump()
            pubs.append(SamplerPubResult(DataBin(**fields, shape=result.shape), metadata=metadata))
        else:
            data = DataBin(evs=_array(result.evs, np), stds=_array(result.stds, np), shape=result.shape)
            metadata = {
                "target_precision": result.target_precision,
                "shots": result.shots,
                "error_origin": str(result.error_origin),
                "circuit_metadata": dict(result.metadata),
            }
            if result.extrapolated is not None:
                metadata["extrapolated"] = result.extrapolated.model_dump()
            pubs.append(PubResult(data, metadata=metadata))
    return PrimitiveResult(pubs, metadata={"version": 2})


def _array(values: FloatArray, np: Any) -> Any:
    array = values.to_numpy()
    return np.float64(array) if not array.shape else array


def readable(result: SampleResult | EstimateResult) -> dict[str, Any]:
    """A result as a document for people: counts per register instead of packed shots.

    For a shaped pub, `counts` holds one mapping per element, flat in C order.
    """
    if isinstance(result, EstimateResult):
        return result.model_dump(mode="json")
    registers = []
    for register in result.registers:
        counts = [register.bits.counts(index) for index in range(size_of(result.shape))]
        registers.append(
            {
                "name": register.name,
                "num_bits": register.bits.num_bits,
                "counts": counts if result.shape else counts[0],
            }
        )
    document = {
        "kind": "sample",
        "shape": list(result.shape),
        "shots": result.shots,
        "bit_order": result.bit_order,
        "registers": registers,
        "metadata": result.metadata,
    }
    if result.mitigated is not None:
        document["mitigated"] = result.mitigated.model_dump(mode="json")
    return document
