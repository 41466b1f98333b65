"""Variational loops for code without an event loop: the verbs of `Loop`, waiting for each."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from qurable.contracts.optimisations import Evaluation, OptimisationReport, OptimisationStatus, Steering
from qurable.optimising import Loop

T = TypeVar("T")


@dataclass(frozen=True)
class BlockingLoop:
    """A loop that was started, or found again; see `qurable.optimising.Loop`."""

    _loop: Loop
    _wait: Callable[[Coroutine[Any, Any, Any]], Any]

    @property
    def id(self) -> str:
        """Unique for ever; any process attaches by it."""
        return self._loop.id

    def status(self) -> OptimisationStatus:
        """Where it stands; see `Loop.status`."""
        found: OptimisationStatus = self._wait(self._loop.status())
        return found

    def progress(self) -> Iterator[OptimisationStatus]:
        """Where it stands, each time that changes, until it ends."""
        return self._each(self._loop.progress())

    def evaluations(self, start: int = 0) -> Iterator[Evaluation]:
        """Every evaluation that is kept so far; see `Loop.evaluations`."""
        return self._each(self._loop.evaluations(start))

    def steer(self, steering: Steering) -> OptimisationStatus:
        """Change it; see `Loop.steer`."""
        taken: OptimisationStatus = self._wait(self._loop.steer(steering))
        return taken

    def stop(self) -> OptimisationStatus:
        """End it with the best so far."""
        return self.steer(Steering(stop=True))

    def pause(self) -> OptimisationStatus:
        """Have it wait."""
        return self.steer(Steering(pause=True))

    def resume(self) -> OptimisationStatus:
        """Have it go on."""
        return self.steer(Steering(pause=False))

    def switch(self, backend: str, *, shots: int | None = None) -> OptimisationStatus:
        """Evaluate at another place from its next iteration on; see `Loop.switch`."""
        return self.steer(Steering(backend=backend, shots=shots))

    def cancel(self) -> None:
        """Give it up; what was evaluated stays."""
        self._wait(self._loop.cancel())

    def report(self, *, wait: timedelta | None = None) -> OptimisationReport:
        """Its report, waiting until it has one; see `Loop.report`."""
        found: OptimisationReport = self._wait(self._loop.report(wait=wait))
        return found

    def _each(self, stream: AsyncIterator[T]) -> Iterator[T]:
        while True:
            try:
                yield self._wait(_next(stream))
            except StopAsyncIteration:
                return


async def _next(stream: AsyncIterator[T]) -> T:
    return await anext(stream)
