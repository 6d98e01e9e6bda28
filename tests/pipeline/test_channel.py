"""The bounded channel: order, limits, policies, end and cancel signals, statistics."""

import asyncio

import pytest

from tokenline.batch import Batch
from tokenline.channel import Channel, ChannelBrokenError, EndOfChannel
from tokenline.clock import Clock
from tokenline.errors import QueueFullError, UsageError
from tokenline.options import Capacity, Overflow

pytestmark = pytest.mark.anyio


def batch(*items: int, size: int = 1) -> Batch[int]:
    return Batch(list(items), 0, size)


def channel(items: int = 4, size: int = 100, overflow: Overflow = Overflow.BLOCK) -> Channel[int]:
    return Channel(Capacity(max_items=items, max_bytes=size, overflow=overflow))


async def drain(of: Channel[int]) -> list[int]:
    got: list[int] = []
    try:
        while True:
            got += (await of.receive()).items
    except EndOfChannel:
        return got


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_keeps_order_and_ends_after_close() -> None:
    line = channel()
    assert line.send_nowait(batch(1, 2))
    assert line.send_nowait(batch(3))
    line.close()
    assert await drain(line) == [1, 2, 3]


async def test_refuses_past_the_item_limit() -> None:
    line = channel(items=3)
    assert line.send_nowait(batch(1, 2))
    assert not line.send_nowait(batch(3, 4))
    assert line.send_nowait(batch(3))


async def test_refuses_past_the_byte_limit() -> None:
    line = channel(size=10)
    assert line.send_nowait(batch(1, size=8))
    assert not line.send_nowait(batch(2, size=3))


async def test_admits_an_oversized_batch_when_empty() -> None:
    line = channel(items=2, size=5)
    assert line.send_nowait(batch(1, 2, 3, size=50))
    assert not line.send_nowait(batch(4))


async def test_close_needs_no_room() -> None:
    line = channel(items=1)
    assert line.send_nowait(batch(1))
    line.close()
    assert await drain(line) == [1]


async def test_error_comes_after_what_waits() -> None:
    line = channel()
    line.send_nowait(batch(1))
    line.close(ValueError("broken"))
    assert (await line.receive()).items == [1]
    with pytest.raises(ValueError, match="broken"):
        await line.receive()


async def test_abort_drops_what_waits() -> None:
    line = channel()
    line.send_nowait(batch(1, 2))
    line.abort()
    with pytest.raises(EndOfChannel):
        await line.receive()
    assert line.stats().dropped_items == 2


async def test_sender_waits_until_half_is_free() -> None:
    line = channel(items=4)
    for i in range(4):
        line.send_nowait(batch(i))
    sending = asyncio.create_task(line.send(batch(9)))
    await settle()
    await line.receive()
    await settle()
    assert not sending.done()
    await line.receive()
    await settle()
    assert sending.done()
    assert line.stats().blocked_ns > 0


async def test_cancelled_send_queues_nothing() -> None:
    line = channel(items=1)
    line.send_nowait(batch(1))
    sending = asyncio.create_task(line.send(batch(2)))
    await settle()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    line.close()
    assert await drain(line) == [1]


async def test_cancelled_receive_loses_nothing() -> None:
    line = channel()
    receiving = asyncio.create_task(line.receive())
    await settle()
    line.send_nowait(batch(1))
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    line.close()
    assert await drain(line) == [1]


async def test_break_off_wakes_a_waiting_sender() -> None:
    line = channel(items=1)
    line.send_nowait(batch(1))
    sending = asyncio.create_task(line.send(batch(2)))
    await settle()
    line.break_off()
    with pytest.raises(ChannelBrokenError):
        await sending
    with pytest.raises(ChannelBrokenError):
        line.send_nowait(batch(3))


async def test_close_wakes_a_waiting_receiver() -> None:
    line = channel()
    receiving = asyncio.create_task(line.receive())
    await settle()
    line.close()
    with pytest.raises(EndOfChannel):
        await receiving


async def test_drop_oldest_keeps_the_newest() -> None:
    line = channel(items=2, overflow=Overflow.DROP_OLDEST)
    for i in range(5):
        assert line.send_nowait(batch(i))
    line.close()
    assert await drain(line) == [3, 4]
    assert line.stats().dropped_items == 3


async def test_drop_newest_keeps_the_oldest() -> None:
    line = channel(items=2, overflow=Overflow.DROP_NEWEST)
    for i in range(5):
        assert line.send_nowait(batch(i))
    line.close()
    assert await drain(line) == [0, 1]
    assert line.stats().dropped_items == 3


async def test_fail_says_what_to_do() -> None:
    line = channel(items=1, overflow=Overflow.FAIL)
    line.send_nowait(batch(1))
    with pytest.raises(QueueFullError, match="raise its capacity"):
        line.send_nowait(batch(2))


async def test_conflate_makes_one_batch_of_all_that_wait() -> None:
    line: Channel[int] = Channel(
        Capacity(max_items=2, overflow=Overflow.CONFLATE),
        conflate=lambda all_: Batch([sum(sum(b.items) for b in all_)], all_[-1].recv_ns, 1),
    )
    for i in (1, 2, 3, 4):
        assert line.send_nowait(batch(i))
    line.close()
    assert await drain(line) == [6, 4]


async def test_conflate_refuses_what_makes_no_room() -> None:
    line: Channel[int] = Channel(
        Capacity(max_items=2, overflow=Overflow.CONFLATE),
        conflate=lambda all_: Batch([i for b in all_ for i in b.items], 0, 1),
    )
    assert line.send_nowait(batch(1, 2))
    assert not line.send_nowait(batch(3))
    line.close()
    assert await drain(line) == [1, 2]


def late(overflow: Overflow) -> tuple[Channel[int], list[int]]:
    time_ns = [0]
    capacity = Capacity(max_wait_s=1.0, overflow=overflow)
    return Channel(capacity, clock=Clock(lambda: time_ns[0])), time_ns


async def test_a_queue_whose_first_batch_waits_too_long_counts_as_full() -> None:
    line, time_ns = late(Overflow.BLOCK)
    assert line.send_nowait(batch(1))
    time_ns[0] = 1_000_000_000
    assert line.send_nowait(batch(2))
    time_ns[0] += 1
    assert not line.send_nowait(batch(3))
    sending = asyncio.create_task(line.send(batch(3)))
    await settle()
    assert (await line.receive()).items == [1]
    await settle()
    assert sending.done()
    line.close()
    assert await drain(line) == [2, 3]


async def test_drop_oldest_drops_what_waits_too_long() -> None:
    line, time_ns = late(Overflow.DROP_OLDEST)
    for at_s in (0.0, 0.4, 0.8, 1.2, 1.6):
        time_ns[0] = int(at_s * 1e9)
        assert line.send_nowait(batch(int(at_s * 10)))
    line.close()
    assert await drain(line) == [8, 12, 16]


async def test_fail_when_the_receiver_stalls() -> None:
    line, time_ns = late(Overflow.FAIL)
    assert line.send_nowait(batch(1))
    time_ns[0] = 2_000_000_000
    with pytest.raises(QueueFullError):
        line.send_nowait(batch(2))


async def test_second_receiver_is_told() -> None:
    line = channel()
    receiving = asyncio.create_task(line.receive())
    await settle()
    with pytest.raises(UsageError, match="two tasks receive"):
        await line.receive()
    line.close()
    with pytest.raises(EndOfChannel):
        await receiving


async def test_send_after_close_is_an_error() -> None:
    line = channel()
    line.close()
    with pytest.raises(UsageError, match="closed"):
        line.send_nowait(batch(1))


def test_capacity_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        channel(items=0)


async def test_stats_count_marks_and_waits() -> None:
    line = channel(items=8)
    line.send_nowait(batch(1, 2, 3, size=30))
    line.send_nowait(batch(4, size=10))
    await line.receive()
    stats = line.stats()
    assert (stats.items, stats.bytes) == (1, 10)
    assert (stats.high_water_items, stats.high_water_bytes) == (4, 40)
    assert (stats.sent_items, stats.sent_batches) == (4, 2)
    assert stats.queue_wait_ns > 0
