"""Which simulation method suits a circuit, what memory it takes, and why.

Figures: a statevector takes 16 B x 2^n, a density matrix 16 B x 4^n, a matrix product state 32 B x chi_l chi_r
summed over its sites; single precision halves them.
"""

import itertools
from collections.abc import Sequence

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

_WORKSPACE = 1.25
_MPS_WORKSPACE = 4
_GIB = 2**30


def choose_noiseless(
    traits: CircuitTraits, options: SimulatorOptions, capacity_bytes: int, name: str
) -> MethodChoice:
    """The method for a circuit without noise.

    Args:
        traits: Of the canonical circuit.
        options: What the caller asked for.
        capacity_bytes: What the machine can ever grant.
        name: Of the circuit, for messages.

    Raises:
        JobTooLarge: No method fits; the sizes are in the message.
    """
    if options.method is not Method.AUTOMATIC:
        return _as_asked(traits, options, capacity_bytes, name)
    if traits.is_clifford:
        return _choice(Method.STABILIZER, "every gate is Clifford", traits, options)
    statevector = _choice(Method.STATEVECTOR, "", traits, options)
    bond = traits.max_bond
    if traits.active_qubits <= SMALL_QUBITS:
        return _because(
            statevector,
            f"{traits.active_qubits} qubits fit in {_human(statevector.memory_bytes)} of amplitudes",
        )
    chain = _choice(Method.MATRIX_PRODUCT_STATE, "", traits, options)
    if bond is not None and bond <= CHEAP_BOND:
        return _because(chain, f"no cut needs a bond dimension above {bond}")
    if statevector.memory_bytes <= capacity_bytes:
        return _because(
            statevector,
            f"{traits.active_qubits} qubits fit in {_human(statevector.memory_bytes)} of amplitudes",
        )
    if bond is not None and bond <= AFFORDABLE_BOND and chain.memory_bytes <= capacity_bytes:
        return _because(chain, f"no cut needs a bond dimension above {bond}, and a statevector would not fit")
    raise JobTooLarge(
        f"circuit {name!r} has {traits.active_qubits} active qubits: a statevector takes {_human(statevector.memory_bytes)}, this "
        f"machine grants {_human(capacity_bytes)} ({_widest(capacity_bytes, options)} qubits), and its entanglement is bounded only "
        f"by a bond dimension of {bond or 'unknown size'} (at most {AFFORDABLE_BOND} is run exactly): use fewer qubits, or allow "
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


def _choice(method: Method, because: str, traits: CircuitTraits, options: SimulatorOptions) -> MethodChoice:
    single = options.precision == "single"
    if method is Method.MATRIX_PRODUCT_STATE:
        return MethodChoice(method=method, because=because, memory_bytes=_chain_bytes(traits, options))
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
    return int(amplitude * 2**exponent * _WORKSPACE)


def _chain_bytes(traits: CircuitTraits, options: SimulatorOptions) -> int:
    ranks: Sequence[float] = traits.schmidt_ranks_log2 or (traits.num_qubits / 2,) * max(
        traits.num_qubits - 1, 0
    )
    cap = float("inf") if options.max_bond is None else float(options.max_bond)
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
