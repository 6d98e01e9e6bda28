"""Providers that keep everything in memory, and a collector on a real socket."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tokenline.telemetry import TelemetryOptions
from tokenline.telemetry.otel import OTelTelemetry


@dataclass
class Memory:
    """Telemetry whose spans and metrics can be read back at once."""

    options: TelemetryOptions = field(default_factory=TelemetryOptions)

    def __post_init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meter_provider = MeterProvider([self._reader], shutdown_on_exit=False)
        self.telemetry = OTelTelemetry(self.tracer_provider, self.meter_provider, self.options)
        self.tracer = self.tracer_provider.get_tracer("caller")

    def _do_work(self) -> None:
        # Not the telemetry's own flush: that would collect the metrics a first time.
        assert self.telemetry._reporting.emitter.flush(5.0)

    def spans(self) -> list[ReadableSpan]:
        """Every span so far, the emitter's work done."""
        self._do_work()
        return list(self._exporter.get_finished_spans())

    def exported(self) -> list[ReadableSpan]:
        """The spans that ended by themselves."""
        return list(self._exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """The only span of that name."""
        (found,) = [span for span in self.spans() if span.name == name]
        return found

    def metrics(self) -> dict[str, Any]:
        """Every metric by its name, the emitter's work done."""
        self._do_work()
        data = self._reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def close(self) -> None:
        self.telemetry.shutdown(5.0)
        self.meter_provider.shutdown()
        self.tracer_provider.shutdown()


class MemoryFactory:
    """Makes telemetry with options and closes it at the end of the test."""

    def __init__(self) -> None:
        self._made: list[Memory] = []

    def __call__(self, **options: Any) -> Memory:
        made = Memory(TelemetryOptions(**options))
        self._made.append(made)
        return made

    def close(self) -> None:
        for made in self._made:
            made.close()


@pytest.fixture
def memory() -> Iterator[MemoryFactory]:
    factory = MemoryFactory()
    yield factory
    factory.close()


class Collector:
    """An OTLP/HTTP collector on loopback that decodes what it is sent."""

    def __init__(self) -> None:
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.logs: list[ExportLogsServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.receive(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def receive(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["content-length"]))
        self.headers.append(dict(request.headers))
        if request.path == "/v1/traces":
            self.traces.append(ExportTraceServiceRequest.FromString(body))
        elif request.path == "/v1/metrics":
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        elif request.path == "/v1/logs":
            self.logs.append(ExportLogsServiceRequest.FromString(body))
        request.send_response(200)
        request.send_header("content-length", "0")
        request.end_headers()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def no_otel_variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that says nothing of OpenTelemetry."""
    import os

    for variable in list(os.environ):
        if variable.startswith("OTEL_"):
            monkeypatch.delenv(variable)
    return monkeypatch
