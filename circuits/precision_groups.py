"""An observable's groups; runs in a child."""

from collections.abc import Callable
from typing import Any

from circuits.estimation import group_products
from qurable.contracts.observables import Observable


def groups_of(payload: Any, _emit: Callable[[Any], None]) -> Any:
    """Task: the parts of an observable that one measurement serves each.

    Args:
        payload: `{"observable": Observable as JSON}`.

    Returns:
        `{"constant": the coefficient of the identity, "groups": [[(letters, qubits, coefficient), ...], ...]}`, without
        terms that cancel.
    """
    terms = {
        product: factor
        for product, factor in Observable.read(payload["observable"]).paulis().items()
        if factor
    }
    return {
        "constant": terms.pop((), 0.0),
        "groups": [
            [
                ("".join(letter for _, letter in product), [qubit for qubit, _ in product], terms[product])
                for product in group.products
            ]
            for group in group_products(terms)
        ],
    }
