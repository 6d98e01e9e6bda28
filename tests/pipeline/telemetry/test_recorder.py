"""Measurements handed over ready are those that the instrument would have made."""

import logging
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.metrics import Histogram, NoOpMeter
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context

from tokenline.telemetry import recorder as module
from tokenline.telemetry.recorder import Record, recorder
from tokenline.telemetry.valid import Attributes

ATTRIBUTES: Attributes = {"gen_ai.provider.name": "openai", "server.port": 8080, "more": True}
OTHER: Attributes = {"gen_ai.provider.name": "käse"}


def by_recorder(histogram: Histogram) -> Record:
    record = recorder(histogram)
    assert record != histogram.record
    return record


def by_instrument(histogram: Histogram) -> Record:
    return histogram.record


def exported(way: Callable[[Histogram], Record], context: Context, **arguments: Any) -> str:
    """What is exported of some measurements, but for when they were made."""
    values = arguments.pop("values", (0.05, 0.5, 7, -1))
    temporality = arguments.pop("temporality", AggregationTemporality.CUMULATIVE)
    reader = InMemoryMetricReader({_kind(): temporality})
    provider = MeterProvider([reader], shutdown_on_exit=False, **arguments)
    meter = provider.get_meter("test")
    histogram = meter.create_histogram(
        "h", "s", "what", explicit_bucket_boundaries_advisory=(0.1, 1.0)
    )
    record = way(histogram)
    found = []
    for _ in range(2):
        for value in values:
            record(value, ATTRIBUTES, context)
        record(0.5, OTHER, context)
        record(0.5, None, context)
        record(0.5, ATTRIBUTES, None)
        data = reader.get_metrics_data()
        assert data is not None
        found.append(_without_times(encode_metrics(data)))
    provider.shutdown()
    return "\n".join(found)


def _kind() -> type:
    from opentelemetry.sdk.metrics import Histogram as SdkHistogram

    return SdkHistogram


def _without_times(message: Any) -> str:
    return "\n".join(line for line in str(message).split("\n") if "time_unix_nano" not in line)


@pytest.fixture
def context() -> Iterator[Context]:
    provider = TracerProvider(shutdown_on_exit=False)
    yield set_span_in_context(provider.get_tracer("test").start_span("run"))
    provider.shutdown()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({}, id="as it is by default"),
        pytest.param({"values": (1, -1, math.nan, math.inf)}, id="odd numbers"),
        pytest.param({"temporality": AggregationTemporality.DELTA}, id="delta"),
        pytest.param(
            {"views": [View(instrument_name="h", attribute_keys={"more"})]}, id="attributes left"
        ),
        pytest.param(
            {
                "views": [
                    View(instrument_name="h", aggregation=ExponentialBucketHistogramAggregation())
                ]
            },
            id="exponential",
        ),
        pytest.param({"exemplar_filter": AlwaysOnExemplarFilter()}, id="every exemplar"),
    ],
)
def test_both_ways_export_the_same(
    context: Context, arguments: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        mine = exported(by_recorder, context, **arguments)
        warnings = len(caplog.records)
        theirs = exported(by_instrument, context, **arguments)
    assert "exemplars" in mine
    assert mine == theirs
    assert len(caplog.records) == 2 * warnings > 0


def test_instruments_of_another_make_are_recorded_on_as_usual() -> None:
    histogram = NoOpMeter("test").create_histogram("h")
    assert recorder(histogram) == histogram.record


def test_another_shape_of_measurement_is_not_guessed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIELDS", (*module._FIELDS, "links"))
    provider = MeterProvider(shutdown_on_exit=False)
    histogram = provider.get_meter("test").create_histogram("h")
    assert recorder(histogram) == histogram.record
    provider.shutdown()
