"""What a run can hold in memory, by the formula of docs/memory.md."""

import asyncio
import gc
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from tests.pipeline.lines import normalizer, parser

from tokenline.builder import PipelineBuilder
from tokenline.options import KIB, MIB, Capacity, Execution, Overflow, RunOptions
from tokenline.run import Run
from tokenline.source import Request
from tokenline.stage import RawChunk
from tokenline.telemetry.hook import NoTelemetry
from tokenline.testing import Recorder, run_virtual, virtual_clock
from tokenline_stages.accumulator import accumulator
from tokenline_stages.consumer import consumer, reader
from tokenline_stages.fanout import sink
from tokenline_stages.trace_emitter import TraceEmitter
from tokenline_stages.traces import TraceOptions, TraceStore

from .traces.sinks import HangingSink

executions = pytest.mark.parametrize("execution", list(Execution), ids=str)
EVENT_BYTES = 512
"""What an event takes beside its text."""

WORD = b"a word that is about as long as one token's event\n"
READ = WORD * 80
"""What one read brings."""

TIGHT = Capacity(max_items=100, max_bytes=64 * KIB)
STAGES = ("parser", "normalizer", "fan-out", "consumer")


def event_queue_bytes(capacity: Capacity) -> int:
    """Most memory of one queue of events, and of the batch that waits before it."""
    per_read = len(READ) // len(WORD)
    waiting = min(capacity.max_items, capacity.max_bytes // len(WORD))
    events = max(waiting, per_read) + per_read
    return events * (EVENT_BYTES + 4 * len(WORD))


def bound_bytes(capacity: Capacity, queues: int = 3) -> int:
    """Most memory of a run: the parser's queue of bytes, and so many queues of events."""
    raw = min(capacity.max_items * len(READ), capacity.max_bytes)
    return max(raw, len(READ)) + 2 * len(READ) + queues * event_queue_bytes(capacity) + 256 * KIB


class Flood:
    """A stream that always has more; its reader decides how far it goes."""

    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self, reads: int) -> None:
        self.reads = 0
        self._most = reads

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        self.reads += 1
        if self.reads > self._most:
            return b".\n" if self.reads == self._most + 1 else b""
        return bytes(bytearray(READ))  # a new object, as from a socket

    async def aclose(self) -> None:
        return


class FloodSource:
    """Opens one `Flood` for each run."""

    name = "source"
    provider = "flood"
    api = "flood.bytes"
    operation = "chat"
    server_address: str | None = None
    server_port: int | None = None
    outlet: Any = RawChunk

    def __init__(self, reads: int) -> None:
        self._reads = reads
        self.stream = Flood(reads)

    async def prepare(self) -> None:
        return

    async def open(self, request: Request) -> Flood:
        self.stream = Flood(self._reads)
        return self.stream

    async def aclose(self) -> None:
        return


class Held:
    """Memory taken since a beginning.

    Attributes:
        most_bytes: the most there ever was.
    """

    def __init__(self) -> None:
        self._before = tracemalloc.get_traced_memory()[0]

    @property
    def most_bytes(self) -> int:
        return tracemalloc.get_traced_memory()[1] - self._before


@contextmanager
def watched() -> Iterator[Held]:
    gc.collect()
    tracemalloc.start()
    try:
        yield Held()
    finally:
        tracemalloc.stop()


def flooded(
    reads: int, execution: Execution, capacity: Capacity, *, keeps: bool = False
) -> tuple[PipelineBuilder, FloodSource]:
    source = FloodSource(reads)
    build = (
        PipelineBuilder("flooded")
        .source(source)
        .parse(parser)
        .normalize(normalizer)
        .fan_out(consumer(), *([accumulator()] if keeps else []))
        .options(RunOptions(execution=execution))
        .clock(virtual_clock())
    )
    for name in STAGES:
        build.capacity(name, capacity)
    return build, source


CAPACITIES = {
    "default": Capacity(),
    "few items": Capacity(max_items=8),
    "few bytes": Capacity(max_items=100_000, max_bytes=16 * KIB),
}


@pytest.mark.parametrize("capacity", CAPACITIES)
@executions
def test_a_consumer_that_never_reads(execution: Execution, capacity: str) -> None:
    bounds = CAPACITIES[capacity]
    many = 1_000_000

    async def main() -> tuple[int, int]:
        build, source = flooded(many, execution, bounds)
        pipeline = build.build()
        async with pipeline.run({}) as warm:
            await anext(warm)
        with watched() as held:
            async with pipeline.run({}) as run:
                await asyncio.sleep(10.0)
                reads = source.stream.reads
                await asyncio.sleep(1000.0)
                assert source.stream.reads == reads, "the provider is not read any further"
                run.cancel()
                return reads, held.most_bytes

    reads, most_bytes = run_virtual(main())
    assert reads < many
    assert most_bytes < bound_bytes(bounds)


@pytest.mark.parametrize(
    "overflow", [Overflow.DROP_NEWEST, Overflow.DROP_OLDEST, Overflow.CONFLATE, Overflow.FAIL]
)
@executions
def test_a_sink_that_never_gets_done(execution: Execution, overflow: Overflow) -> None:
    """The response is three times the bound; conflation keeps all text, and so blocks."""
    bound = bound_bytes(TIGHT, queues=4)
    reads = 2 if overflow is Overflow.CONFLATE else 3 * bound // len(READ)
    stuck = Recorder("stuck", batch_s=1e6)

    async def main() -> tuple[int, Run]:
        build, _ = flooded(reads, execution, TIGHT)
        build.branch(sink(stuck.stage, TIGHT.model_copy(update={"overflow": overflow})))
        pipeline = build.build()
        async with pipeline.run({}) as warm:
            await anext(warm)
        with watched() as held:
            async with pipeline.run({}) as run:
                async for _ in run:
                    pass
                return held.most_bytes, run

    most_bytes, run = run_virtual(main())
    assert most_bytes < bound
    assert run.record is not None
    (record,) = (stage for stage in run.record.stages if stage.name == "stuck")
    if overflow in (Overflow.DROP_NEWEST, Overflow.DROP_OLDEST):
        assert record.dropped_items > 0
    if overflow is Overflow.FAIL:
        assert "stuck" in run.branch_errors


@executions
def test_a_required_sink_that_is_slow_slows_all(execution: Execution) -> None:
    slow = Recorder("slow", batch_s=1.0)

    async def main() -> tuple[int, int]:
        build, source = flooded(1_000_000, execution, Capacity())
        build.branch(sink(slow.stage, Capacity(), required=True))
        build.branch(reader("unread", Capacity(overflow=Overflow.DROP_OLDEST)))
        pipeline = build.build()
        async with pipeline.run({}) as warm:
            await anext(warm)
        slow.items.clear()
        with watched() as held:
            async with pipeline.run({}) as run:
                reading = asyncio.create_task(_read(run))
                await asyncio.sleep(20.5)
                reads = source.stream.reads
                slow.items.clear()
                reading.cancel()
                run.cancel()
                return reads, held.most_bytes

    reads, most_bytes = run_virtual(main())
    assert reads < 20 + 1 * MIB // len(READ) + 20
    kept = 21 * (len(READ) // len(WORD)) * (EVENT_BYTES + 4 * len(WORD))  # by the recorder itself
    assert most_bytes < bound_bytes(Capacity(), queues=5) + kept


async def _read(run: Run) -> None:
    async for _ in run:
        pass


def test_a_dead_trace_store() -> None:
    """Waiting records are bounded; the rest is dropped, counted, and holds no stream up."""
    options = TraceOptions(
        queue_bytes=256 * KIB, batch_items=4, batch_wait_s=0.0, write_timeout_s=600.0
    )
    sink = HangingSink()
    store = TraceStore(sink, options=options)
    runs, reads = 100, 10

    async def main() -> int:
        build, _ = flooded(reads, Execution.FUSED, Capacity(), keeps=True)
        pipeline = build.trace(TraceEmitter(NoTelemetry(), store)).build()
        with watched() as held:
            for _ in range(runs):
                async with pipeline.run({}) as run:
                    await run.result()
            return held.most_bytes

    most_bytes = run_virtual(main())
    stats = store.stats
    (sink_stats,) = stats.sinks
    assert not store.close(0.2)
    content = reads * len(READ)
    assert runs * content > 4 * options.queue_bytes, "more than all queues hold"
    dropped = sum(stats.dropped.values()) + sum(sink_stats.dropped.values())
    assert dropped > runs // 4
    # Two queues, of records to be encoded and to be written; a batch in hand; the run itself.
    bound = 2 * 2 * options.queue_bytes + options.batch_items * 2 * content
    assert most_bytes < bound + bound_bytes(Capacity()) + 8 * content
