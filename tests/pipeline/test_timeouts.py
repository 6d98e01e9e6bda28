"""Each time limit has its own error, on a virtual clock; slow thinkers live."""

import asyncio
from typing import Any

import pytest

from tests.pipeline.lines import BODY, TEXT, builder
from tokenline.clock import Clock
from tokenline.errors import (
    FirstTokenTimeoutError,
    HeadersTimeoutError,
    IdleTimeoutError,
    StallTimeoutError,
    StreamError,
    StreamTimeoutError,
    TotalTimeoutError,
)
from tokenline.options import Capacity, RunOptions
from tokenline.policy import Timeouts
from tokenline.record import Outcome
from tokenline.testing import ScriptedSource, Wait, run_virtual, virtual_clock
from tokenline.testing.source import Script

DRIP: Script = [Wait(1), b"x"] * 30
WORDS: Script = [Wait(1), b"b\n"] * 100
QUIET = {"headers_s": None, "idle_s": None}


def pipeline(source: ScriptedSource, **limits: float | None) -> Any:
    options = RunOptions(timeouts=Timeouts(**{**QUIET, **limits}))
    return builder(source).options(options).clock(virtual_clock())


async def ends_with(
    source: ScriptedSource, error_type: type[StreamTimeoutError], at_s: float, **limits: float
) -> StreamError:
    clock: Clock = virtual_clock()
    from_ns = clock.now_ns()
    async with pipeline(source, **limits).build().run({}) as run:
        with pytest.raises(error_type) as caught:
            await run.result()
    assert type(caught.value) is error_type
    assert (clock.now_ns() - from_ns) / 1e9 == pytest.approx(at_s, abs=0.01)
    assert run.outcome is Outcome.TIMEOUT
    assert all(stream.closed == 1 for stream in source.streams)
    return caught.value


def test_headers() -> None:
    source = ScriptedSource([BODY], headers_after_s=60)
    run_virtual(ends_with(source, HeadersTimeoutError, 5, headers_s=5, first_token_s=9, idle_s=1))


def test_first_token_counts_content_only() -> None:
    # Half a line every second: bytes come, content does not.
    source = ScriptedSource([b"x", *DRIP])
    error = run_virtual(ends_with(source, FirstTokenTimeoutError, 10, first_token_s=10, idle_s=2))
    assert error.retryable


def test_idle_between_bytes() -> None:
    source = ScriptedSource([b"a\n", Wait(1), b"b\n", Wait(100), b".\n"])
    error = run_virtual(ends_with(source, IdleTimeoutError, 4, idle_s=3, stall_s=50))
    assert error.partial is not None
    assert error.partial.text == "a b "


def test_stall_is_not_fed_by_bytes_without_content() -> None:
    source = ScriptedSource([b"a\n", *DRIP])
    run_virtual(ends_with(source, StallTimeoutError, 5, stall_s=5, idle_s=2))


def test_total_is_from_the_start() -> None:
    source = ScriptedSource([b"a\n", *WORDS])
    error = run_virtual(ends_with(source, TotalTimeoutError, 7.5, total_s=7.5, idle_s=2))
    assert not error.retryable


def test_slow_thinker_is_not_killed_by_the_idle_clock() -> None:
    async def main() -> None:
        source = ScriptedSource([BODY], headers_after_s=300)
        async with pipeline(source, idle_s=5, headers_s=400).build().run({}) as run:
            assert (await run.result()).text == TEXT

    run_virtual(main())


def test_a_slow_reader_is_not_the_providers_fault() -> None:
    async def main() -> None:
        source = ScriptedSource([b"w\n"] * 50 + [b".\n"])
        build = pipeline(source, idle_s=2, stall_s=2)
        for name in ("parser", "normalizer", "fan-out", "consumer"):
            build.capacity(name, Capacity(max_items=1))
        async with build.build().run({}) as run:
            async for _ in run:
                await asyncio.sleep(5)
        assert run.outcome is Outcome.OK

    async def Wait_(seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)

    run_virtual(main())


def test_no_limit_is_no_limit() -> None:
    async def main() -> None:
        source = ScriptedSource([b"a\n", Wait(1e6), b".\n"])
        async with pipeline(source).build().run({}) as run:
            assert (await run.result()).text == "a "

    run_virtual(main())
