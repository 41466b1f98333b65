"""What the gateway answers about batches: the client's own contracts, with links."""

from typing import Any, Self

from gateway.documents import SampleCounts
from qurable.contracts.base import Contract
from qurable.contracts.batches import BatchReport, BatchStatus, ItemReport
from qurable.contracts.errors import ErrorDocument
from qurable.contracts.results import EstimateResult


class BatchLinks(Contract):
    """Where else to look; relative to the gateway's own address."""

    batch: str
    items: str

    @classmethod
    def of(cls, identity: str) -> Self:
        """The links of a batch."""
        return cls(batch=f"/batches/{identity}", items=f"/batches/{identity}/items")


class BatchItem(ItemReport):
    """The end of one item, with counts instead of packed shots."""

    results: tuple[SampleCounts | EstimateResult, ...] = ()  # type: ignore[assignment]  # the document's own form


class BatchSum(BatchReport):
    """The end of a batch: its items added up."""

    failed: tuple[BatchItem, ...] = ()


class BatchStanding(BatchStatus):
    """Where a batch stands.

    Attributes:
        report: The sum, once it has ended.
        error: Why none of it runs: a line that is no job, for instance.
        links: Where else to look.
    """

    report: BatchSum | None = None
    error: ErrorDocument | None = None
    links: BatchLinks


class ItemsPage(Contract):
    """Items in the order in which they ended.

    Attributes:
        items: The next ones.
        after: Where the page after this one begins.
        next: The page after this one; None where every item has been told.
    """

    items: tuple[BatchItem, ...] = ()
    after: int = 0
    next: str | None = None


def standing_document(
    status: BatchStatus, report: BatchReport | None = None, error: ErrorDocument | None = None
) -> dict[str, Any]:
    """Where a batch stands, as an answer."""
    return {
        **status.model_dump(mode="json"),
        "report": None if report is None else report.model_dump(mode="json"),
        "error": None if error is None else error.model_dump(mode="json"),
        "links": BatchLinks.of(status.id).model_dump(mode="json"),
    }
