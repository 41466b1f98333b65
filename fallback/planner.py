"""From a job's wishes and what is there to a recorded route. Pure: everything it looks at is an argument."""

from collections.abc import Mapping, Sequence

from circuits.methods import choose_noiseless
from qurable.contracts.circuits import ParsedCircuit
from qurable.contracts.jobs import AUTO, Requirements, SimulatorOptions
from qurable.contracts.routes import Considered, MethodChoice, Route, Rung
from qurable.contracts.targets import AnswerKind, TargetSnapshot
from qurable.errors import JobTooLarge, TargetUnavailable, UnsupportedCircuit


def plan(
    asked: str | Requirements,
    circuits: Sequence[ParsedCircuit],
    candidates: Sequence[TargetSnapshot],
    options: SimulatorOptions,
    capacity_bytes: int,
    *,
    exact: bool,
) -> Route:
    """The backend that was asked for, or the first candidate that fits.

    Args:
        asked: A name, `auto`, or requirements.
        circuits: Distinct circuits of the job.
        candidates: Snapshots to choose from, best first; exactly one where a name was asked.
        options: The caller's simulator options.
        capacity_bytes: Memory the machine can ever grant.
        exact: Whether an expectation value without shots is asked.

    Raises:
        HybridError: What rules out the only candidate, or all of them.
    """
    considered: list[Considered] = []
    refusals: list[UnsupportedCircuit | JobTooLarge | TargetUnavailable] = []
    for target in candidates:
        try:
            rung = _rung(asked, target, circuits, options, capacity_bytes, exact=exact)
        except (UnsupportedCircuit, JobTooLarge, TargetUnavailable) as refusal:
            considered.append(Considered(name=target.name, taken=False, because=refusal.message))
            refusals.append(refusal)
            continue
        considered.append(Considered(name=target.name, taken=True, because=rung.because))
        return Route(rungs=(rung,), considered=tuple(considered))
    if len(refusals) == 1:
        raise refusals[0]
    raise UnsupportedCircuit(
        f"no backend fits {asked}: " + "; ".join(f"{entry.name}: {entry.because}" for entry in considered)
        if considered
        else f"no backend fits {asked}: none is registered that does; `qurable backends` lists them"
    )


def _rung(
    asked: str | Requirements,
    target: TargetSnapshot,
    circuits: Sequence[ParsedCircuit],
    options: SimulatorOptions,
    capacity_bytes: int,
    *,
    exact: bool,
) -> Rung:
    if not target.available:
        raise TargetUnavailable(f"backend {target.name!r} is not available: {target.reason}")
    if isinstance(asked, Requirements):
        _check_requirements(asked, target)
    if exact and not target.exact_values:
        raise UnsupportedCircuit(
            f"backend {target.name!r} measures shots and cannot give an exact value: ask for a precision above 0, or for 'aer'"
        )
    for circuit in circuits:
        _check_circuit(circuit, target)
    methods = _methods(target, circuits, options, capacity_bytes)
    return Rung(target=target, because=_because(asked, methods), methods=methods)


def _check_requirements(wanted: Requirements, target: TargetSnapshot) -> None:
    simulated = target.simulator
    noisy = target.answer_kind in {AnswerKind.HARDWARE, AnswerKind.NOISY_SIMULATOR}
    gpu = target.name.endswith("_gpu")
    for what, want, have in (
        ("simulator", wanted.simulator, simulated),
        ("noisy", wanted.noisy, noisy),
        ("gpu", wanted.gpu, gpu),
    ):
        if want is not None and want != have:
            raise UnsupportedCircuit(f"backend {target.name!r} has {what}={have}; {what}={want} is asked")
    if target.num_qubits is not None and target.num_qubits < wanted.min_qubits:
        raise UnsupportedCircuit(
            f"backend {target.name!r} has {target.num_qubits} qubits; {wanted.min_qubits} are asked"
        )


def _check_circuit(circuit: ParsedCircuit, target: TargetSnapshot) -> None:
    traits, name = circuit.traits, circuit.dress.name
    if target.num_qubits is not None and traits.num_qubits > target.num_qubits:
        raise UnsupportedCircuit(
            f"circuit {name!r} needs {traits.num_qubits} qubits; {target.name!r} has {target.num_qubits}: choose a wider backend",
            needed=traits.num_qubits,
            limit=target.num_qubits,
        )
    if traits.is_dynamic and not target.dynamic_circuits:
        raise UnsupportedCircuit(
            f"circuit {name!r} measures and goes on, resets or branches; {target.name!r} cannot: choose a backend with dynamic circuits"
        )


def _methods(
    target: TargetSnapshot, circuits: Sequence[ParsedCircuit], options: SimulatorOptions, capacity_bytes: int
) -> Mapping[str, MethodChoice]:
    """For a noiseless simulator, the method for each circuit; a noisy one's depends on the compiled circuit."""
    if target.answer_kind is not AnswerKind.SIMULATOR or target.target is not None:
        return {}
    return {
        circuit.canonical: choose_noiseless(circuit.traits, options, capacity_bytes, circuit.dress.name)
        for circuit in circuits
    }


def _because(asked: str | Requirements, methods: Mapping[str, MethodChoice]) -> str:
    reason = "asked for" if isinstance(asked, str) and asked != AUTO else "the smallest simulator that fits"
    kinds = sorted({(choice.method.value, choice.because) for choice in methods.values()})
    if len(kinds) == 1:
        return f"{reason}; {kinds[0][0]}, as {kinds[0][1]}"
    return (
        reason
        if not kinds
        else f"{reason}; methods {', '.join(sorted({method for method, _ in kinds}))}, chosen per circuit"
    )
