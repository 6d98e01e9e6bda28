"""A run that has failed, won or been left sends nothing more, wherever it waits."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.pipeline.lines import builder
from tokenline.builder import PipelineBuilder
from tokenline.errors import (
    OverloadedError,
    RateLimitError,
    StageFailedError,
    StreamCutError,
    StreamError,
    TotalTimeoutError,
)
from tokenline.events import Event, TextDelta
from tokenline.limiter import Bounds, Limiter
from tokenline.options import Execution, RunOptions
from tokenline.policy import AfterCommit, HedgePolicy, Leaving, OnLeave, RetryPolicy, Timeouts
from tokenline.record import Outcome, RunRecord
from tokenline.run import Run
from tokenline.stage import RawChunk, StageSpec
from tokenline.testing import ScriptedSource, Wait, run_virtual, virtual_clock

GOOD = [b"a\nb\n", b".\n"]
SLOW: list[Any] = [Wait(4), *[Wait(1), b"a\n"] * 3, b".\n"]


def build(source: ScriptedSource, **options: Any) -> PipelineBuilder:
    return builder(source).options(RunOptions(**options)).clock(virtual_clock())


def attempts(number: int, **more: Any) -> RetryPolicy:
    return RetryPolicy(attempts=number, jitter_s=0, **more)


def now_s() -> float:
    return asyncio.get_running_loop().time()


def record(run: Run) -> RunRecord:
    assert run.record is not None
    return run.record


class FailsLate:
    """A branch that fails three seconds after the first text."""

    async def feed(self, items: Sequence[Event], recv_ns: int, out: list[Event]) -> None:
        if any(isinstance(item, TextDelta) for item in items):
            await asyncio.sleep(3)
            raise ValueError("late")

    async def finish(self, recv_ns: int, out: list[Event]) -> None:
        return


def test_a_run_that_fails_in_a_back_off_ends_it_and_asks_no_more() -> None:
    async def main() -> None:
        source = ScriptedSource([b"a\n", StreamCutError("cut")], GOOD)
        late = StageSpec("late", Event, Event, lambda context: FailsLate())
        policy = attempts(2, initial_wait_s=8, after_commit=AfterCommit.RESTART)
        pipeline = build(source, retry=policy).branch(late).build()
        from_s = now_s()
        async with pipeline.run({}) as run:
            with pytest.raises(StageFailedError) as caught:
                await run.result()
        assert now_s() - from_s == pytest.approx(3, abs=0.01)
        assert caught.value.partial is not None
        assert caught.value.partial.text == "a "
        await asyncio.sleep(60)
        assert len(source.requests) == 1

    run_virtual(main())


def test_a_run_whose_time_is_up_leaves_the_limiters_queue() -> None:
    async def main() -> None:
        limiter = Limiter(Bounds(max_streams=1))
        source, waiting = ScriptedSource(SLOW), ScriptedSource(GOOD)
        holder = build(source).limit(limiter).build()
        impatient = build(waiting, timeouts=Timeouts(total_s=2)).limit(limiter).build()
        async with holder.run({}) as first:
            await asyncio.sleep(1)
            late = impatient.run({})
            late.start()
            with pytest.raises(TotalTimeoutError):
                await late.result()
            assert limiter.active == 1
            await first.result()
            await asyncio.sleep(1)
            assert waiting.requests == []
        await late.aclose()
        assert record(late).attempts == 0
        assert record(late).limiter_wait_ns == pytest.approx(2e9, rel=0.01)
        async with impatient.run({}) as after:
            assert (await after.result()).text == "a b "

    run_virtual(main())


@pytest.mark.parametrize("stay_s", [0, 5])
def test_a_hedge_in_the_limiters_queue_is_given_up_when_the_first_wins(stay_s: float) -> None:
    async def main() -> None:
        limiter = Limiter(Bounds(max_streams=1))
        source = ScriptedSource(SLOW)
        pipeline = build(source, hedge=HedgePolicy(after_s=1)).limit(limiter).build()
        async with pipeline.run({}) as run:
            assert (await run.result()).text == "a a a "
            await asyncio.sleep(stay_s)
        assert len(source.requests) == 1
        assert record(run).attempts == 1
        assert [attempt.outcome for attempt in record(run).attempt_records] == [Outcome.OK]
        assert limiter.active == 0

    run_virtual(main())


def test_a_hedge_in_the_limiters_queue_is_given_up_when_the_time_is_up() -> None:
    async def main() -> None:
        limiter = Limiter(Bounds(max_streams=1))
        source = ScriptedSource([Wait(60), *GOOD])
        options = {"hedge": HedgePolicy(after_s=1), "timeouts": Timeouts(total_s=3)}
        async with build(source, **options).limit(limiter).build().run({}) as run:
            with pytest.raises(TotalTimeoutError):
                await run.result()
            await asyncio.sleep(5)
        assert len(source.requests) == 1
        assert limiter.active == 0

    run_virtual(main())


def test_a_hedge_in_the_limiters_queue_takes_over_from_a_failure() -> None:
    async def main() -> None:
        limiter = Limiter(Bounds(max_streams=1))
        source = ScriptedSource([Wait(4), OverloadedError("busy")], GOOD)
        pipeline = build(source, hedge=HedgePolicy(after_s=1)).limit(limiter).build()
        async with pipeline.run({}) as run:
            assert (await run.result()).text == "a b "
        assert record(run).attempts == 2

    run_virtual(main())


@pytest.mark.parametrize("asked_s", [20.0, None], ids=["Retry-After", "back-off"])
def test_no_wait_is_begun_that_the_total_time_would_cut(asked_s: float | None) -> None:
    async def main() -> None:
        source = ScriptedSource([Wait(1), RateLimitError("wait", retry_after_s=asked_s)], GOOD)
        limits = {"timeouts": Timeouts(total_s=5), "retry": attempts(2, initial_wait_s=8)}
        from_s = now_s()
        async with build(source, **limits).build().run({}) as run:
            with pytest.raises(RateLimitError) as caught:
                await run.result()
        assert now_s() - from_s == pytest.approx(1, abs=0.01)
        assert caught.value.attempts == 1
        assert len(source.requests) == 1

    run_virtual(main())


def test_a_wait_beyond_the_total_time_goes_to_the_fallback() -> None:
    async def main() -> None:
        source = ScriptedSource(RateLimitError("wait", retry_after_s=20))
        other = builder(ScriptedSource(GOOD)).build().routes[0]
        limits = {"timeouts": Timeouts(total_s=5), "retry": attempts(2)}
        async with build(source, **limits).fall_back(other).build().run({}) as run:
            assert (await run.result()).text == "a b "
        assert len(source.requests) == 1

    run_virtual(main())


# --- leaving -------------------------------------------------------------------------------


def drained(*scripts: Any, **options: Any) -> tuple[ScriptedSource, PipelineBuilder]:
    source = ScriptedSource(*scripts)
    limits = Leaving(action=OnLeave.DRAIN, max_bytes=100)
    return source, build(source, leaving=limits, **options)


LONG = [Wait(0.1), b"more\n"] * 1000


def test_the_drain_limit_holds_for_attempts_made_after_leaving() -> None:
    async def main() -> None:
        source, made = drained(OverloadedError("busy"), LONG, retry=attempts(2))
        async with made.build().run({}) as run:
            await asyncio.sleep(0.1)
        assert run.outcome is Outcome.CANCELLED
        assert source.streams[0].reads == 21
        assert source.streams[0].closed == 1

    run_virtual(main())


def test_the_drain_limit_is_for_all_attempts_together() -> None:
    async def main() -> None:
        cut = [b"a\n", *LONG[:20], StreamCutError("cut")]
        policy = attempts(3, after_commit=AfterCommit.RESTART)
        source, made = drained(cut, LONG, retry=policy)
        async with made.build().run({}) as run:
            await anext(run)
        assert run.outcome is Outcome.CANCELLED
        assert sum(stream.reads for stream in source.streams) == 22

    run_virtual(main())


# --- what a stage may raise ------------------------------------------------------------------


class Exits:
    def feed(self, items: Sequence[Any], recv_ns: int, out: list[Any]) -> None:
        raise GeneratorExit

    def finish(self, recv_ns: int, out: list[Any]) -> None:
        return


@pytest.mark.parametrize("execution", list(Execution))
def test_a_stage_that_raises_generator_exit_is_named(execution: Execution) -> None:
    async def main() -> None:
        exits = StageSpec("exits", RawChunk, RawChunk, lambda context: Exits())
        made = build(ScriptedSource(GOOD), execution=execution).insert_before("parser", exits)
        async with made.build().run({}) as run:
            with pytest.raises(StreamError) as caught:
                await run.result()
        assert isinstance(caught.value, StageFailedError)
        assert caught.value.stage == "exits"

    run_virtual(main())
