"""Spans and metrics of a run on the wire: one trace, gauges of the results."""

import gzip
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tokenline_stages.cli import main
from tokenline_stages.simulator import SimulatorProcess


class Collector(ThreadingHTTPServer):
    """Keeps what it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Span] = []
        self.metrics: dict[str, int] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    @property
    def collector(self) -> Collector:
        assert isinstance(self.server, Collector)
        return self.server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path.endswith("/traces"):
            self._take_spans(body)
        else:
            self._take_metrics(body)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def _take_spans(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.collector.spans.extend(scope.spans)

    def _take_metrics(self, body: bytes) -> None:
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.collector.metrics[metric.name] = len(metric.gauge.data_points)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_benchmark_is_one_trace_across_processes(
    collector: Collector, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OPENAI_API_KEY", "right")
    arguments = (
        *("bench", "--model", "m", "--base-url", simulator.openai_base_url, "--requests", "4"),
        *("--warmup", "0", "--no-check", "--no-calibrate", "--quiet", "--title", "nightly"),
    )
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert not ended.value.code
    spans = collector.spans
    (root,) = [span for span in spans if span.name == "benchmark nightly"]
    (level,) = [span for span in spans if span.name == "concurrency 1"]
    requests = [span for span in spans if span.name == "chat m"]
    assert level.parent_span_id == root.span_id
    assert len(requests) == 4
    assert {span.parent_span_id for span in requests} == {level.span_id}
    assert {span.trace_id for span in (*requests, level)} == {root.trace_id}
    assert collector.metrics["tokenline.bench.ttft"] == 5
    assert "tokenline.bench.requests_per_s" in collector.metrics
