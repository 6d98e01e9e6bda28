"""Exactly one record of every call, whatever the exit, beside exactly one request span."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.pipeline.lines import TEXT, builder, reads

from tokenline.errors import AuthenticationError, StreamError
from tokenline.options import RunOptions
from tokenline.policy import Timeouts
from tokenline.run import Run
from tokenline.telemetry import OTelTelemetry, TelemetryOptions
from tokenline.telemetry.hook import NoTelemetry, RunSpan, Telemetry
from tokenline.testing import Pause, ScriptedSource
from tokenline_stages.trace_emitter import TraceEmitter
from tokenline_stages.traces import MemorySink, TraceOptions, TraceRecord, TraceStore

Leave = Callable[[Run], Awaitable[None]]


async def read_all(run: Run) -> None:
    async for _ in run:
        pass


async def fails(run: Run) -> None:
    with pytest.raises(StreamError):
        await run.result()


async def reads_until_it_fails(run: Run) -> None:
    with pytest.raises(StreamError):
        await read_all(run)


async def cancels(run: Run) -> None:
    await anext(run)
    await anext(run)
    run.cancel()


async def leaves(run: Run) -> None:
    await anext(run)
    await anext(run)


async def raises(run: Run) -> None:
    await leaves(run)
    raise LookupError("the caller's own")


EXITS: list[Any] = [
    pytest.param(reads(), read_all, "ok", TEXT, id="end"),
    pytest.param(AuthenticationError("no key"), fails, "error", "", id="refused"),
    pytest.param([b"one\ntwo\n!\n"], fails, "error", "one two ", id="error inside"),
    pytest.param([b"one\n"], reads_until_it_fails, "error", "one ", id="cut"),
    pytest.param([b"one\n", OSError("reset")], fails, "error", "one ", id="reset"),
    pytest.param("paused", cancels, "cancelled", "one ", id="cancelled"),
    pytest.param("paused", leaves, "cancelled", "one ", id="left"),
    pytest.param("paused", raises, "cancelled", "one ", id="caller raises"),
    pytest.param("paused", fails, "timeout", "one ", id="timeout"),
]


class Bench:
    """A store in memory beside spans in memory."""

    def __init__(self, telemetry: Telemetry | None = None) -> None:
        self.sink = MemorySink()
        self.store = TraceStore(self.sink, options=TraceOptions(batch_wait_s=0.0))
        self.spans = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.spans))
        options = TelemetryOptions(stages="off", metrics=False)
        self.telemetry = TraceEmitter(
            telemetry or OTelTelemetry(self.provider, options=options), self.store
        )

    def run(self, script: Any, leave: Leave, **changes: Any) -> TraceRecord:
        """One run; gives its one record."""

        async def work() -> None:
            source = ScriptedSource([b"one\n", Pause()] if script == "paused" else script)
            timeouts = Timeouts(**changes)
            pipeline = (
                builder(source).options(RunOptions(timeouts=timeouts)).trace(self.telemetry).build()
            )
            async with pipeline.run({"model": "m"}, tags={"run_id": "r"}) as run:
                await leave(run)

        with suppress(LookupError):
            asyncio.run(work())
        assert self.store.close(5)
        (record,) = self.sink.records
        return record


@pytest.mark.parametrize(("script", "leave", "outcome", "text"), EXITS)
def test_one_record_and_one_span_on_every_exit(
    script: Any, leave: Leave, outcome: str, text: str
) -> None:
    bench = Bench()
    limits = {"total_s": 0.05} if outcome == "timeout" else {}
    record = bench.run(script, leave, **limits)
    assert record.outcome == outcome
    assert "".join(part["text"] for part in record.response.content) == text
    assert (record.error is not None) == (outcome in ("error", "timeout"))
    assert record.request == {"model": "m"}
    assert record.ids.run_id == "r"
    (span,) = bench.spans.get_finished_spans()
    assert span.context is not None
    assert record.ids.trace_id == format(span.context.trace_id, "032x")
    assert record.ids.span_id == format(span.context.span_id, "016x")
    assert (span.attributes or {})["tokenline.outcome"] == outcome


def test_an_abandoned_run_is_recorded() -> None:
    bench = Bench()

    async def abandon() -> None:
        pipeline = builder(ScriptedSource([b"one\n", Pause()])).trace(bench.telemetry).build()
        run = pipeline.run({"model": "m"})
        run.start()
        await anext(run)
        await anext(run)
        del run
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(abandon())
    assert bench.store.close(5)
    (record,) = bench.sink.records
    assert record.outcome == "abandoned"
    assert record.response.content[0]["text"] == "one "


def test_without_own_tracing_the_record_names_the_callers_span() -> None:
    bench = Bench(NoTelemetry())
    tracer = bench.provider.get_tracer("test")

    async def within(run: Run) -> None:
        with tracer.start_as_current_span("another, opened later"):
            await read_all(run)

    with tracer.start_as_current_span("request handler") as span:
        record = bench.run(reads(), within)
        context = span.get_span_context()
    assert record.ids.trace_id == format(context.trace_id, "032x")
    assert record.ids.span_id == format(context.span_id, "016x")


def test_without_any_span_there_are_no_ids() -> None:
    assert otel.get_current_span() is otel.INVALID_SPAN
    record = Bench(NoTelemetry()).run(reads(), read_all)
    assert (record.ids.trace_id, record.ids.span_id) == (None, None)


class _Broken:
    """Telemetry that fails wherever it can."""

    def __init__(self, at_start: bool) -> None:
        self._at_start = at_start

    task_context = None

    def start(self, info: Any) -> RunSpan:
        if self._at_start:
            raise RuntimeError("no telemetry at the start")
        return self

    def end(self, record: Any) -> None:
        raise RuntimeError("no telemetry at the end")


@pytest.mark.parametrize("at_start", [True, False])
def test_broken_telemetry_costs_no_record(at_start: bool) -> None:
    assert Bench(_Broken(at_start)).run(reads(), read_all).outcome == "ok"
