"""Retry, failover, hedging and what happens after the commit point."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.pipeline.lines import builder
from tokenline.builder import PipelineBuilder
from tokenline.errors import (
    AuthenticationError,
    OverloadedError,
    RateLimitError,
    RunCancelledError,
    StreamCutError,
    UsageError,
)
from tokenline.events import MessageStart, Reset, TextDelta
from tokenline.limiter import Bounds, Limiter
from tokenline.options import RunOptions
from tokenline.pipeline import Pipeline
from tokenline.policy import AfterCommit, HedgePolicy, Leaving, OnLeave, RetryPolicy
from tokenline.record import Outcome, RunRecord
from tokenline.result import Result
from tokenline.run import Run
from tokenline.supervisor import wait_detached
from tokenline.telemetry.hook import NoTelemetry
from tokenline.testing import Pause, ScriptedSource, Wait, run_virtual, virtual_clock
from tokenline_stages.trace_emitter import TraceEmitter

GOOD = [b"a\nb\n", b".\n"]
CUT_EARLY: list[Any] = [StreamCutError("cut before anything")]
CUT_LATE: list[Any] = [b"a\n", StreamCutError("cut after content")]


def build(source: ScriptedSource, **options: Any) -> PipelineBuilder:
    return builder(source).options(RunOptions(**options)).clock(virtual_clock())


def attempts(number: int, **more: Any) -> RetryPolicy:
    return RetryPolicy(attempts=number, jitter_s=0, **more)


async def texts(run: Run) -> str:
    return "".join([e.text async for e in run if isinstance(e, TextDelta)])


def elapsed_s(run: Run) -> float:
    assert run.record is not None
    timings = run.record.timings
    return (timings.ended_ns - timings.started_ns) / 1e9


def record(run: Run) -> RunRecord:
    assert run.record is not None
    return run.record


def test_retries_until_it_works_and_nothing_shows() -> None:
    async def main() -> None:
        source = ScriptedSource(OverloadedError("busy"), CUT_EARLY, GOOD)
        async with build(source, retry=attempts(3)).build().run({}) as run:
            events = [event async for event in run]
        assert [event.seq for event in events] == list(range(len(events)))
        assert sum(isinstance(event, MessageStart) for event in events) == 1
        assert record(run).attempts == 3
        result = record(run).result
        assert isinstance(result, Result)
        assert result.attempts == 3
        assert [a.error for a in record(run).attempt_records] == [
            "OverloadedError",
            "StreamCutError",
            None,
        ]
        assert elapsed_s(run) == pytest.approx(0.5 + 1.0, abs=0.01)
        assert record(run).retry_wait_ns == pytest.approx(1.5e9, rel=0.01)

    run_virtual(main())


def test_gives_up_after_the_last_attempt() -> None:
    async def main() -> None:
        source = ScriptedSource(CUT_EARLY)
        async with build(source, retry=attempts(3)).build().run({}) as run:
            with pytest.raises(StreamCutError) as caught:
                await run.result()
        assert caught.value.attempts == 3
        assert len(source.requests) == 3

    run_virtual(main())


def test_what_cannot_help_is_not_repeated() -> None:
    async def main() -> None:
        source = ScriptedSource(AuthenticationError("no"))
        async with build(source, retry=attempts(3)).build().run({}) as run:
            with pytest.raises(AuthenticationError):
                await run.result()
        assert len(source.requests) == 1

    run_virtual(main())


def test_retry_after_is_obeyed_unless_it_is_too_long() -> None:
    async def main() -> None:
        asked = RateLimitError("wait", retry_after_s=20)
        async with build(ScriptedSource(asked, GOOD), retry=attempts(2)).build().run({}) as run:
            await run.result()
        assert elapsed_s(run) == pytest.approx(20, abs=0.01)
        source = ScriptedSource(RateLimitError("wait", retry_after_s=3600), GOOD)
        async with build(source, retry=attempts(2)).build().run({}) as run:
            with pytest.raises(RateLimitError):
                await run.result()
        assert len(source.requests) == 1

    run_virtual(main())


def test_after_content_the_default_is_to_fail() -> None:
    async def main() -> None:
        source = ScriptedSource(CUT_LATE, GOOD)
        async with build(source, retry=attempts(3)).build().run({}) as run:
            with pytest.raises(StreamCutError) as caught:
                await texts(run)
        assert caught.value.partial is not None
        assert caught.value.partial.text == "a "
        assert len(source.requests) == 1

    run_virtual(main())


def test_restart_resets_readers_and_result() -> None:
    async def main() -> None:
        source = ScriptedSource(CUT_LATE, GOOD)
        policy = attempts(3, after_commit=AfterCommit.RESTART)
        async with build(source, retry=policy).build().run({}) as run:
            events = [event async for event in run]
            result = await run.result()
        kinds = [type(event) for event in events]
        assert kinds.count(Reset) == 1
        assert kinds[kinds.index(Reset) + 1] is MessageStart
        assert [event.seq for event in events] == list(range(len(events)))
        assert result.text == "a b "

    run_virtual(main())


def test_continue_goes_on_where_it_stopped() -> None:
    def continue_from(payload: Mapping[str, Any], so_far: Result) -> Mapping[str, Any]:
        return {**payload, "prefill": so_far.text}

    async def main() -> None:
        source = ScriptedSource(CUT_LATE, GOOD)
        policy = attempts(3, after_commit=AfterCommit.CONTINUE)
        pipeline = build(source, retry=policy).continue_with(continue_from).build()
        async with pipeline.run({"q": 1}) as run:
            events = [event async for event in run]
            result = await run.result()
        assert source.requests[1].payload == {"q": 1, "prefill": "a "}
        assert not any(isinstance(event, Reset) for event in events)
        assert [event.seq for event in events] == list(range(len(events)))
        assert result.text == "a a b "

    run_virtual(main())


def routes(first: ScriptedSource, second: ScriptedSource, **options: Any) -> Pipeline:
    other = builder(second).build().routes[0]
    return build(first, **options).fall_back(other).build()


def test_failover_takes_the_next_route() -> None:
    async def main() -> None:
        first, second = ScriptedSource(AuthenticationError("no")), ScriptedSource(GOOD)
        async with routes(first, second, retry=attempts(2)).run({}) as run:
            assert await texts(run) == "a b "
        assert (len(first.requests), len(second.requests)) == (1, 1)
        assert record(run).attempts == 2

    run_virtual(main())


def test_hedge_wins_when_the_first_token_is_late() -> None:
    async def main() -> None:
        slow, fast = ScriptedSource([Wait(30), *GOOD]), ScriptedSource([Wait(1), *GOOD])
        async with routes(slow, fast, hedge=HedgePolicy(after_s=2)).run({}) as run:
            assert await texts(run) == "a b "
        assert elapsed_s(run) == pytest.approx(3, abs=0.01)
        assert slow.streams[0].closed == 1
        assert record(run).attempts == 2
        # In the order of their requests, whichever ends first.
        records = record(run).attempt_records
        assert [a.outcome for a in records] == [Outcome.CANCELLED, Outcome.OK]
        assert [a.committed for a in records] == [False, True]

    run_virtual(main())


def test_hedge_is_not_needed_when_the_first_is_in_time() -> None:
    async def main() -> None:
        first, second = ScriptedSource([Wait(1), *GOOD]), ScriptedSource(GOOD)
        async with routes(first, second, hedge=HedgePolicy(after_s=2)).run({}) as run:
            await run.result()
        assert second.requests == []

    run_virtual(main())


def test_first_may_still_win_against_its_hedge() -> None:
    async def main() -> None:
        first, second = ScriptedSource([Wait(3), *GOOD]), ScriptedSource([Wait(60), *GOOD])
        async with routes(first, second, hedge=HedgePolicy(after_s=2)).run({}) as run:
            await run.result()
        assert elapsed_s(run) == pytest.approx(3, abs=0.01)
        assert second.streams[0].closed == 1
        outcomes = [a.outcome for a in record(run).attempt_records]
        assert outcomes == [Outcome.OK, Outcome.CANCELLED]

    run_virtual(main())


def test_all_hedges_fail() -> None:
    async def main() -> None:
        first = ScriptedSource([Wait(3), *CUT_EARLY])
        second = ScriptedSource([Wait(3), *CUT_EARLY])
        async with routes(first, second, hedge=HedgePolicy(after_s=2)).run({}) as run:
            with pytest.raises(StreamCutError):
                await run.result()

    run_virtual(main())


@pytest.mark.parametrize("hedged", [False, True])
def test_cancel_while_waiting_to_retry_or_racing(hedged: bool) -> None:
    async def main() -> None:
        source = ScriptedSource([Wait(1e6)] if hedged else OverloadedError("busy"))
        hedge = HedgePolicy(after_s=1) if hedged else None
        pipeline = build(source, retry=attempts(9), hedge=hedge).build()
        async with pipeline.run({}) as run:
            reading = asyncio.ensure_future(texts(run))
            await asyncio.sleep(2.2)
        with pytest.raises(RunCancelledError):
            await reading
        assert run.outcome is Outcome.CANCELLED
        assert all(stream.closed for stream in source.streams)
        assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("tokenline")]

    run_virtual(main())


def leaving(action: OnLeave, **limits: Any) -> Leaving:
    return Leaving(action=action, **limits)


def test_drain_waits_for_the_rest() -> None:
    async def main() -> None:
        source = ScriptedSource([b"a\n", Wait(5), *GOOD])
        pipeline = build(source, leaving=leaving(OnLeave.DRAIN)).build()
        async with pipeline.run({}) as run:
            await anext(run)
        assert run.outcome is Outcome.OK
        assert run.snapshot().text == "a a b "

    run_virtual(main())


def test_drain_has_an_end() -> None:
    async def main() -> None:
        for limits in ({"max_s": 2}, {"max_bytes": 10}):
            source = ScriptedSource([b"a\n"] + [Wait(0.1), b"more\n"] * 1000)
            pipeline = build(source, leaving=leaving(OnLeave.DRAIN, **limits)).build()
            async with pipeline.run({}) as run:
                await anext(run)
            assert run.outcome is Outcome.CANCELLED
            assert source.streams[0].closed == 1

    run_virtual(main())


def test_detach_goes_on_alone() -> None:
    async def main() -> None:
        records: list[RunRecord] = []
        emitter = TraceEmitter(NoTelemetry(), records.append)
        source = ScriptedSource([b"a\n", Wait(5), *GOOD])
        pipeline = build(source, leaving=leaving(OnLeave.DETACH)).trace(emitter).build()
        async with pipeline.run({}) as run:
            await anext(run)
        assert run.outcome is None
        del run
        await wait_detached()
        (record,) = records
        assert record.outcome is Outcome.OK
        assert record.result is not None
        assert record.result.text == "a a b "

    run_virtual(main())


def test_limiter_is_fair_and_its_wait_is_kept() -> None:
    async def main() -> None:
        limiter = Limiter(Bounds(max_streams=1))
        order: list[int] = []
        source = ScriptedSource([Wait(1), *GOOD])
        pipeline = build(source).limit(limiter).build()

        async def one(number: int) -> Run:
            async with pipeline.run({}) as run:
                await run.result()
                order.append(number)
            return run

        runs = await asyncio.gather(*(one(number) for number in range(3)))
        assert order == [0, 1, 2]
        waits = [record(run).limiter_wait_ns / 1e9 for run in runs]
        assert waits == pytest.approx([0, 1, 2], abs=0.01)
        await limiter.drain()

    run_virtual(main())


def test_requests_per_second() -> None:
    async def main() -> None:
        limiter = Limiter(per_provider={"scripted": Bounds(requests_per_s=2)})
        pipeline = build(ScriptedSource(GOOD)).limit(limiter).build()
        clock = virtual_clock()
        from_ns = clock.now_ns()

        async def one() -> None:
            async with pipeline.run({}) as run:
                await run.result()

        await asyncio.gather(*(one() for _ in range(5)))
        assert (clock.now_ns() - from_ns) / 1e9 == pytest.approx(2, abs=0.1)

    run_virtual(main())


def test_drain_lets_the_running_end_and_nothing_new_in() -> None:
    async def main() -> None:
        limiter = Limiter()
        pause = Pause()
        pipeline = build(ScriptedSource([b"a\n", pause, b".\n"])).limit(limiter).build()
        async with pipeline.run({}) as run:
            await pause.reached.wait()
            draining = asyncio.ensure_future(limiter.drain())
            await asyncio.sleep(1)
            assert not draining.done()
            pause.resume()
            await run.result()
        await draining
        async with pipeline.run({}) as late:
            with pytest.raises(UsageError, match="draining"):
                await late.result()

    run_virtual(main())


@pytest.mark.parametrize(
    ("first", "options"),
    [
        ([Wait(5), OverloadedError("busy")], {"retry": attempts(2)}),
        ([Wait(5), AuthenticationError("no")], {}),
        ([Wait(60), *GOOD], {"hedge": HedgePolicy(after_s=5)}),
    ],
    ids=["retry", "failover", "hedge"],
)
def test_drain_lets_a_run_make_its_further_attempts(first: Any, options: dict[str, Any]) -> None:
    async def main() -> None:
        limiter = Limiter(Bounds(max_streams=2))
        line = build(ScriptedSource(first, GOOD), **options).limit(limiter)
        spare = builder(ScriptedSource(GOOD)).build().routes[0]
        async with line.fall_back(spare).build().run({}) as run:
            await asyncio.sleep(1)
            draining = asyncio.ensure_future(limiter.drain())
            assert await texts(run) == "a b "
        assert record(run).attempts == 2
        await asyncio.wait_for(draining, 60)
        assert limiter.active == 0

    run_virtual(main())
