"""A run from start to every kind of end, with a scripted source and the real stages."""

import asyncio
import gc
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from tests.pipeline.lines import BODY, TEXT, builder, reads
from tokenline.errors import (
    ConnectError,
    MalformedStreamError,
    RunCancelledError,
    StageFailedError,
    StreamCutError,
    UsageError,
)
from tokenline.events import Event, MessageEnd, TextDelta
from tokenline.options import Capacity, Execution, Overflow
from tokenline.pipeline import Branch
from tokenline.record import Outcome, RunRecord, StageKind
from tokenline.stage import StageSpec
from tokenline.telemetry.hook import NoTelemetry
from tokenline.testing import Pause, ScriptedSource
from tokenline.testing.source import Script
from tokenline_stages.consumer import consumer, reader
from tokenline_stages.fanout import sink
from tokenline_stages.trace_emitter import TraceEmitter

pytestmark = pytest.mark.anyio

executions = pytest.mark.parametrize("execution", list(Execution), ids=str)


def own_tasks() -> list[asyncio.Task[Any]]:
    return [t for t in asyncio.all_tasks() if t.get_name().startswith("tokenline")]


def keeping() -> tuple[TraceEmitter, list[RunRecord]]:
    records: list[RunRecord] = []
    return TraceEmitter(NoTelemetry(), records.append), records


async def texts(run: Any) -> list[str]:
    return [event.text async for event in run if isinstance(event, TextDelta)]


async def collect(run: Any, into: list[Event]) -> None:
    async for event in run:
        into.append(event)  # noqa: PERF401 - what came before an error counts


async def collect_batches(run: Any, sizes: list[int]) -> None:
    while True:
        sizes.append(len((await run.next_batch()).items))


@executions
async def test_delivers_everything_and_gives_the_result(execution: Execution) -> None:
    source = ScriptedSource(reads())
    async with builder(source, execution).build().run({"model": "m"}) as run:
        events = [event async for event in run]
        result = await run.result()
    assert [event.seq for event in events] == list(range(len(events)))
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == TEXT == result.text
    assert isinstance(events[-1], MessageEnd)
    assert run.outcome is Outcome.OK
    assert result.model == "model-x"
    assert source.streams[0].closed == 1
    assert own_tasks() == []


@executions
async def test_result_needs_no_reading(execution: Execution) -> None:
    small = Capacity(max_items=2)
    pipeline = builder(ScriptedSource(reads()), execution).capacity("consumer", small).build()
    async with pipeline.run({}) as run:
        assert (await run.result()).text == TEXT


@executions
async def test_result_after_leaving_the_loop_early(execution: Execution) -> None:
    small = Capacity(max_items=2)
    pipeline = builder(ScriptedSource(reads()), execution).capacity("consumer", small).build()
    async with pipeline.run({}) as run:
        async for _ in run:
            break
        assert (await run.result()).text == TEXT


@executions
async def test_small_queues_everywhere_lose_nothing(execution: Execution) -> None:
    build = builder(ScriptedSource(reads(size=50)), execution)
    for name in ("parser", "normalizer", "fan-out", "consumer", "accumulator"):
        build.capacity(name, Capacity(max_items=1, max_bytes=1))
    async with build.build().run({}) as run:
        assert "".join(await texts(run)) == TEXT
        assert (await run.result()).text == TEXT


async def test_fused_and_queued_give_the_same() -> None:
    seen = []
    for execution in Execution:
        async with (
            builder(ScriptedSource(reads()), execution).build().run({}, message_id="m-1") as run
        ):
            events = [event async for event in run]
            seen.append([(type(e), e.seq, getattr(e, "text", None)) for e in events])
    assert seen[0] == seen[1]


@executions
async def test_bad_bytes_deliver_what_came_then_raise(execution: Execution) -> None:
    emitter, records = keeping()
    pipeline = builder(ScriptedSource([b"a\nb\n!\nc\n.\n"]), execution).trace(emitter).build()
    got: list[Event] = []
    async with pipeline.run({}) as run:
        with pytest.raises(MalformedStreamError) as caught:
            await collect(run, got)
    assert [e.text for e in got if isinstance(e, TextDelta)] == ["a ", "b "]
    assert caught.value.stage == "parser"
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a b "
    assert [record.outcome for record in records] == [Outcome.ERROR]
    assert own_tasks() == []


@executions
async def test_result_raises_what_ended_the_run(execution: Execution) -> None:
    pipeline = builder(ScriptedSource([b"a\n"]), execution).build()
    async with pipeline.run({}) as run:
        with pytest.raises(StreamCutError) as caught:
            await run.result()
    assert caught.value.partial is not None
    assert run.snapshot().text == "a "


@executions
async def test_source_errors_reach_the_reader(execution: Execution) -> None:
    scripts: list[Script | BaseException] = [
        ConnectError("no server"),
        [b"a\n", StreamCutError("cut")],
    ]
    for script in scripts:
        source = ScriptedSource(script)
        async with builder(source, execution).build().run({}) as run:
            with pytest.raises((ConnectError, StreamCutError)) as caught:
                await texts(run)
        assert caught.value.stage == "source"
        assert own_tasks() == []


@executions
async def test_leaving_early_closes_the_stream(execution: Execution) -> None:
    source = ScriptedSource([b"a\n", Pause()])
    emitter, records = keeping()
    async with builder(source, execution).trace(emitter).build().run({}) as run:
        async for _ in run:
            break
    assert source.streams[0].closed == 1
    assert run.outcome is Outcome.CANCELLED
    assert run.snapshot().text == "a "
    assert (await run.result()).outcome == "cancelled"
    assert [record.outcome for record in records] == [Outcome.CANCELLED]
    assert own_tasks() == []


@executions
async def test_cancel_from_another_task_while_silent(execution: Execution) -> None:
    pause = Pause()
    source = ScriptedSource([b"a\n", pause])
    async with builder(source, execution).build().run({}) as run:
        reading = asyncio.create_task(texts(run))
        await pause.reached.wait()
        run.cancel()
        with pytest.raises(RunCancelledError):
            await reading
    assert source.streams[0].closed == 1
    assert own_tasks() == []


async def test_cancelled_reader_task_ends_the_run() -> None:
    pause = Pause()
    source = ScriptedSource([b"a\n", pause])

    async def use() -> None:
        async with builder(source).build().run({}) as run:
            await texts(run)

    using = asyncio.create_task(use())
    await pause.reached.wait()
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert source.streams[0].closed == 1
    assert own_tasks() == []


async def test_close_from_another_task_and_twice() -> None:
    source = ScriptedSource([b"a\n", Pause()])
    run = builder(source).build().run({})
    run.start()
    await anext(run)
    await asyncio.gather(run.aclose(), run.aclose())
    await run.aclose()
    assert source.streams[0].closed == 1
    assert own_tasks() == []


async def test_dropped_run_is_cancelled_and_traced(caplog: pytest.LogCaptureFixture) -> None:
    pause = Pause()
    source = ScriptedSource([b"a\n", pause])
    emitter, records = keeping()
    run = builder(source).trace(emitter).build().run({})
    run.start()
    await pause.reached.wait()
    with caplog.at_level(logging.WARNING, logger="tokenline"):
        del run
        gc.collect()
        for _ in range(10):
            await asyncio.sleep(0)
    assert "dropped without being closed" in caplog.text
    assert [record.outcome for record in records] == [Outcome.ABANDONED]
    assert source.streams[0].closed == 1
    assert own_tasks() == []


async def test_server_that_never_ends_the_body_does_not_hold_the_run() -> None:
    source = ScriptedSource([BODY, Pause()])
    async with builder(source).build().run({}) as run:
        assert "".join(await texts(run)) == TEXT
        assert run.outcome is Outcome.OK
    assert source.streams[0].closed == 1


@executions
async def test_slow_reader_blocks_the_source(execution: Execution) -> None:
    source = ScriptedSource([b"w\n"] * 500 + [b".\n"])
    build = builder(source, execution)
    for name in ("parser", "normalizer", "fan-out", "consumer"):
        build.capacity(name, Capacity(max_items=4))
    async with build.build().run({}) as run:
        await anext(run)
        for _ in range(50):
            await asyncio.sleep(0)
        assert source.streams[0].reads < 40
        assert len(await texts(run)) >= 498


@executions
async def test_failing_optional_branch_is_cut_off(execution: Execution) -> None:
    class Failing:
        def feed(self, items: Sequence[Event], recv_ns: int, out: list[Any]) -> None:
            raise ValueError("the branch's own fault")

        def finish(self, recv_ns: int, out: list[Any]) -> None:
            return

    stage = StageSpec("audit", Event, object, lambda context: Failing())
    pipeline = builder(ScriptedSource(reads()), execution).branch(sink(stage)).build()
    async with pipeline.run({}) as run:
        assert (await run.result()).text == TEXT
    assert isinstance(run.branch_errors["audit"], StageFailedError)


@executions
async def test_failing_required_branch_ends_the_run(execution: Execution) -> None:
    class Failing:
        def feed(self, items: Sequence[Event], recv_ns: int, out: list[Any]) -> None:
            raise ValueError("the branch's own fault")

        def finish(self, recv_ns: int, out: list[Any]) -> None:
            return

    stage = StageSpec("audit", Event, object, lambda context: Failing())
    source = ScriptedSource([*reads()[:3], Pause()])
    pipeline = builder(source, execution).branch(sink(stage, required=True)).build()
    async with pipeline.run({}) as run:
        with pytest.raises(StageFailedError, match="audit") as caught:
            await texts(run)
    assert caught.value.stage == "audit"
    assert isinstance(caught.value.__cause__, ValueError)
    assert own_tasks() == []


async def test_async_stage_runs_in_a_task_of_its_own() -> None:
    class Shout:
        async def feed(self, items: Sequence[Event], recv_ns: int, out: list[Event]) -> None:
            await asyncio.sleep(0)
            for item in items:
                if isinstance(item, TextDelta):
                    stamp = (item.seq, item.recv_ns, item.message_id)
                    out.append(TextDelta(*stamp, item.part, item.text.upper()))
                else:
                    out.append(item)

        async def finish(self, recv_ns: int, out: list[Event]) -> None:
            return

    stage = StageSpec("shout", Event, Event, lambda context: Shout())
    pipeline = builder(ScriptedSource(reads())).insert_after("normalizer", stage).build()
    async with pipeline.run({}) as run:
        assert "".join(await texts(run)) == TEXT.upper()
    assert own_tasks() == []


async def test_further_readable_branch_gets_the_same_events() -> None:
    pipeline = builder(ScriptedSource(reads())).branch(reader("log")).build()
    async with pipeline.run({}) as run:
        other = asyncio.create_task(texts(run.branch("log")))
        assert await texts(run) == await other
        with pytest.raises(UsageError, match="readable branches: consumer, log"):
            run.branch("nope")


async def test_optional_reader_with_fail_policy_is_cut_off() -> None:
    tight = Capacity(max_items=1, overflow=Overflow.FAIL)
    pipeline = builder(ScriptedSource(reads())).branch(reader("log", tight)).build()
    async with pipeline.run({}) as run:
        assert "".join(await texts(run)) == TEXT
    assert "log" in run.branch_errors


async def test_text_stream_and_batches() -> None:
    pipeline = builder(ScriptedSource(reads(), reads())).build()
    async with pipeline.run({}) as run:
        assert "".join([text async for text in run.text_stream()]) == TEXT
    async with pipeline.run({}) as run:
        sizes: list[int] = []
        with pytest.raises(StopAsyncIteration):
            await collect_batches(run, sizes)
        assert sum(sizes) == 42


async def test_one_run_is_one_request() -> None:
    async with builder(ScriptedSource(reads())).build().run({}) as run:
        with pytest.raises(UsageError, match="one request"):
            run.start()
    with pytest.raises(UsageError, match="dict"):
        builder(ScriptedSource(reads())).build().run("hello")  # type: ignore[arg-type]


async def test_stage_records_cover_the_flow_and_add_up() -> None:
    emitter, records = keeping()
    source = ScriptedSource([b for r in reads() for b in (r,)])
    async with builder(source).trace(emitter).build().run({}) as run:
        await texts(run)
    (record,) = records
    kinds = [stage.kind for stage in record.stages]
    assert kinds == [
        StageKind.SOURCE,
        StageKind.PARSER,
        StageKind.NORMALIZER,
        StageKind.FAN_OUT,
        StageKind.ACCUMULATOR,
        StageKind.CONSUMER,
    ]
    assert run.record is not None
    assert run.record.stages[-1].kind is StageKind.TRACE_EMITTER
    timings = record.timings
    for stage in record.stages:
        assert stage.processing_ns > 0, stage
        assert timings.started_ns <= stage.started_ns <= stage.ended_ns <= timings.closed_ns
    order = [
        timings.started_ns,
        timings.request_ns,
        timings.headers_ns,
        timings.first_byte_ns,
        timings.first_token_ns,
        timings.first_delivery_ns,
        timings.closed_ns,
    ]
    assert order == sorted(order)  # type: ignore[type-var]
    assert record.chunks == 40


async def test_no_consumer_branch_says_what_to_do() -> None:
    pipeline = builder(ScriptedSource(reads())).remove("consumer").build()
    async with pipeline.run({}) as run:
        with pytest.raises(UsageError, match="no consumer branch"):
            await anext(run)
        assert (await run.result()).text == TEXT


async def test_a_branch_is_read_after_the_start() -> None:
    with pytest.raises(UsageError):
        builder(ScriptedSource(reads())).branch(Branch("x", readable=True)).build().run({}).branch(
            "x"
        )
    assert consumer().readable
