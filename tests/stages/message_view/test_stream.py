"""The view on a run: as a branch, around its events, and at every exit."""

import asyncio
from typing import Any

import pytest
from tests.pipeline.lines import BODY, TEXT, builder, reads
from tests.stages.message_view.script import TAGS, bare, noon

from tokenline.errors import RateLimitError, RunCancelledError, StreamCutError, UsageError
from tokenline.options import Capacity, Execution, RunOptions
from tokenline.policy import AfterCommit, RetryPolicy
from tokenline.record import Outcome
from tokenline.testing import Pause, ScriptedSource
from tokenline.testing.source import Script
from tokenline_stages.message_view import (
    AssistantMessage,
    ErrorMessage,
    Message,
    MessageStream,
    MessageViewOptions,
    StopReason,
    StopReasonMessage,
    UsageStatistics,
    join_messages,
    messages,
    messages_of,
)

pytestmark = pytest.mark.anyio

executions = pytest.mark.parametrize("execution", list(Execution), ids=str)
both = pytest.mark.parametrize("branch", [None, "messages"], ids=["around", "branch"])


def pipeline_of(
    script: Script | BaseException,
    execution: Execution = Execution.FUSED,
    **settings: Any,
) -> Any:
    return builder(ScriptedSource(script), execution).branch(messages(now=noon, **settings)).build()


def stream_of(run: Any, branch: str | None) -> MessageStream:
    return MessageStream(run, branch=branch, tags=TAGS, now=noon)


async def drain(run: Any) -> None:
    async for _ in run:
        pass


async def collect(stream: MessageStream, into: list[Message]) -> None:
    async for message in stream:
        into.append(message)  # noqa: PERF401 - what came before an end counts


def text(got: list[Message]) -> str:
    return "".join(m.content for m in got if isinstance(m, AssistantMessage))


@both
@executions
async def test_gives_all_and_the_same_ids_as_the_result(
    execution: Execution, branch: str | None
) -> None:
    got: list[Message] = []
    async with pipeline_of(reads(), execution).run({}, tags=TAGS) as run:
        stream = stream_of(run, branch)
        others = [asyncio.create_task(drain(run))] if branch else []
        await collect(stream, got)
        await asyncio.gather(*others)
        result = await run.result()
    assert text(got) == TEXT
    assert [type(m) for m in got[-2:]] == [StopReasonMessage, UsageStatistics]
    assert stream.error is None
    assert [m.seq_id for m in got] == list(range(1, len(got) + 1))
    assert {(m.run_id, m.step_id) for m in got} == {("run-1", "step-1")}
    assert bare(join_messages(got)) == bare(messages_of(result, **TAGS, now=noon))
    assert run.timings.first_delivery_ns is not None


@both
@executions
async def test_a_failure_comes_as_messages(execution: Execution, branch: str | None) -> None:
    got: list[Message] = []
    async with pipeline_of([b"a\nb\n"], execution).run({}, tags=TAGS) as run:
        stream = stream_of(run, branch)
        await collect(stream, got)
        result = run.snapshot()
    assert [type(m) for m in got[-2:]] == [StopReasonMessage, ErrorMessage]
    assert text(got) == "a b "
    assert isinstance(stream.error, StreamCutError)
    assert stream.error.partial is not None
    assert isinstance(got[-1], ErrorMessage)
    assert got[-1].error_type == "stream_incomplete"
    assert bare(join_messages(got)) == bare(messages_of(result, **TAGS, now=noon))


@both
async def test_a_restart_is_told_and_the_rest_is_the_answer(branch: str | None) -> None:
    source = ScriptedSource([b"old\n", StreamCutError("cut")], [b"new\n.\n"])
    retry = RetryPolicy(attempts=2, initial_wait_s=0, jitter_s=0, after_commit=AfterCommit.RESTART)
    build = builder(source).branch(messages(now=noon)).options(RunOptions(retry=retry))
    got: list[Message] = []
    async with build.build().run({}, tags=TAGS) as run:
        await collect(stream_of(run, branch), got)
        result = await run.result()
    assert [m.message_type for m in got] == [
        "assistant_message",
        "reset",
        "assistant_message",
        "stop_reason",
        "usage_statistics",
    ]
    assert [m.seq_id for m in got] == [1, 2, 3, 4, 5]
    assert bare(join_messages(got)) == bare(messages_of(result, **TAGS, now=noon))


@both
async def test_a_failure_before_the_first_byte(branch: str | None) -> None:
    got: list[Message] = []
    async with pipeline_of(RateLimitError("wait", status=429)).run({}, tags=TAGS) as run:
        await collect(stream_of(run, branch), got)
    assert [type(m) for m in got] == [StopReasonMessage, ErrorMessage]
    assert got[0].run_id == "run-1"


@both
async def test_a_cancelled_run_says_so_last(branch: str | None) -> None:
    pause = Pause()
    got: list[Message] = []
    async with pipeline_of([b"a\n", pause]).run({}, tags=TAGS) as run:
        stream = stream_of(run, branch)
        reading = asyncio.create_task(collect(stream, got))
        await pause.reached.wait()
        await asyncio.sleep(0)
        run.cancel()
        await reading
        result = run.snapshot()
    assert [type(m) for m in got] == [AssistantMessage, StopReasonMessage]
    assert isinstance(got[-1], StopReasonMessage)
    assert got[-1].stop_reason is StopReason.CANCELLED
    assert isinstance(stream.error, RunCancelledError)
    assert {(m.run_id, m.seq_id) for m in got} == {("run-1", 1), ("run-1", 2)}
    assert bare(join_messages(got))[0] == bare(messages_of(result, **TAGS, now=noon))[0]


async def test_two_branches_with_filters_of_their_own() -> None:
    pipeline = (
        builder(ScriptedSource(reads()))
        .remove("consumer")
        .branch(messages(now=noon))
        .branch(messages(MessageViewOptions(message_types=frozenset()), name="ends", now=noon))
        .build()
    )
    everything: list[Message] = []
    ends: list[Message] = []
    async with pipeline.run({}) as run:
        await asyncio.gather(
            collect(MessageStream(run, branch="messages"), everything),
            collect(MessageStream(run, branch="ends"), ends),
        )
    assert ends == everything[-2:]
    assert text(everything) == TEXT


async def test_a_slow_reader_of_messages_loses_nothing() -> None:
    pipeline = pipeline_of(reads(), capacity=Capacity(max_items=1), required=True)
    got: list[Message] = []
    async with pipeline.edit().remove("consumer").build().run({}) as run:
        async for message in MessageStream(run, branch="messages"):
            got.append(message)
            await asyncio.sleep(0)
    assert text(got) == TEXT
    assert run.outcome is Outcome.OK


async def test_messages_that_nobody_reads_hold_nothing_up() -> None:
    async with pipeline_of([BODY]).run({}) as run:
        assert (await run.result()).text == TEXT


async def test_an_ended_stream_stays_ended() -> None:
    async with pipeline_of([BODY]).run({}) as run:
        stream = MessageStream(run)
        await collect(stream, [])
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        with pytest.raises(UsageError, match="no readable branch 'nope'"):
            MessageStream(run, branch="nope")
