"""Blocks of the event loop: counted for the runs that lived through them, by selector and timer."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.pipeline.lines import builder
from tokenline import loop_lag
from tokenline.loop_lag import BLOCK_NS, LoopLag, watch_loop
from tokenline.options import RunOptions
from tokenline.testing import Pause, ScriptedSource

pytestmark = pytest.mark.anyio

MS = 1_000_000
LOADED_NS = 40 * MS
"""How much longer than asked a block may be on a busy machine."""


@dataclass
class Tokens:
    first_token_ns: int | None = None


async def turn() -> None:
    """Let the loop ask its selector."""
    for _ in range(3):
        await asyncio.sleep(0)


def block(ms: float) -> None:
    time.sleep(ms / 1000)


def selector_of(loop: asyncio.AbstractEventLoop) -> Any:
    return loop._selector  # type: ignore[attr-defined]


@pytest.fixture(params=["selector", "timer"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "timer":
        monkeypatch.setattr(loop_lag._SelectorTiming, "fits", lambda _: False)
    name: str = request.param
    return name


async def test_a_block_is_seen_with_its_length(by: str) -> None:
    watch = watch_loop(asyncio.get_running_loop(), Tokens())
    await turn()
    block(60)
    await turn()
    lag = watch.stop()
    missed_ns = 20 * MS if by == "timer" else 0
    assert lag.blocks == 1
    assert 60 * MS - missed_ns <= lag.blocked_ns == lag.max_block_ns < 60 * MS + LOADED_NS


async def test_a_loop_that_waits_is_not_blocked() -> None:
    watch = watch_loop(asyncio.get_running_loop(), Tokens())
    for _ in range(5):
        await asyncio.sleep(0.01)
    lag = watch.stop()
    assert lag.blocked_ns < LOADED_NS


async def test_the_longest_block_and_the_sum() -> None:
    watch = watch_loop(asyncio.get_running_loop(), Tokens())
    for ms in (10, 30, 20):
        await turn()
        block(ms)
    await turn()
    lag = watch.stop()
    assert lag.blocks == 3
    assert 30 * MS <= lag.max_block_ns < lag.blocked_ns
    assert lag.blocked_ns >= 60 * MS


async def test_what_lay_before_the_first_token() -> None:
    tokens = Tokens()
    watch = watch_loop(asyncio.get_running_loop(), tokens)
    await turn()
    block(10)
    tokens.first_token_ns = time.perf_counter_ns()
    block(30)
    await turn()
    block(10)
    await turn()
    lag = watch.stop()
    assert 10 * MS <= lag.first_token_blocked_ns < 10 * MS + LOADED_NS
    assert lag.blocked_ns >= 50 * MS


async def test_a_watch_counts_from_its_start_to_its_stop() -> None:
    loop = asyncio.get_running_loop()
    early = watch_loop(loop, Tokens())
    await turn()
    block(20)
    late = watch_loop(loop, Tokens())
    block(10)
    whole = early.stop()
    await turn()
    block(10)
    await turn()
    part = late.stop()
    assert whole.blocked_ns >= 30 * MS
    assert whole.blocks == 1
    assert 20 * MS <= part.blocked_ns < 20 * MS + LOADED_NS
    assert early.stop() == whole


async def test_the_selector_is_given_back() -> None:
    loop = asyncio.get_running_loop()
    first, second = watch_loop(loop, Tokens()), watch_loop(loop, Tokens())
    first.stop()
    assert "select" in vars(selector_of(loop))
    second.stop()
    assert "select" not in vars(selector_of(loop))


async def test_another_wrapper_of_the_selector_is_respected() -> None:
    selector = selector_of(asyncio.get_running_loop())
    original: Callable[..., Any] = selector.select
    calls = 0

    def other(timeout: float | None = None) -> Any:
        nonlocal calls
        calls += 1
        return original(timeout)

    selector.select = other
    watch = watch_loop(asyncio.get_running_loop(), Tokens())
    await turn()
    watch.stop()
    assert calls
    assert selector.select is other
    del selector.select


async def test_short_turns_are_no_blocks() -> None:
    watch = watch_loop(asyncio.get_running_loop(), Tokens())
    await turn()
    block(BLOCK_NS / MS / 10)
    await turn()
    assert watch.stop().blocked_ns in range(LOADED_NS)


async def test_a_run_tells_the_loop_from_the_provider() -> None:
    pause = Pause()
    pipeline = builder(ScriptedSource([pause, b"a\n.\n"])).build()
    async with pipeline.run({"model": "m"}) as run:
        reading = asyncio.create_task(run.result())
        await pause.reached.wait()
        await turn()
        block(30)
        await turn()
        pause.resume()
        await reading
    assert run.record is not None
    lag = run.record.loop_lag
    assert lag is not None
    assert lag.first_token_blocked_ns >= 30 * MS
    assert run.record.stages[0].idle_ns >= lag.first_token_blocked_ns


async def test_it_can_be_switched_off() -> None:
    pipeline = builder(ScriptedSource([b"a\n.\n"])).options(RunOptions(watch_loop=False)).build()
    async with pipeline.run({"model": "m"}) as run:
        assert "select" not in vars(selector_of(asyncio.get_running_loop()))
        await run.result()
    assert run.record is not None
    assert run.record.loop_lag is None


def test_a_loop_closed_over_a_watch_leaves_nothing_behind() -> None:
    async def open_and_leave() -> loop_lag.LoopWatch:
        return watch_loop(asyncio.get_running_loop(), Tokens())

    watch = asyncio.run(open_and_leave())
    assert isinstance(watch.stop(), LoopLag)
