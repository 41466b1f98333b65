"""How one answer is made of several places': the rules that ship with this, and how a package registers another.

A package names a `DecisionRule` in the entry-point group `qurable.decisions`; the entry's name is the rule's. It runs in a
child process of the worker, limited in memory and time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from qurable.contracts.comparisons import Ballot, Decided

Kind = Literal["sample", "estimate", "problem"]
"""What a request asks for; one that samples a circuit for a problem's sake is of two kinds."""


class Undecided(Exception):
    """No answer can be made of these; says why in one sentence."""


Decide = Callable[[Sequence[Ballot]], Decided]
"""Makes one answer of those that there are, one at least, in the order in which they ended.

Raises `Undecided` where it cannot.
"""


@dataclass(frozen=True)
class DecisionRule:
    """A way to decide.

    Attributes:
        kinds: Requests that it is for.
        decide: The rule.
    """

    kinds: frozenset[Kind]
    decide: Decide
