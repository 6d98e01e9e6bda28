"""Spans made at once are those that the tracer would have made, or the tracer makes them."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    ReadableSpan,
    Span,
    SpanLimits,
    SpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import Tracer, set_span_in_context

from tests.pipeline.telemetry.factory import STAGES, at, run_record
from tokenline.errors import StageFailedError
from tokenline.record import AttemptRecord, Outcome, RunRecord
from tokenline.telemetry import OTelTelemetry, TelemetryOptions
from tokenline.telemetry.finished_span import FinishedSpans
from tokenline.telemetry.stage_span import FinishedSpan


class Counted(IdGenerator):
    """Ids that are the same in every run of a test."""

    def __init__(self) -> None:
        self._last = 0

    def generate_span_id(self) -> int:
        self._last += 1
        return self._last

    def generate_trace_id(self) -> int:
        return self.generate_span_id()


class Starts(SpanProcessor):
    """Looks at spans when they start, so the tracer has to make them."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.names.append(span.name)


class Ends(SpanProcessor):
    """Looks at spans when they are over."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.names.append(span.name)


def provider_of(**arguments: Any) -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False, id_generator=Counted(), **arguments)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def spans_of(
    provider: TracerProvider, exporter: InMemorySpanExporter, record: RunRecord
) -> Sequence[ReadableSpan]:
    telemetry = OTelTelemetry(provider, options=TelemetryOptions(metrics=False))
    telemetry.start(record.info).end(record)
    assert telemetry.shutdown(5.0)
    return exporter.get_finished_spans()


def attempt(route: str, error: str | None, committed: bool) -> AttemptRecord:
    outcome = Outcome.OK if error is None else Outcome.ERROR
    return AttemptRecord(route, "openai", at(10), at(1900), outcome, error, committed)


RECORDS = {
    "ok": run_record(),
    "a stage failed": run_record(
        outcome=Outcome.ERROR,
        error=StageFailedError("broke", stage="parser"),
        stages=(STAGES[0], replace(STAGES[1], errors=1)),
    ),
    "odd names": run_record(
        stages=(
            replace(STAGES[0], name="Käse"),
            replace(STAGES[1], name="half \ud83d"),
            replace(STAGES[2], name=""),
        )
    ),
    "attempts": run_record(
        attempts=2,
        attempt_records=(
            attempt("first", "RateLimitError", False),
            attempt("zweiter ü", None, True),
        ),
    ),
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_both_roads_export_the_same_bytes(record: RunRecord) -> None:
    direct = spans_of(*provider_of(), record)
    provider, exporter = provider_of()
    provider.add_span_processor(Starts())
    live = spans_of(provider, exporter, record)
    assert len(direct) > 1
    assert encode_spans(direct).SerializeToString() == encode_spans(live).SerializeToString()
    assert [span.to_json() for span in direct] == [span.to_json() for span in live]
    assert [span.context for span in direct] == [span.context for span in live]
    assert [span.instrumentation_scope for span in direct] == [
        span.instrumentation_scope for span in live
    ]


SPAN = FinishedSpan("stage x", {"tokenline.stage.name": "x", "more": 1}, 10, 20, failed=False)


def is_direct(tracer: Tracer) -> bool:
    """Whether a span below one of `tracer` is made at once."""
    parent = tracer.start_span("parent")
    road = FinishedSpans(tracer)._direct
    made = road.make(SPAN, set_span_in_context(parent)) if road is not None else None
    if made is not None:
        made()
    return made is not None


def tracer_of(**arguments: Any) -> Tracer:
    return TracerProvider(shutdown_on_exit=False, **arguments).get_tracer("test")


class Inheriting(BatchSpanProcessor):
    """Of a user's own, and nothing of it at the start of a span."""


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({}, id="as it is by default"),
        pytest.param({"sampler": ALWAYS_ON}, id="all sampled"),
        pytest.param({"sampler": ParentBased(ALWAYS_ON)}, id="sampled as the parent"),
        pytest.param({"span_limits": SpanLimits(max_span_attributes=2)}, id="limit just kept"),
    ],
)
def test_what_is_known_beforehand_is_made_at_once(arguments: dict[str, Any]) -> None:
    assert is_direct(tracer_of(**arguments))


class Renaming(Sampler):
    """Takes every span and adds an attribute."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_AND_SAMPLE, {"rule": "mine"})

    def get_description(self) -> str:
        return "Renaming"


class Unsampled(Sampler):
    """Records every span, for processors that count, and samples none."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "Unsampled"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"sampler": Renaming()}, id="a sampler of the user's"),
        pytest.param(
            {"sampler": ParentBased(ALWAYS_ON, local_parent_sampled=Renaming())}, id="for children"
        ),
        pytest.param({"sampler": Unsampled()}, id="recorded, not sampled"),
        pytest.param({"span_limits": SpanLimits(max_span_attributes=1)}, id="too many attributes"),
        pytest.param({"span_limits": SpanLimits(max_attribute_length=99)}, id="length limited"),
        pytest.param(
            {"active_span_processor": ConcurrentMultiSpanProcessor()}, id="processors in threads"
        ),
    ],
)
def test_anything_else_is_left_to_the_tracer(arguments: dict[str, Any]) -> None:
    assert not is_direct(tracer_of(**arguments))


def test_the_sdk_counts_spans_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    assert is_direct(tracer_of(meter_provider=meters))
    data = reader.get_metrics_data()
    assert data is not None
    points = {
        metric.name: [getattr(point, "value", None) for point in metric.data.data_points]
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    # The parent, which is still under way, and its child, which is over.
    assert points == {"otel.sdk.span.started": [1, 1], "otel.sdk.span.live": [1]}
    meters.shutdown()


def _without(name: str) -> Callable[[Any], None]:
    return lambda tracer: delattr(tracer, name)


def _other(name: str) -> Callable[[Any], None]:
    return lambda tracer: setattr(tracer, name, lambda *args, **kwargs: None)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_without("_span_limits"), id="no limits"),
        pytest.param(_without("_instrumentation_scope"), id="no scope"),
        pytest.param(_other("start_span"), id="wrapped"),
    ],
)
def test_another_shape_of_tracer_is_not_guessed_at(change: Callable[[Any], None]) -> None:
    tracer = tracer_of()
    change(tracer)
    assert FinishedSpans(tracer)._direct is None


class Narrow:
    """A finished span of an SDK that makes it otherwise."""

    def __init__(self, name: str) -> None: ...


def test_another_shape_of_span_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    provider, exporter = provider_of()
    monkeypatch.setattr("opentelemetry.sdk.trace.ReadableSpan", Narrow)
    telemetry = OTelTelemetry(provider, options=TelemetryOptions(metrics=False))
    run = telemetry.start(run_record().info)
    monkeypatch.undo()
    run.end(run_record())
    assert telemetry.shutdown(5.0)
    names = [span.name for span in exporter.get_finished_spans()]
    assert names == ["chat gpt-test", "stage source", "stage parser", "stage consumer"]


def test_a_processor_that_starts_spans_is_seen_when_it_is_added() -> None:
    provider, exporter = provider_of()
    telemetry = OTelTelemetry(provider, options=TelemetryOptions(metrics=False))
    record = run_record()
    telemetry.start(record.info).end(record)
    assert telemetry.flush(5.0)
    starts, ends = Starts(), Ends()
    provider.add_span_processor(ends)
    telemetry.start(record.info).end(record)
    assert telemetry.flush(5.0)
    provider.add_span_processor(starts)
    telemetry.start(record.info).end(record)
    assert telemetry.shutdown(5.0)
    a_run = ["chat gpt-test", "stage source", "stage parser", "stage consumer"]
    assert [span.name for span in exporter.get_finished_spans()] == a_run * 3
    assert ends.names == a_run * 2
    assert starts.names == a_run


def test_limits_cut_as_they_should() -> None:
    limits = SpanLimits(max_span_attributes=4, max_span_attribute_length=3)
    _, source, *_ = spans_of(*provider_of(span_limits=limits), run_record())
    assert source.name == "stage source"
    assert len(source.attributes or {}) == 4
    assert source.dropped_attributes > 0


def test_inherited_starts_are_idle() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Inheriting(InMemorySpanExporter()))
    provider.add_span_processor(Ends())
    assert is_direct(provider.get_tracer("test"))
    provider.shutdown()
