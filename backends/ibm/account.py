"""Whose account pays: what the client needs to find its credentials, and never the credentials themselves."""

from qurable.contracts.base import Contract

DEFAULT = "default"


class Account(Contract):
    """One account as `qiskit-ibm-runtime` reads it: from the environment, or saved under a name.

    Attributes:
        label: How this house calls it.
        name: Of the saved account; None for the environment's, or the saved default.
        filename: Of the file of saved accounts; None for the client's own.
        instance: CRN or name of the instance; None for the account's default.
        emulator: Address of an emulator on this machine that stands in for the service; its token is no secret.
        price_per_second: What a QPU second costs, None where nobody said.
        currency: Of the price.
    """

    label: str = DEFAULT
    name: str | None = None
    filename: str | None = None
    instance: str | None = None
    emulator: str | None = None
    price_per_second: float | None = None
    currency: str = "USD"
