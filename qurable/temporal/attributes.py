"""Search attributes that a workflow has from its first moment, whoever starts it."""

from collections.abc import Mapping

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from qurable.contracts.jobs import JobHead
from qurable.contracts.reports import State
from qurable.names import Attribute

_LONGEST = 200


def keywords(words: Mapping[Attribute, str]) -> TypedSearchAttributes:
    """Attributes of one word each, cut where a word is too long for one."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(SearchAttributeKey.for_keyword(name), str(word)[:_LONGEST])
            for name, word in words.items()
        ]
    )


def first_words(head: JobHead) -> dict[Attribute, str]:
    """Of a job that nobody has looked at yet."""
    return {
        Attribute.PROJECT: head.project,
        Attribute.BACKEND: head.asked,
        Attribute.STAGE: State.ACCEPTED,
    }
