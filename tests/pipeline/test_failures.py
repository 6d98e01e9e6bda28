"""What once hung, lost events or told untruths: one test each."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from tests.pipeline.lines import BODY, TEXT, builder, reads
from tokenline.builder import PipelineBuilder
from tokenline.errors import (
    ConnectError,
    QueueFullError,
    RunCancelledError,
    StageFailedError,
    StreamError,
    UsageError,
    WiringError,
)
from tokenline.events import Event, TextDelta
from tokenline.options import Capacity, Execution, Overflow
from tokenline.record import Outcome, RunRecord
from tokenline.stage import StageSpec
from tokenline.telemetry.hook import NoTelemetry
from tokenline.testing import Pause, ScriptedSource
from tokenline_stages.cli.report import account
from tokenline_stages.fanout import sink
from tokenline_stages.trace_emitter import TraceEmitter

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20)]

executions = pytest.mark.parametrize("execution", list(Execution), ids=str)
LONG = [b"w\n"] * 2000 + [b".\n"]
SHORT_WORDS = [f"w{i}\n".encode() for i in range(100)] + [b".\n"]

Feed = Callable[[Sequence[Any], list[Any]], None]


class Passing:
    """A step that passes everything on."""

    def feed(self, items: Sequence[Any], recv_ns: int, out: list[Any]) -> None:
        out.extend(items)

    def finish(self, recv_ns: int, out: list[Any]) -> None:
        return


class Raising(Passing):
    """Raises at the fifth item."""

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self._seen = 0

    def feed(self, items: Sequence[Any], recv_ns: int, out: list[Any]) -> None:
        for item in items:
            self._seen += 1
            if self._seen == 5:
                raise self._error
            out.append(item)


class Slow:
    """Passes everything on after a while, in a task of its own."""

    async def feed(self, items: Sequence[Any], recv_ns: int, out: list[Any]) -> None:
        await asyncio.sleep(0.002)
        out.extend(items)

    async def finish(self, recv_ns: int, out: list[Any]) -> None:
        return


def stage(name: str, make: Callable[[], Any]) -> StageSpec:
    return StageSpec(name, Event, Event, lambda context: make())


def failing(name: str = "bad", error: BaseException | None = None) -> StageSpec:
    return stage(name, lambda: Raising(error or ValueError("boom")))


async def collect(run: Any, into: list[Event]) -> None:
    async for event in run:
        into.append(event)  # noqa: PERF401 - what came before an error counts


async def read_texts(run: Any) -> list[str]:
    return [event.text async for event in run if isinstance(event, TextDelta)]


def keeping(build: PipelineBuilder) -> tuple[PipelineBuilder, list[RunRecord]]:
    records: list[RunRecord] = []
    return build.trace(TraceEmitter(NoTelemetry(), records.append)), records


# --- result() never loses events and never hangs ---------------------------------------------


async def test_result_in_another_task_after_leaving_the_loop() -> None:
    async with builder(ScriptedSource(LONG)).build().run({}) as run:
        async for _ in run:
            break
        result = await asyncio.wait_for(run.result(), 5)
    assert len(result.text) == 4000


async def test_result_takes_nothing_from_a_reader_that_starts_later() -> None:
    async with builder(ScriptedSource(LONG)).build().run({}) as run:
        reading = asyncio.create_task(read_texts(run))
        await run.result()
        assert len(await reading) == 2000


async def test_a_result_that_timed_out_takes_nothing_either() -> None:
    pause = Pause()
    async with builder(ScriptedSource([*LONG[:300], pause, b".\n"])).build().run({}) as run:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run.result(), 0.05)
        pause.resume()
        assert len(await read_texts(run)) == 300


# --- stages that fail in odd ways ------------------------------------------------------------


@executions
@pytest.mark.parametrize("required", [True, False])
async def test_cancelled_error_out_of_a_step(execution: Execution, required: bool) -> None:
    bad = failing(error=asyncio.CancelledError())
    build = builder(ScriptedSource(reads()), execution).branch(sink(bad, required=required))
    async with build.build().run({}) as run:
        if required:
            with pytest.raises(StageFailedError, match="bad"):
                await run.result()
        else:
            assert (await run.result()).text == TEXT
            assert isinstance(run.branch_errors["bad"], StageFailedError)


async def test_cancelled_error_out_of_an_async_step() -> None:
    class Cancelling(Slow):
        async def feed(self, items: Sequence[Any], recv_ns: int, out: list[Any]) -> None:
            inner = asyncio.create_task(asyncio.sleep(9))
            inner.cancel()
            await inner

    build = builder(ScriptedSource(reads())).insert_after("normalizer", stage("bad", Cancelling))
    async with build.build().run({}) as run:
        with pytest.raises(StageFailedError, match="bad"):
            await run.result()


async def test_a_stage_task_cancelled_from_outside_ends_the_run() -> None:
    build = builder(ScriptedSource(LONG)).insert_after("normalizer", stage("slow", Slow))
    async with build.build().run({}) as run:
        await anext(run)
        for task in asyncio.all_tasks():
            if task.get_name() == "tokenline:slow":
                task.cancel()
        with pytest.raises(StreamError, match="slow"):
            await read_texts(run)
    assert run.outcome is Outcome.ERROR


async def test_a_failing_required_branch_behind_an_async_stage() -> None:
    build = builder(ScriptedSource([BODY])).insert_after("normalizer", stage("slow", Slow))
    async with build.branch(sink(failing(), required=True)).build().run({}) as run:
        with pytest.raises(StageFailedError):
            await read_texts(run)


async def test_a_failing_required_branch_is_the_same_fused_and_queued() -> None:
    seen = []
    for execution in Execution:
        build, records = keeping(builder(ScriptedSource([BODY]), execution))
        got: list[Event] = []
        async with build.branch(sink(failing(), required=True)).build().run({}) as run:
            with pytest.raises(StageFailedError) as caught:
                await collect(run, got)
        assert caught.value.partial is not None
        errors = {s.name: s.errors for s in records[0].stages if s.errors}
        seen.append((len(got), caught.value.partial.text, errors))
    assert seen[0] == seen[1] == (42, TEXT, {"bad": 1})


async def test_only_the_failing_stage_is_marked() -> None:
    build, records = keeping(builder(ScriptedSource(reads())))
    async with build.insert_after("normalizer", failing("mine")).build().run({}) as run:
        with pytest.raises(StageFailedError):
            await run.result()
    assert {s.name: s.errors for s in records[0].stages if s.errors} == {"mine": 1}


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_finish_that_raises_after_the_message_is_told(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    class Bad(Passing):
        def finish(self, recv_ns: int, out: list[Any]) -> None:
            raise ValueError("could not flush")

    class AsyncBad(Passing):  # feed is plain, finish awaits: both are honoured
        async def finish(  # type: ignore[override]
            self, recv_ns: int, out: list[Any]
        ) -> None:
            await asyncio.sleep(0)
            raise ValueError("could not flush")

    bad = stage("bad", AsyncBad if is_async else Bad)
    build = builder(ScriptedSource(reads())).insert_after("normalizer", bad)
    async with build.build().run({}) as run:
        assert "".join(await read_texts(run)) == TEXT
        assert (await run.result()).outcome == "ok"
    assert isinstance(run.branch_errors["bad"], StageFailedError)
    assert "could not flush" in caplog.text


async def test_a_finish_that_never_returns_does_not_hold_the_caller() -> None:
    class Endless(Slow):
        async def finish(self, recv_ns: int, out: list[Any]) -> None:
            await asyncio.sleep(3600)

    build = builder(ScriptedSource(reads())).insert_after("normalizer", stage("bad", Endless))
    async with build.build().run({}) as run:
        await read_texts(run)
    assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("tokenline")]


async def test_a_stage_that_cannot_be_opened() -> None:
    def refuse(context: Any) -> Any:
        raise RuntimeError("no licence")

    build, records = keeping(builder(ScriptedSource(reads())))
    bad = StageSpec("bad", Event, Event, refuse)
    run = build.insert_after("normalizer", bad).build().run({})
    with pytest.raises(StageFailedError, match="'bad' raised RuntimeError: no licence"):
        await run.__aenter__()
    await run.aclose()
    run.cancel()
    with pytest.raises(UsageError, match="not started"):
        await run.result()
    assert records == []


# --- queues that fail ------------------------------------------------------------------------


@executions
async def test_a_full_optional_branch_is_cut_off_and_nothing_else(execution: Execution) -> None:
    tight = Capacity(max_items=2, overflow=Overflow.FAIL)
    branch = sink(stage("audit", Slow), tight, required=False)
    async with (
        builder(ScriptedSource(SHORT_WORDS), execution).branch(branch).build().run({}) as run
    ):
        assert len(await read_texts(run)) == 100
    assert isinstance(run.branch_errors["audit"], QueueFullError)


@executions
async def test_a_full_consumer_gets_what_waited_then_the_error(execution: Execution) -> None:
    tight = Capacity(max_items=8, overflow=Overflow.FAIL)
    build = builder(ScriptedSource(SHORT_WORDS), execution).capacity("consumer", tight)
    got: list[Event] = []
    async with build.build().run({}) as run:
        for _ in range(200):
            await asyncio.sleep(0)
        with pytest.raises(QueueFullError) as caught:
            await collect(run, got)
    assert len(got) == 8
    assert caught.value.partial is not None


# --- readers ---------------------------------------------------------------------------------


async def test_a_mistaken_second_reader_does_not_harm_the_first() -> None:
    pause = Pause()
    async with builder(ScriptedSource([b"a\n", pause])).build().run({}) as run:
        first = asyncio.create_task(read_texts(run))
        await pause.reached.wait()
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="two tasks"):
            await anext(run)
        run.cancel()
        with pytest.raises(RunCancelledError):
            await asyncio.wait_for(first, 1)


async def test_closing_from_another_task_is_no_good_end() -> None:
    pause = Pause()
    async with builder(ScriptedSource([b"a\n", pause])).build().run({}) as run:
        reading = asyncio.create_task(read_texts(run))
        await pause.reached.wait()
        await asyncio.sleep(0)
        await run.aclose()
        with pytest.raises(RunCancelledError, match="closed before its end"):
            await reading


# --- times -----------------------------------------------------------------------------------


async def test_stages_that_nothing_reached_have_no_idle_time() -> None:
    build, records = keeping(builder(ScriptedSource(ConnectError("no server"))))
    async with build.build().run({}) as run:
        with pytest.raises(ConnectError):
            await run.result()
    assert [s.idle_ns for s in records[0].stages if s.name != "source"] == [0] * 5


async def in_headers(run: Any) -> None:
    await asyncio.sleep(0.05)
    run.cancel()


async def in_the_middle(run: Any) -> None:
    await anext(run)
    await asyncio.sleep(0.05)
    run.cancel()


@pytest.mark.parametrize("leave", [in_headers, in_the_middle])
async def test_a_silent_provider_is_not_our_time(leave: Callable[[Any], Awaitable[None]]) -> None:
    headers_s = 60.0 if leave is in_headers else 0.0
    source = ScriptedSource([b"a\n", Pause()], headers_after_s=headers_s)
    build, records = keeping(builder(source))
    async with build.build().run({}) as run:
        await leave(run)
    (record,) = records
    stage = record.stages[0]
    assert stage.idle_ns >= 20_000_000
    assert stage.ended_ns - stage.started_ns >= stage.idle_ns
    assert record.timings.request_ns is not None
    duration_ns = record.timings.ended_ns - record.timings.request_ns
    assert stage.idle_ns >= 0.9 * duration_ns


async def test_the_source_ends_with_the_request() -> None:
    build, records = keeping(builder(ScriptedSource([BODY, Pause()])))
    async with build.build().run({}) as run:
        async for _ in run:
            await asyncio.sleep(0.001)
    (record,) = records
    assert record.stages[0].ended_ns <= record.timings.ended_ns


async def test_the_account_never_shows_negative_other_time() -> None:
    build, records = keeping(builder(ScriptedSource(SHORT_WORDS)))
    for name in ("parser", "normalizer", "fan-out", "consumer"):
        build.capacity(name, Capacity(max_items=2))
    async with build.build().run({}) as run:
        async for _ in run:
            await asyncio.sleep(0)
    assert "other -" not in account(records[0])


async def test_an_error_that_nobody_read_keeps_what_had_arrived() -> None:
    script: list[bytes | BaseException] = [b"a\n", b"b\n", ConnectError("gone")]
    async with builder(ScriptedSource(script)).build().run({}) as run:
        await anext(run)
        while run.outcome is None:
            await asyncio.sleep(0)
    assert isinstance(run.error, ConnectError)
    assert run.error.partial is not None
    assert run.error.partial.text == "a b "


@executions
async def test_a_stage_that_opens_no_step_is_named(execution: Execution) -> None:
    bare = StageSpec("bare", Event, Event, lambda context: None)  # type: ignore[arg-type, return-value]
    source = ScriptedSource([b"a\n", b".\n"])
    with pytest.raises(WiringError, match="lacks feed and finish") as caught:
        async with (
            builder(source, execution).insert_after("normalizer", bare).build().run({}) as run
        ):
            await run.result()
    assert caught.value.stage == "bare"
