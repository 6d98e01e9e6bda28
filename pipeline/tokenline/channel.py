"""A bounded queue of batches between two actors.

One sender, one receiver. Limits count items, wire bytes and how long the first has waited,
whichever is reached first. End and cancel are states, not queue entries: they never need room. A
blocked sender is woken when the queue has drained to half (its low-water mark), not at every
item: waking a task costs more than handling a batch.

Terms after trio: *closed* = the sender ended it; *broken* = the receiver left.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from .batch import Batch
from .channel_stats import ChannelStats as ChannelStats
from .clock import SYSTEM_CLOCK, Clock
from .errors import QueueFullError, UsageError
from .options import Capacity, Overflow
from .wake import Waiter, Wakes

T = TypeVar("T")

_FOREVER_NS = 1 << 63


class EndOfChannel(Exception):
    """The channel was closed and everything in it was received."""


class ChannelBrokenError(Exception):
    """The receiver left: nothing that is sent will be read."""


class Channel(Generic[T]):
    """Bounded queue of batches.

    Args:
        capacity: limits and overflow policy.
        clock: where stamps come from.
        conflate: for `Overflow.CONFLATE`: makes one batch of all that wait.
        wakes: where the receiver waits for the end of a read that is being handed on.

    Attributes:
        closed: no more will be sent.
        broken: no more will be received.
        queue: batches that wait and when each was sent; for its receiver to look at.
        taken_ns: when a batch was last received.

    Raises:
        UsageError: a capacity below 1.
    """

    __slots__ = (
        "_blocked_ns",
        "_bytes",
        "_conflate",
        "_dropped_items",
        "_error",
        "_high_bytes",
        "_high_items",
        "_items",
        "_loop",
        "_max_bytes",
        "_max_items",
        "_max_wait_ns",
        "_now",
        "_pending",
        "_queue_wait_ns",
        "_receiver",
        "_sender",
        "_sent_batches",
        "_sent_items",
        "_wakes",
        "broken",
        "capacity",
        "closed",
        "queue",
        "taken_ns",
    )

    def __init__(
        self,
        capacity: Capacity | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        conflate: Callable[[Sequence[Batch[T]]], Batch[T]] | None = None,
        wakes: Wakes | None = None,
    ) -> None:
        self.capacity = capacity or Capacity()
        if self.capacity.max_items < 1 or self.capacity.max_bytes < 1:
            raise UsageError("a channel's capacity is at least 1 item and 1 byte")
        self._max_items = self.capacity.max_items
        self._max_bytes = self.capacity.max_bytes
        max_wait_s = self.capacity.max_wait_s
        if self.capacity.overflow is Overflow.CONFLATE:
            max_wait_s = None  # joining makes room, but makes nothing younger
        self._max_wait_ns = _FOREVER_NS if max_wait_s is None else int(max_wait_s * 1e9)
        self._now = clock.now_ns
        self._conflate = conflate
        self._wakes = wakes
        self._loop: asyncio.AbstractEventLoop | None = None
        self.queue: deque[tuple[Batch[T], int]] = deque()
        self._items = 0
        self._bytes = 0
        self.closed = False
        self.broken = False
        self.taken_ns = 0
        self._error: BaseException | None = None
        self._receiver: Waiter | None = None
        self._sender: asyncio.Future[None] | None = None
        self._pending: Batch[T] | None = None
        self._high_items = 0
        self._high_bytes = 0
        self._sent_items = 0
        self._sent_batches = 0
        self._dropped_items = 0
        self._queue_wait_ns = 0
        self._blocked_ns = 0

    def __len__(self) -> int:
        """Items waiting."""
        return self._items

    @property
    def send_waiting(self) -> bool:
        """A sender waits for room."""
        return self._sender is not None

    # --- sending ---------------------------------------------------------------------------

    def send_nowait(self, batch: Batch[T]) -> bool:
        """Queue a batch if there is room; False if there is none and the policy is to wait.

        Raises:
            UsageError: the channel was closed by its sender.
            ChannelBrokenError: the receiver left.
            QueueFullError: no room, and the policy is `fail`.
        """
        if self.closed or self.broken:
            self._refuse()
        count = len(batch.items)
        items = self._items + count
        size_bytes = self._bytes + batch.size_bytes
        queue = self.queue
        now_ns = self._now()
        if queue and (
            items > self._max_items
            or size_bytes > self._max_bytes
            or now_ns - queue[0][1] > self._max_wait_ns
        ):
            return self._overflow(batch)
        # `_put`, spelled out: this is the hot path of every queue.
        queue.append((batch, now_ns))
        self._items = items
        self._bytes = size_bytes
        self._sent_items += count
        self._sent_batches += 1
        if items > self._high_items:
            self._high_items = items
        if size_bytes > self._high_bytes:
            self._high_bytes = size_bytes
        if self._receiver is not None:
            self._receiver.set()
        return True

    async def send(self, batch: Batch[T]) -> None:
        """Queue a batch, waiting for room. Cancelling it queues nothing.

        Raises:
            UsageError: the channel was closed, or another task is sending.
            ChannelBrokenError: the receiver left.
            QueueFullError: no room, and the policy is `fail`.
        """
        if self._sender is not None:
            raise UsageError("two tasks send on one channel; give each its own")
        if self.send_nowait(batch):
            return
        started_ns = self._now()
        self._pending = batch
        try:
            while self.queue and not self._fits(batch):
                self._sender = asyncio.get_running_loop().create_future()
                await self._sender
                if self.closed or self.broken:
                    self._refuse()
        finally:
            self._sender = None
            self._pending = None
            self._blocked_ns += self._now() - started_ns
        self._put(batch)

    def close(self, error: BaseException | None = None) -> None:
        """No more will be sent. The receiver gets what waits, then the end or `error`.

        Idempotent; needs no room.
        """
        if self.closed:
            return
        self.closed = True
        self._error = error
        self._wake_receiver()
        self._wake_sender()

    def lift_limits(self) -> None:
        """Refuse nothing any more, if the policy was to wait: the sender goes on at once."""
        if self.capacity.overflow in (Overflow.BLOCK, Overflow.CONFLATE):
            self._max_items = self._max_bytes = self._max_wait_ns = _FOREVER_NS
            self._wake_sender()

    def abort(self, error: BaseException | None = None) -> None:
        """Drop what waits and end at once, with `error` if given."""
        self._drop_queue()
        self.closed = True
        self._error = error
        self._wake_receiver()
        self._wake_sender()

    # --- receiving -------------------------------------------------------------------------

    def receive_nowait(self) -> Batch[T] | None:
        """The next batch, or None if none waits.

        Raises:
            EndOfChannel: closed and empty.
            BaseException: the error given to `close`, once everything before was received.
        """
        if not self.queue:
            if self.closed or self.broken:
                self._raise_end()
            return None
        batch, sent_ns = self.queue.popleft()
        self._items -= len(batch.items)
        self._bytes -= batch.size_bytes
        now_ns = self.taken_ns = self._now()
        self._queue_wait_ns += now_ns - sent_ns
        if self._sender is not None and self._has_drained():
            self._wake_sender()
        return batch

    async def receive(self) -> Batch[T]:
        """The next batch. Cancelling it loses nothing.

        Raises:
            EndOfChannel: closed and empty.
            UsageError: another task is receiving.
            BaseException: the error given to `close`, once everything before was received.
        """
        while True:
            batch = self.receive_nowait()
            if batch is not None:
                return batch
            await self.wait_readable()

    async def wait_readable(self) -> None:
        """Return when a batch waits or the channel has ended."""
        if not (self.queue or self.closed or self.broken):
            await self.readable()

    def readable(self) -> Waiter:
        """To be awaited: it is over when a batch is put or the channel ends. For one task.

        Raises:
            UsageError: another task is waiting.
        """
        if self._receiver is not None and not self._receiver.done():
            raise UsageError("two tasks receive from one channel; add a branch for each")
        if self._loop is None:  # kept: asking which one runs is a system call
            self._loop = asyncio.get_running_loop()
        self._receiver = Waiter(self._loop, self._wakes)
        return self._receiver

    def break_off(self) -> None:
        """The receiver leaves: what waits is dropped, the sender is told. Idempotent."""
        self._drop_queue()
        self.broken = True
        self._wake_sender()
        self._wake_receiver()
        self._receiver = None

    # --- statistics ------------------------------------------------------------------------

    def stats(self) -> ChannelStats:
        """What the channel did so far."""
        return ChannelStats(
            items=self._items,
            bytes=self._bytes,
            high_water_items=self._high_items,
            high_water_bytes=self._high_bytes,
            sent_items=self._sent_items,
            sent_batches=self._sent_batches,
            dropped_items=self._dropped_items,
            queue_wait_ns=self._queue_wait_ns,
            blocked_ns=self._blocked_ns,
        )

    # --- inside ----------------------------------------------------------------------------

    def _fits(self, batch: Batch[T]) -> bool:
        return (
            self._items + len(batch.items) <= self._max_items
            and self._bytes + batch.size_bytes <= self._max_bytes
            and not self._is_late()
        )

    def _is_late(self) -> bool:
        """Whether the first batch has waited for too long."""
        return bool(self.queue) and self._now() - self.queue[0][1] > self._max_wait_ns

    def _put(self, batch: Batch[T]) -> None:
        count = len(batch.items)
        self.queue.append((batch, self._now()))
        self._items += count
        self._bytes += batch.size_bytes
        self._sent_items += count
        self._sent_batches += 1
        if self._items > self._high_items:
            self._high_items = self._items
        if self._bytes > self._high_bytes:
            self._high_bytes = self._bytes
        self._wake_receiver()

    def _has_drained(self) -> bool:
        if not self.queue:
            return True
        low = self._items * 2 <= self._max_items and self._bytes * 2 <= self._max_bytes
        return low and (self._pending is None or self._fits(self._pending))

    def _overflow(self, batch: Batch[T]) -> bool:
        policy = self.capacity.overflow
        if policy is Overflow.DROP_NEWEST:
            self._dropped_items += len(batch.items)
            return True
        if policy is Overflow.DROP_OLDEST:
            while self.queue and not self._fits(batch):
                self._drop_first()
            self._put(batch)
            return True
        if policy is Overflow.FAIL:
            raise QueueFullError(
                f"queue full ({self._items} items, {self._bytes} bytes waiting) and its overflow"
                " policy is 'fail'; read faster, raise its capacity or choose another policy"
            )
        return policy is Overflow.CONFLATE and self._join(batch)

    def _join(self, batch: Batch[T]) -> bool:
        """Make one batch of what waits and `batch`; False if that makes no room."""
        if self._conflate is None:
            return False
        joined = self._conflate([*(waiting for waiting, _ in self.queue), batch])
        if len(joined.items) > self._max_items or joined.size_bytes > self._max_bytes:
            return False
        _, sent_ns = self.queue[0]
        self.queue.clear()
        self.queue.append((joined, sent_ns))
        self._items = len(joined.items)
        self._bytes = joined.size_bytes
        self._sent_items += len(batch.items)
        self._sent_batches += 1
        return True

    def _drop_first(self) -> None:
        batch, _ = self.queue.popleft()
        self._items -= len(batch.items)
        self._bytes -= batch.size_bytes
        self._dropped_items += len(batch.items)

    def _drop_queue(self) -> None:
        self._dropped_items += self._items
        self.queue.clear()
        self._items = 0
        self._bytes = 0

    def _wake_receiver(self) -> None:
        if self._receiver is not None:
            self._receiver.set()

    def _wake_sender(self) -> None:
        if self._sender is not None and not self._sender.done():
            self._sender.set_result(None)

    def _refuse(self) -> None:
        if self.broken:
            raise ChannelBrokenError
        raise UsageError("send on a closed channel")

    def _raise_end(self) -> None:
        if self._error is not None:
            raise self._error
        raise EndOfChannel
