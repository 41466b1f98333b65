"""Which simulation method suits a circuit, what memory it takes, and why.

Figures: a statevector takes 16 B x 2^n, a density matrix 16 B x 4^n, a matrix product state 32 B x chi_l chi_r
summed over its sites; single precision halves them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from circuits.simulation_time import Load, simulation_seconds
from qurable.contracts.circuits import CircuitTraits
from qurable.contracts.jobs import Method, SimulatorOptions
from qurable.contracts.routes import MethodChoice
from qurable.errors import JobTooLarge

SMALL_QUBITS = 16
"""Up to here a statevector takes a mebibyte, and nothing is gained by being clever."""

CHEAP_BOND = 32
AFFORDABLE_BOND = 1024

DENSITY_MATRIX_QUBITS = 13
"""4 GiB beyond; wider noisy circuits run as trajectories."""

QUICKER_BY_SECONDS = 0.025
QUICKER_TIMES = 1.5
"""What an estimate has to be better by; models are not, and nobody notices less."""

_MPS_WORKSPACE = 4
_GIB = 2**30


@dataclass(frozen=True)
class Probe:
    """What a short run as a matrix product state told of a circuit's entanglement.

    Attributes:
        needed: Largest bond dimension of a whole run in which nothing was cut off; None where it was not enough.
        discarded: Squared weight that was cut off at `bond`.
        bond: Largest bond dimension that the run was allowed.
        seconds: That it took (s).
    """

    needed: int | None
    discarded: float
    bond: int
    seconds: float

    def __str__(self) -> str:
        if self.needed is not None:
            return f"a probe of its entanglement needed a bond dimension of {self.needed}"
        if self.discarded:
            return (
                f"a probe of its entanglement cut off {self.discarded:.1g} at a bond dimension of {self.bond}"
            )
        return f"a probe of its entanglement came to no end at a bond dimension of {self.bond}"


@dataclass(frozen=True)
class Work:
    """What is asked of a circuit.

    Attributes:
        shots: Repetitions; 0 where values without shots are asked.
        products: Pauli products whose expectation values are asked.
        probe: Of its entanglement, where one was run.
    """

    shots: int = 0
    products: int = 0
    probe: Probe | None = None


UNKNOWN_WORK = Work()


def choose_noiseless(
    traits: CircuitTraits,
    options: SimulatorOptions,
    capacity_bytes: int,
    name: str,
    *,
    work: Work = UNKNOWN_WORK,
    cheap_bond: int = CHEAP_BOND,
    affordable_bond: int = AFFORDABLE_BOND,
) -> MethodChoice:
    """The method for a circuit without noise.

    The circuit's own nature proposes one. Another that is exact and fits takes its place where it is expected to be
    clearly quicker.

    Args:
        traits: Of the canonical circuit.
        options: What the caller asked for.
        capacity_bytes: What the machine can ever grant.
        name: Of the circuit, for messages.
        work: What is asked of it, and what a probe of it said.
        cheap_bond: Bond dimension up to which a matrix product state is preferred to a statevector that is not quicker.
        affordable_bond: Bond dimension up to which it is run without truncation.

    Raises:
        JobTooLarge: No method fits; the sizes are in the message.
    """
    if options.method is not Method.AUTOMATIC:
        return _as_asked(traits, options, capacity_bytes, name)
    bond = _known_bond(traits, work.probe)
    chosen = _by_nature(traits, options, capacity_bytes, name, work, cheap_bond, affordable_bond)
    took = method_seconds(chosen.method, traits, work)
    others = [Method.STATEVECTOR]
    if bond is not None and bond <= affordable_bond:
        others.append(Method.MATRIX_PRODUCT_STATE)
    for other in others:
        choice = _choice(other, "", traits, options, bond)
        seconds = method_seconds(other, traits, work)
        if choice.memory_bytes <= capacity_bytes and clearly_quicker(seconds, took):
            known = (
                f"{_on_bond(traits, work.probe)}, and it" if other is Method.MATRIX_PRODUCT_STATE else "it"
            )
            chosen = _because(
                choice, f"{known} is expected to take {seconds:.2g} s, {took:.2g} s by {chosen.method}"
            )
            took = seconds
    return chosen


def method_seconds(method: Method, traits: CircuitTraits, work: Work) -> float:
    """What one binding of a circuit without noise is expected to take on Aer, on one core (s)."""
    bond = _known_bond(traits, work.probe)
    return simulation_seconds(method, Load.of(traits, work.shots, work.products, bond=bond))


def clearly_quicker(seconds: float, than: float, by: float = QUICKER_BY_SECONDS) -> bool:
    """Whether one estimate is below another by more than what nobody notices, and by a third."""
    return seconds < than - by and seconds * QUICKER_TIMES < than


def _known_bond(traits: CircuitTraits, probe: Probe | None) -> int | None:
    """Bond dimension that is not exceeded, None where nobody knows."""
    known = [bond for bond in (traits.max_bond, None if probe is None else probe.needed) if bond is not None]
    return min(known, default=None)


def _on_bond(traits: CircuitTraits, probe: Probe | None) -> str:
    bond = _known_bond(traits, probe)
    if traits.max_bond is not None and bond == traits.max_bond:
        return f"no cut needs a bond dimension above {bond}"
    return f"a probe needed a bond dimension of {bond}"


def _by_nature(
    traits: CircuitTraits,
    options: SimulatorOptions,
    capacity_bytes: int,
    name: str,
    work: Work,
    cheap_bond: int,
    affordable_bond: int,
) -> MethodChoice:
    """What the kind of circuit suggests.

    Raises:
        JobTooLarge: Nothing fits.
    """
    if traits.is_clifford:
        return _choice(Method.STABILIZER, "every gate is Clifford", traits, options)
    statevector = _choice(Method.STATEVECTOR, "", traits, options)
    bond = _known_bond(traits, work.probe)
    if traits.active_qubits <= SMALL_QUBITS:
        return _because(
            statevector,
            f"{traits.active_qubits} qubits fit in {_human(statevector.memory_bytes)} of amplitudes",
        )
    chain = _choice(Method.MATRIX_PRODUCT_STATE, "", traits, options, bond)
    no_slower = method_seconds(chain.method, traits, work) <= method_seconds(statevector.method, traits, work)
    if bond is not None and bond <= cheap_bond and (no_slower or statevector.memory_bytes > capacity_bytes):
        return _because(chain, _on_bond(traits, work.probe))
    if statevector.memory_bytes <= capacity_bytes:
        return _because(
            statevector,
            f"{traits.active_qubits} qubits fit in {_human(statevector.memory_bytes)} of amplitudes",
        )
    if bond is not None and bond <= affordable_bond and chain.memory_bytes <= capacity_bytes:
        return _because(chain, f"{_on_bond(traits, work.probe)}, and a statevector would not fit")
    raise JobTooLarge(
        f"circuit {name!r} has {traits.active_qubits} active qubits: a statevector takes {_human(statevector.memory_bytes)}, this "
        f"machine grants {_human(capacity_bytes)} ({_widest(capacity_bytes, options)} qubits), and its entanglement is bounded only "
        f"by a bond dimension of {bond or 'unknown size'} (at most {affordable_bond} is run exactly): use fewer qubits, or allow "
        "truncation with method matrix_product_state and max_bond",
        needed_bytes=statevector.memory_bytes,
        limit_bytes=capacity_bytes,
    )


def choose_noisy(
    qubits: int, shots: int, options: SimulatorOptions, capacity_bytes: int, name: str
) -> MethodChoice:
    """The method for an ISA circuit with a device's noise.

    Args:
        qubits: Busy qubits of the ISA circuit.
        shots: Trajectories that would be run instead of a density matrix.
        options: What the caller asked for.
        capacity_bytes: What the machine can ever grant.
        name: Of the circuit, for messages.

    Raises:
        JobTooLarge: No method fits.
    """
    single = options.precision == "single"
    density = _bytes(Method.DENSITY_MATRIX, qubits, single)
    trajectory = _bytes(Method.STATEVECTOR, qubits, single)
    asked = options.method
    if asked in {Method.STABILIZER, Method.MATRIX_PRODUCT_STATE}:
        raise JobTooLarge(
            f"method {asked} cannot carry this device's noise; ask for density_matrix, statevector (trajectories) or automatic"
        )
    cheap = qubits <= DENSITY_MATRIX_QUBITS and 2**qubits <= max(shots, 64)
    if asked is Method.DENSITY_MATRIX or (asked is Method.AUTOMATIC and cheap and density <= capacity_bytes):
        choice = MethodChoice(
            method=Method.DENSITY_MATRIX,
            because=f"the noisy state of {qubits} qubits fits in {_human(density)}",
            memory_bytes=density,
        )
    else:
        reason = (
            "are cheaper than" if density <= capacity_bytes else f"fit, which the {_human(density)} do not of"
        )
        choice = MethodChoice(
            method=Method.STATEVECTOR,
            because=f"{shots} noisy trajectories of {qubits} qubits {reason} their density matrix",
            memory_bytes=trajectory,
        )
    if choice.memory_bytes > capacity_bytes:
        raise JobTooLarge(
            f"circuit {name!r} keeps {qubits} qubits busy on the device: {choice.method} takes {_human(choice.memory_bytes)}, this "
            f"machine grants {_human(capacity_bytes)}: use fewer qubits",
            needed_bytes=choice.memory_bytes,
            limit_bytes=capacity_bytes,
        )
    return choice


def _as_asked(
    traits: CircuitTraits, options: SimulatorOptions, capacity_bytes: int, name: str
) -> MethodChoice:
    if options.method is Method.STABILIZER and not traits.is_clifford:
        raise JobTooLarge(
            f"circuit {name!r} has gates that are not Clifford; method stabilizer cannot run it: ask for automatic"
        )
    choice = _choice(options.method, "asked for", traits, options)
    if choice.memory_bytes > capacity_bytes:
        way_out = (
            "limit it with max_bond"
            if options.method is Method.MATRIX_PRODUCT_STATE
            else f"at most {_widest(capacity_bytes, options)} qubits fit; method automatic may know a smaller one"
        )
        raise JobTooLarge(
            f"circuit {name!r} of {traits.active_qubits} active qubits takes {_human(choice.memory_bytes)} by method "
            f"{options.method}; this machine grants {_human(capacity_bytes)}: {way_out}",
            needed_bytes=choice.memory_bytes,
            limit_bytes=capacity_bytes,
        )
    return choice


def _choice(
    method: Method,
    because: str,
    traits: CircuitTraits,
    options: SimulatorOptions,
    bond: int | None = None,
) -> MethodChoice:
    single = options.precision == "single"
    if method is Method.MATRIX_PRODUCT_STATE:
        bonds = [most for most in (options.max_bond, bond) if most is not None]
        size = chain_bytes(traits, min(bonds, default=None))
        return MethodChoice(method=method, because=because, memory_bytes=size)
    return MethodChoice(
        method=method, because=because, memory_bytes=_bytes(method, traits.active_qubits, single)
    )


def _because(choice: MethodChoice, because: str) -> MethodChoice:
    return choice.model_copy(update={"because": because})


def _bytes(method: Method, qubits: int, single: bool) -> int:
    amplitude = 8 if single else 16
    exponent = {Method.STATEVECTOR: qubits, Method.DENSITY_MATRIX: 2 * qubits}.get(method)
    if exponent is None:
        return 4096 + qubits * qubits
    state: int = amplitude * 2**exponent
    return state * 5 // 4


def chain_bytes(traits: CircuitTraits, max_bond: int | None) -> int:
    """Memory of a matrix product state with bonds of at most this dimension, None for no limit."""
    ranks: Sequence[float] = traits.schmidt_ranks_log2 or (traits.num_qubits / 2,) * max(
        traits.num_qubits - 1, 0
    )
    cap = float("inf") if max_bond is None else float(max_bond)
    bonds = [1.0, *(min(2.0 ** min(rank, 60.0), cap) for rank in ranks), 1.0]
    sites = sum(32.0 * left * right for left, right in itertools.pairwise(bonds))
    return int(min(sites * _MPS_WORKSPACE, 2.0**62))


def _widest(capacity_bytes: int, options: SimulatorOptions) -> int:
    qubits = 0
    while _bytes(Method.STATEVECTOR, qubits + 1, options.precision == "single") <= capacity_bytes:
        qubits += 1
    return qubits


def _human(size: int) -> str:
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if value < 1024 or unit == "EiB":
            return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1024
    return f"{value} EiB"
