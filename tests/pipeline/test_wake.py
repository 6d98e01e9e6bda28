"""A reader goes on in the turn of the loop that brought what it waits for."""

import asyncio
import contextlib
from collections.abc import Callable
from contextvars import ContextVar, copy_context

import anyio
import pytest

from tokenline.batch import Batch
from tokenline.channel import Channel, EndOfChannel
from tokenline.events import TextDelta
from tokenline.testing import settle
from tokenline.wake import Waiter, Wakes

from .lines import builder
from .live_source import LiveSource

pytestmark = pytest.mark.anyio


class Line:
    """A channel whose reader notes what it gets, and what a read callback hands over."""

    def __init__(self) -> None:
        self.wakes = Wakes()
        self.channel: Channel[str] = Channel(wakes=self.wakes)
        self.seen: list[str] = []

    async def read(self) -> None:
        with contextlib.suppress(EndOfChannel):
            while True:
                self.seen += (await self.channel.receive()).items

    def hand_on(self, *items: str) -> None:
        self.wakes.held = True
        for item in items:
            self.channel.send_nowait(Batch([item], 0, 1))
            self.seen.append(f"handed on {item}")
        self.wakes.release()
        self.seen.append("callback over")


async def called(callback: Callable[[], None]) -> None:
    """Let the loop call it, as it calls for a socket: in no task."""
    asyncio.get_running_loop().call_soon(callback)
    await settle()


async def test_a_reader_goes_on_before_the_read_callback_is_over() -> None:
    line = Line()
    reading = asyncio.create_task(line.read())
    await settle()
    await called(lambda: line.hand_on("a", "b"))
    line.channel.close()
    await reading
    assert line.seen == ["handed on a", "handed on b", "a", "b", "callback over"]


async def test_what_a_task_hands_on_wakes_by_way_of_the_loop() -> None:
    line = Line()
    reading = asyncio.create_task(line.read())
    await settle()
    line.hand_on("a")
    assert line.seen == ["handed on a", "callback over"]
    line.channel.close()
    await reading
    assert line.seen[2:] == ["a"]


async def test_what_a_task_hands_on_is_left_to_what_let_that_task_go_on() -> None:
    line, other = Line(), Wakes()
    reading = asyncio.create_task(line.read())
    await settle()
    line.wakes.held = other.releasing = True
    line.channel.send_nowait(Batch(["a"], 0, 1))
    line.wakes.pass_to(other)
    await settle()
    assert line.seen == []
    await called(other.release)
    assert line.seen == ["a"]
    line.channel.close()
    await reading


async def test_a_reader_goes_on_by_way_of_the_loop_where_its_context_is_in_use() -> None:
    """As futures wake it: a context cannot be entered twice."""
    line = Line()
    context = copy_context()
    reading = asyncio.create_task(line.read(), context=context)
    await settle()
    asyncio.get_running_loop().call_soon(line.hand_on, "a", context=context)
    await settle()
    line.channel.close()
    await reading
    assert line.seen == ["handed on a", "callback over", "a"]


async def test_a_reader_keeps_its_context() -> None:
    place: ContextVar[str] = ContextVar("place")
    line = Line()
    found: list[str] = []

    async def read() -> None:
        place.set("reader")
        await line.channel.receive()
        found.append(place.get())

    reading = asyncio.create_task(read())
    await settle()
    place.set("callback")
    await called(lambda: line.hand_on("a"))
    await reading
    assert found == ["reader"]
    assert place.get() == "callback"


async def test_a_cancelled_reader_takes_nothing() -> None:
    line = Line()
    reading = asyncio.create_task(line.read())
    await settle()
    reading.cancel()
    line.hand_on("a")
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert line.channel.receive_nowait() == Batch(["a"], 0, 1)


async def test_a_reader_that_was_woken_may_still_be_cancelled() -> None:
    line = Line()
    reading = asyncio.create_task(line.read())
    await settle()
    line.hand_on("a")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert line.channel.receive_nowait() == Batch(["a"], 0, 1)


async def test_a_reader_under_a_time_limit() -> None:
    line = Line()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await line.channel.receive()
    line.hand_on("a")
    assert (await line.channel.receive()).items == ["a"]


async def test_a_waiter_that_is_set_first_does_not_wait() -> None:
    waiter = Waiter(asyncio.get_running_loop())
    assert asyncio.isfuture(waiter)
    waiter.set()
    await waiter
    assert waiter.done()
    assert not waiter.cancel()


@pytest.mark.parametrize("way", ["close", "cancel", "leave"])
async def test_a_reader_ends_its_run_inside_the_read_callback(way: str) -> None:
    """What the caller does between two events is done while the source hands over a read."""
    source = LiveSource(pushes=True)
    source.headers.set()
    run = builder(source).build().run({})

    async def read() -> None:
        async with run:
            async for event in run:
                if isinstance(event, TextDelta) and event.text.strip() == "b":
                    if way == "close":
                        await run.aclose()
                    elif way == "cancel":
                        run.cancel()
                    return

    reading = asyncio.create_task(read())
    await settle()
    for word in (b"a\n", b"b\n", b"c\n"):
        source.stream.send(word)
        await settle()
    await reading
    assert run.snapshot().text.split() == ["a", "b"]
    assert source.stream.closed == 1


async def test_a_cancelled_reader_gets_the_message() -> None:
    line = Line()
    reading = asyncio.create_task(line.read())
    await settle()
    reading.cancel("no time")
    with pytest.raises(asyncio.CancelledError, match="no time"):
        await reading


async def test_cancel_scopes_know_their_own_cancellation() -> None:
    async with builder(LiveSource(pushes=True)).build().run({}) as run:
        with anyio.move_on_after(0.01) as scope:
            async for _ in run:
                pass
        assert scope.cancelled_caught


def test_an_interrupt_in_one_reader_leaves_no_other_asleep() -> None:
    left: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def main() -> None:
        line = Line()
        other = Channel[str](wakes=line.wakes)

        async def interrupted() -> None:
            await line.channel.receive()
            raise KeyboardInterrupt

        async def beside() -> None:
            try:
                await other.receive()
                await asyncio.Event().wait()
            finally:
                left.append("beside")

        tasks.extend(asyncio.create_task(each()) for each in (interrupted, beside))
        await settle()

        def bring() -> None:
            line.wakes.held = True
            line.channel.send_nowait(Batch(["a"], 0, 1))
            other.send_nowait(Batch(["b"], 0, 1))
            line.wakes.release()

        asyncio.get_running_loop().call_soon(bring)
        await asyncio.wait(tasks)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert left == ["beside"]
    assert isinstance(tasks[0].exception(), KeyboardInterrupt)


async def test_where_loops_nest_readers_wait_for_the_next_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asyncio, "_nest_patched", True, raising=False)
    line = Line()
    reading = asyncio.create_task(line.read())
    await settle()
    await called(lambda: line.hand_on("a"))
    line.channel.close()
    await reading
    assert line.seen == ["handed on a", "callback over", "a"]
