"""Whether a job's checks can be asked of it at all, seen before anything is paid for.

Bit order: the rightmost character of an outcome is bit 0 of its register.
"""

from collections.abc import Sequence

from circuits.problems import is_diagonal
from circuits.problems import size as size_of_problem
from qurable.contracts.arrays import size_of
from qurable.contracts.checks import (
    Baseline,
    Checks,
    ClassicalAnswer,
    ExpectationRange,
    ExpectedDistribution,
    ForbiddenOutcomes,
    HammingWeights,
    LinearConstraint,
)
from qurable.contracts.circuits import Dress
from qurable.contracts.problems import Problem
from qurable.contracts.pubs import EstimatePub, SamplePub
from qurable.errors import RequestRejected


def refuse_impossible(
    checks: Checks,
    pubs: Sequence[SamplePub | EstimatePub],
    dresses: Sequence[Dress],
    problem: Problem | None,
) -> None:
    """See that every check can be asked of this job, before anything is paid for.

    Args:
        checks: Of the job.
        pubs: As they are run.
        dresses: Of each pub's circuit.
        problem: Of the job.

    Raises:
        RequestRejected: Naming the check, the limit and the way out.
    """
    if checks.twin is not None and any(isinstance(pub, EstimatePub) for pub in pubs):
        raise RequestRejected(
            "a twin rides with circuits that are sampled, and this job estimates: leave `checks.twin` out, or sample the circuits"
        )
    for number, check in enumerate(checks.items):
        what = f"check {number} ({check.kind})"
        match check:
            case ForbiddenOutcomes() | HammingWeights() | ExpectedDistribution():
                for pub in _pubs_of(what, check.pub, pubs, SamplePub, "sampled"):
                    width = _width(what, check.creg, pub, dresses[pub])
                    _refuse_width(what, check, width, pubs[pub])
            case ExpectationRange():
                for pub in _pubs_of(what, check.pub, pubs, EstimatePub, "estimated"):
                    _refuse_element(what, check.element, size_of(pubs[pub].shape), pub)  # type: ignore[union-attr]
            case LinearConstraint():
                _refuse_variables(what, check, problem)
            case Baseline() if not pubs:
                raise RequestRejected(
                    f"{what} compares results of circuits, and the job has none: leave it out, or give `pub`"
                )
            case ClassicalAnswer() if problem is None:
                raise RequestRejected(
                    f"{what} compares with a solver's answer to the job's problem, and it has none: give `problem`"
                )


def _pubs_of(
    what: str, wanted: int | None, pubs: Sequence[SamplePub | EstimatePub], kind: type, word: str
) -> list[int]:
    if wanted is not None and wanted >= len(pubs):
        raise RequestRejected(
            f"{what} is of pub {wanted}, and the job has {len(pubs)}: pubs count from 0",
            needed=wanted,
            limit=len(pubs),
        )
    chosen = range(len(pubs)) if wanted is None else (wanted,)
    found = [number for number in chosen if isinstance(pubs[number], kind)]
    if not found:
        raise RequestRejected(f"{what} is of pubs that are {word}, and the job has none: leave it out")
    return found


def _width(what: str, creg: str, pub: int, dress: Dress) -> int:
    names = {register.name: len(register.bits) for register in dress.registers}
    if not creg and len(names) == 1:
        return next(iter(names.values()))
    if creg not in names:
        asked = f"classical register {creg!r}" if creg else "no classical register"
        raise RequestRejected(
            f"{what} names {asked}; circuit {dress.name!r} of pub {pub} has {', '.join(map(repr, names))}: name one as `creg`"
        )
    return names[creg]


def _refuse_width(
    what: str,
    check: ForbiddenOutcomes | HammingWeights | ExpectedDistribution,
    width: int,
    pub: SamplePub | EstimatePub,
) -> None:
    if isinstance(check, HammingWeights):
        if max(check.weights) > width:
            raise RequestRejected(
                f"{what} allows {max(check.weights)} ones, and the register has {width} bits",
                needed=max(check.weights),
                limit=width,
            )
        return
    words = check.outcomes if isinstance(check, ForbiddenOutcomes) else tuple(check.probabilities)
    for word in words:
        if len(word) != width:
            raise RequestRejected(
                f"{what} names the outcome {word!r} of {len(word)} bits, and the register has {width}: write one character for each "
                "bit, the rightmost for bit 0",
                needed=len(word),
                limit=width,
            )
    if isinstance(check, ExpectedDistribution):
        _refuse_element(what, check.element, pub.bindings.size, check.pub)


def _refuse_element(what: str, element: int | None, size: int, pub: int) -> None:
    if element is not None and element >= size:
        raise RequestRejected(
            f"{what} is of element {element}, and the result of pub {pub} has {size}: elements count from 0 in C order",
            needed=element,
            limit=size,
        )


def _refuse_variables(what: str, check: LinearConstraint, problem: Problem | None) -> None:
    if problem is None or not is_diagonal(problem):
        raise RequestRejected(
            f"{what} is of an assignment, and the job's answer is none: give a problem whose variables are assigned"
        )
    count, last = size_of_problem(problem), max(variable for variable, _ in check.terms)
    if count and last >= count:
        raise RequestRejected(
            f"{what} names variable {last}, and the problem has {count}: they count from 0",
            needed=last,
            limit=count,
        )
