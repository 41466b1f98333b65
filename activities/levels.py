"""The transpiler's optimisation level where a job names none."""

from qurable.contracts.targets import AnswerKind, TargetSnapshot

_SIMULATOR_LEVEL = 0
_DEVICE_LEVEL = 2


def is_noiseless(target: TargetSnapshot) -> bool:
    """Whether a place has no noise, so that nothing is gained by better circuits."""
    return target.answer_kind in {AnswerKind.SIMULATOR, AnswerKind.CLASSICAL}


def usual_level(target: TargetSnapshot) -> int:
    """What is compiled with for a place."""
    return _SIMULATOR_LEVEL if is_noiseless(target) else _DEVICE_LEVEL
