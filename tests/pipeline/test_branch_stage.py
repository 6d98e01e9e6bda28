"""A readable branch with a stage in front of it: the caller reads what the stage gives."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import pytest

from tests.pipeline.lines import BODY, TEXT, builder, reads
from tokenline.builder import PipelineBuilder
from tokenline.errors import (
    QueueFullError,
    RunCancelledError,
    StageFailedError,
    StreamCutError,
    WiringError,
)
from tokenline.events import Event, TextDelta
from tokenline.options import Capacity, Execution, Overflow
from tokenline.pipeline import Branch
from tokenline.record import Outcome, StageKind
from tokenline.stage import StageSpec, StepContext
from tokenline.testing import Pause, ScriptedSource
from tokenline.testing.source import Script

pytestmark = pytest.mark.anyio

executions = pytest.mark.parametrize("execution", list(Execution), ids=str)


class Shout:
    """Gives words in capitals; `?` makes it fail."""

    def feed(self, items: Sequence[Event], recv_ns: int, out: list[str]) -> None:
        for item in items:
            if isinstance(item, TextDelta):
                if item.text == "? ":
                    raise ValueError("the branch's own fault")
                out.append(item.text.upper())

    def finish(self, recv_ns: int, out: list[str]) -> None:
        out.append("END")

    def fail(self, error: BaseException, recv_ns: int, out: list[str]) -> None:
        out.append(type(error).__name__)


class SlowShout:
    """The same, but it awaits."""

    def __init__(self) -> None:
        self._step = Shout()

    async def feed(self, items: Sequence[Event], recv_ns: int, out: list[str]) -> None:
        await asyncio.sleep(0)
        self._step.feed(items, recv_ns, out)

    async def finish(self, recv_ns: int, out: list[str]) -> None:
        self._step.finish(recv_ns, out)

    def fail(self, error: BaseException, recv_ns: int, out: list[str]) -> None:
        self._step.fail(error, recv_ns, out)


def shouting(**settings: Any) -> Branch:
    stage = StageSpec("shout", Event, str, lambda context: Shout())
    return Branch("words", stage=stage, readable=True, content=frozenset({str}), **settings)


def lines(script: Script, execution: Execution = Execution.FUSED) -> PipelineBuilder:
    return builder(ScriptedSource(script), execution).remove("consumer")


async def collect(reader: Any, into: list[str]) -> None:
    async for word in reader:
        into.append(word)  # noqa: PERF401 - what came before an error counts


@executions
async def test_gives_what_the_stage_gives(execution: Execution) -> None:
    pipeline = lines(reads(), execution).branch(shouting()).build()
    got: list[str] = []
    async with pipeline.run({}) as run:
        await collect(run.branch("words"), got)
        assert (await run.result()).text == TEXT
    assert "".join(got) == TEXT.upper() + "END"
    assert run.timings.first_delivery_ns is not None


@executions
async def test_an_awaiting_stage(execution: Execution) -> None:
    stage = StageSpec("shout", Event, str, lambda context: SlowShout())
    for script, last in ((reads(), "END"), ([b"a\n"], "StreamCutError")):
        pipeline = lines(script, execution).branch(Branch("words", stage=stage, readable=True))
        got: list[str] = []
        async with pipeline.build().run({}) as run:
            with contextlib.suppress(StreamCutError):
                await collect(run.branch("words"), got)
        assert got[-1] == last


@executions
async def test_small_queues_lose_nothing(execution: Execution) -> None:
    tight = shouting(capacity=Capacity(max_items=1, max_bytes=1))
    build = lines(reads(size=50), execution).branch(tight)
    for name in ("parser", "normalizer", "fan-out"):
        build.capacity(name, Capacity(max_items=1, max_bytes=1))
    got: list[str] = []
    async with build.build().run({}) as run:
        await collect(run.branch("words"), got)
    assert "".join(got) == TEXT.upper() + "END"


@executions
async def test_the_step_is_told_of_a_failure(execution: Execution) -> None:
    got: list[str] = []
    async with lines([b"a\nb\n"], execution).branch(shouting()).build().run({}) as run:
        with pytest.raises(StreamCutError) as caught:
            await collect(run.branch("words"), got)
    assert got == ["A ", "B ", "StreamCutError"]
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a b "


@executions
@pytest.mark.parametrize("required", [True, False])
async def test_a_step_that_raises(execution: Execution, required: bool) -> None:
    pipeline = lines([b"a\n?\nc\n.\n"], execution).branch(shouting(required=required)).build()
    got: list[str] = []
    async with pipeline.run({}) as run:
        with pytest.raises(StageFailedError, match="shout"):
            await collect(run.branch("words"), got)
        if not required:
            assert (await run.result()).text == "a ? c "
    assert got == ["A "]
    assert run.outcome is (Outcome.ERROR if required else Outcome.OK)
    assert ("words" in run.branch_errors) is not required


@executions
@pytest.mark.parametrize("required", [True, False])
async def test_a_full_queue_that_fails(execution: Execution, required: bool) -> None:
    tight = Capacity(max_items=1, overflow=Overflow.FAIL)
    branch = shouting(capacity=tight, required=required)
    async with lines(reads(), execution).branch(branch).build().run({}) as run:
        for _ in range(100):
            await asyncio.sleep(0)
        got: list[str] = []
        with pytest.raises(QueueFullError):
            await collect(run.branch("words"), got)
        assert len(got) == 1  # what waited comes first
        if required:
            with pytest.raises(QueueFullError):
                await run.result()
        else:
            assert (await run.result()).text == TEXT
            assert isinstance(run.branch_errors["words"], QueueFullError)


@executions
async def test_a_full_queue_that_drops(execution: Execution) -> None:
    branch = shouting(capacity=Capacity(max_items=4, overflow=Overflow.DROP_OLDEST))
    pipeline = lines(reads(), execution).branch(branch).build()
    got: list[str] = []
    async with pipeline.run({}) as run:
        reader = run.branch("words")
        for _ in range(200):
            await asyncio.sleep(0)
        await collect(reader, got)
    assert got[-1] == "END"
    assert len(got) <= 5


async def test_a_reader_that_nobody_reads_holds_nothing_up() -> None:
    branch = shouting(capacity=Capacity(max_items=1))
    async with lines(reads()).branch(branch).build().run({}) as run:
        assert (await run.result()).text == TEXT


async def test_cancelled_while_it_is_read() -> None:
    pause = Pause()
    async with lines([b"a\n", pause]).branch(shouting()).build().run({}) as run:
        got: list[str] = []
        reading = asyncio.create_task(collect(run.branch("words"), got))
        await pause.reached.wait()
        run.cancel()
        with pytest.raises(RunCancelledError):
            await reading
    assert got == ["A "]
    assert [t for t in asyncio.all_tasks() if t.get_name().startswith("tokenline")] == []


async def test_it_may_be_the_consumer() -> None:
    pipeline = lines([BODY]).branch(shouting(kind=StageKind.CONSUMER)).build()
    async with pipeline.run({}) as run:
        got: list[Any] = [item async for item in run]
    assert "".join(got) == TEXT.upper() + "END"


async def test_stage_and_reader_have_a_record_each() -> None:
    async with lines(reads()).branch(shouting()).build().run({}) as run:
        await collect(run.branch("words"), [])
    assert run.record is not None
    by_name = {stage.name: stage for stage in run.record.stages}
    assert by_name["shout"].items_out == by_name["words"].items_in == 41
    indexes = [stage.index for stage in run.record.stages]
    assert len(set(indexes)) == len(indexes)


async def test_a_step_knows_the_tags_of_its_run() -> None:
    seen: list[StepContext] = []

    def opened(context: StepContext) -> Shout:
        seen.append(context)
        return Shout()

    stage = StageSpec("shout", Event, str, opened)
    pipeline = lines(reads()).branch(Branch("words", stage=stage, readable=True)).build()
    async with pipeline.run({}, tags={"run_id": "r-1"}) as run:
        await run.result()
    assert seen[0].tags == {"run_id": "r-1"}


def test_its_two_names_differ() -> None:
    stage = StageSpec("words", Event, str, lambda context: Shout())
    build = lines([BODY]).branch(Branch("words", stage=stage, readable=True))
    with pytest.raises(WiringError, match="unique"):
        build.build()


def test_the_graph_shows_both() -> None:
    pipeline = lines([BODY]).branch(shouting()).capacity("words", Capacity(max_items=3)).build()
    assert "<= 3 items, 1 MiB, block  -->  shout --> words  [branch]" in pipeline.describe()
    assert '["shout --> words"]' in pipeline.mermaid()
    assert pipeline.branches[-1].content == frozenset({str})
