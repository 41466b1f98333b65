"""What a circuit's survival means for a rung, once it is compiled: the next rung, a warning, or a record."""

from collections.abc import Iterator, Sequence

from activities.documents import CompiledCircuit, CompiledDocument, ValidatedDocument
from qurable.contracts.confidence import Confidence, ConfidenceKind, Survival
from qurable.contracts.fallback import ConfidenceFloor, Fallback
from qurable.contracts.routes import Route
from qurable.errors import SurvivalTooLow


def check(
    route: Route,
    number: int,
    validated: ValidatedDocument,
    compiled: Sequence[CompiledCircuit],
    wish: Fallback,
) -> None:
    """Refuse a rung on which a circuit would answer with noise, before anything is reserved or opened there.

    The house's threshold rules out a device only where another rung is left, as the planner's bound does. What the
    job itself demands holds everywhere: an answer below it would be refused once it is paid for.

    Raises:
        SurvivalTooLow: With the number, the threshold and the way out.
    """
    rung, floor = route.rungs[number], _floor(wish)
    last = number + 1 == len(route.rungs)
    for parsed, circuit in zip(validated.circuits, compiled, strict=True):
        survival = circuit.survival
        if survival is None:
            continue
        asked = 0.0 if floor is None else floor.value
        house = 0.0 if last or rung.target.simulator else route.min_survival
        least = max(asked, house)
        if survival.value >= least:
            continue
        whose = (
            f"fallback.floor asks for {asked:g}"
            if asked >= house
            else f"the strategy table asks for {house:g}"
        )
        raise SurvivalTooLow(
            f"compiled for {rung.name!r}, circuit {parsed.dress.name!r} survives with {in_words(survival)}, and {whose}: use "
            "fewer two-qubit gates, a higher transpile.level or another device, or ask for less",
            survival=survival.value,
            least=least,
            gates=survival.gates,
            readout=survival.readout,
            idle=survival.idle,
            two_qubit_gates=circuit.two_qubit_gates,
        )


def _floor(wish: Fallback) -> ConfidenceFloor | None:
    floor = wish.floor
    return floor if floor is not None and floor.kind is ConfidenceKind.SURVIVAL_ESTIMATE else None


def warnings(
    route: Route, backend: str, validated: ValidatedDocument, compiled: CompiledDocument
) -> Iterator[str]:
    """What is to be said of an answer from circuits that hardly survive."""
    for parsed, circuit in zip(validated.circuits, compiled.circuits, strict=False):
        survival = circuit.survival
        if survival is not None and survival.value < route.min_survival:
            yield (
                f"on {backend!r} circuit {parsed.dress.name!r} survives with {in_words(survival)}, below the strategy table's "
                f"{route.min_survival:g}: expect noise"
            )


def records(circuit_of: Sequence[int], compiled: CompiledDocument) -> tuple[Confidence, ...]:
    """A record for each pub that ran, or was simulated, with a device's noise."""
    if not compiled.circuits:
        return ()
    return tuple(
        Confidence(
            kind=ConfidenceKind.SURVIVAL_ESTIMATE,
            value=circuit.survival.value,
            interval=(0.0, circuit.survival.value) if circuit.survival.at_most else None,
            basis=_basis(circuit.survival),
            pub=pub,
        )
        for pub, circuit in ((pub, compiled.circuits[at]) for pub, at in enumerate(circuit_of))
        if circuit.survival is not None
    )


def _basis(survival: Survival) -> str:
    idle = "" if survival.idle is None else ", and T1 and T2 of its idle windows as scheduled"
    most = "; at most this, since what runs is decided while it runs" if survival.at_most else ""
    return (
        f"errors of the ISA circuit's gates and readings as the device reports them{idle}{most}; before any mitigation, and no "
        "measure of the answer's quality"
    )


def in_words(survival: Survival) -> str:
    """The number with its parts."""
    idle = "" if survival.idle is None else f", idle {survival.idle:.2g}"
    most = "at most " if survival.at_most else ""
    return f"{most}{survival.value:.2g} (gates {survival.gates:.2g}, readings {survival.readout:.2g}{idle})"
