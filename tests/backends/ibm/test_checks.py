"""Options that cannot go together, refused before anything is paid."""

import itertools
import json
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import qiskit_ibm_runtime
from qiskit.circuit import QuantumCircuit
from qiskit_ibm_runtime.exceptions import IBMInputValueError
from qiskit_ibm_runtime.executor_estimator.prepare import prepare as prepare_estimate
from qiskit_ibm_runtime.executor_sampler.prepare import prepare as prepare_sample
from qiskit_ibm_runtime.utils.validations import validate_no_dd_with_dynamic_circuits

from backends.ibm.checks import check, device_limits
from backends.ibm.options import primitive_options
from backends.ibm.split import DeviceLimits
from circuits.suppression import Kind
from qurable.contracts.ibm import DynamicalDecoupling, Generation, IbmOptions, Pec, Resilience, Twirling, Zne
from qurable.errors import RequestRejected
from tests.backends.ibm.submissions import GENERATIONS, device
from tests.backends.ibm.test_options import CLASSES

HERON = DeviceLimits(rep_delay_range=(0.0, 5e-4), fractional_gates=True)
SHOTS = 1024


def _check(
    options: IbmOptions,
    kind: Kind = "estimate",
    generation: Generation = Generation.V2,
    limits: DeviceLimits = HERON,
    *,
    control_flow: bool = False,
) -> None:
    check(options, kind, generation=generation, device=limits, shots=[SHOTS], control_flow=control_flow)


FRACTIONAL = IbmOptions(use_fractional_gates=True, resilience_level=0)
PEC = Resilience(pec_mitigation=True)
ZNE = Resilience(zne_mitigation=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (IbmOptions(max_time=timedelta(hours=1)), "max_time.*batch or a session"),
        (IbmOptions(rep_delay=1.0), "rep_delay.*outside the device's 0 to 0.0005 s"),
        (FRACTIONAL.model_copy(update={"resilience": PEC}), "fractional.*pec"),
        (FRACTIONAL.model_copy(update={"resilience": ZNE}), "fractional.*extrapolation"),
        (FRACTIONAL.model_copy(update={"twirling": Twirling(enable_gates=True)}), "fractional.*enable_gates"),
        (IbmOptions(use_fractional_gates=True, resilience_level=2), "fractional.*extrapolation"),
        (IbmOptions(resilience=Resilience(pec_mitigation=True, zne_mitigation=True)), "IBM does one of them"),
        (IbmOptions(resilience_level=2, resilience=PEC), "IBM does one of them"),
        (IbmOptions(resilience_level=0, twirling=Twirling(strategy="all")), "nothing is twirled"),
        (IbmOptions(twirling=Twirling(enable_measure=False)), "readout mitigation"),
        (IbmOptions(resilience=PEC, twirling=Twirling(enable_gates=False)), "work by twirling gates"),
        (IbmOptions(twirling=Twirling(num_randomizations=0)), "below 1"),
        (
            IbmOptions(twirling=Twirling(num_randomizations=10, shots_per_randomization=10)),
            "100 shots where 1,024",
        ),
        (IbmOptions(resilience=Resilience(pec=Pec(max_overhead=3.0))), "PEC is off"),
        (IbmOptions(resilience=Resilience(zne=Zne(noise_factors=(1.0, 2.0)))), "extrapolation is off"),
        (
            IbmOptions(resilience=Resilience(pec_mitigation=True, pec=Pec(noise_gain=-1.0))),
            "noise_gain.*below 0",
        ),
        (
            IbmOptions(resilience=Resilience(zne_mitigation=True, zne=Zne(noise_factors=(1.0,)))),
            "at least two",
        ),
        (
            IbmOptions(resilience=Resilience(zne_mitigation=True, zne=Zne(extrapolator=("cubic",)))),
            "'cubic' is none of",
        ),
        (
            IbmOptions(resilience=Resilience(zne_mitigation=True, zne=Zne(extrapolator=()))),
            "name at least one",
        ),
        (
            IbmOptions(
                resilience=Resilience(zne_mitigation=True, zne=Zne(extrapolator=("double_exponential",)))
            ),
            "needs 5 noise factors",
        ),
    ],
)
def test_each_refusal_names_the_option_and_the_reason(options: IbmOptions, message: str) -> None:
    """A caller can act on it without reading IBM's guides."""
    with pytest.raises(RequestRejected, match=message):
        _check(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (FRACTIONAL, "dynamic circuits with fractional"),
        (IbmOptions(dynamical_decoupling=DynamicalDecoupling()), "dynamical_decoupling"),
        (IbmOptions(resilience_level=2), "neither for dynamic"),
        (IbmOptions(resilience=PEC), "neither for dynamic"),
        (IbmOptions(twirling=Twirling(enable_gates=True)), "cannot be twirled"),
    ],
)
def test_what_dynamic_circuits_exclude(options: IbmOptions, message: str) -> None:
    """The same options are fine for a static circuit."""
    _check(options)
    with pytest.raises(RequestRejected, match=message):
        _check(options, control_flow=True)


def test_what_a_device_does_not_have_is_refused() -> None:
    """An Eagle has no fractional gates, and some devices fix the delay."""
    with pytest.raises(RequestRejected, match="no fractional gates"):
        _check(FRACTIONAL, limits=DeviceLimits())
    with pytest.raises(RequestRejected, match="fixed"):
        _check(IbmOptions(rep_delay=1e-4), limits=DeviceLimits())


def test_extrapolation_needs_a_spread_to_have_error_bars() -> None:
    """The client-side estimator reports the deviation of single shots where nothing is twirled."""
    untwirled = IbmOptions(resilience_level=0, resilience=ZNE)

    _check(untwirled, generation=Generation.V2)
    with pytest.raises(RequestRejected, match="without twirling"):
        _check(untwirled, generation=Generation.EXECUTOR)


def test_exact_values_are_refused() -> None:
    """Hardware has shots."""
    with pytest.raises(RequestRejected, match="exact"):
        check(
            IbmOptions(),
            "estimate",
            generation=Generation.V2,
            device=HERON,
            shots=[100, 0],
            control_flow=False,
        )


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("kind", ["sample", "estimate"])
def test_the_defaults_pass(kind: Kind, generation: Generation) -> None:
    """On any circuit and device."""
    _check(IbmOptions(), kind, generation, DeviceLimits(), control_flow=True)


def test_limits_are_read_in_seconds() -> None:
    """A configuration document has microseconds, the options have seconds."""
    folder = Path(qiskit_ibm_runtime.__file__).parent / "fake_provider" / "backends" / "torino"
    document = json.loads((folder / "conf_torino.json").read_text())
    limits = device_limits(document)
    through_the_client = device_limits(device("FakeTorino").configuration().to_dict())

    assert limits.rep_delay_range is not None
    assert limits.rep_delay_range[1] == pytest.approx(document["rep_delay_range"][1] * 1e-6)
    assert through_the_client.rep_delay_range == pytest.approx(limits.rep_delay_range)
    assert through_the_client.rep_delay == pytest.approx(limits.rep_delay)


LEVELS = (None, 0, 2)
DECOUPLINGS = (None, DynamicalDecoupling())
TWIRLINGS = (
    None,
    Twirling(enable_gates=True),
    Twirling(enable_measure=False),
    Twirling(enable_gates=False, enable_measure=True, num_randomizations=0),
    Twirling(enable_measure=True, shots_per_randomization=0),
)
RESILIENCES = (
    None,
    Resilience(measure_mitigation=False, zne_mitigation=False),
    Resilience(zne_mitigation=True, zne=Zne(noise_factors=(1.0,))),
    Resilience(zne_mitigation=True, zne=Zne(noise_factors=(1.0, 2.0), extrapolator=("polynomial_degree_3",))),
    Resilience(zne_mitigation=True, zne=Zne(extrapolator=("cubic",))),
    Resilience(zne_mitigation=True, zne=Zne(amplifier="pea")),
    Resilience(pec_mitigation=True),
    Resilience(pec_mitigation=True, zne_mitigation=True),
    Resilience(pec_mitigation=True, pec=Pec(noise_gain=-0.5)),
)


def _circuit(*, dynamic: bool) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.sx(0)
    circuit.cx(0, 1)
    circuit.measure(0, 0)
    if dynamic:
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.x(1)
    circuit.measure(1, 1)
    return circuit


def _client_refuses(options: IbmOptions, kind: Kind, generation: Generation, *, dynamic: bool) -> str:
    """Why the client's own classes and preparation do not take it; empty where they do."""
    circuit = _circuit(dynamic=dynamic)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            words = _unchecked(options, generation)
            made = CLASSES[kind, generation](**words)
            if generation is Generation.V2:
                validate_no_dd_with_dynamic_circuits([circuit], made)
            elif kind == "sample":
                prepare_sample([circuit], made, backend=device("FakeManilaV2"))
            elif not dynamic:
                bare = circuit.remove_final_measurements(inplace=False)
                assert bare is not None
                prepare_estimate([(bare, "ZZ")], made, backend=device("FakeManilaV2"))
        except (ValueError, KeyError, IBMInputValueError) as refusal:  # pydantic's is a ValueError
            return str(refusal) or type(refusal).__name__
    return ""


def _unchecked(options: IbmOptions, generation: Generation) -> dict[str, Any]:
    """Options as the caller wrote them, without any check of ours."""
    words: dict[str, Any] = {"default_shots": SHOTS}
    for name in ("resilience_level", "dynamical_decoupling", "twirling", "resilience"):
        value = getattr(options, name)
        if value is not None:
            words[name] = value if isinstance(value, int) else value.model_dump(exclude_none=True)
    zne = words.get("resilience", {}).get("zne")
    if generation is Generation.V2 and zne and zne["noise_factors"] == "auto":
        del zne["noise_factors"]
    return words


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("kind", ["sample", "estimate"])
def test_nothing_that_the_client_refuses_passes(kind: Kind, generation: Generation) -> None:
    """Whatever its classes and its preparation find fault with is refused here first, in words of ours."""
    refused = passed = 0
    for level, decoupling, twirling, resilience, dynamic in itertools.product(
        LEVELS, DECOUPLINGS, TWIRLINGS, RESILIENCES, (False, True)
    ):
        options = IbmOptions(
            resilience_level=level, dynamical_decoupling=decoupling, twirling=twirling, resilience=resilience
        )
        try:
            _check(options, kind, generation, control_flow=dynamic)
        except RequestRejected:
            refused += 1
            continue
        passed += 1
        assert not _client_refuses(options, kind, generation, dynamic=dynamic), options
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            CLASSES[kind, generation](**primitive_options(options, kind, generation, shots=SHOTS))

    assert refused > 50
    assert passed > 5


def test_the_comparison_would_notice() -> None:
    """The client does refuse some of the sweep: otherwise it compares nothing."""
    several = Resilience(pec_mitigation=True, zne_mitigation=True)

    for generation in GENERATIONS:
        assert _client_refuses(IbmOptions(resilience=several), "estimate", generation, dynamic=False)
        assert _client_refuses(
            IbmOptions(dynamical_decoupling=DynamicalDecoupling()), "sample", generation, dynamic=True
        )
