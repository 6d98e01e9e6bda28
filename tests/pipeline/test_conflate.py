"""Conflation: neighbouring deltas of one part become one, and nothing is lost by it."""

import asyncio
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.lines import builder
from tokenline.batch import AnyBatch, Batch
from tokenline.builder import PipelineBuilder
from tokenline.conflate import join_deltas
from tokenline.events import (
    Event,
    PartEnd,
    Ping,
    ReasoningDelta,
    RefusalDelta,
    Reset,
    TextDelta,
    ToolCallDelta,
)
from tokenline.options import Capacity, Execution, Overflow, RunOptions
from tokenline.result import Result
from tokenline.testing import ScriptedSource, Wait, run_virtual, virtual_clock
from tokenline_stages.accumulator import Accumulator
from tokenline_stages.consumer import consumer, reader
from tokenline_stages.fanout import sink

KINDS = ("text", "reasoning", "refusal", "call", "ping", "end", "reset")


def event(seq: int, kind: str, part: int, text: str) -> Event:
    stamp = (seq, 1000 * seq, "m")
    match kind:
        case "text":
            return TextDelta(*stamp, part, text)
        case "reasoning":
            return ReasoningDelta(*stamp, part, text)
        case "refusal":
            return RefusalDelta(*stamp, part, text)
        case "call":
            return ToolCallDelta(*stamp, part, f"call-{part}", "f", text)
        case "end":
            return PartEnd(*stamp, part)
        case "reset":
            return Reset(*stamp, 2)
        case _:
            return Ping(*stamp)


events = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 1), st.text(min_size=1, max_size=3)),
    min_size=1,
    max_size=30,
).map(lambda drawn: [event(seq, *what) for seq, what in enumerate(drawn)])


def in_batches(items: list[Event], size: int) -> list[AnyBatch]:
    return [Batch(items[at : at + size], at, 100) for at in range(0, len(items), size)]


def shape(items: list[Event]) -> list[tuple[type, int | None]]:
    """Type and part, neighbours that are the same told once."""
    found: list[tuple[type, int | None]] = []
    for item in items:
        key = (type(item), getattr(item, "part", None))
        if not (found and found[-1] == key and isinstance(item, DELTAS)):
            found.append(key)
    return found


DELTAS = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallDelta)


def texts(items: list[Event]) -> dict[tuple[type, int], str]:
    found: dict[tuple[type, int], str] = {}
    for item in items:
        if isinstance(item, DELTAS):
            text = item.arguments if isinstance(item, ToolCallDelta) else item.text
            key = (type(item), item.part)
            found[key] = found.get(key, "") + text
    return found


def folded(items: list[Event]) -> Result:
    accumulator = Accumulator("m")
    accumulator.feed(items, 0, [])
    return accumulator.snapshot()


@given(events, st.integers(1, 5))
def test_joined_deltas_say_the_same(items: list[Event], size: int) -> None:
    batches = in_batches(items, size)
    joined = join_deltas(batches)
    assert [(type(i), getattr(i, "part", None)) for i in joined.items] == shape(items)
    assert texts(joined.items) == texts(items)
    assert folded(joined.items) == folded(items)
    assert joined.recv_ns == batches[-1].recv_ns
    assert [i.seq for i in joined.items] == sorted({i.seq for i in joined.items})
    assert joined.items[-1].seq == items[-1].seq
    assert joined.size_bytes <= sum(batch.size_bytes for batch in batches)


@given(events, st.integers(1, 5))
def test_joining_twice_is_joining_once(items: list[Event], size: int) -> None:
    first, *rest = in_batches(items, size)
    joined = join_deltas([first])
    for batch in rest:
        joined = join_deltas([joined, batch])
    assert joined.items == join_deltas([first, *rest]).items


def test_a_joined_piece_counts_with_its_text() -> None:
    items = [event(seq, "text", 0, "é") for seq in range(4)]
    assert join_deltas(in_batches(items, 1)).size_bytes == 100 + 3 * 2


WORDS = [f"word{i}" for i in range(500)]
ONE_BY_ONE = [*(f"{word}\n".encode() for word in WORDS), b".\n"]
SMALL = Capacity(max_items=4, overflow=Overflow.CONFLATE)


def pipeline(script: list[Any], *branches: Any, execution: Execution) -> PipelineBuilder:
    options = RunOptions(execution=execution)
    build = builder(ScriptedSource(script)).options(options).clock(virtual_clock())
    for branch in branches:
        build.branch(branch)
    return build


def test_a_slow_branch_sees_less_but_longer_pieces_and_slows_nobody() -> None:
    async def slow(branch: Any) -> list[TextDelta]:
        found = []
        async for item in branch:
            if isinstance(item, TextDelta):
                found.append(item)
                await asyncio.sleep(100)
        return found

    async def main(execution: Execution) -> None:
        script = [step for line in ONE_BY_ONE for step in (Wait(1), line)]
        build = pipeline(script, reader("screen", SMALL), execution=execution)
        async with build.build().run({}) as run:
            screen = asyncio.create_task(slow(run.branch("screen")))
            at_s = [
                asyncio.get_running_loop().time() async for e in run if isinstance(e, TextDelta)
            ]
            seen = await screen
        assert len(at_s) == 500
        assert max(b - a for a, b in pairwise(at_s)) < 1.01
        assert "".join(e.text for e in seen) == "".join(word + " " for word in WORDS)
        assert len(seen) < 20
        record = run.record
        assert record is not None
        (of_screen,) = [stage for stage in record.stages if stage.name == "screen"]
        assert of_screen.dropped_items == 0
        assert of_screen.high_water_items <= 4

    for execution in Execution:
        run_virtual(main(execution))


def test_a_late_queue_that_nobody_reads_holds_nobody_up() -> None:
    async def main(execution: Execution) -> None:
        late = Capacity(max_items=4, max_wait_s=0.05, overflow=Overflow.CONFLATE)
        script = [step for line in ONE_BY_ONE for step in (Wait(1), line)]
        build = pipeline(script, reader("log", late), execution=execution)
        async with build.build().run({}) as run:
            text = "".join([e.text async for e in run if isinstance(e, TextDelta)])
            assert text == "".join(word + " " for word in WORDS)
            log = [e.text async for e in run.branch("log") if isinstance(e, TextDelta)]
        assert "".join(log) == text
        assert len(log) <= 4

    for execution in Execution:
        run_virtual(main(execution))


def test_it_blocks_when_the_text_itself_is_too_long() -> None:
    async def main() -> None:
        capacity = Capacity(max_items=4, max_bytes=200, overflow=Overflow.CONFLATE)
        source = ScriptedSource(ONE_BY_ONE)
        build = builder(source).clock(virtual_clock())
        build.capacity("consumer", capacity)
        for name in ("parser", "normalizer", "fan-out"):
            build.capacity(name, Capacity(max_items=1))
        async with build.build().run({}) as run:
            await asyncio.sleep(1)
            assert 10 < source.streams[0].reads < 60
            text = "".join([e.text async for e in run if isinstance(e, TextDelta)])
        assert text == "".join(word + " " for word in WORDS)

    run_virtual(main())


def test_a_stage_of_ones_own_may_conflate_too() -> None:
    class Screen:
        def __init__(self) -> None:
            self.pieces: list[str] = []

        async def feed(self, items: Any, recv_ns: int, out: list[Any]) -> None:
            self.pieces += [e.text for e in items if isinstance(e, TextDelta)]
            await asyncio.sleep(100)

        async def finish(self, recv_ns: int, out: list[Any]) -> None:
            return

    async def main() -> None:
        from tokenline.stage import StageSpec

        screen = Screen()
        stage = StageSpec("screen", Event, Any, lambda context: screen)
        build = pipeline(ONE_BY_ONE, sink(stage, SMALL), execution=Execution.FUSED)
        build.capacity("consumer", Capacity(max_items=10_000))
        async with build.build().run({}) as run:
            assert (await run.result()).text == "".join(word + " " for word in WORDS)
        assert "".join(screen.pieces) == "".join(word + " " for word in WORDS)
        assert len(screen.pieces) < 20

    run_virtual(main())


def test_the_consumer_reads_whole_words_either_way() -> None:
    async def main() -> None:
        build = pipeline(ONE_BY_ONE, execution=Execution.FUSED)
        build.remove("consumer").branch(consumer(SMALL))
        async with build.build().run({}) as run:
            await asyncio.sleep(1)
            pieces = [e.text async for e in run if isinstance(e, TextDelta)]
        assert "".join(pieces) == "".join(word + " " for word in WORDS)
        assert len(pieces) < 10

    run_virtual(main())
