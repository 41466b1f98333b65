"""What IBM does to errors once its defaults are filled in, and what that adds to a job's QPU time.

Source of the defaults: the documentation of the option classes of qiskit-ibm-runtime.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Literal

from circuits.qpu_time import PLAIN, Suppression
from qurable.contracts.ibm import IbmOptions, Twirling, Zne

DEFAULT_RESILIENCE_LEVEL = 1
"""IBM's own, for estimates that name none."""

DEFAULT_NOISE_FACTORS = (1.0, 3.0, 5.0)
"""IBM's own, for zero-noise extrapolation that names none."""

Kind = Literal["sample", "estimate"]


@dataclass(frozen=True)
class Mitigation:
    """What IBM does to errors, once its defaults for the resilience level are filled in.

    Attributes:
        twirls_gates: Two-qubit gates are twirled.
        twirls_measurements: Measurements are twirled.
        readout: Readout errors are mitigated (TREX).
        noise_factors: Of zero-noise extrapolation; empty where there is none.
        pea: Noise is amplified by a learnt model rather than by folding gates.
        pec: Probabilistic error cancellation.
        noise_given: The noise of layers comes with the options.
    """

    twirls_gates: bool
    twirls_measurements: bool
    readout: bool
    noise_factors: tuple[float, ...]
    pea: bool
    pec: bool
    noise_given: bool = False

    @property
    def zne(self) -> bool:
        """Whether values are extrapolated to zero noise."""
        return bool(self.noise_factors)

    @property
    def needs_layers(self) -> bool:
        """Whether it goes by the noise of layers of gates."""
        return self.pea or self.pec

    @property
    def learns_layers(self) -> bool:
        """Whether that noise is learnt before the run."""
        return self.needs_layers and not self.noise_given


def mitigation(options: IbmOptions, kind: Kind) -> Mitigation:
    """What the options come to with IBM's defaults.

    Levels of an estimate: 0 does nothing; 1 twirls measurements and mitigates readout; 2 also twirls gates and
    extrapolates to zero noise. Methods that work by twirling turn it on. Sampling has no levels.
    """
    twirling = options.twirling or Twirling()
    if kind == "sample":
        gates, measurements = bool(twirling.enable_gates), bool(twirling.enable_measure)
        return Mitigation(gates, measurements, readout=False, noise_factors=(), pea=False, pec=False)
    level = DEFAULT_RESILIENCE_LEVEL if options.resilience_level is None else options.resilience_level
    resilience = options.resilience
    readout = _chosen(None if resilience is None else resilience.measure_mitigation, level >= 1)
    zne = _chosen(None if resilience is None else resilience.zne_mitigation, level >= 2)
    settings = Zne() if resilience is None else resilience.zne
    pec = resilience is not None and resilience.pec_mitigation
    pea = zne and settings.amplifier == "pea"
    return Mitigation(
        twirls_gates=_chosen(twirling.enable_gates, level >= 2) or pea or pec,
        twirls_measurements=_chosen(twirling.enable_measure, level >= 1) or readout or pea or pec,
        readout=readout,
        noise_factors=noise_factors(settings) if zne else (),
        pea=pea,
        pec=pec,
        noise_given=resilience is not None and bool(resilience.layer_noise_model),
    )


def noise_factors(zne: Zne) -> tuple[float, ...]:
    """Its noise factors, IBM's own where none are named."""
    return DEFAULT_NOISE_FACTORS if zne.noise_factors == "auto" else zne.noise_factors


def twirls(options: IbmOptions, shots: int, *, pec: bool) -> tuple[int, int]:
    """Randomised circuits, and shots of each, that IBM makes of a number of shots.

    Source: the documentation of `TwirlingOptions` in qiskit-ibm-runtime.
    """
    twirling = options.twirling or Twirling()
    number, each = twirling.num_randomizations, twirling.shots_per_randomization
    if number != "auto":
        return number, -(-shots // number) if each == "auto" else each
    size = (64 if pec else max(64, -(-shots // 32))) if each == "auto" else each
    return -(-shots // size), size


def _chosen(choice: bool | None, otherwise: bool) -> bool:
    return otherwise if choice is None else choice


def suppression(options: IbmOptions, kind: Kind, shots: int, pubs: int = 1) -> Suppression:
    """What the options add to a job.

    Args:
        options: As asked for.
        kind: Sampling or estimation.
        shots: Of each circuit.
        pubs: That share the job.
    """
    effect = mitigation(options, kind)
    twirled = effect.twirls_gates or effect.twirls_measurements
    overhead = 1.0
    if effect.pec:
        limit = None if options.resilience is None else options.resilience.pec.max_overhead
        overhead = inf if limit is None else max(1.0, limit)
    return Suppression(
        twirls=twirls(options, shots, pec=effect.pec) if twirled and shots else None,
        noise_factors=effect.noise_factors or PLAIN.noise_factors,
        learns_readout=pubs if effect.readout else 0,
        overhead=overhead,
        learns_layers=effect.learns_layers,
    )


def in_words(added: Suppression) -> str:
    """What mitigation adds, for people; empty where it adds nothing."""
    return ", ".join(_words(added))


def _words(added: Suppression) -> Iterator[str]:
    if added.twirls is not None:
        number, each = added.twirls
        yield f"{number:,} twirls of {each:,} shots"
    if added.noise_factors != PLAIN.noise_factors:
        yield f"noise factors {', '.join(f'{factor:g}' for factor in added.noise_factors)}"
    if added.learns_readout:
        yield "circuits that learn the readout's errors"
    if added.overhead > 1:
        yield (
            "sampling for PEC without a limit"
            if added.overhead == inf
            else f"up to {added.overhead:g} times the shots for PEC"
        )
    if added.learns_layers:
        yield "circuits that learn the noise of layers"
