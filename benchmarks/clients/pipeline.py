"""The whole tokenline pipeline: every stage and queue, limits, accumulator, spans on."""

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from tokenline.events import TextDelta
from tokenline.telemetry.hook import NoTelemetry, Telemetry
from tokenline_stages import connect


class _NowhereExporter(SpanExporter):
    """Takes spans as a collector would, without the cost of a network."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def _spans_on() -> Telemetry:
    from tokenline.telemetry import OTelTelemetry

    traces = TracerProvider()
    traces.add_span_processor(BatchSpanProcessor(_NowhereExporter()))
    return OTelTelemetry(traces, MeterProvider(metric_readers=[InMemoryMetricReader()]))


class PipelineClient:
    """See the module's docstring.

    Args:
        base_url: of the server.
        spans: root and stage spans and metrics on.
        direct: without the SDK, as `connect` does it by default.
    """

    def __init__(self, base_url: str, *, spans: bool = True, direct: bool = True) -> None:
        self.name = "tokenline" if spans else "tokenline, telemetry off"
        if not direct:
            self.name += ", SDK's request"
        telemetry = _spans_on() if spans else NoTelemetry()
        self._connection = connect(
            "openai", api_key="x", base_url=base_url, telemetry=telemetry, direct=direct
        )

    async def read(self, payload: dict[str, Any], plan: str) -> int:
        """See `Client.read`."""
        count = 0
        async with self._connection.run(payload, headers={"x-tokenline-plan": plan}) as run:
            async for event in run:
                if type(event) is TextDelta:
                    count += 1
            await run.result()
        return count

    async def aclose(self) -> None:
        """See `Client.aclose`."""
        await self._connection.aclose()
