"""The benchmark in OpenTelemetry: spans of the run and its levels, gauges of the results.

Request spans come from the pipeline itself (GenAI conventions, stage spans); the level's span is
their parent, across processes. Metrics, all gauges, attributes `tokenline.bench.endpoint` and
`tokenline.bench.load` (and `quantile` for percentiles):

    tokenline.bench.{metric}          s, tokens or tokens/s; mean without `quantile`
    tokenline.bench.requests          by `tokenline.outcome`
    tokenline.bench.requests_per_s, .output_tokens_per_s, .goodput_per_s, .error_share

Where it goes is told by the standard variables `OTEL_EXPORTER_OTLP_*`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from tokenline.errors import ConfigError
from tokenline_bench.report import EndpointReport, LevelReport, Report
from tokenline_bench.results import LevelResult
from tokenline_bench.session import WARMUP, NoObserver
from tokenline_bench.statistics import Distribution

_SCOPE = "tokenline.bench"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_TIMEOUT_MS = 5000
_Point = tuple[float, dict[str, str | float]]


def is_configured() -> bool:
    """Whether the environment names a place for telemetry."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not disabled and any(os.environ.get(name, "").strip() for name in _ENDPOINTS)


class OtlpExport(NoObserver):
    """Spans of run and levels, and the results as gauges.

    Raises:
        ConfigError: the OTLP protocol asked for does not exist.
    """

    def __init__(self, title: str) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import set_span_in_context

        spans, self._metric_exporter = _exporters()
        self._resource = Resource.create({})
        self._traces = TracerProvider(resource=self._resource, shutdown_on_exit=False)
        self._traces.add_span_processor(BatchSpanProcessor(spans))
        self._tracer = self._traces.get_tracer(_SCOPE)
        self._root = self._tracer.start_span(f"benchmark {title}")
        self._context = set_span_in_context(self._root)
        self._span: Any = None

    def begin_level(self, result: LevelResult) -> None:
        """See `Observer`."""
        name = "warm-up" if result.level.number == WARMUP else str(result.level.load)
        self._span = self._tracer.start_span(
            name, self._context, attributes={"tokenline.bench.load": name}
        )

    def end_level(self, result: LevelResult) -> None:
        """See `Observer`."""
        if self._span is not None:
            self._span.set_attribute("tokenline.bench.requests", len(result.samples))
            self._span.end()
            self._span = None

    def traceparent(self) -> str | None:
        """See `Observer`."""
        if self._span is None:
            return None
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def finish(self, report: Report | None) -> None:
        """End the run's span, send the results; waits at most some seconds for the collector."""
        self._root.end()
        if report is not None:
            self._send_metrics(report)
        self._traces.force_flush(_TIMEOUT_MS)
        self._traces.shutdown()

    def _send_metrics(self, report: Report) -> None:
        from opentelemetry.metrics import CallbackOptions, Observation
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        reader = PeriodicExportingMetricReader(
            self._metric_exporter, export_interval_millis=float("inf")
        )
        provider = MeterProvider([reader], resource=self._resource, shutdown_on_exit=False)
        meter = provider.get_meter(_SCOPE)

        def make(points: list[_Point]) -> Any:
            def observe(_: CallbackOptions) -> Iterable[Observation]:
                return [Observation(value, attributes) for value, attributes in points]

            return observe

        for (name, unit), points in gauges(report).items():
            meter.create_observable_gauge(f"tokenline.bench.{name}", [make(points)], unit)
        reader.force_flush(_TIMEOUT_MS)
        provider.shutdown(_TIMEOUT_MS)


def gauges(report: Report) -> dict[tuple[str, str], list[_Point]]:
    """The results: gauge name and unit to values with attributes."""
    found: dict[tuple[str, str], list[_Point]] = {}
    for level in report.levels:
        for endpoint in level.endpoints:
            for name, unit, value, more in _values(level, endpoint):
                place = {
                    "tokenline.bench.endpoint": endpoint.endpoint,
                    "tokenline.bench.load": level.title,
                }
                found.setdefault((name, unit), []).append((value, {**place, **more}))
    return found


_Value = tuple[str, str, float, dict[str, str | float]]


def _values(level: LevelReport, endpoint: EndpointReport) -> Iterator[_Value]:
    for name, distribution in endpoint.metrics.items():
        yield from _distribution(name, distribution)
    for outcome, count in endpoint.outcomes.items():
        yield "requests", "{request}", count, {"tokenline.outcome": outcome}
    yield "requests_per_s", "{request}/s", endpoint.requests_per_s, {}
    yield "error_share", "1", endpoint.error_share, {}
    if endpoint.output_tokens_per_s is not None:
        yield "output_tokens_per_s", "{token}/s", endpoint.output_tokens_per_s, {}
    if endpoint.goodput is not None:
        yield "goodput_per_s", "{request}/s", endpoint.goodput.per_s, {}


def _distribution(name: str, found: Distribution) -> Iterator[_Value]:
    units = {"ns": "s", "tokens": "{token}", "tokens/s": "{token}/s", "events": "{event}"}
    unit, scale = units.get(found.unit, "1"), 1e-9 if found.unit == "ns" else 1.0
    yield name, unit, found.mean * scale, {}
    for percentile in found.percentiles:
        yield name, unit, percentile.value * scale, {"quantile": percentile.p}


def _exporters() -> tuple[Any, Any]:
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip() or "http/protobuf"
    if protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
            OTLPMetricExporter as HttpMetrics,
        )
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter as HttpSpans,
        )

        return HttpSpans(timeout=3), HttpMetrics(timeout=3)
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
            OTLPMetricExporter as GrpcMetrics,
        )
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
            OTLPSpanExporter as GrpcSpans,
        )

        return GrpcSpans(timeout=3), GrpcMetrics(timeout=3)
    raise ConfigError(f"no OTLP protocol {protocol!r}; set http/protobuf or grpc")
