"""What a pass of the reconciler has found and done so far."""

from pydantic import ConfigDict

from qurable.contracts.executions import Incident
from qurable.contracts.stages import Reconciled

_SHOWN_INCIDENTS = 100


class Tally(Reconciled):
    """The report of a pass while it is written.

    It changes, which the report does not: what was done counts although the next step fails, and many submissions are
    looked after at once.
    """

    model_config = ConfigDict(frozen=False)

    def add(self, incident: Incident) -> None:
        """Note an incident; the latest word on it stands."""
        known = {(other.backend, other.id): other for other in self.incidents}
        self.incidents = tuple((known | {(incident.backend, incident.id): incident}).values())

    def report(self) -> Reconciled:
        """The report as it is now."""
        return Reconciled(**dict(self) | {"incidents": self.incidents[:_SHOWN_INCIDENTS]})
