"""The optimiser that a loop asks for."""

from circuits.optimisers.by_call import ByCall
from circuits.optimisers.cma_es import CmaEs
from circuits.optimisers.protocol import AskTell, Floats
from circuits.optimisers.spsa import Spsa
from qurable.contracts.optimisations import Optimiser, OptimiserName


def optimiser_of(wanted: Optimiser, start: Floats, seed: int, tolerance: float) -> AskTell:
    """A new one, which has been told nothing.

    Raises:
        RequestRejected: It does not suit so few parameters.
    """
    match wanted.name:
        case OptimiserName.CMA_ES:
            return CmaEs(start, wanted.step, seed, wanted.population)
        case OptimiserName.SPSA:
            return Spsa(start, wanted.step, seed)
        case OptimiserName.COBYLA | OptimiserName.NELDER_MEAD:
            return ByCall(wanted.name, start, wanted.step, tolerance)
