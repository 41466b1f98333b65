"""Which account pays for which project; where none is configured, an emulator of this house stands in."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from backends.ibm.account import DEFAULT, Account
from qurable.errors import AccountRefused, RequestRejected

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_LIST_PRICE = 1.6
"""US dollars per QPU second that an emulated account pretends to pay: IBM's pay-as-you-go list price."""


@dataclass(frozen=True)
class Accounts:
    """The accounts of this house.

    Attributes:
        entries: By label, as the settings name them; without an entry `default` is what the client finds by itself.
        projects: Label of the account that pays for a project; other projects use `default`.
        environment: Where the client's variables are looked for.
        home: Data folder, where a running emulator has left its address.
    """

    entries: Mapping[str, Account] = field(default_factory=dict)
    projects: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    home: Path = Path()

    def of_project(self, project: str) -> Account:
        """The account that pays for a project.

        Raises:
            AccountRefused: None is configured.
        """
        return self.labelled(self.projects.get(project, DEFAULT))

    def labelled(self, label: str) -> Account:
        """An account by its label.

        Raises:
            AccountRefused: None of that label is configured.
        """
        if label in self.entries:
            return self.entries[label]
        if label != DEFAULT:
            raise AccountRefused(
                f"no IBM account {label!r} is configured; there are {sorted({DEFAULT, *self.entries})}: name it in "
                "QURABLE_IBM_ACCOUNTS"
            )
        found = self._environments() or self._saved() or self._emulators()
        if found is None:
            raise AccountRefused(
                "no IBM account is configured: set QISKIT_IBM_TOKEN and QISKIT_IBM_INSTANCE, save one with "
                "QiskitRuntimeService.save_account, or rehearse with `qurable emulate`"
            )
        return found

    def all(self) -> Sequence[Account]:
        """Every account that is configured."""
        try:
            return [
                self.labelled(DEFAULT),
                *(self.entries[label] for label in self.entries if label != DEFAULT),
            ]
        except AccountRefused:
            return list(self.entries.values())

    def qualified(self, name: str, project: str) -> str:
        """A device's name with the label of the account that pays for the project.

        Raises:
            RequestRejected: The name asks for another project's account.
        """
        device, _, asked = name.partition("@")
        label = self.of_project(project).label
        if asked and asked != label:
            raise RequestRejected(
                f"project {project!r} is paid by account {label!r} and may not use {asked!r}: ask for {device!r}, or have the "
                "project named in QURABLE_IBM_ACCOUNTS"
            )
        return device if label == DEFAULT else f"{device}@{label}"

    def _environments(self) -> Account | None:
        if not self.environment.get("QISKIT_IBM_TOKEN"):
            return None
        url = self.environment.get("QISKIT_IBM_URL", "")
        if urlsplit(url).hostname in _LOOPBACK:
            parsed = urlsplit(url)
            return _emulated(
                f"{parsed.scheme}://{parsed.netloc}", self.environment.get("QISKIT_IBM_INSTANCE")
            )
        return Account()

    def _saved(self) -> Account | None:
        file = Path(self.environment.get("HOME", "~")).expanduser() / ".qiskit" / "qiskit-ibm.json"
        try:
            return Account() if json.loads(file.read_text(encoding="utf-8")) else None
        except (OSError, ValueError):
            return None

    def _emulators(self) -> Account | None:
        """The emulator that runs for this data folder."""
        try:
            left = json.loads((self.home / "emulator.json").read_text(encoding="utf-8"))
            os.kill(int(left["pid"]), 0)  # it may have been killed without tidying up
            return _emulated(str(left["url"]), str(left["instance"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _emulated(url: str, instance: str | None) -> Account:
    return Account(emulator=url, instance=instance, price_per_second=_LIST_PRICE)
