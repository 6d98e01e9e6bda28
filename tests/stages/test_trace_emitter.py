"""The trace emitter hands one record of every run to telemetry and to sinks."""

import asyncio
import contextvars
import logging
from contextvars import Context, copy_context
from typing import Any

import pytest
from tests.pipeline.lines import builder, reads
from tests.pipeline.telemetry.factory import run_info, run_record

from tokenline.record import Outcome, RunInfo, RunRecord
from tokenline.telemetry.hook import NoTelemetry
from tokenline.testing import ScriptedSource
from tokenline_stages.trace_emitter import TraceEmitter

where = contextvars.ContextVar("where", default="nowhere")


class Telemetry:
    """Notes calls; gives a context of its own in which `where` is `span`."""

    def __init__(self, own_context: bool = True) -> None:
        self.calls: list[str] = []
        self.task_context: Context | None = None
        if own_context:
            self.task_context = copy_context()
            self.task_context.run(where.set, "span")

    def start(self, info: RunInfo) -> "Telemetry":
        self.calls.append("start")
        return self

    def end(self, record: RunRecord) -> None:
        self.calls.append("end")


def test_telemetry_comes_first_then_every_sink() -> None:
    telemetry = Telemetry()
    emitter = TraceEmitter(
        telemetry,
        lambda record: telemetry.calls.append("first"),
        lambda record: telemetry.calls.append("second"),
    )
    emitter.start(run_info()).end(run_record())
    assert telemetry.calls == ["start", "end", "first", "second"]


@pytest.mark.parametrize(("own_context", "seen"), [(True, "span"), (False, "caller")])
def test_sinks_run_where_the_span_is_current(own_context: bool, seen: str) -> None:
    found: list[str] = []
    emitter = TraceEmitter(Telemetry(own_context), lambda record: found.append(where.get()))
    where.set("caller")
    span = emitter.start(run_info())
    where.set("elsewhere")
    span.end(run_record())
    assert found == [seen]
    where.set("nowhere")


def test_the_context_may_be_entered_already() -> None:
    telemetry = Telemetry()
    found: list[str] = []
    span = TraceEmitter(telemetry, lambda record: found.append(where.get())).start(run_info())
    assert telemetry.task_context is not None
    telemetry.task_context.run(span.end, run_record())
    assert found == ["span"]


def test_a_sink_that_raises_does_not_disturb_the_others(caplog: pytest.LogCaptureFixture) -> None:
    found: list[RunRecord] = []

    def fail(record: RunRecord) -> None:
        raise ValueError("full")

    with caplog.at_level(logging.ERROR, "tokenline"):
        TraceEmitter(NoTelemetry(), fail, found.append).start(run_info()).end(run_record())
    assert len(found) == 1
    assert "a record sink failed" in caplog.text


def test_a_sink_is_made_ready_when_a_run_starts() -> None:
    class Sink:
        prepared = 0

        def prepare(self) -> None:
            self.prepared += 1

        def __call__(self, record: RunRecord) -> None:
            assert self.prepared == 1

    sink = Sink()
    TraceEmitter(NoTelemetry(), sink).start(run_info()).end(run_record())
    assert sink.prepared == 1


def test_one_record_of_a_run_with_its_result() -> None:
    found: list[RunRecord] = []

    async def work() -> Any:
        emitter = TraceEmitter(NoTelemetry(), found.append)
        pipeline = builder(ScriptedSource(reads())).trace(emitter).build()
        async with pipeline.run({"model": "m"}) as run:
            return await run.result()

    result = asyncio.run(work())
    (record,) = found
    assert record.outcome is Outcome.OK
    assert record.result is not None
    assert record.result.text == result.text
