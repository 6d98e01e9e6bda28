"""The store takes runs at once and has them written elsewhere, whatever happens around it."""

import asyncio
import gc
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from tests.pipeline.lines import BODY, builder, reads

from tokenline.errors import ConfigError
from tokenline.record import Outcome, RunRecord
from tokenline.result import Result
from tokenline.telemetry import OTelTelemetry
from tokenline.telemetry.drops import drops
from tokenline.telemetry.hook import NoTelemetry
from tokenline.testing import Pause, ScriptedSource
from tokenline_stages.trace_emitter import TraceEmitter
from tokenline_stages.traces import MemorySink, TraceOptions, TraceStore, traces

from .sinks import FlakySink, HangingSink, ids, run, written


def store_of(*sinks: Any, **options: Any) -> TraceStore:
    return TraceStore(*sinks, options=TraceOptions(batch_wait_s=0.0, **options))


def record_all(store: TraceStore, *runs: RunRecord) -> None:
    store.prepare()
    for each in runs:
        store(each)
    assert store.close(5)


def test_every_run_is_written_once() -> None:
    sink = MemorySink()
    store = store_of(sink)
    record_all(store, *map(run, range(200)))
    assert ids(sink) == [f"message-{i}" for i in range(200)]
    assert len({record.id for record in sink.records}) == 200
    assert store.stats.taken == 200
    assert written(store) == [200]


def test_switched_off_it_does_nothing() -> None:
    sink = MemorySink()
    store = store_of(sink, enabled=False)
    record_all(store, run())
    assert (ids(sink), store.stats.left_out, store.stats.taken) == ([], 1, 0)
    assert store.stats.sinks == ()


def test_the_predicate_decides() -> None:
    sink = MemorySink()
    record_all(
        store_of(sink, predicate=lambda record: record.info.message_id.endswith("2")),
        *map(run, range(4)),
    )
    assert ids(sink) == ["message-2"]


def test_a_predicate_that_raises_keeps_runs_out_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def raising(record: RunRecord) -> bool:
        raise LookupError("no tenant")

    sink = MemorySink()
    record_all(store_of(sink, predicate=raising), run(1), run(2))
    assert ids(sink) == []
    assert caplog.text.count("the trace predicate raised") == 1


def test_sampling_takes_a_share_the_same_everywhere() -> None:
    first, second = MemorySink(10_000), MemorySink(10_000)
    runs = [run(i) for i in range(2000)]
    record_all(store_of(first, sample_rate=0.25), *runs)
    record_all(store_of(second, sample_rate=0.25), *runs)
    assert 400 < len(first.records) < 600
    assert ids(first) == ids(second)


@pytest.mark.parametrize("outcome", list(Outcome), ids=str)
def test_sampling_never_leaves_out_failures(outcome: Outcome) -> None:
    sink = MemorySink()
    record_all(store_of(sink, sample_rate=0.0), run(outcome=outcome))
    assert len(sink.records) == (outcome not in (Outcome.OK, Outcome.CANCELLED))


@pytest.mark.parametrize("limit", ["slow_first_token_s", "slow_duration_s"])
def test_sampling_never_leaves_out_slow_runs(limit: str) -> None:
    sink = MemorySink()
    record_all(store_of(sink, sample_rate=0.0, **{limit: 0.4}), run())
    assert len(sink.records) == 1


def test_what_finds_no_room_is_dropped_and_counted() -> None:
    before = drops().get("provider_traces", 0)
    store = store_of(MemorySink(), queue_items=3)
    for i in range(5):
        store(run(i))  # nothing is running yet, so nothing is taken out
    assert store.stats.waiting == 3
    assert store.stats.dropped == {"queue_full": 2}
    assert store.close(5)
    assert written(store) == [3]
    assert drops()["provider_traces"] == before + 2


def test_losses_are_exported_as_a_metric() -> None:
    reader = InMemoryMetricReader()
    telemetry = OTelTelemetry(meter_provider=MeterProvider([reader]))
    store = store_of(MemorySink(), queue_items=1)

    async def work() -> None:
        pipeline = builder(ScriptedSource(reads())).trace(telemetry).build()
        async with pipeline.run({}) as running:
            await running.result()

    asyncio.run(work())
    before = _lost(reader)
    for i in range(4):
        store(run(i))
    assert _lost(reader) == before + 3
    assert store.close(5)


def _lost(reader: InMemoryMetricReader) -> int | float:
    data = reader.get_metrics_data()
    assert data is not None
    (scope,) = data.resource_metrics[0].scope_metrics
    (metric,) = [each for each in scope.metrics if each.name == "tokenline.telemetry.dropped"]
    points = {(each.attributes or {})["tokenline.signal"]: each for each in metric.data.data_points}
    point = points["provider_traces"]
    assert isinstance(point, NumberDataPoint)
    return point.value


def test_memory_is_bounded_in_bytes_too() -> None:
    store = store_of(MemorySink(), queue_bytes=30_000)
    for i in range(10):
        store(run(i))
    assert store.stats.waiting == 3
    assert store.stats.dropped == {"queue_full": 7}
    assert store.close(5)


def test_after_closing_runs_are_counted_as_dropped() -> None:
    sink = MemorySink()
    store = store_of(sink)
    record_all(store, run(1))
    store(run(2))
    assert store.stats.dropped == {"closed": 1}
    assert store.flush(1)
    assert store.close(1)
    assert ids(sink) == ["message-1"]


def test_flush_waits_until_all_is_written() -> None:
    sink = MemorySink()
    store = TraceStore(sink, options=TraceOptions(batch_wait_s=0.02))
    store.prepare()
    for i in range(100):
        store(run(i))
    assert store.flush(5)
    assert len(sink.records) == 100
    assert store.close(5)


def test_flush_gives_up_at_its_time_and_loses_nothing() -> None:
    sink = HangingSink()
    store = store_of(sink)
    store.prepare()
    store(run(1))
    assert sink.reached.wait(5)
    assert not store.flush(0.02)
    sink.go()
    assert store.flush(5)
    assert ids(sink) == ["message-1"]
    assert store.close(5)


def test_close_keeps_its_deadline_and_counts_what_is_lost() -> None:
    sink = HangingSink()
    store = store_of(sink)
    store.prepare()
    for i in range(10):
        store(run(i))
    assert sink.reached.wait(5)
    from_s = time.monotonic()
    assert not store.close(0.3)
    assert time.monotonic() - from_s < 0.6
    (stats,) = store.stats.sinks
    assert stats.dropped == {"closed": 10}
    assert stats.waiting == 0


def test_a_record_that_cannot_be_made_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    class Failing:
        def estimate(self, payload: Any, result: Any) -> Any:
            raise ValueError("no vocabulary")

    sink = MemorySink()
    store = TraceStore(sink, usage_estimator=Failing())
    record_all(store, run(1, usage=None, result=Result(message_id="m")), run(2))
    assert ids(sink) == ["message-2"]
    assert store.stats.dropped == {"failed": 1}
    assert "a trace could not be made: ValueError" in caplog.text


def test_records_outlive_the_event_loop() -> None:
    sink = MemorySink()
    store = store_of(sink)
    telemetry = TraceEmitter(NoTelemetry(), store)

    async def one(text: bytes) -> set[str]:
        pipeline = builder(ScriptedSource(reads(text))).trace(telemetry).build()
        async with pipeline.run({"model": "m"}) as running:
            await running.result()
        return {task.get_name() for task in asyncio.all_tasks()}

    for _ in range(3):
        # Nothing is left on the caller's loop, and nothing is waited for at its end.
        assert len(asyncio.run(one(BODY))) == 1
    assert store.close(5)
    assert [record.outcome for record in sink.records] == ["ok"] * 3


def test_several_threads_may_record_at_once() -> None:
    sink = MemorySink(10_000)
    store = store_of(sink)
    store.prepare()

    def record(first: int) -> None:
        for i in range(first, first + 500):
            store(run(i))

    threads = [threading.Thread(target=record, args=(i * 500,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.close(10)
    assert sorted(ids(sink)) == sorted(f"message-{i}" for i in range(2000))


def test_the_garbage_collector_may_record() -> None:
    """An abandoned run is recorded by its finalizer, in the middle of anything."""
    sink = MemorySink()
    store = store_of(sink)
    telemetry = TraceEmitter(NoTelemetry(), store)

    async def abandon() -> None:
        pipeline = builder(ScriptedSource([b"one\n", Pause()])).trace(telemetry).build()
        running = pipeline.run({"model": "m"})
        running.start()
        del running
        gc.collect()

    asyncio.run(abandon())
    gc.collect()
    assert store.close(5)
    assert [record.outcome for record in sink.records] == ["abandoned"]


async def _use(store: TraceStore) -> tuple[bool, bool]:
    async with store:
        store(run(1))
        return await store.aflush(5), await store.aclose(5)


def test_async_forms() -> None:
    sink = MemorySink()
    assert asyncio.run(_use(store_of(sink))) == (True, True)
    assert ids(sink) == ["message-1"]


async def _close_and_give_up(store: TraceStore) -> None:
    store.prepare()
    store(run(1))
    closing = asyncio.create_task(store.aclose(5))
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    assert closing.cancelled()


def test_a_caller_that_gives_up_does_not_stop_the_closing() -> None:
    class Telling(MemorySink):
        closed = threading.Event()

        async def aclose(self) -> None:
            self.closed.set()

    sink = Telling()
    asyncio.run(_close_and_give_up(store_of(sink)))
    assert sink.closed.wait(5)
    assert ids(sink) == ["message-1"]


def test_what_is_not_even_made_in_time_is_counted() -> None:
    store = store_of(MemorySink())
    for i in range(3000):
        store(run(i))
    assert not store.close(0.01)
    stats = store.stats
    lost = stats.dropped.get("closed", 0) + sum(sum(s.dropped.values()) for s in stats.sinks)
    assert lost > 0
    assert stats.waiting == 0


async def _while_hanging(store: TraceStore, sink: HangingSink) -> bool:
    store.prepare()
    store(run(1))
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    done = await store.aflush(0.05)
    ticking.cancel()
    assert ticks > 10
    sink.go()
    assert await store.aclose(5)
    return done


def test_async_flush_does_not_block_the_loop() -> None:
    sink = HangingSink()
    assert not asyncio.run(_while_hanging(store_of(sink), sink))


def test_a_store_needs_a_sink() -> None:
    with pytest.raises(ConfigError, match="needs a sink"):
        TraceStore()


@pytest.mark.parametrize("target", ["traces.txt", "mysql://host/db", "noscheme", 5])
def test_targets_of_no_known_form(target: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no traces"):
        traces(target)


@pytest.mark.parametrize("targets", [["a.jsonl", "b.db"], ["c.ndjson", "d.sqlite3"]])
def test_targets_by_name(targets: list[str], tmp_path: Path) -> None:
    seen: list[str] = []
    store = traces(
        *(tmp_path / "new" / name for name in targets),
        lambda record: seen.append(record.ids.message_id),
        FlakySink(),
        batch_wait_s=0.0,
    )
    record_all(store, run(1))
    assert written(store) == [1] * 4
    assert seen == ["message-1"]
    assert all((tmp_path / "new" / name).stat().st_mode & 0o077 == 0 for name in targets)


def test_the_streams_path_costs_microseconds() -> None:
    """Taking a run must stay far below the cost of a run itself (about a millisecond)."""
    store = store_of(MemorySink())
    record = run()
    best_ns = min(_timed(store, record) for _ in range(200))
    assert best_ns < 200_000
    assert store.close(5)


def _timed(store: TraceStore, record: RunRecord) -> int:
    from_ns = time.perf_counter_ns()
    store(record)
    return time.perf_counter_ns() - from_ns
