"""What a collector gets over OTLP/HTTP, decoded from the protobuf on the socket."""

from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.pipeline.telemetry.conftest import Collector
from tests.pipeline.telemetry.factory import run_info, run_record, wall
from tokenline.record import LoopLag, Outcome
from tokenline.result import Result, TextPart
from tokenline.telemetry import TelemetryOptions, configure
from tokenline.telemetry import attributes as names
from tokenline.telemetry.attributes import SEMCONV, SemconvName

pytestmark = pytest.mark.usefixtures("no_otel_variables")

NAME = "chat gpt-test"


def attributes(pairs: Any) -> dict[str, Any]:
    def value(pair: KeyValue) -> Any:
        kind = pair.value.WhichOneof("value")
        found = getattr(pair.value, kind or "string_value")
        return [each.string_value for each in found.values] if kind == "array_value" else found

    return {pair.key: value(pair) for pair in pairs}


def spans_of(collector: Collector) -> dict[str, Span]:
    return {
        span.name: span
        for export in collector.traces
        for resource in export.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def metrics_of(collector: Collector) -> dict[str, Metric]:
    return {
        metric.name: metric
        for export in collector.metrics
        for resource in export.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


@pytest.fixture
def exported(collector: Collector) -> Collector:
    """A collector that has received one run."""
    telemetry = configure(endpoint=collector.endpoint, service_name="test")
    telemetry.start(run_info()).end(run_record())
    assert telemetry.shutdown(5.0)
    return collector


def test_spans(exported: Collector) -> None:
    spans = spans_of(exported)
    assert list(spans) == [NAME, "stage source", "stage parser", "stage consumer"]
    root = spans[NAME]
    assert root.kind == Span.SPAN_KIND_CLIENT
    assert root.parent_span_id == b""
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (wall(0), wall(2000))
    assert root.status.code == Status.STATUS_CODE_UNSET
    found = attributes(root.attributes)
    assert found["gen_ai.response.time_to_first_chunk"] == 0.4
    assert found["gen_ai.response.finish_reasons"] == ["stop"]
    assert found["gen_ai.usage.output_tokens"] == 51
    for name in ("stage source", "stage parser", "stage consumer"):
        stage = spans[name]
        assert stage.kind == Span.SPAN_KIND_INTERNAL
        assert stage.parent_span_id == root.span_id
        assert stage.trace_id == root.trace_id
        assert stage.start_time_unix_nano >= root.start_time_unix_nano
        assert not any(key.startswith("gen_ai.") for key in attributes(stage.attributes))
    assert spans["stage parser"].end_time_unix_nano <= root.end_time_unix_nano
    assert attributes(spans["stage source"].attributes)["tokenline.stage.time.blocked"] == 0.03


def test_scope(exported: Collector) -> None:
    (resource,) = exported.traces[0].resource_spans
    (scope,) = resource.scope_spans
    assert scope.scope.name == "tokenline"
    assert scope.schema_url == "https://opentelemetry.io/schemas/1.41.1"
    assert attributes(resource.resource.attributes)["service.name"] == "test"


def test_histograms(exported: Collector) -> None:
    root = spans_of(exported)[NAME]
    metric = metrics_of(exported)["gen_ai.client.operation.time_to_first_chunk"]
    assert metric.unit == "s"
    histogram = metric.histogram
    assert histogram.aggregation_temporality == (
        AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    )
    (point,) = histogram.data_points
    assert len(point.explicit_bounds) == 14
    assert (point.explicit_bounds[0], point.explicit_bounds[-1]) == (0.01, 81.92)
    assert (point.count, point.sum) == (1, 0.4)
    (exemplar,) = point.exemplars
    assert (exemplar.trace_id, exemplar.span_id) == (root.trace_id, root.span_id)
    assert exemplar.as_double == 0.4


def declared(semconv: SemconvName) -> dict[str, names.Metric]:
    """Every metric of the module of names, by its name."""
    own = [each for each in vars(names).values() if isinstance(each, names.Metric)]
    chosen = SEMCONV[semconv]
    tokens = (chosen.token_usage, chosen.input_tokens, chosen.output_tokens)
    found = [chosen.duration, chosen.first_chunk, *filter(None, tokens)]
    return {each.name: each for each in (*own, *found, *chosen.usage_counters.values())}


@pytest.mark.parametrize("semconv", SEMCONV)
def test_every_metric_is_as_declared(collector: Collector, semconv: SemconvName) -> None:
    telemetry = configure(endpoint=collector.endpoint, options=TelemetryOptions(semconv=semconv))
    telemetry.start(run_info()).end(run_record(loop_lag=LoopLag(1, 1, 1, 1)))
    assert telemetry.shutdown(5.0)
    root = spans_of(collector)[NAME]
    found, wanted = metrics_of(collector), declared(semconv)
    assert set(found) == set(wanted)
    for name, metric in found.items():
        assert (metric.unit, metric.description) == (wanted[name].unit, wanted[name].description)
        assert metric.HasField("histogram") == bool(wanted[name].buckets), name
        if metric.HasField("gauge"):
            continue
        data = metric.histogram if metric.HasField("histogram") else metric.sum
        cumulative = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
        assert data.aggregation_temporality == cumulative, name
        for point in metric.histogram.data_points:
            assert tuple(point.explicit_bounds) == wanted[name].buckets, name
            # Those of a request's own measurements lead to its trace.
            assert {(e.trace_id, e.span_id) for e in point.exemplars} == {
                (root.trace_id, root.span_id)
            }, name


def test_sums_and_gauges(exported: Collector) -> None:
    found = metrics_of(exported)
    completed = found["tokenline.streams.completed"]
    assert completed.unit == "{stream}"
    assert completed.sum.is_monotonic
    assert completed.sum.data_points[0].as_int == 1
    assert not found["tokenline.streams.active"].sum.is_monotonic
    depth = found["tokenline.stage.queue.depth"].gauge.data_points[0]
    assert depth.as_int == 9


def test_temporality_follows_the_variable(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    telemetry = configure(endpoint=collector.endpoint)
    telemetry.start(run_info()).end(run_record())
    assert telemetry.shutdown(5.0)
    histogram = metrics_of(collector)["gen_ai.client.operation.duration"].histogram
    assert histogram.aggregation_temporality == (
        AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    )


def test_newer_conventions(collector: Collector) -> None:
    options = TelemetryOptions(semconv="genai-dev")
    telemetry = configure(endpoint=collector.endpoint, options=options)
    telemetry.start(run_info()).end(run_record())
    assert telemetry.shutdown(5.0)
    found = metrics_of(collector)
    assert "gen_ai.client.inference.duration" in found
    assert "gen_ai.client.operation.duration" not in found


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_end_exports_one_root(collector: Collector, outcome: Outcome) -> None:
    telemetry = configure(endpoint=collector.endpoint, options=TelemetryOptions(stages="off"))
    telemetry.start(run_info()).end(run_record(outcome=outcome))
    assert telemetry.shutdown(5.0)
    assert list(spans_of(collector)) == [NAME]


def test_batches_are_small(collector: Collector) -> None:
    telemetry = configure(endpoint=collector.endpoint)
    for _ in range(50):
        telemetry.start(run_info()).end(run_record())
    assert telemetry.shutdown(5.0)
    sizes = [
        sum(len(scope.spans) for each in export.resource_spans for scope in each.scope_spans)
        for export in collector.traces
    ]
    assert sum(sizes) == 200
    assert max(sizes) <= 64


def test_content_as_a_log_record(
    collector: Collector, no_otel_variables: pytest.MonkeyPatch
) -> None:
    no_otel_variables.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "EVENT_ONLY")
    telemetry = configure(endpoint=collector.endpoint, service_name="test")
    result = Result(message_id="msg_1", outcome=Outcome.OK, content=(TextPart(text="Bonjour"),))
    telemetry.start(run_info()).end(run_record(result=result))
    assert telemetry.shutdown(5.0)
    (record,) = [
        record
        for export in collector.logs
        for resource in export.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]
    root = spans_of(collector)[NAME]
    assert record.event_name == "gen_ai.client.inference.operation.details"
    assert (record.trace_id, record.span_id) == (root.trace_id, root.span_id)
    (messages,) = [pair for pair in record.attributes if pair.key == "gen_ai.output.messages"]
    fields = {
        pair.key: pair.value for pair in messages.value.array_value.values[0].kvlist_value.values
    }
    assert fields["role"].string_value == "assistant"
    (part,) = fields["parts"].array_value.values
    assert {pair.key: pair.value.string_value for pair in part.kvlist_value.values} == {
        "type": "text",
        "content": "Bonjour",
    }
    assert "gen_ai.output.messages" not in attributes(root.attributes)


def test_no_logs_without_content(exported: Collector) -> None:
    assert exported.logs == []
