"""Each of the six time limits on real sockets: its own error, its own telemetry."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.stages.http.servers import deaf_port
from tokenline import RunOptions, Timeouts
from tokenline.errors import (
    ConnectTimeoutError,
    FirstTokenTimeoutError,
    HeadersTimeoutError,
    IdleTimeoutError,
    StallTimeoutError,
    StreamTimeoutError,
    TotalTimeoutError,
)
from tokenline.record import Outcome
from tokenline.telemetry import OTelTelemetry
from tokenline_stages import connect
from tokenline_stages.simulator import Plan, Simulator
from tokenline_stages.simulator.faults import DelayHeaders, Silence

pytestmark = pytest.mark.anyio

LIMIT_S = 0.1
LATE_S = 2.0
"""How late a limit may strike on a machine that does other things too."""

DEAF = None
LIMITS: dict[str, tuple[type[StreamTimeoutError], Plan | None]] = {
    "connect_s": (ConnectTimeoutError, DEAF),
    "headers_s": (HeadersTimeoutError, Plan(faults=(DelayHeaders(delay_s=60),))),
    "first_token_s": (FirstTokenTimeoutError, Plan(ttft_s=60, ping_every_s=0.02)),
    "idle_s": (
        IdleTimeoutError,
        Plan(ttft_s=0, inter_token_s=0, faults=(Silence(after_tokens=2),)),
    ),
    "stall_s": (
        StallTimeoutError,
        Plan(ttft_s=0, inter_token_s=60, tokens=2, ping_every_s=0.02),
    ),
    "total_s": (TotalTimeoutError, Plan(ttft_s=0, inter_token_s=0.01, tokens=6000)),
}


@contextlib.asynccontextmanager
async def serving(plan: Plan | None) -> AsyncIterator[str]:
    if plan is None:
        with deaf_port() as port:
            yield f"http://127.0.0.1:{port}"
        return
    async with Simulator(plan) as simulator:
        yield simulator.url


class Telemetry:
    """Spans and metrics in memory."""

    def __init__(self) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracing = TracerProvider(shutdown_on_exit=False)
        tracing.add_span_processor(SimpleSpanProcessor(self._spans))
        metering = MeterProvider([self._reader], shutdown_on_exit=False)
        self.given = OTelTelemetry(tracing, metering)

    def request_span(self) -> ReadableSpan:
        assert self.given._reporting.emitter.flush(5.0)
        (span,) = [s for s in self._spans.get_finished_spans() if s.name.startswith("chat")]
        return span

    def duration_attributes(self) -> dict[str, Any]:
        data = self._reader.get_metrics_data()
        assert data is not None
        (metric,) = [
            metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "gen_ai.client.operation.duration"
        ]
        (point,) = metric.data.data_points
        return dict(point.attributes or {})


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "sdk"])
@pytest.mark.parametrize("limit", list(LIMITS))
async def test_each_limit_has_its_own_error_and_telemetry(limit: str, direct: bool) -> None:
    error_type, plan = LIMITS[limit]
    telemetry = Telemetry()
    async with (
        serving(plan) as url,
        connect(
            "openai",
            api_key="x",
            base_url=f"{url}/v1",
            direct=direct,
            telemetry=telemetry.given,
            options=RunOptions(timeouts=Timeouts(**{limit: LIMIT_S})),
        ) as connection,
    ):
        await connection.pipeline().source.prepare()
        began = time.perf_counter()
        async with connection.run({"model": "m", "messages": []}) as run:
            with pytest.raises(StreamTimeoutError) as caught:
                await run.result()
        took_s = time.perf_counter() - began
    assert type(caught.value) is error_type
    assert caught.value.limit == limit
    assert caught.value.partial is not None
    assert run.outcome is Outcome.TIMEOUT
    assert LIMIT_S * 0.9 <= took_s < LIMIT_S + LATE_S
    found = telemetry.request_span().attributes or {}
    assert found["tokenline.outcome"] == "timeout"
    assert found["error.type"] == "timeout"
    assert found["tokenline.error.limit"] == limit
    assert telemetry.duration_attributes()["tokenline.error.limit"] == limit


def test_no_two_limits_share_an_error() -> None:
    assert (
        {error.limit for error, _ in LIMITS.values()} == set(LIMITS) == set(Timeouts.model_fields)
    )
    assert len({error for error, _ in LIMITS.values()}) == 6
