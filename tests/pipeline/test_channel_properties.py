"""The channel under random interleavings of send, receive, cancel, close, abort and leaving."""

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tokenline.batch import Batch
from tokenline.channel import Channel, ChannelBrokenError, EndOfChannel
from tokenline.errors import QueueFullError, UsageError
from tokenline.options import Capacity, Overflow
from tokenline.testing import VirtualLoop, settle, virtual_clock

Numbers = tuple[int, ...]


class ClosedForTest(Exception):
    pass


def join(batches: Any) -> Batch[Numbers]:
    """One item that stands for all of them."""
    numbers = tuple(n for batch in batches for item in batch.items for n in item)
    return Batch([numbers], 0, 1)


class ChannelMachine(RuleBasedStateMachine):
    """One sender, one receiver, and everything that either may do at any moment.

    Every item is a number, sent once: what is received, dropped, waiting or was never taken adds
    up to what was sent.
    """

    channel: Channel[Numbers]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.next = 0
        self.accepted: list[int] = []
        self.received: list[int] = []
        self.refused: set[int] = set()
        self.sending: asyncio.Task[None] | None = None
        self.sent: list[int] = []
        self.receiving: asyncio.Task[Batch[Numbers]] | None = None
        self.ends: list[BaseException | None] = []
        self.closed = self.gone = self.ended = False

    @initialize(
        items=st.integers(1, 5),
        size=st.integers(1, 20),
        overflow=st.sampled_from(list(Overflow)),
    )
    def make(self, items: int, size: int, overflow: Overflow) -> None:
        async def make() -> Channel[Numbers]:
            capacity = Capacity(max_items=items, max_bytes=size, overflow=overflow)
            return Channel(capacity, clock=virtual_clock(), conflate=join)

        self.overflow = overflow
        self.channel = self.runner.run(make())

    # --- sending ---------------------------------------------------------------------------

    def batch(self, count: int, size: int) -> Batch[Numbers]:
        numbers = range(self.next, self.next + count)
        self.next += count
        return Batch([(n,) for n in numbers], 0, size)

    @precondition(lambda self: self.sending is None)
    @rule(count=st.integers(1, 4), size=st.integers(1, 9))
    def try_to_send(self, count: int, size: int) -> None:
        self.send_nowait(count, size)

    def send_nowait(self, count: int, size: int) -> None:
        batch = self.batch(count, size)
        try:
            taken = self.channel.send_nowait(batch)
        except (UsageError, ChannelBrokenError):
            assert self.closed or self.gone
            taken = False
        except QueueFullError:
            assert self.overflow is Overflow.FAIL
            taken = False
        else:
            assert not self.closed
            assert not self.gone
        self.note_sent(batch, taken)

    @precondition(lambda self: self.sending is None)
    @rule(size=st.integers(1, 9))
    def fill(self, size: int) -> None:
        """Send until there is no room."""
        for _ in range(6):
            self.send_nowait(1, size)

    def note_sent(self, batch: Batch[Numbers], taken: bool) -> None:
        numbers = [n for item in batch.items for n in item]
        if taken:
            self.accepted += numbers
        else:
            self.refused.update(numbers)

    @precondition(lambda self: self.sending is None)
    @rule(count=st.integers(1, 4), size=st.integers(1, 9))
    def start_send(self, count: int, size: int) -> None:
        batch = self.batch(count, size)
        self.sent = [n for item in batch.items for n in item]

        async def start() -> asyncio.Task[None]:
            return asyncio.create_task(self.channel.send(batch))

        self.sending = self.runner.run(start())

    @precondition(lambda self: self.sending is not None)
    @rule()
    def cancel_send(self) -> None:
        assert self.sending is not None
        self.sending.cancel()

    # --- receiving -------------------------------------------------------------------------

    @precondition(lambda self: self.receiving is None)
    @rule()
    def receive_nowait(self) -> None:
        try:
            batch = self.channel.receive_nowait()
        except (EndOfChannel, ClosedForTest) as end:
            self.note_end(end)
        else:
            self.note_received(batch)

    @precondition(lambda self: self.receiving is None)
    @rule()
    def start_receive(self) -> None:
        async def start() -> asyncio.Task[Batch[Numbers]]:
            return asyncio.create_task(self.channel.receive())

        self.receiving = self.runner.run(start())

    @precondition(lambda self: self.receiving is not None)
    @rule()
    def cancel_receive(self) -> None:
        assert self.receiving is not None
        self.receiving.cancel()

    def note_received(self, batch: Batch[Numbers] | None) -> None:
        if batch is not None:
            assert not self.ended
            self.received += [n for item in batch.items for n in item]

    def note_end(self, end: BaseException) -> None:
        assert len(self.channel) == 0
        assert self.closed or self.gone
        if len(self.ends) == 1 and not self.gone:
            assert self.ends[0] is None or end is self.ends[0]
        assert isinstance(end, EndOfChannel) or end in self.ends
        self.ended = True

    # --- ends ------------------------------------------------------------------------------

    @precondition(lambda self: self.next > 8)
    @rule(how=st.sampled_from(("close", "abort", "break off")), fails=st.booleans())
    def end(self, how: str, fails: bool) -> None:
        error = ClosedForTest() if fails else None
        if how == "break off":
            self.channel.break_off()
            self.gone = True
            return
        if how == "abort" or not self.closed:
            self.ends.append(error)
        self.closed = True
        if how == "abort":
            self.channel.abort(error)
        else:
            self.channel.close(error)

    # --- time ------------------------------------------------------------------------------

    @rule(turns=st.integers(1, 3))
    def turn(self, turns: int) -> None:
        async def turn() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.runner.run(turn())
        self.collect()

    @rule()
    def rest(self) -> None:
        self.runner.run(settle())
        self.collect()
        waiting, ended = len(self.channel), self.closed or self.gone
        assert self.sending is None or (waiting and not ended), "a sender was forgotten"
        assert self.receiving is None or not (waiting or ended), "a receiver was forgotten"

    def collect(self) -> None:
        """Look at what the tasks have come to."""
        if self.sending is not None and self.sending.done():
            error = None if self.sending.cancelled() else self.sending.exception()
            taken = not self.sending.cancelled() and error is None
            assert error is None or isinstance(
                error, UsageError | ChannelBrokenError | QueueFullError
            )
            (self.accepted.extend if taken else self.refused.update)(self.sent)
            self.sending = None
        if self.receiving is not None and self.receiving.done():
            task, self.receiving = self.receiving, None
            if task.cancelled():
                return
            end = task.exception()
            if end is None:
                self.note_received(task.result())
            else:
                self.note_end(end)

    # --- what holds at all times -----------------------------------------------------------

    @invariant()
    def bounds_hold(self) -> None:
        if not hasattr(self, "channel"):
            return
        stats, capacity = self.channel.stats(), self.channel.capacity
        assert stats.items == len(self.channel)
        alone = len(self.channel.queue) == 1
        assert alone or stats.items <= capacity.max_items
        assert alone or stats.bytes <= capacity.max_bytes

    @invariant()
    def the_newest_wait(self) -> None:
        if not hasattr(self, "channel") or self.sending is not None:
            return
        waiting = [n for batch, _ in self.channel.queue for item in batch.items for n in item]
        if self.overflow is not Overflow.DROP_NEWEST:
            assert waiting == self.accepted[len(self.accepted) - len(waiting) :]

    @invariant()
    def order_is_kept(self) -> None:
        assert self.received == sorted(set(self.received))
        assert self.refused.isdisjoint(self.received)

    def teardown(self) -> None:
        try:
            if hasattr(self, "channel"):
                self.check_end()
        finally:
            self.runner.close()

    def check_end(self) -> None:
        self.rest()
        for task in (self.sending, self.receiving):
            if task is not None:
                task.cancel()
        self.rest()
        self.take_the_rest()
        self.add_up()

    def take_the_rest(self) -> None:
        try:
            while (batch := self.channel.receive_nowait()) is not None:
                self.note_received(batch)
        except (EndOfChannel, ClosedForTest):
            return

    def add_up(self) -> None:
        stats = self.channel.stats()
        lost = set(self.accepted) - set(self.received)
        assert set(self.received) <= set(self.accepted)
        assert stats.items == stats.bytes == 0
        if self.overflow is not Overflow.CONFLATE:  # there a dropped item stands for several
            assert stats.dropped_items == len(lost)
        if self.overflow in (Overflow.BLOCK, Overflow.CONFLATE, Overflow.FAIL) and not lost:
            assert self.received == self.accepted
        if lost and self.overflow not in (Overflow.DROP_NEWEST, Overflow.DROP_OLDEST):
            assert self.gone or self.closed


def test_channel() -> None:
    run_state_machine_as_test(
        ChannelMachine, settings=settings(max_examples=200, stateful_step_count=40, deadline=None)
    )
