"""The whole tokenline pipeline: every stage and queue, limits, accumulator, spans on."""

import asyncio
from collections.abc import Mapping
from time import perf_counter_ns
from typing import Any

from tokenline.events import TextDelta
from tokenline.telemetry.hook import NoTelemetry, Telemetry
from tokenline_stages import connect

from .contract import CHAT, MAX_TOKENS

MESSAGES = {**CHAT, "max_tokens": MAX_TOKENS}
RESPONSES = {"model": CHAT["model"], "input": CHAT["messages"]}


def spans_on() -> Telemetry:
    """Spans and metrics of the SDK, batched and thrown away where an exporter would send them."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    from tokenline.telemetry import OTelTelemetry

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    traces = TracerProvider()
    traces.add_span_processor(BatchSpanProcessor(Nowhere()))
    return OTelTelemetry(traces, MeterProvider(metric_readers=[InMemoryMetricReader()]))


class Tokenline:
    """`async for event in run`, then the result."""

    def __init__(
        self,
        url: str,
        *,
        provider: str = "openai",
        path: str = "/v1",
        payload: Mapping[str, Any] = CHAT,
        spans: bool = True,
        direct: bool = True,
    ) -> None:
        telemetry = spans_on() if spans else NoTelemetry()
        self._payload = payload
        self._connection = connect(
            provider, api_key="x", base_url=url + path, telemetry=telemetry, direct=direct
        )

    async def read(self, headers: Mapping[str, str], stamps: list[int] | None = None) -> int:
        """See `Client.read`."""
        count = 0
        async with self._connection.run(self._payload, headers=headers) as run:
            async for event in run:
                if type(event) is TextDelta:
                    count += 1
                    if stamps is not None:
                        stamps.append(perf_counter_ns())
            await run.result()
        return count

    async def hold(self, headers: Mapping[str, str]) -> None:
        """Open a stream, take its first event and never read on; ends by cancellation."""
        async with self._connection.run(self._payload, headers=headers) as run:
            await anext(aiter(run))
            await asyncio.Event().wait()

    async def aclose(self) -> None:
        """See `Client.aclose`."""
        await self._connection.aclose()


def without_telemetry(url: str) -> Tokenline:
    """No spans, no metrics."""
    return Tokenline(url, spans=False)


def with_sdk_request(url: str) -> Tokenline:
    """The SDK makes the request; only the raw bytes are read from it."""
    return Tokenline(url, direct=False)


def messages(url: str) -> Tokenline:
    """Anthropic's Messages API."""
    return Tokenline(url, provider="anthropic", path="", payload=MESSAGES)


def responses(url: str) -> Tokenline:
    """OpenAI's Responses API."""
    return Tokenline(url, payload=RESPONSES)
