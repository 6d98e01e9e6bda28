"""The end of a response under pressure: what waits is handed over, every step is finished once."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.pipeline.lines import LineNormalizer, LineParser, builder
from tokenline.builder import PipelineBuilder
from tokenline.errors import StreamCutError, StreamError
from tokenline.events import Event, MessageEnd, TextDelta
from tokenline.options import Capacity, Execution, RunOptions
from tokenline.run import Run
from tokenline.stage import RawChunk, StageSpec
from tokenline.testing import Recorder, ScriptedSource, Wait, run_virtual, settle, virtual_clock
from tokenline_stages.accumulator import accumulator
from tokenline_stages.consumer import consumer, reader
from tokenline_stages.fanout import sink

executions = pytest.mark.parametrize("execution", list(Execution), ids=str)
STAGES = ("parser", "normalizer", "fan-out", "consumer", "accumulator")
WORDS = 12
TEXT = "".join(f"{n} " for n in range(WORDS))
LINES = [f"{n}\n".encode() for n in range(WORDS)]
TIGHT = Capacity(max_items=1)
ROOMY = Capacity()

SCRIPTS: dict[str, list[Any]] = {
    "in one read": [b"".join(LINES) + b".\n"],
    "in single reads": [*LINES, b".\n"],
    "the last line by finish": [*LINES, b"."],
    "the end comes late": [*LINES, Wait(50.0), b".\n"],
}


class Ends:
    """How often the steps of one kind were told of an end, and whether anything came after it."""

    def __init__(self) -> None:
        self.finished = 0
        self.failed = 0
        self.late = 0

    @property
    def told(self) -> int:
        return self.finished + self.failed


class Counting:
    """A step around another; counts its ends."""

    def __init__(self, step: Any, ends: Ends) -> None:
        self._step = step
        self._ends = ends

    def feed(self, items: Sequence[Any], recv_ns: int, out: list[Any]) -> None:
        self._ends.late += self._ends.told
        self._step.feed(items, recv_ns, out)

    def finish(self, recv_ns: int, out: list[Any]) -> None:
        self._ends.finished += 1
        self._step.finish(recv_ns, out)

    def fail(self, error: BaseException, recv_ns: int, out: list[Any]) -> None:
        self._ends.failed += 1


class CountingAwait(Counting):
    """The same for a stage that awaits."""

    async def feed(self, items: Sequence[Any], recv_ns: int, out: list[Any]) -> None:  # type: ignore[override]
        super().feed(items, recv_ns, out)
        await asyncio.sleep(0.5)

    async def finish(self, recv_ns: int, out: list[Any]) -> None:  # type: ignore[override]
        await asyncio.sleep(0.5)
        super().finish(recv_ns, out)


class Keeping:
    """The innermost step of a branch; gives something of its own at the end."""

    def __init__(self, kept: list[Event]) -> None:
        self._kept = kept

    def feed(self, items: Sequence[Event], recv_ns: int, out: list[Event]) -> None:
        self._kept.extend(items)
        out.extend(items)

    def finish(self, recv_ns: int, out: list[Event]) -> None:
        out.append(MessageEnd(99, recv_ns, "at the end"))


class Counted:
    """A pipeline whose every step counts its ends.

    Attributes:
        ends: by name of the stage.
        kept: what each branch was fed.
    """

    def __init__(self, script: Sequence[Any], execution: Execution, capacity: Capacity) -> None:
        names = ("parser", "normalizer", "quick", "slow", "mapped")
        self.ends = {name: Ends() for name in names}
        self.kept: dict[str, list[Event]] = {name: [] for name in names[2:]}
        build = (
            PipelineBuilder("counted")
            .source(ScriptedSource(script))
            .parse(self._stage("parser", RawChunk, str, lambda _: LineParser()))
            .normalize(self._stage("normalizer", str, Event, LineNormalizer))
            .fan_out(consumer(), accumulator())
            .options(RunOptions(execution=execution))
            .clock(virtual_clock())
        )
        build.branch(sink(self._keeper("quick", Counting), capacity, required=True))
        build.branch(sink(self._keeper("slow", CountingAwait), capacity, required=True))
        build.branch(reader("mapped", capacity, required=True))
        for name in STAGES:
            build.capacity(name, capacity)
        self.pipeline = build.build()

    def _stage(self, name: str, inlet: Any, outlet: Any, make: Any) -> StageSpec:
        ends = self.ends[name]
        return StageSpec(name, inlet, outlet, lambda context: Counting(make(context), ends))

    def _keeper(self, name: str, kind: type[Counting]) -> StageSpec:
        ends, kept = self.ends[name], self.kept[name]
        return StageSpec(name, Event, Event, lambda _: kind(Keeping(kept), ends))


async def read(events: Any, pause_s: float) -> tuple[str, BaseException | None]:
    text = ""
    try:
        async for event in events:
            text += event.text if isinstance(event, TextDelta) else ""
            await asyncio.sleep(pause_s)
    except StreamError as error:
        return text, error
    return text, None


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("fails", [False, True], ids=["ends well", "fails"])
@pytest.mark.parametrize("capacity", [TIGHT, ROOMY], ids=["tight", "roomy"])
@pytest.mark.parametrize("script", SCRIPTS)
@executions
def test_ends_under_pressure(
    execution: Execution, script: str, capacity: Capacity, fails: bool
) -> None:
    entries = [*SCRIPTS[script][:-1], StreamCutError("cut")] if fails else SCRIPTS[script]
    whole = TEXT if not fails or len(entries) > 1 else ""

    async def main() -> tuple[Run, Counted]:
        counted = Counted(entries, execution, capacity)
        async with counted.pipeline.run({}) as run:
            found = await asyncio.gather(read(run, 1.0), read(run.branch("mapped"), 3.0))
            expected = StreamCutError if fails else type(None)
            assert [(text, type(error)) for text, error in found] == [(whole, expected)] * 2
        return run, counted

    run, counted = run_virtual(main())
    assert run.snapshot().text == whole
    assert text_of(counted.kept["quick"]) == text_of(counted.kept["slow"]) == whole
    for name, ends in counted.ends.items():
        if name != "mapped":
            assert (name, ends.finished, ends.failed) == (name, int(not fails), int(fails))
            assert (name, ends.late) == (name, 0)


@executions
def test_what_finish_gives_waits_for_room(execution: Execution) -> None:
    """Most of it comes from `finish`, when all below is full and the stage itself has no task."""

    class AtTheEnd:
        def __init__(self) -> None:
            self._items: list[Any] = []
            self._feeds = 0
            self.finished = 0

        def feed(self, items: Sequence[Any], recv_ns: int, out: list[Any]) -> None:
            # One for the consumer, one for the fan-out to hold, one for its inbox.
            self._feeds += 1
            (out if self._feeds <= 3 else self._items).extend(items)

        def finish(self, recv_ns: int, out: list[Any]) -> None:
            self.finished += 1
            out.extend(self._items)

    steps: list[AtTheEnd] = []

    def open_step(context: Any) -> AtTheEnd:
        steps.append(AtTheEnd())
        return steps[-1]

    async def main() -> None:
        build = builder(ScriptedSource([*LINES, b".\n"]), execution)
        build.clock(virtual_clock())
        build.insert_after("normalizer", StageSpec("late", Event, Event, open_step))
        for name in (*STAGES, "late"):
            build.capacity(name, TIGHT)
        async with build.build().run({}) as run:
            await settle()
            assert await read(run, 1.0) == (TEXT, None)

    run_virtual(main())
    assert [step.finished for step in steps] == [1]


@executions
def test_a_step_that_raised_is_not_finished(execution: Execution) -> None:
    ends = Ends()

    class Raising(LineParser):
        def feed(self, items: Sequence[RawChunk], recv_ns: int, out: list[str]) -> None:
            super().feed(items, recv_ns, out)
            raise StreamCutError("raised")

    async def main() -> None:
        stage = StageSpec("parser", RawChunk, str, lambda _: Counting(Raising(), ends))
        build = builder(ScriptedSource([*LINES, b".\n"]), execution).replace("parser", stage)
        for name in STAGES:
            build.capacity(name, TIGHT)
        async with build.clock(virtual_clock()).build().run({}) as run:
            assert type((await read(run, 1.0))[1]) is StreamCutError

    run_virtual(main())
    assert ends.told == 0


@executions
def test_a_slow_sink_gets_what_waited_after_everybody_left(execution: Execution) -> None:
    """Its queue is full when the response ends, and nobody but it is there any more."""
    slow = Recorder("slow", batch_s=2.0)

    async def main() -> None:
        build = builder(ScriptedSource([*LINES, b".\n"]), execution)
        build.branch(sink(slow.stage, Capacity(max_items=3), required=True))
        async with build.clock(virtual_clock()).build().run({}) as run:
            assert await read(run, 0.0) == (TEXT, None)
            await run.result()

    run_virtual(main())
    assert text_of(slow.items) == TEXT
    assert (slow.finished, slow.errors) == (1, [])
