"""Who is whose parent: spans nest across tasks, and nothing is attached where it must be undone."""

import asyncio
import contextvars
import logging
import sys
from types import ModuleType

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from tests.pipeline.telemetry.conftest import MemoryFactory
from tests.pipeline.telemetry.factory import run_info, run_record
from tokenline.telemetry.otel import OTelTelemetry

user_variable = contextvars.ContextVar("user_variable", default="unset")


def span_id(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def test_request_span_is_a_child_of_the_callers_span(memory: MemoryFactory) -> None:
    made = memory()
    with made.tracer.start_as_current_span("caller"):
        run = made.telemetry.start(run_info())
    run.end(run_record())
    root = made.span("chat gpt-test")
    assert root.parent is not None
    assert root.parent.span_id == span_id(made.span("caller"))


def test_callers_context_is_left_alone(memory: MemoryFactory) -> None:
    made = memory()
    with made.tracer.start_as_current_span("caller") as caller:
        run = made.telemetry.start(run_info())
        assert trace.get_current_span() is caller
        run.end(run_record())
        assert trace.get_current_span() is caller


def test_http_spans_of_the_pipelines_tasks_nest_in_the_request_span(memory: MemoryFactory) -> None:
    made = memory()

    async def send() -> str:
        await asyncio.sleep(0)
        made.tracer.start_span("POST").end()
        return user_variable.get()

    async def request() -> str:
        user_variable.set("seen")
        run = made.telemetry.start(run_info())
        assert run.task_context is not None
        try:
            return await asyncio.create_task(send(), context=run.task_context)
        finally:
            run.end(run_record())

    assert asyncio.run(request()) == "seen"
    post = made.span("POST")
    assert post.parent is not None
    assert post.parent.span_id == span_id(made.span("chat gpt-test"))


def test_nothing_is_detached(memory: MemoryFactory, caplog: pytest.LogCaptureFixture) -> None:
    """Runs that start and end in different tasks and contexts, one cancelled in between."""
    made = memory()

    async def request(number: int) -> None:
        run = made.telemetry.start(run_info())
        assert run.task_context is not None
        child = asyncio.create_task(asyncio.sleep(60), context=run.task_context)
        await asyncio.sleep(0)
        child.cancel()
        await asyncio.gather(child, return_exceptions=True)
        ending = contextvars.Context()
        asyncio.get_running_loop().call_soon(run.end, run_record(), context=ending)

    async def main() -> None:
        await asyncio.gather(*(request(number) for number in range(50)))

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())
    assert "detach" not in caplog.text
    assert [span.name for span in made.spans()].count("chat gpt-test") == 50


def test_stage_spans_do_not_inherit_whatever_is_current(memory: MemoryFactory) -> None:
    made = memory()

    async def main() -> None:
        made.telemetry.start(run_info()).end(run_record())
        with made.tracer.start_as_current_span("another request"):
            await asyncio.sleep(0.01)

    asyncio.run(main())
    stage = made.span("stage source")
    assert stage.parent is not None
    assert stage.parent.span_id == span_id(made.span("chat gpt-test"))


class TestSuppression:
    def values(self, memory: MemoryFactory, suppress: str | None) -> otel_context.Context:
        run = memory(suppress=suppress).telemetry.start(run_info())
        assert run.task_context is not None
        found = run.task_context.run(otel_context.get_current)
        run.end(run_record())
        return found

    def test_genai_is_the_default(self, memory: MemoryFactory) -> None:
        run = memory().telemetry.start(run_info())
        assert run.task_context is not None
        found = run.task_context.run(otel_context.get_current)
        run.end(run_record())
        assert found["suppress_language_model_instrumentation"] is True
        assert "suppress_instrumentation" not in found

    def test_all_silences_http_too(self, memory: MemoryFactory) -> None:
        found = self.values(memory, "all")
        assert found["suppress_language_model_instrumentation"] is True
        assert found["suppress_instrumentation"] is True
        assert [key for key in found if key.startswith("suppress_instrumentation-")]

    def test_none_leaves_others_alone(self, memory: MemoryFactory) -> None:
        assert not [key for key in self.values(memory, None) if key.startswith("suppress")]

    def test_genai_utilities_are_told_if_loaded(
        self, memory: MemoryFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class InferenceData:
            pass

        module = ModuleType("opentelemetry.util.genai.invocation")
        vars(module)["InferenceData"] = InferenceData
        monkeypatch.setitem(sys.modules, module.__name__, module)
        found = self.values(memory, "genai")
        marker = found["opentelemetry.genai.client.inference.context"]
        assert isinstance(marker, InferenceData)

    def test_a_marker_that_is_made_otherwise_costs_no_span(
        self, memory: MemoryFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class InferenceData:
            def __init__(self, provider: str) -> None: ...

        module = ModuleType("opentelemetry.util.genai.invocation")
        vars(module)["InferenceData"] = InferenceData
        monkeypatch.setitem(sys.modules, module.__name__, module)
        made = memory()
        made.telemetry.start(run_info()).end(run_record())
        assert made.span("chat gpt-test").status.is_unset


def test_a_span_whose_context_cannot_be_made_is_ended(
    memory: MemoryFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = memory()

    def fail(_: object) -> None:
        raise RuntimeError("no context")

    monkeypatch.setattr(made.telemetry._reporting, "task_context", fail)
    made.telemetry.start(run_info()).end(run_record())
    assert [span.name for span in made.spans()] == ["chat gpt-test"]


class Failing(SpanProcessor):
    """A span processor with a mistake in it."""

    def __init__(self, where: str) -> None:
        self.where = where

    def on_start(self, span: Span, parent_context: otel_context.Context | None = None) -> None:
        if self.where == "start":
            raise RuntimeError("processor failed")

    def on_end(self, span: ReadableSpan) -> None:
        if self.where == "end":
            raise RuntimeError("processor failed")


@pytest.mark.parametrize("where", ["start", "end"])
def test_failing_span_processor_never_reaches_the_run(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Failing(where))
    telemetry = OTelTelemetry(provider)
    telemetry.start(run_info()).end(run_record())
    assert telemetry.flush(1.0)
    assert "processor failed" in caplog.text
    provider.shutdown()


def test_failing_span_processor_costs_no_other_span_and_no_metric(memory: MemoryFactory) -> None:
    made = memory()
    made.tracer_provider.add_span_processor(Failing("end"))
    record = run_record()
    made.telemetry.start(run_info()).end(record)
    assert len(made.spans()) == 1 + len(record.stages)
    assert made.metrics()["gen_ai.client.operation.duration"].data.data_points[0].count == 1
