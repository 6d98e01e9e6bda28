"""Measurements handed over ready are those that the instrument would have made."""

import logging
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

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
from tokenline.telemetry.recorder import Recorder, SharedAttributes
from tokenline.telemetry.valid import Attributes

ATTRIBUTES: Attributes = {"gen_ai.provider.name": "openai", "server.port": 8080, "more": True}
NONE: Attributes = {}
OTHER: Attributes = {"gen_ai.provider.name": "käse"}


Record: TypeAlias = Callable[[float, SharedAttributes, Context | None], None]


def by_recorder(histogram: Histogram) -> Record:
    made = Recorder(histogram)
    assert made.is_direct
    return made.record


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
        record(0.5, NONE, context)
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
        pytest.param(
            {"views": [View(instrument_name="h", name="a"), View(instrument_name="h", name="b")]},
            id="two",
        ),
        pytest.param({"exemplar_filter": AlwaysOnExemplarFilter()}, id="every exemplar"),
    ],
)
def test_both_ways_export_the_same(
    context: Context, arguments: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        mine = exported(by_recorder, context, **arguments)
        warnings = len(_own(caplog))
        theirs = exported(by_instrument, context, **arguments)
    assert "exemplars" in mine
    assert mine == theirs
    assert len(_own(caplog)) == 2 * warnings > 0


def _own(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What this thread logged: an exporter of another test may still be at work in its own."""
    return [record for record in caplog.records if record.thread == threading.get_ident()]


def test_instruments_of_another_make_are_recorded_on_as_usual() -> None:
    histogram = NoOpMeter("test").create_histogram("h")
    assert not Recorder(histogram).is_direct


def test_another_shape_of_measurement_is_not_guessed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIELDS", (*module._FIELDS, "links"))
    provider = MeterProvider(shutdown_on_exit=False)
    histogram = provider.get_meter("test").create_histogram("h")
    assert not Recorder(histogram).is_direct
    provider.shutdown()


def test_a_reader_that_is_added_gets_what_follows(context: Context) -> None:
    first, second = InMemoryMetricReader(), InMemoryMetricReader()
    provider = MeterProvider([first], shutdown_on_exit=False)
    if not hasattr(provider, "add_metric_reader"):
        pytest.skip("not in this version of the SDK")
    record = by_recorder(provider.get_meter("test").create_histogram("h"))
    for _ in range(3):
        record(1.0, ATTRIBUTES, context)
    provider.add_metric_reader(second)
    for _ in range(3):
        record(1.0, ATTRIBUTES, context)
    assert [_counts(reader) for reader in (first, second)] == [[6], [3]]
    provider.shutdown()


def test_sets_past_the_limit_overflow_as_they_should(context: Context) -> None:
    try:
        view = View(instrument_name="h", aggregation_cardinality_limit=3)
    except TypeError:
        pytest.skip("not in this version of the SDK")
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], views=[view], shutdown_on_exit=False)
    record = by_recorder(provider.get_meter("test").create_histogram("h"))
    sets: list[Attributes] = [{"number": number} for number in range(5)]
    for attributes in sets * 3:
        record(1.0, attributes, context)
    assert _counts(reader) == [3, 3, 3, 6]
    provider.shutdown()


def test_among_very_many_sets_none_is_lost(context: Context) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    record = by_recorder(provider.get_meter("test").create_histogram("h"))
    sets: list[Attributes] = [{"number": number} for number in range(600)]
    for attributes in sets * 2:
        record(1.0, attributes, context)
    assert _counts(reader) == [2] * len(sets)
    provider.shutdown()


def test_another_object_in_place_of_an_old_set_is_not_taken_for_it(context: Context) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    record = by_recorder(provider.get_meter("test").create_histogram("h"))
    for number in range(250):  # Each set is the caller's no more before the next is made.
        record(1.0, {"number": number % 100}, context)
    assert _counts(reader) == [3] * 50 + [2] * 50
    provider.shutdown()


def _counts(reader: InMemoryMetricReader) -> list[int]:
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    return [getattr(point, "count", 0) for point in metric.data.data_points]
