"""What the next attempt sends, and how it ties in with what was delivered before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from msgspec import structs

from .batch import Batch
from .closed import ignore
from .events import Event, Reset
from .pipeline import Route
from .policy import AfterCommit
from .result import Result
from .source import Request
from .stage import StepContext


class Resumption:
    """Where a run stands: nothing delivered yet, to be restarted, or to be continued.

    Args:
        request: the run's own request.
        context: what the steps of the first attempt may know.
        after_commit: what to do when a stream fails after content was delivered.
        snapshot: gives the result so far.

    Attributes:
        context: what the steps of the next attempt may know.
    """

    def __init__(
        self,
        request: Request,
        context: StepContext,
        after_commit: AfterCommit,
        snapshot: Callable[[], Result | None],
    ) -> None:
        self.context = context
        self._request = request
        self._after_commit = after_commit
        self._snapshot = snapshot
        self._so_far: Result | None = None
        self._reset_seq: int | None = None

    def let_go(self) -> None:
        """No further attempt is made: forget whom to ask for what was delivered."""
        self._snapshot = ignore

    def suits(self, route: Route) -> bool:
        """Whether the next attempt may take this route."""
        return self._so_far is None or self.request_for(route) is not None

    def request_for(self, route: Route) -> Request | None:
        """What to send on this route; None if it cannot go on with what was delivered."""
        payload = self._request.payload
        if route.payload is not None:
            payload = route.payload(payload)
        if self._so_far is not None:
            continued = route.continue_from and route.continue_from(payload, self._so_far)
            if continued is None:
                return None
            payload = continued
        unchanged = payload is self._request.payload
        return self._request if unchanged else replace(self._request, payload=payload)

    def stream_failed(self, last_seq: int) -> bool:
        """An attempt failed after the event `last_seq` was delivered; False to leave it at that."""
        if self._after_commit is AfterCommit.RESTART:
            self._reset_seq = last_seq + 1
            self.context = structs.replace(self.context, first_seq=last_seq + 2)
            return True
        if self._after_commit is AfterCommit.CONTINUE:
            return self._continue(last_seq)
        return False

    def _continue(self, last_seq: int) -> bool:
        self._so_far = so_far = self._snapshot()
        if so_far is None:
            return False
        self.context = structs.replace(
            self.context,
            first_seq=last_seq + 1,
            first_part=max((part.part for part in so_far.content), default=-1) + 1,
            continued=True,
        )
        return True

    def reset(self, attempt: int, request_ns: int) -> Batch[Event] | None:
        """What goes before the first event of `attempt`; None unless it starts anew.

        Made when the attempt commits: as long as no other takes its place, what was delivered
        stays the result.
        """
        if self._reset_seq is None:
            return None
        event = Reset(self._reset_seq, request_ns, self.context.message_id, attempt)
        return Batch([event], request_ns, 0)
