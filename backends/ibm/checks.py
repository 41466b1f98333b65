"""Options that cannot go together, refused before anything is paid.

What IBM's client refuses by itself is refused here as well, earlier and with the way out; so is what only the
provider would refuse, after the queue, and what would be ignored. Source: the option classes of
qiskit-ibm-runtime 0.51, and IBM's guides to options, fractional gates and dynamic circuits.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from backends.ibm.options import refuse_inexpressible
from backends.ibm.split import DeviceLimits
from circuits.suppression import Kind, Mitigation, mitigation, noise_factors, twirls
from qurable.contracts.ibm import Generation, IbmOptions, Pec, Twirling, Zne
from qurable.errors import RequestRejected

_POINTS: Mapping[str, int] = {
    "exponential": 3,
    "linear": 3,
    "double_exponential": 5,
    "fallback": 2,
    **{f"polynomial_degree_{degree}": degree + 2 for degree in range(1, 8)},
}
"""Noise factors that each of IBM's extrapolators needs: one more than it has free parameters. The client takes one
less, and then the fit has no standard error (it comes back as infinite)."""

Refusals = Iterator[tuple[str, str]]


def check(
    options: IbmOptions,
    kind: Kind,
    *,
    generation: Generation,
    device: DeviceLimits,
    shots: Sequence[int],
    control_flow: bool,
) -> None:
    """Refuse options that do not go together, or not with the circuits, the device or the generation.

    Args:
        options: As asked for.
        kind: Sampling or estimation.
        generation: Of the primitives.
        device: What it allows.
        shots: Of every pub; 0 asks for exact values.
        control_flow: Whether some circuit branches or loops at run time. Mid-circuit measurement and reset alone are
            none of it.

    Raises:
        RequestRejected: Naming the options, the reason and the way out.
    """
    refuse_inexpressible(options, kind, generation)
    effect = mitigation(options, kind)
    rules: tuple[Callable[[], Refusals], ...] = (
        lambda: _shots(shots),
        lambda: _times(options, device),
        lambda: _fractional(options, effect, device, control_flow=control_flow),
        lambda: _dynamic(options, effect, control_flow=control_flow),
        lambda: _twirling(options, effect, shots),
        lambda: _mitigation(options, effect, generation),
    )
    for rule in rules:
        for what, why in rule():
            raise RequestRejected(f"{what}: {why}", options=what)


def device_limits(configuration: Mapping[str, Any]) -> DeviceLimits:
    """What a device's configuration document says of its limits; its times are in microseconds."""
    spread, default = configuration.get("rep_delay_range"), configuration.get("default_rep_delay")
    adjustable = bool(configuration.get("dynamic_reprate_enabled")) and spread
    gates = {gate.get("name") for gate in configuration.get("gates") or ()}
    return DeviceLimits(
        rep_delay_range=(spread[0] * 1e-6, spread[1] * 1e-6) if adjustable and spread else None,
        rep_delay=None if default is None else default * 1e-6,
        fractional_gates="rzz" in gates or "rzz" in (configuration.get("basis_gates") or ()),
    )


def _shots(shots: Sequence[int]) -> Refusals:
    if 0 in shots:
        yield (
            "precision 0",
            "asks for exact values, which hardware cannot give; name a precision or shots, or use a simulator",
        )


def _times(options: IbmOptions, device: DeviceLimits) -> Refusals:
    if options.max_time is not None and options.mode == "job":
        yield (
            "option 'max_time'",
            "limits a batch or a session, and mode is 'job'; choose mode 'batch' or 'session', or set 'max_execution_time'",
        )
    if options.rep_delay is None:
        return
    if device.rep_delay_range is None:
        yield "option 'rep_delay'", "this device has a fixed one; leave it out"
        return
    low, high = device.rep_delay_range
    if not low <= options.rep_delay <= high:
        yield (
            "option 'rep_delay'",
            f"{options.rep_delay} s is outside the device's {low:g} to {high:g} s; leave it out for the device's own",
        )


def _fractional(
    options: IbmOptions, effect: Mitigation, device: DeviceLimits, *, control_flow: bool
) -> Refusals:
    if not options.use_fractional_gates:
        return
    what = "option 'use_fractional_gates'"
    if not device.fractional_gates:
        yield what, "this device has no fractional gates; leave it out, or choose a device that has them"
    if control_flow:
        yield (
            what,
            "IBM runs no dynamic circuits with fractional gates; leave it out, or use a static circuit",
        )
    if effect.pec:
        yield (
            f"{what} with 'resilience.pec_mitigation'",
            "PEC learns the noise of Clifford layers only; leave one out",
        )
    if effect.zne:
        yield (
            f"{what} with zero-noise extrapolation",
            "noise of fractional gates cannot be amplified; set 'resilience_level' to 0 or 1, or leave fractional gates out",
        )
    if effect.twirls_gates:
        yield (
            f"{what} with 'twirling.enable_gates'",
            "only Clifford gates can be Pauli-twirled, and rzz is none; leave one out",
        )


def _dynamic(options: IbmOptions, effect: Mitigation, *, control_flow: bool) -> Refusals:
    if not control_flow:
        return
    if options.dynamical_decoupling is not None and options.dynamical_decoupling.enable:
        yield (
            "option 'dynamical_decoupling'",
            "IBM refuses it with dynamic circuits; leave it out, or use a static circuit",
        )
    if effect.zne or effect.pec:
        yield (
            "zero-noise extrapolation or PEC",
            "IBM has neither for dynamic circuits; set 'resilience_level' to 0 or 1 and leave 'resilience' out",
        )
    if effect.twirls_gates:
        yield "option 'twirling.enable_gates'", "gates of dynamic circuits cannot be twirled; leave it out"


def _twirling(options: IbmOptions, effect: Mitigation, shots: Sequence[int]) -> Refusals:
    twirling = options.twirling
    if twirling is None:
        return
    for name in ("num_randomizations", "shots_per_randomization"):
        number = getattr(twirling, name)
        if number != "auto" and number < 1:
            yield f"option 'twirling.{name}'", f"{number} is below 1; give at least 1, or 'auto'"
    twirled = effect.twirls_gates or effect.twirls_measurements
    details = twirling.model_copy(update={"enable_gates": None, "enable_measure": None})
    if details != Twirling() and not twirled:
        yield (
            "option 'twirling'",
            "nothing is twirled, so its numbers and strategy would do nothing; set 'enable_gates' or 'enable_measure'",
        )
    if twirling.enable_measure is False and effect.twirls_measurements:
        yield (
            "option 'twirling.enable_measure'",
            "readout mitigation, PEA and PEC work by it and would turn it on again; leave it out, or set 'resilience_level' to 0",
        )
    if twirling.enable_gates is False and effect.needs_layers:
        yield (
            "option 'twirling.enable_gates'",
            "PEA and PEC work by twirling gates, and would turn it on again; leave it out",
        )
    if "auto" in (twirling.num_randomizations, twirling.shots_per_randomization) or not twirled:
        return
    for wanted in shots:
        number, each = twirls(options, wanted, pec=effect.pec)
        if number * each != wanted:
            yield (
                "options 'twirling.num_randomizations' and 'twirling.shots_per_randomization'",
                f"{number} x {each} would run {number * each:,} shots where {wanted:,} are asked for; set one of them to 'auto'",
            )


def _mitigation(options: IbmOptions, effect: Mitigation, generation: Generation) -> Refusals:
    resilience = options.resilience
    if resilience is None:
        return
    if effect.pec and effect.zne:
        yield (
            "option 'resilience.pec_mitigation' with zero-noise extrapolation",
            "IBM does one of them; set 'resilience.zne_mitigation' to false, or leave PEC out",
        )
    if effect.noise_given and not effect.needs_layers:
        yield (
            "option 'resilience.layer_noise_model'",
            "neither PEC nor PEA is on, which alone go by it; set 'resilience.pec_mitigation' or the amplifier 'pea', or leave it out",
        )
    if resilience.pec != Pec() and not effect.pec:
        yield "option 'resilience.pec'", "PEC is off; set 'resilience.pec_mitigation', or leave it out"
    if resilience.pec.noise_gain != "auto" and resilience.pec.noise_gain < 0:
        yield (
            "option 'resilience.pec.noise_gain'",
            f"{resilience.pec.noise_gain} is below 0; give 0 or more, or 'auto'",
        )
    if resilience.zne != Zne() and not effect.zne:
        yield (
            "option 'resilience.zne'",
            "zero-noise extrapolation is off; set 'resilience.zne_mitigation', or leave it out",
        )
    if effect.zne:
        yield from _extrapolation(resilience.zne)
    if (
        effect.zne
        and not (effect.twirls_gates or effect.twirls_measurements)
        and generation is Generation.EXECUTOR
    ):
        yield (
            "option 'resilience.zne_mitigation' without twirling",
            "generation 'executor' has error bars from the spread over twirled circuits only; set 'twirling.enable_gates'",
        )


def _extrapolation(zne: Zne) -> Refusals:
    factors = noise_factors(zne)
    if len(factors) < 2:
        yield (
            "option 'resilience.zne.noise_factors'",
            "at least two are needed to extrapolate; IBM's own are 1, 3 and 5",
        )
    if not zne.extrapolator:
        yield "option 'resilience.zne.extrapolator'", f"name at least one of {', '.join(sorted(_POINTS))}"
    for name in zne.extrapolator:
        if name not in _POINTS:
            yield "option 'resilience.zne.extrapolator'", f"{name!r} is none of {', '.join(sorted(_POINTS))}"
        elif len(factors) < _POINTS[name]:
            yield (
                "option 'resilience.zne.extrapolator'",
                f"{name!r} needs {_POINTS[name]} noise factors to have an error bar, {len(factors)} are given; add some, or extrapolate linearly",
            )
