"""Several sinks at once: each on its own, failing, hanging or dead."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tests.pipeline.lines import TEXT, builder, reads

from tokenline.telemetry.drops import drops
from tokenline.telemetry.hook import NoTelemetry
from tokenline.testing import ScriptedSource
from tokenline_stages.trace_emitter import TraceEmitter
from tokenline_stages.traces import (
    MemorySink,
    SqlSink,
    Trace,
    TraceOptions,
    TracesRejectedError,
    TraceStore,
)

from .sinks import FlakySink, HangingSink, ids, run, written


def store_of(*sinks: Any, **options: Any) -> TraceStore:
    chosen = {"batch_wait_s": 0.0, **options}
    return TraceStore(*sinks, options=TraceOptions(**chosen))


def record(store: TraceStore, count: int) -> None:
    store.prepare()
    for i in range(count):
        store(run(i))


def test_batches_by_size() -> None:
    sizes: list[int] = []

    class Sizing(MemorySink):
        async def write(self, batch: Sequence[Trace]) -> None:
            sizes.append(len(batch))

    store = store_of(Sizing(), batch_items=8, batch_wait_s=5.0)
    record(store, 20)
    assert store.close(5)
    assert sizes == [8, 8, 4]


def test_batches_by_time() -> None:
    sink = MemorySink()
    store = store_of(sink, batch_items=1000, batch_wait_s=0.01)
    record(store, 3)
    assert store.flush(5)
    assert len(sink.records) == 3
    assert store.close(5)


def test_a_failed_write_is_tried_again_on_a_new_opening() -> None:
    sink = FlakySink(OSError("once"), OSError("twice"))
    store = store_of(sink)
    record(store, 1)
    assert store.flush(5)
    assert store.close(5)
    assert ids(sink) == ["message-0"]
    retry = ["write", "aclose", "open"]
    assert sink.calls == ["open", *retry, *retry, "write", "aclose"]
    assert store.stats.sinks[0].last_error == "OSError: twice"


def test_a_batch_that_never_succeeds_is_dropped_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = drops().get("provider_traces", 0)
    sink = FlakySink(*[OSError("down")] * 50)
    store = store_of(sink, retry_s=0.05)
    record(store, 3)
    assert store.flush(5)
    (stats,) = store.stats.sinks
    assert stats.dropped == {"gave_up": 3}
    assert drops()["provider_traces"] == before + 3
    assert "traces were dropped, flaky failed for 0.05 s: OSError: down" in caplog.text
    sink.failures.clear()
    store(run(9))
    assert store.close(5)
    assert ids(sink) == ["message-9"]


def test_a_write_that_takes_too_long_counts_as_failed() -> None:
    sink = HangingSink()
    store = store_of(sink, write_timeout_s=0.03, retry_s=0.0)
    record(store, 1)
    assert store.flush(5)
    (stats,) = store.stats.sinks
    assert stats.dropped == {"gave_up": 1}
    assert stats.last_error == "TimeoutError"
    assert store.close(5)


def test_records_that_a_sink_refuses_are_counted_the_others_kept() -> None:
    class Picky(MemorySink):
        async def write(self, batch: Sequence[Trace]) -> None:
            good = [trace for trace in batch if not trace.record.ids.message_id.endswith("3")]
            await super().write(good)
            if len(good) < len(batch):
                raise TracesRejectedError("bad", count=len(batch) - len(good))

    sink = Picky()
    store = store_of(sink, batch_items=100, batch_wait_s=0.02)
    record(store, 10)
    assert store.close(5)
    assert store.stats.sinks[0].dropped == {"rejected": 1}
    assert written(store) == [9]
    assert len(sink.records) == 9


class TellingSink(MemorySink):
    """Tells of every batch written."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Semaphore(0)

    async def write(self, batch: Sequence[Trace]) -> None:
        await super().write(batch)
        self.told.release()


def test_one_bad_sink_does_not_disturb_the_others() -> None:
    good, flaky, hanging = TellingSink(), FlakySink(*[OSError("down")] * 1000), HangingSink()
    store = store_of(flaky, good, hanging, queue_items=4, retry_s=60.0)
    store.prepare()
    for i in range(20):
        store(run(i))
        assert good.told.acquire(timeout=5)
    assert ids(good) == [f"message-{i}" for i in range(20)]
    assert not store.close(0.2)
    first, second, third = store.stats.sinks
    assert (second.written, second.dropped) == (20, {})
    for stats in (first, third):
        assert stats.written == 0
        assert sum(stats.dropped.values()) == 20
        assert stats.dropped["queue_full"] >= 10


@pytest.fixture
def black_hole() -> Iterator[str]:
    """A database that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"postgresql://me:hunter22@127.0.0.1:{server.getsockname()[1]}/db"


@pytest.fixture
def refusing() -> str:
    """A database that is not there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"postgresql://me:hunter22@127.0.0.1:{free.getsockname()[1]}/db"


async def _stream(store: TraceStore, runs: int) -> None:
    pipeline = builder(ScriptedSource(reads())).trace(TraceEmitter(NoTelemetry(), store)).build()
    for _ in range(runs):
        async with pipeline.run({"model": "m"}) as running:
            assert (await running.result()).text == TEXT


@pytest.mark.parametrize("kind", ["black_hole", "refusing"])
def test_a_dead_database_costs_traces_not_streams(
    kind: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    url: str = request.getfixturevalue(kind)
    store = store_of(SqlSink(url), queue_items=10)
    from_s = time.monotonic()
    with caplog.at_level(logging.DEBUG, "tokenline"):
        asyncio.run(_stream(store, 40))
        streamed_s = time.monotonic() - from_s
        from_s = time.monotonic()
        assert not store.close(0.5)
        closed_s = time.monotonic() - from_s
    assert streamed_s < 2
    assert closed_s < 0.8
    (stats,) = store.stats.sinks
    lost = sum(stats.dropped.values()) + sum(store.stats.dropped.values())
    assert (stats.written, lost) == (0, 40)
    assert stats.waiting == 0
    assert "hunter22" not in caplog.text + repr(store.stats)
