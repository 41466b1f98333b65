"""What a job asks, as a digest that no compiler, place or calibration has a say in."""

from collections.abc import Sequence

from activities.documents import ValidatedDocument
from qurable.contracts.base import digest
from qurable.contracts.bindings import Bindings
from qurable.contracts.checks import TwinRide
from qurable.contracts.mitigation import ZeroNoise
from qurable.contracts.pubs import EstimatePub, SamplePub, shots_for


def canonical_bindings(bindings: Bindings, names: Sequence[str]) -> Bindings:
    """The same values for p0, p1, ..., in that order."""
    canonical = tuple(f"p{position}" for position in range(len(names)))
    if tuple(names) == bindings.parameters:
        return bindings.model_copy(update={"parameters": canonical})
    column = [bindings.parameters.index(name) for name in names]
    width = len(names)
    values = tuple(bindings.values[row * width + at] for row in range(bindings.size) for at in column)
    return Bindings(parameters=canonical, shape=bindings.shape, values=values)


def logical_digest(
    kind: str,
    pubs: Sequence[SamplePub | EstimatePub],
    validated: ValidatedDocument,
    twin: TwinRide | None,
    zne: ZeroNoise | None = None,
) -> str:
    """What is asked, before any compiler or calibration has a say; with what rides along another submission."""
    words = [kind]
    for number, pub in enumerate(pubs):
        circuit = validated.circuits[validated.circuit_of[number]]
        words += [
            circuit.canonical if circuit.cacheable else circuit.source,
            canonical_bindings(pub.bindings, circuit.dress.parameters).model_dump_json(),
            "" if isinstance(pub, SamplePub) else pub.observables.model_dump_json(),
            str(shots_for(pub)),
        ]
    if twin is not None:
        words += ["twin", str(twin.shots)]
    if zne is not None:  # what is fitted to the values afterwards makes no difference to what is run
        words += ["zne", zne.folding, *map(str, zne.factors)]
    return digest("\0".join(words))
