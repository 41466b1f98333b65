"""Read what a client sent: the first look at it, and the last that may find it unreadable."""

from pydantic import ValidationError

from qurable.contracts.base import explain
from qurable.contracts.jobs import EstimateJob, SampleJob, SolveJob, read_request
from qurable.errors import RequestRejected


def read_unchecked(body: bytes) -> SampleJob | EstimateJob | SolveJob:
    """A request that nobody has checked yet.

    Raises:
        RequestRejected: Naming the fields.
    """
    try:
        return read_request(body)
    except ValidationError as failure:
        raise RequestRejected(explain(failure, "the job")) from None
