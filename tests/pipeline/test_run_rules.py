"""The rules of Reactive Streams that concern a run as a whole, by their numbers.

Those that concern one stage are in `tokenline.testing`.
"""

import asyncio
import gc
import weakref
from typing import Any

import pytest

from tests.pipeline.lines import builder
from tokenline.errors import RunCancelledError, StreamCutError, StreamError, UsageError
from tokenline.events import Event
from tokenline.options import Capacity, Execution, RunOptions
from tokenline.record import Outcome
from tokenline.testing import Probe, ScriptedSource, Wait, run_virtual, settle, virtual_clock
from tokenline_stages.consumer import reader

MANY = 10_000


async def drain(events: Any, into: list[Event], pause_s: float = 0.0) -> BaseException | None:
    """Read to the end, however it ends."""
    try:
        async for event in events:
            into.append(event)
            if pause_s:
                await asyncio.sleep(pause_s)
    except StreamError as error:
        return error
    return None


def in_one_read(count: int) -> list[Any]:
    return [b"w\n" * count + b".\n"]


def in_single_reads(count: int) -> list[Any]:
    return [*[b"w\n"] * count, b".\n"]


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("execution", list(Execution), ids=str)
def test_all_subscribers_get_the_same_and_the_end(execution: Execution, failing: bool) -> None:
    """1.4, 1.11: the same elements in the same order, then the failure, for each of them."""
    script = [*(f"{n}\n".encode() for n in range(50)), StreamCutError("cut") if failing else b".\n"]

    async def main() -> None:
        build = builder(ScriptedSource(script)).options(RunOptions(execution=execution))
        small = Capacity(max_items=2)
        for name in ("quick", "slow", "slower"):
            build.branch(reader(name, small))
        seen: dict[str, list[Event]] = {name: [] for name in ("run", "quick", "slow", "slower")}
        async with build.clock(virtual_clock()).build().run({}) as run:
            ends = await asyncio.gather(
                drain(run, seen["run"]),
                drain(run.branch("quick"), seen["quick"]),
                drain(run.branch("slow"), seen["slow"], 1.0),
                drain(run.branch("slower"), seen["slower"], 3.0),
            )
        assert {type(end) for end in ends} == {StreamCutError if failing else type(None)}
        assert len({id(end) for end in ends}) == 1
        assert len(seen["run"]) == 51 if failing else 52
        assert all(events == seen["run"] for events in seen.values())

    run_virtual(main())


@pytest.mark.parametrize("execution", list(Execution), ids=str)
@pytest.mark.parametrize("script", [in_one_read, in_single_reads])
def test_many_events_at_once_do_not_exhaust_the_stack(script: Any, execution: Execution) -> None:
    """3.3: ten thousand events that need no waiting."""

    async def main() -> None:
        build = builder(ScriptedSource(script(MANY))).options(RunOptions(execution=execution))
        async with build.clock(virtual_clock()).build().run({}) as run:
            events: list[Event] = []
            assert await drain(run, events) is None
            assert len(events) == MANY + 2

    run_virtual(main())


def test_an_empty_response_ends() -> None:
    """1.5, 2.9: an end without an element is an end, here with its own error."""

    async def main() -> None:
        async with builder(ScriptedSource([])).clock(virtual_clock()).build().run({}) as run:
            await Probe(run).expect_error(StreamCutError)

    run_virtual(main())


def test_one_run_has_one_reader() -> None:
    """2.5: a second subscription is refused, and the first goes on undisturbed."""

    async def main() -> None:
        source = ScriptedSource([b"a\n", Wait(5), b".\n"])
        async with builder(source).clock(virtual_clock()).build().run({}) as run:
            first: list[Event] = []
            reading = asyncio.create_task(drain(run, first))
            await settle()
            with pytest.raises(UsageError, match="two tasks"):
                await anext(run)
            with pytest.raises(UsageError, match="started before"):
                run.start()
            assert await reading is None
            assert len(first) == 3

    run_virtual(main())


def test_cancelling_again_does_nothing() -> None:
    """3.6, 3.7: after a cancel further ones, and further reads, are harmless."""

    async def main() -> None:
        source = ScriptedSource([b"a\n", Wait(5), b".\n"])
        async with builder(source).clock(virtual_clock()).build().run({}) as run:
            await anext(run)
            run.cancel()
            await anext(run)  # 2.8: what was handed over before may still come
            for _ in range(3):
                run.cancel()
                with pytest.raises(RunCancelledError):
                    await anext(run)
            await run.aclose()
            await run.aclose()
        assert run.outcome is Outcome.CANCELLED
        assert source.streams[0].closed == 1

    run_virtual(main())


@pytest.mark.parametrize("left_early", [False, True])
def test_a_run_that_is_over_is_forgotten(left_early: bool) -> None:
    """3.13: nothing holds on to it, nor to what it read."""

    async def main() -> None:
        source = ScriptedSource([b"a\n", Wait(5), b".\n"])
        pipeline = builder(source).clock(virtual_clock()).build()
        run = pipeline.run({})
        async with run:
            if left_early:
                await anext(run)
            else:
                await run.result()
        forgotten = weakref.ref(run)
        core = weakref.ref(run._core)
        del run
        gc.collect()
        assert forgotten() is None
        assert core() is None

    run_virtual(main())
