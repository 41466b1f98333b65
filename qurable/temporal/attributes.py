"""Search attributes that a job has from its first moment, whoever starts it."""

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import State
from qurable.names import Attribute

_LONGEST = 200


def first_attributes(head: JobHead) -> TypedSearchAttributes:
    """Of a job that nobody has looked at yet."""
    words = {
        Attribute.PROJECT: head.project,
        Attribute.BACKEND: head.asked[:_LONGEST],
        Attribute.STAGE: State.ACCEPTED,
    }
    return TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword(name), str(word)) for name, word in words.items()]
    )
