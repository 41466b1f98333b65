"""`IbmOptions` in the words of IBM's own option classes, for both generations of primitives.

Everything here is plain data: the client's classes are made of it in a child, and refuse what they do not know.
"""

from typing import Any

from circuits.suppression import Kind, mitigation, noise_factors
from qurable.contracts.ibm import Generation, IbmOptions
from qurable.errors import RequestRejected


def primitive_options(
    options: IbmOptions,
    kind: Kind,
    generation: Generation,
    *,
    shots: int,
    tags: tuple[str, ...] = (),
    max_execution_time: int | None = None,
) -> dict[str, Any]:
    """Keyword arguments of the generation's option class; options that were not asked for are left to IBM.

    Args:
        options: As asked for.
        kind: Sampling or estimation.
        generation: Whose option class.
        shots: Per binding, or per binding and measured basis for estimates.
        tags: Tags of the job.
        max_execution_time: QPU seconds, where they are tighter than what the options say.

    Raises:
        RequestRejected: The generation, or any, has no such option.
    """
    refuse_inexpressible(options, kind, generation)
    seconds = [limit for limit in (options.max_execution_time, max_execution_time) if limit is not None]
    words: dict[str, Any] = {"default_shots": shots, "environment": {"job_tags": list(tags)}}
    if seconds:
        words["max_execution_time"] = min(seconds)
    if options.dynamical_decoupling is not None:
        words["dynamical_decoupling"] = options.dynamical_decoupling.model_dump()
    if options.twirling is not None:
        words["twirling"] = _said(options.twirling.model_dump())
    if execution := _said({"init_qubits": options.init_qubits, "rep_delay": options.rep_delay}):
        words["execution"] = execution
    if kind == "estimate":
        words |= _estimation(options)
    return words


def _estimation(options: IbmOptions) -> dict[str, Any]:
    words: dict[str, Any] = _said({"resilience_level": options.resilience_level})
    effect = mitigation(options, "estimate")
    resilience = options.resilience
    if resilience is None:
        return words
    chosen = _said(
        {
            "measure_mitigation": resilience.measure_mitigation,
            "zne_mitigation": resilience.zne_mitigation,
            "pec_mitigation": resilience.pec_mitigation or None,
        }
    )
    if effect.zne:
        chosen["zne"] = {
            "amplifier": resilience.zne.amplifier,
            "noise_factors": list(noise_factors(resilience.zne)),
            "extrapolator": list(resilience.zne.extrapolator),
        }
    if effect.pec:
        chosen["pec"] = resilience.pec.model_dump()
    if chosen:
        words["resilience"] = chosen
    return words


def _said(words: dict[str, Any]) -> dict[str, Any]:
    """Without what was left to IBM."""
    return {name: value for name, value in words.items() if value is not None}


def refuse_inexpressible(options: IbmOptions, kind: Kind, generation: Generation) -> None:
    """Refuse what a primitive, or its generation, has no option for.

    Raises:
        RequestRejected: Naming the option and who can take it.
    """
    if kind == "sample":
        for name in ("resilience_level", "resilience"):
            if getattr(options, name) is not None:
                raise RequestRejected(
                    f"option {name!r} mitigates expectation values, and sampling has none: leave it out, or ask for an estimate",
                    option=name,
                )
    effect = mitigation(options, kind)
    if generation is Generation.EXECUTOR and effect.learns_layers:
        option = "resilience.pec_mitigation" if effect.pec else "resilience.zne.amplifier"
        raise RequestRejected(
            f"option {option!r} needs a noise model that the primitives of generation 'executor' want to be given, while those of "
            "generation 'v2' learn it in the job: give it in 'resilience.layer_noise_model', set QURABLE_IBM_PRIMITIVES=v2, or "
            "amplify noise by gate folding",
            option=option,
            generation=str(Generation.V2),
        )
    if generation is Generation.V2 and effect.noise_given:
        raise RequestRejected(
            "option 'resilience.layer_noise_model': the primitives of generation 'v2' learn the noise in the job; leave it out, or set "
            "QURABLE_IBM_PRIMITIVES=executor",
            option="resilience.layer_noise_model",
            generation=str(Generation.EXECUTOR),
        )
