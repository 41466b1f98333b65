"""Options in IBM's words, for both generations of primitives."""

import warnings
from typing import Any

import pytest
from qiskit_ibm_runtime import options as v2
from qiskit_ibm_runtime.executor.calculate_twirling_shots import calculate_twirling_shots
from qiskit_ibm_runtime.executor_estimator.finalize_options import finalize_estimator_options
from qiskit_ibm_runtime.executor_estimator.pec import calculate_pec_twirling_shots
from qiskit_ibm_runtime.options_models import EstimatorOptions, SamplerOptions

from backends.ibm.options import primitive_options
from circuits.suppression import Kind, mitigation, twirls
from qurable.contracts.ibm import (
    DynamicalDecoupling,
    Generation,
    IbmOptions,
    LayerNoise,
    Pec,
    Resilience,
    Twirling,
    Zne,
)
from qurable.errors import RequestRejected
from tests.backends.ibm.submissions import GENERATIONS

CLASSES: dict[tuple[Kind, Generation], Any] = {
    ("sample", Generation.V2): v2.SamplerOptions,
    ("estimate", Generation.V2): v2.EstimatorOptions,
    ("sample", Generation.EXECUTOR): SamplerOptions,
    ("estimate", Generation.EXECUTOR): EstimatorOptions,
}

EVERYTHING = IbmOptions(
    max_execution_time=300,
    resilience_level=2,
    dynamical_decoupling=DynamicalDecoupling(
        sequence_type="XY4",
        extra_slack_distribution="edges",
        scheduling_method="asap",
        skip_reset_qubits=True,
    ),
    twirling=Twirling(
        enable_gates=True,
        enable_measure=True,
        num_randomizations=16,
        shots_per_randomization=64,
        strategy="all",
    ),
    resilience=Resilience(
        measure_mitigation=True,
        zne_mitigation=True,
        zne=Zne(
            amplifier="gate_folding_back",
            noise_factors=(1.0, 2.0, 4.0, 8.0),
            extrapolator=("polynomial_degree_2",),
        ),
    ),
    init_qubits=False,
    rep_delay=1e-4,
)


def _client(options: IbmOptions, kind: Kind, generation: Generation, **more: Any) -> Any:
    words = primitive_options(options, kind, generation, shots=1024, tags=("qurable-1",), **more)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CLASSES[kind, generation](**words)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_everything_that_is_asked_reaches_the_client(generation: Generation) -> None:
    """What is dropped on the way would be another experiment under the same name."""
    made = _client(EVERYTHING, "estimate", generation)

    assert made.default_shots == 1024
    assert made.max_execution_time == 300
    assert made.resilience_level == 2
    assert list(made.environment.job_tags) == ["qurable-1"]
    for ours, theirs in (
        (EVERYTHING.dynamical_decoupling, made.dynamical_decoupling),
        (EVERYTHING.twirling, made.twirling),
    ):
        assert ours is not None
        assert {name: getattr(theirs, name) for name in ours.model_dump()} == ours.model_dump()
    assert made.resilience.measure_mitigation is True
    assert made.resilience.zne_mitigation is True
    assert made.resilience.zne.amplifier == "gate_folding_back"
    assert list(made.resilience.zne.noise_factors) == [1.0, 2.0, 4.0, 8.0]
    assert list(made.resilience.zne.extrapolator) == ["polynomial_degree_2"]
    assert (made.execution.init_qubits, made.execution.rep_delay) == (False, 1e-4)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("kind", ["sample", "estimate"])
def test_what_is_not_asked_is_left_to_ibm(kind: Kind, generation: Generation) -> None:
    """Our defaults are IBM's: the classes are given shots and tags, and nothing else."""
    assert primitive_options(IbmOptions(), kind, generation, shots=7) == {
        "default_shots": 7,
        "environment": {"job_tags": []},
    }
    assert _client(IbmOptions(), kind, generation).default_shots == 1024


def test_pec_reaches_the_generation_that_has_it() -> None:
    """The V2 estimator learns the noise by itself."""
    asked = IbmOptions(resilience=Resilience(pec_mitigation=True, pec=Pec(max_overhead=None, noise_gain=0.5)))
    made = _client(asked, "estimate", Generation.V2)

    assert made.resilience.pec_mitigation is True
    assert made.resilience.pec.max_overhead is None
    assert made.resilience.pec.noise_gain == 0.5


@pytest.mark.parametrize(
    "resilience",
    [Resilience(pec_mitigation=True), Resilience(zne_mitigation=True, zne=Zne(amplifier="pea"))],
)
def test_what_needs_a_noise_model_is_refused_by_the_client_side_generation(resilience: Resilience) -> None:
    """It would fail there, or run unmitigated; the refusal names who can."""
    with pytest.raises(RequestRejected, match=r"noise model.*'v2'") as caught:
        primitive_options(IbmOptions(resilience=resilience), "estimate", Generation.EXECUTOR, shots=10)

    assert caught.value.details["generation"] == "v2"
    assert "layer_noise_model" in caught.value.message
    assert "gate folding" in caught.value.message


@pytest.mark.parametrize(
    "resilience",
    [Resilience(pec_mitigation=True), Resilience(zne_mitigation=True, zne=Zne(amplifier="pea"))],
)
def test_with_a_noise_model_the_client_side_generation_takes_it(resilience: Resilience) -> None:
    """Nothing is learnt then; the older generation learns by itself, and takes none."""
    noise = LayerNoise(gates=((0, 1),), rates=(("Z", (0,), 0.01),))
    options = IbmOptions(resilience=resilience.model_copy(update={"layer_noise_model": (noise,)}))

    made = _client(options, "estimate", Generation.EXECUTOR)

    assert (made.resilience.pec_mitigation or made.resilience.zne.amplifier == "pea") is True
    assert mitigation(options, "estimate").needs_layers
    assert not mitigation(options, "estimate").learns_layers
    with pytest.raises(RequestRejected, match="learn the noise in the job") as caught:
        primitive_options(options, "estimate", Generation.V2, shots=10)
    assert caught.value.details["generation"] == "executor"


@pytest.mark.parametrize("options", [IbmOptions(resilience_level=0), IbmOptions(resilience=Resilience())])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_sampling_takes_no_resilience(options: IbmOptions, generation: Generation) -> None:
    """Neither generation's sampler has it."""
    with pytest.raises(RequestRejected, match="sampling has none"):
        primitive_options(options, "sample", generation, shots=10)


def test_the_tighter_time_limit_holds() -> None:
    """The budget's limit and the caller's are both kept."""
    assert _client(EVERYTHING, "estimate", Generation.V2, max_execution_time=20).max_execution_time == 20
    assert _client(EVERYTHING, "estimate", Generation.V2, max_execution_time=900).max_execution_time == 300


@pytest.mark.parametrize("level", [None, 0, 1, 2])
@pytest.mark.parametrize("readout", [None, True, False])
@pytest.mark.parametrize("zne", [None, True, False])
@pytest.mark.parametrize("gates", [None, True, False])
def test_defaults_of_the_levels_are_ibm_s(
    level: Any, readout: bool | None, zne: bool | None, gates: bool | None
) -> None:
    """Estimates of time and checks are made for what the client will really do."""
    options = IbmOptions(
        resilience_level=level,
        resilience=Resilience(measure_mitigation=readout, zne_mitigation=zne),
        twirling=Twirling(enable_gates=gates),
    )
    made = finalize_estimator_options(_client(options, "estimate", Generation.EXECUTOR))
    ours = mitigation(options, "estimate")

    assert ours.twirls_gates == made.twirling.enable_gates
    assert ours.twirls_measurements == made.twirling.enable_measure
    assert ours.readout == made.resilience.measure_mitigation
    assert ours.zne == made.resilience.zne_mitigation


@pytest.mark.parametrize("number", ["auto", 1, 7, 32])
@pytest.mark.parametrize("each", ["auto", 1, 50, 64])
@pytest.mark.parametrize("shots", [1, 63, 1000, 4096, 100_000])
def test_twirls_are_divided_as_the_client_divides_them(number: Any, each: Any, shots: int) -> None:
    """The number of executions, and so the price, hangs on it."""
    options = IbmOptions(twirling=Twirling(num_randomizations=number, shots_per_randomization=each))

    assert twirls(options, shots, pec=False) == calculate_twirling_shots(shots, number, each)
    assert twirls(options, shots, pec=True) == calculate_pec_twirling_shots(shots, number, each)
