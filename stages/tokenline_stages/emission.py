"""Numbers and stamps the events of one response; what all normalizers share.

An `Emission` knows no provider. A normalizer calls `begin` at the top of every `feed`, then the
methods below, or appends hot deltas to `out` itself and raises `seq` by one for each.
"""

from collections.abc import Iterable

from tokenline.errors import LimitExceededError, UnknownEventError
from tokenline.events import (
    Event,
    Finish,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    PartStart,
    Ping,
    ReasoningDelta,
    ReasoningKind,
    TextDelta,
    UnknownEvent,
    Usage,
    UsageUpdate,
)
from tokenline.stage import StepContext


class Emission:
    """State of one response's outgoing events.

    Attributes:
        seq: sequence number of the next event.
        recv_ns: receive time of the batch being handled.
        message_id: our id of the response.
        out: where events go; the list given to the last `begin`.
        started: whether `MessageStart` was emitted.
        unknown: how many unknown items were met.
    """

    __slots__ = (
        "_context",
        "_next_part",
        "message_id",
        "out",
        "recv_ns",
        "seq",
        "started",
        "unknown",
    )

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._next_part = context.first_part
        self.seq = context.first_seq
        self.recv_ns = 0
        self.message_id = context.message_id
        self.out: list[Event] = []
        self.started = context.continued
        self.unknown = 0

    def begin(self, recv_ns: int, out: list[Event]) -> None:
        """Point at the batch to be handled."""
        self.recv_ns = recv_ns
        self.out = out

    def _stamp(self) -> tuple[int, int, str]:
        seq = self.seq
        self.seq = seq + 1
        return seq, self.recv_ns, self.message_id

    def emit(self, event_type: type[Event], *args: object, **kwargs: object) -> None:
        """Append an event of any type, stamped."""
        self.out.append(event_type(*self._stamp(), *args, **kwargs))  # type: ignore[arg-type]

    def message_start(self, provider_message_id: str | None, model: str | None) -> None:
        """Emit `MessageStart` once; later calls do nothing."""
        if not self.started:
            self.started = True
            self.out.append(MessageStart(*self._stamp(), provider_message_id, model))

    def new_part(self) -> int:
        """The number of a new part; raises `LimitExceededError` past `max_parts`."""
        part = self._next_part
        limit = self._context.limits.max_parts
        if part >= limit:
            raise LimitExceededError(
                f"more than {limit} content parts in one response; raise Limits.max_parts",
                limit="max_parts",
            )
        self._next_part = part + 1
        return part

    def open_part(
        self,
        kind: PartKind,
        choice: int = 0,
        reasoning_kind: ReasoningKind | None = None,
        provider_id: str | None = None,
    ) -> int:
        """Begin a part that is no tool call; gives its number."""
        part = self.new_part()
        self.out.append(PartStart(*self._stamp(), part, kind, choice, reasoning_kind, provider_id))
        return part

    def close_part(self, part: int, choice: int = 0) -> None:
        """End a part that is no tool call."""
        self.out.append(PartEnd(*self._stamp(), part, choice))

    def text(self, part: int, text: str, choice: int = 0) -> None:
        """Emit visible text unless it is empty."""
        if text:
            self.out.append(TextDelta(*self._stamp(), part, text, choice))

    def reasoning(self, part: int, text: str, choice: int = 0) -> None:
        """Emit reasoning text unless it is empty."""
        if text:
            self.out.append(ReasoningDelta(*self._stamp(), part, text, choice))

    def usage(self, usage: Usage) -> None:
        """Emit token counts so far."""
        self.out.append(UsageUpdate(*self._stamp(), usage))

    def finish(
        self,
        reason: FinishReason,
        raw_reason: str,
        choice: int = 0,
        stop_sequence: str | None = None,
    ) -> None:
        """Emit the finish reason of a choice."""
        self.out.append(Finish(*self._stamp(), reason, raw_reason, choice, stop_sequence))

    def ping(self) -> None:
        """Emit a service ping."""
        self.out.append(Ping(*self._stamp()))

    def skip(self, type_: str, data: bytes) -> None:
        """Count something unknown; emit it raw if the run asks for that, raise if strict."""
        self.unknown += 1
        if self._context.strict:
            raise UnknownEventError(f"unknown event {type_!r}; strict mode refuses it", code=type_)
        if self._context.pass_unknown:
            self.out.append(UnknownEvent(*self._stamp(), type_, data))

    def message_end(
        self, reason: FinishReason | None, raw_reason: str | None, open_parts: Iterable[int] = ()
    ) -> None:
        """Close `open_parts` and end the message."""
        for part in open_parts:
            self.close_part(part)
        self.out.append(MessageEnd(*self._stamp(), reason, raw_reason))
