"""A gRPC collector gets the same spans and metrics."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc  # type: ignore[import-untyped]
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc

from tests.pipeline.telemetry.factory import run_info, run_record
from tokenline.telemetry import configure

pytestmark = pytest.mark.usefixtures("no_otel_variables")


class GrpcCollector(trace_grpc.TraceServiceServicer, metrics_grpc.MetricsServiceServicer):
    """Keeps the names of what it gets."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def Export(
        self,
        request: trace_pb2.ExportTraceServiceRequest | metrics_pb2.ExportMetricsServiceRequest,
        context: grpc.ServicerContext,
    ) -> trace_pb2.ExportTraceServiceResponse | metrics_pb2.ExportMetricsServiceResponse:
        if isinstance(request, metrics_pb2.ExportMetricsServiceRequest):
            for of_resource in request.resource_metrics:
                for of_scope in of_resource.scope_metrics:
                    self.names += [metric.name for metric in of_scope.metrics]
            return metrics_pb2.ExportMetricsServiceResponse()
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.names += [span.name for span in scope.spans]
        return trace_pb2.ExportTraceServiceResponse()


@pytest.fixture
def grpc_collector() -> Iterator[tuple[GrpcCollector, str]]:
    collector = GrpcCollector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    metrics_grpc.add_MetricsServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield collector, f"http://127.0.0.1:{port}"
    server.stop(None).wait(5.0)


@pytest.mark.parametrize("by_variable", [True, False])
def test_exports_over_grpc(
    grpc_collector: tuple[GrpcCollector, str], monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    collector, endpoint = grpc_collector
    if by_variable:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        telemetry = configure()
    else:
        telemetry = configure(endpoint=endpoint, protocol="grpc", headers={"x-key": "1"})
    telemetry.start(run_info()).end(run_record())
    assert telemetry.shutdown(5.0)
    assert collector.names.count("chat gpt-test") == 1
    assert {"stage source", "stage parser", "stage consumer"} <= set(collector.names)
    assert "gen_ai.client.operation.time_to_first_chunk" in collector.names
