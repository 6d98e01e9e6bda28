"""The reading end of a fan-out branch: what an `async for` pulls events from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .batch import AnyBatch
from .channel import Channel, ChannelBrokenError, EndOfChannel
from .clock import Clock
from .closed import ignore
from .conflate import join_deltas
from .errors import QueueFullError, UsageError
from .events import CONTENT_EVENTS, Reset
from .options import Overflow
from .record import StageRecord
from .stage_stats import ActorSpec, StageStats
from .wake import Wakes


class Reader:
    """A branch that hands events to a task of the caller's; an `Inlet` on its other side.

    Times, in the words of `StageRecord`: processing is the time between two reads, that is the
    caller's loop body; queue wait is how long batches lay here before they were read.

    Args:
        spec: name, place and capacity.
        clock: where stamps come from.
        on_end: called once, when nothing more will be handed out.
        on_failure: called when the queue is full and its policy is to fail.
        content: types of the items that count as content.
        wakes: who goes on at the end of a read; the task that reads here is one of them.

    Attributes:
        first_delivery_ns: when the first content item was handed out, of what no `Reset` made void.
        events: what is left of the batch being read.
    """

    __slots__ = (
        "_content",
        "_handed_ns",
        "_joins",
        "_now",
        "_on_end",
        "_on_failure",
        "channel",
        "ended",
        "events",
        "first_delivery_ns",
        "spec",
        "stats",
    )

    def __init__(
        self,
        spec: ActorSpec,
        clock: Clock,
        on_end: Callable[[Reader], None],
        on_failure: Callable[[Reader, BaseException], None],
        content: frozenset[type] = CONTENT_EVENTS,
        wakes: Wakes | None = None,
    ) -> None:
        self.spec = spec
        self.channel: Channel[Any] = Channel(
            spec.capacity, clock=clock, conflate=join_deltas, wakes=wakes
        )
        self.stats = StageStats()
        self.first_delivery_ns: int | None = None
        self.ended = False
        self._content = content
        self._joins = spec.capacity.overflow is Overflow.CONFLATE
        self._now = clock.now_ns
        self._on_end = on_end
        self._on_failure = on_failure
        self.events: Iterator[Any] = iter(())
        self._handed_ns = 0

    # --- Inlet -----------------------------------------------------------------------------

    def push_nowait(self, batch: AnyBatch) -> bool:
        """Queue a batch for the caller; what nobody will read is dropped."""
        try:
            return self.channel.send_nowait(batch)
        except QueueFullError as error:
            self._on_failure(self, error)
        except (ChannelBrokenError, UsageError):  # broken or closed
            pass
        return True

    async def push(self, batch: AnyBatch) -> None:
        """Queue a batch for the caller, waiting for room."""
        if self.channel.broken or self.channel.closed:
            return
        try:
            await self.channel.send(batch)
        except (ChannelBrokenError, UsageError):
            if not (self.channel.broken or self.channel.closed):
                raise

    def close(self, error: BaseException | None) -> None:
        """The run has ended; what waits is still read."""
        if self.channel.broken:
            self._end()
        self.channel.close(error)

    # --- reading ---------------------------------------------------------------------------

    async def next_event(self) -> Any:
        """The next event.

        Raises:
            StopAsyncIteration: the response is complete.
            StreamError: the run failed; everything before was handed out.
        """
        for event in self.events:
            return event
        batch = await self.next_batch()
        self.events = iter(batch.items)
        return next(self.events)

    async def next_batch(self) -> AnyBatch:
        """What one read brought, as one batch; raises like `next_event`."""
        while (batch := self.take()) is None:
            await self.channel.readable()
        return batch

    def take(self) -> AnyBatch | None:
        """What waits to be read, or None: then wait until the channel is `readable`.

        Raises:
            StopAsyncIteration: the response is complete.
            StreamError: the run failed; everything before was handed out.
        """
        stats = self.stats
        channel = self.channel
        if self._handed_ns:  # `_note_return`, spelled out
            now_ns = self._now()
            took_ns = now_ns - self._handed_ns
            self._handed_ns = 0
            stats.processing_ns += took_ns
            if took_ns > stats.max_processing_ns:
                stats.max_processing_ns = took_ns
            stats.ended_ns = now_ns
        if not channel.queue and not (channel.closed or channel.broken):
            return None
        try:
            batch = channel.receive_nowait()
        except EndOfChannel:
            self._end()
            raise StopAsyncIteration from None
        except BaseException:
            self._end()
            raise
        if batch is None:
            return None
        handed_ns = self._handed_ns = stats.ended_ns = channel.taken_ns
        stats.batches += 1
        stats.bytes += batch.size_bytes
        stats.items_in += len(batch.items)
        if self.first_delivery_ns is None or self._joins or type(batch.items[0]) is Reset:
            self._note_first(batch, handed_ns)
        return batch

    def leave(self) -> None:
        """Nobody will read any more; what waits is dropped. Idempotent."""
        self._note_return()
        self.events = iter(())
        self.channel.break_off()
        self._end()

    def lift_limits(self) -> None:
        """Take everything from now on: nobody may be reading, and nothing may be lost."""
        self.channel.lift_limits()

    def let_go(self) -> None:
        """Nobody will read any more, and nobody is to hear of it."""
        self._on_end = ignore
        self._on_failure = ignore
        self.leave()

    def record(self, now_ns: int) -> StageRecord:
        """What the branch did up to `now_ns`."""
        self.stats.items_out = self.stats.items_in
        return self.stats.record(self.spec, now_ns, self.channel)

    # --- inside ----------------------------------------------------------------------------

    def _note_return(self) -> None:
        if self._handed_ns:
            now_ns = self._now()
            took_ns = now_ns - self._handed_ns
            self._handed_ns = 0
            self.stats.processing_ns += took_ns
            self.stats.max_processing_ns = max(self.stats.max_processing_ns, took_ns)
            self.stats.ended_ns = now_ns

    def _note_first(self, batch: AnyBatch, handed_ns: int) -> None:
        if not self.stats.started_ns:
            self.stats.note_first(handed_ns, handed_ns)
        content = False
        for item in reversed(batch.items):  # `Reset` comes alone or joined with its neighbours
            kind = type(item)
            if kind in self._content:
                content = True
            elif kind is Reset:
                self.first_delivery_ns = None
                break
        if content and self.first_delivery_ns is None:
            self.first_delivery_ns = handed_ns

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self._on_end(self)
