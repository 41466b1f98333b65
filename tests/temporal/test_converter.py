"""Documents cross Temporal: lenient in what is read, exact in what is written."""

from datetime import timedelta

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from qurable.contracts.errors import ErrorDocument
from qurable.contracts.jobs import JobHead, Limits
from qurable.contracts.stages import ReadRequest
from qurable.errors import CircuitRejected
from qurable.requests import sample
from qurable.temporal.converter import EXTERNAL_BYTES, data_converter
from tests.circuits_at_hand import BELL


@pytest.fixture
def converter() -> DataConverter:
    return data_converter()


async def test_a_document_comes_back_as_it_was(converter: DataConverter) -> None:
    """Durations, defaults, nested documents and text in every script."""
    job = sample(
        BELL, shots=7, labels={"wer": "Schrödinger 薛定谔"}, limits=Limits(run=timedelta(seconds=1.5))
    )
    head = JobHead.of(job)

    payloads = await converter.encode([head, job, None, [1.5, "a"]])

    assert await converter.decode(payloads, [JobHead, type(job), type(None), list]) == [
        head,
        job,
        None,
        [1.5, "a"],
    ]


async def test_fields_of_a_newer_version_are_passed_over(converter: DataConverter) -> None:
    """Refused, they would leave the workflow running for ever on «Failed decoding arguments»."""
    newer = Payload(
        metadata={"encoding": b"json/plain"}, data=b'{"what": "jobs", "limit": 5, "of_tomorrow": {"a": 1}}'
    )

    (request,) = await converter.decode([newer], [ReadRequest])

    assert request == ReadRequest(what="jobs", limit=5)


async def test_a_failure_keeps_its_document_and_hides_its_words(converter: DataConverter) -> None:
    """The message travels with the attributes that a codec encrypts, and the document with it."""
    from temporalio.api.failure.v1 import Failure

    error = CircuitRejected("circuit 'mine', line 3, column 1: a secret", line=3, column=1)
    failure = Failure()
    thrown = ApplicationError(error.message, error.document(), type=error.code, non_retryable=True)
    await converter.encode_failure(thrown, failure)

    assert "secret" not in failure.message
    back = await converter.decode_failure(failure)
    assert isinstance(back, ApplicationError)
    assert back.message == error.message
    assert (back.type, back.non_retryable) == ("CircuitRejected", True)
    assert ErrorDocument.model_validate(back.details[0]) == error.document()


def test_payloads_leave_history_from_256_kib_on() -> None:
    """The figure that design and README state."""
    assert EXTERNAL_BYTES == 256 * 1024
    assert data_converter().external_storage is None
