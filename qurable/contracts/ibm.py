"""What a job may ask of IBM's hardware, in IBM's own words."""

from datetime import timedelta
from enum import StrEnum
from math import inf
from typing import Annotated, Literal

from pydantic import Field, field_validator

from qurable.contracts.base import Contract

MAX_EXECUTION_SECONDS = 10_800
"""The longest QPU time IBM lets one job have."""


class Generation(StrEnum):
    """Which generation of IBM's primitives runs a job.

    `v2` mitigates errors at the provider (`SamplerV2`, `EstimatorV2`, deprecated since qiskit-ibm-runtime 0.50);
    `executor` does so in the client, before and after the run.
    """

    V2 = "v2"
    EXECUTOR = "executor"


class DynamicalDecoupling(Contract):
    """Pulses in idle windows, put in by the provider; the fields are those of IBM's options."""

    enable: bool = True
    sequence_type: Literal["XX", "XpXm", "XY4"] = "XX"
    extra_slack_distribution: Literal["middle", "edges"] = "middle"
    scheduling_method: Literal["alap", "asap"] = "alap"
    skip_reset_qubits: bool = False


class Twirling(Contract):
    """Pauli twirling; the fields are those of IBM's options, and None takes what the resilience level says."""

    enable_gates: bool | None = None
    enable_measure: bool | None = None
    num_randomizations: int | Literal["auto"] = "auto"
    shots_per_randomization: int | Literal["auto"] = "auto"
    strategy: Literal["active", "active-accum", "active-circuit", "all"] = "active-accum"


class Zne(Contract):
    """Zero-noise extrapolation; the fields are those of IBM's options."""

    amplifier: Literal["gate_folding", "gate_folding_front", "gate_folding_back", "pea"] = "gate_folding"
    noise_factors: tuple[Annotated[float, Field(ge=1)], ...] | Literal["auto"] = "auto"
    extrapolator: tuple[str, ...] = ("exponential", "linear")


class Pec(Contract):
    """Probabilistic error cancellation; the fields are those of IBM's options."""

    max_overhead: float | None = Field(default=100.0, gt=0)
    noise_gain: float | Literal["auto"] = "auto"


class LayerNoise(Contract):
    """Pauli-Lindblad noise of one layer of two-qubit gates, as IBM's noise learner finds it.

    Attributes:
        gates: The layer: the device's two qubits of each of its gates.
        rates: Pauli letters, the device's qubits that they act on in the same order, and the rate, 0 or more: as
            `PauliLindbladMap.to_sparse_list` gives them for a map on the device's qubits.
    """

    gates: tuple[tuple[int, int], ...] = Field(min_length=1)
    rates: tuple[tuple[str, tuple[int, ...], float], ...]

    @field_validator("rates")
    @classmethod
    def _are_rates(
        cls, rates: tuple[tuple[str, tuple[int, ...], float], ...]
    ) -> tuple[tuple[str, tuple[int, ...], float], ...]:
        for letters, qubits, rate in rates:
            distinct = len(set(qubits)) == len(qubits) == len(letters)
            if not letters or set(letters) - set("XYZ") or not distinct or not 0 <= rate < inf:
                raise ValueError(
                    f"rate {(letters, qubits, rate)!r}: give letters X, Y and Z, a qubit of its own for each, and a rate of 0 or more"
                )
        return rates


class Resilience(Contract):
    """Error mitigation of estimates; the fields are those of IBM's options, and None takes what the resilience level says.

    `layer_noise_model` is what PEC and PEA go by where the primitives do not learn it in the job (generation
    `executor`): the noise of every layer of the compiled circuits.
    """

    measure_mitigation: bool | None = None
    zne_mitigation: bool | None = None
    zne: Zne = Zne()
    pec_mitigation: bool = False
    pec: Pec = Pec()
    layer_noise_model: tuple[LayerNoise, ...] = ()


class IbmOptions(Contract):
    """How IBM's hardware runs a job; every other place ignores it.

    Attributes:
        mode: One job by itself, or jobs inside a batch or a session of this job's own.
        max_time: How long a batch or session may stay open; None takes the provider's own limit.
        max_execution_time: QPU seconds after which the provider ends the job, 1 to 10,800.
        resilience_level: For estimates: 0 no mitigation, 1 readout, 2 readout and zero-noise extrapolation.
        dynamical_decoupling: Absent for none.
        twirling: Absent for the provider's defaults.
        resilience: Absent for what the resilience level says.
        use_fractional_gates: Compile to rx and rzz gates of any angle; excludes dynamic circuits, twirling and PEC.
        init_qubits: Reset qubits before every shot; None for the provider's default.
        rep_delay: Seconds between shots; None for the device's default.
        preflight: Before a project first pays for a circuit, simulate it without noise and `warn` where it says nothing,
            or `refuse` the device; `off` for neither.
        private: Refused: a private job's result can be read once, and a step of this project may run twice.
    """

    mode: Literal["job", "batch", "session"] = "job"
    max_time: timedelta | None = Field(default=None, gt=timedelta(0), le=timedelta(days=1))
    max_execution_time: int | None = Field(default=None, ge=1, le=MAX_EXECUTION_SECONDS)
    resilience_level: Literal[0, 1, 2] | None = None
    dynamical_decoupling: DynamicalDecoupling | None = None
    twirling: Twirling | None = None
    resilience: Resilience | None = None
    use_fractional_gates: bool = False
    init_qubits: bool | None = None
    rep_delay: float | None = Field(default=None, gt=0)
    preflight: Literal["off", "warn", "refuse"] = "warn"
    private: bool = False

    @field_validator("private")
    @classmethod
    def _never_private(cls, private: bool) -> bool:
        if private:
            raise ValueError(
                "private jobs are not supported: their result can be read only once, and a fetch whose answer is lost must "
                "be able to read it again; leave `private` out"
            )
        return private

    @property
    def extrapolates(self) -> bool:
        """Whether IBM takes gate noise out of estimates, by extrapolation or by cancellation."""
        resilience = self.resilience or Resilience()
        zne = self.resilience_level == 2 if resilience.zne_mitigation is None else resilience.zne_mitigation
        return zne or resilience.pec_mitigation
