"""What a task may send to the provider, and what it did send."""

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qurable.errors import InternalError, TargetUnavailable

READ_SECONDS = 20.0
MAX_BODY_BYTES = 512 * 2**20


@dataclass
class Exchange:
    """One request and what came of it.

    Attributes:
        method: Its verb.
        path: Of its address.
        status: Of the answer, None where there was none.
        headers: Of the answer.
        body: The beginning of the answer.
        failure: What ended it without a whole answer.
        sent: Whether it may have reached the provider as a whole.
        host: Name and port that it was for.
        proxy: Name and port of the proxy on its way, empty for none.
    """

    method: str
    path: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    failure: BaseException | None = None
    sent: bool = False
    host: str = ""
    proxy: str = ""

    @property
    def failed(self) -> bool:
        """Whether it brought nothing of use."""
        return self.failure is not None or self.status is None or self.status >= 300

    @property
    def is_submission(self) -> bool:
        """Whether it makes a job, which costs money."""
        return self.method == "POST" and self.path.rstrip("/").endswith("/jobs")

    def document(self) -> Any:
        """The answer as JSON, None where it is none."""
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(self.body)
        return None


@dataclass
class Permit:
    """The right to send one submission.

    Attributes:
        not_after: When it ends, in seconds since 1970: a process that was frozen in between sends nothing late.
        read_seconds: How long to wait for the answer.
        exchange: The submission, once it was tried.
    """

    not_after: float
    read_seconds: float
    exchange: Exchange | None = None

    @property
    def sent(self) -> bool:
        """Whether the submission may have reached the provider."""
        return self.exchange is not None and self.exchange.sent

    @property
    def job_id(self) -> str | None:
        """The id that the provider answered with, whatever the client made of that answer."""
        if self.exchange is None or self.exchange.failed:
            return None
        answer = self.exchange.document()
        name = answer.get("id") if isinstance(answer, dict) else None
        return name if isinstance(name, str) and name else None

    def spend(self, exchange: Exchange) -> None:
        """Take the right for this request.

        Raises:
            InternalError: It was taken before; nothing is sent.
        """
        if self.exchange is not None:
            raise InternalError("a second submission was tried under one permit; nothing was sent")
        self.exchange = exchange

    def pass_fence(self) -> None:
        """Called before every piece of the submission leaves; the provider takes none that is not whole.

        Raises:
            TargetUnavailable: The right to send has ended.
        """
        late = time.time() - self.not_after
        if late > 0:
            if self.exchange is not None:
                self.exchange.sent = False
            raise TargetUnavailable(
                f"the right to submit ended {late:.1f} s before the submission could leave; a new attempt takes a new one",
                late=True,
            )
        if self.exchange is not None:
            self.exchange.sent = True


@dataclass
class Watch:
    """What a task may send, and what it did send.

    Attributes:
        read_seconds: How long to wait for an answer.
        max_body_bytes: The largest answer.
        permit: For a submission, None where the task makes none.
        exchanges: In order.
    """

    read_seconds: float = READ_SECONDS
    max_body_bytes: int = MAX_BODY_BYTES
    permit: Permit | None = None
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def failed(self) -> Exchange | None:
        """The last exchange, if it failed: without retries it is what the task failed of."""
        return self.exchanges[-1] if self.exchanges and self.exchanges[-1].failed else None
