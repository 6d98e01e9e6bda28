"""Metrics: names, units, buckets, attributes and exemplars, in both sets of conventions."""

import asyncio
import sys
import threading
from itertools import pairwise
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from tests.pipeline.telemetry.conftest import Memory, MemoryFactory
from tests.pipeline.telemetry.factory import run_info, run_record
from tokenline.errors import RateLimitError
from tokenline.record import LoopLag, Outcome, RunRecord
from tokenline.telemetry import TelemetryOptions
from tokenline.telemetry.attributes import SEMCONV
from tokenline.telemetry.otel import OTelTelemetry

REQUEST = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-test",
    "gen_ai.response.model": "gpt-test-2026",
    "server.address": "127.0.0.1",
    "server.port": 8080,
}
OWN = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-test"}
LATENCY = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)


def run(made: Memory, record: RunRecord | None = None) -> None:
    record = record or run_record()
    made.telemetry.start(record.info).end(record)


def points(metric: Any) -> list[Any]:
    return list(metric.data.data_points)


def values(metric: Any, attribute: str) -> dict[Any, Any]:
    """Sum (histograms) or value of each point by one attribute."""
    return {
        point.attributes.get(attribute): point.sum if hasattr(point, "sum") else point.value
        for point in points(metric)
    }


def test_names_units_and_kinds(memory: MemoryFactory) -> None:
    made = memory()
    run(made, run_record(loop_lag=LoopLag()))
    found = {
        name: (metric.unit, type(metric.data).__name__) for name, metric in made.metrics().items()
    }
    assert found == {
        "gen_ai.client.operation.duration": ("s", "Histogram"),
        "gen_ai.client.operation.time_to_first_chunk": ("s", "Histogram"),
        "gen_ai.client.token.usage": ("{token}", "Histogram"),
        "tokenline.time_to_headers": ("s", "Histogram"),
        "tokenline.time_to_first_token": ("s", "Histogram"),
        "tokenline.time_to_first_answer": ("s", "Histogram"),
        "tokenline.time_to_first_delivery": ("s", "Histogram"),
        "tokenline.chunk.gap.p50": ("s", "Histogram"),
        "tokenline.chunk.gap.max": ("s", "Histogram"),
        "tokenline.loop.blocked.duration": ("s", "Histogram"),
        "tokenline.stage.processing.duration": ("s", "Histogram"),
        "tokenline.stage.queue.wait": ("s", "Histogram"),
        "tokenline.stage.blocked.duration": ("s", "Histogram"),
        "tokenline.stage.items": ("{item}", "Sum"),
        "tokenline.stage.dropped": ("{item}", "Sum"),
        "tokenline.stage.errors": ("{error}", "Sum"),
        "tokenline.stage.queue.depth": ("{item}", "Gauge"),
        "tokenline.streams.active": ("{stream}", "Sum"),
        "tokenline.streams.completed": ("{stream}", "Sum"),
        "tokenline.telemetry.dropped": ("{run}", "Sum"),
    }


def test_request_metrics(memory: MemoryFactory) -> None:
    made = memory()
    run(made)
    found = made.metrics()
    for name, seconds in (
        ("gen_ai.client.operation.duration", 2.0),
        ("gen_ai.client.operation.time_to_first_chunk", 0.4),
        ("tokenline.time_to_headers", 0.3),
        ("tokenline.time_to_first_token", 0.5),
        ("tokenline.time_to_first_answer", 0.6),
        ("tokenline.time_to_first_delivery", 0.501),
    ):
        (point,) = points(found[name])
        assert point.sum == seconds
        assert point.explicit_bounds == LATENCY
        assert dict(point.attributes) == (REQUEST if name.startswith("gen_ai.") else OWN)
    assert values(found["gen_ai.client.token.usage"], "gen_ai.token.type") == {
        "input": 100,
        "output": 51,
    }
    (usage, _) = points(found["gen_ai.client.token.usage"])
    assert usage.explicit_bounds == tuple(4**power for power in range(14))
    (completed,) = points(found["tokenline.streams.completed"])
    assert dict(completed.attributes) == {**OWN, "tokenline.outcome": "ok"}
    assert points(found["tokenline.chunk.gap.max"])[0].sum == 0.1


def test_stage_metrics(memory: MemoryFactory) -> None:
    made = memory()
    run(made)
    found = made.metrics()
    name = "tokenline.stage.name"
    assert values(found["tokenline.stage.processing.duration"], name) == {
        "source": 0.004,
        "parser": 0.002,
        "consumer": 0.1,
    }
    # Waits are recorded where there were any: zeros of fused stages would drown them.
    assert values(found["tokenline.stage.queue.wait"], name) == {"consumer": 0.0003}
    assert values(found["tokenline.stage.blocked.duration"], name) == {"source": 0.03}
    assert values(found["tokenline.stage.items"], name) == {
        "source": 40,
        "parser": 40,
        "consumer": 41,
    }
    assert values(found["tokenline.stage.dropped"], name) == {
        "source": 0,
        "parser": 0,
        "consumer": 3,
    }
    assert set(values(found["tokenline.stage.errors"], name).values()) == {0}
    bounds = points(found["tokenline.stage.queue.wait"])[0].explicit_bounds
    assert bounds[0] == 1e-5
    assert bounds[-1] == 10


def test_queue_depth_is_the_most_since_the_last_collection(memory: MemoryFactory) -> None:
    made = memory()
    run(made)
    assert values(made.metrics()["tokenline.stage.queue.depth"], "tokenline.stage.name") == {
        "consumer": 9
    }
    assert values(made.metrics()["tokenline.stage.queue.depth"], "tokenline.stage.name") == {
        "consumer": 0
    }


def test_active_streams(memory: MemoryFactory) -> None:
    made = memory()
    first, second = made.telemetry.start(run_info()), made.telemetry.start(run_info())
    other = made.telemetry.start(run_info(model=None))
    active = made.metrics()["tokenline.streams.active"]
    assert not active.data.is_monotonic
    assert values(active, "gen_ai.request.model") == {"gpt-test": 2, None: 1}
    first.end(run_record())
    second.end(run_record(outcome=Outcome.ABANDONED))
    other.end(run_record())
    active = made.metrics()["tokenline.streams.active"]
    assert values(active, "gen_ai.request.model") == {"gpt-test": 0, None: 0}


def test_failed_runs(memory: MemoryFactory) -> None:
    made = memory()
    error = RateLimitError("slow down", provider="openai", status=429)
    run(made, run_record(outcome=Outcome.ERROR, error=error, usage=None))
    found = made.metrics()
    assert values(found["gen_ai.client.operation.duration"], "error.type") == {
        "RateLimitError": 2.0
    }
    (first_chunk,) = points(found["gen_ai.client.operation.time_to_first_chunk"])
    assert "error.type" not in first_chunk.attributes
    assert "gen_ai.client.token.usage" not in found
    assert values(found["tokenline.streams.completed"], "tokenline.outcome") == {"error": 1}


def test_estimated_usage_is_not_counted(memory: MemoryFactory) -> None:
    made = memory()
    run(made, run_record(usage_estimated=True))
    assert "gen_ai.client.token.usage" not in made.metrics()


def test_newer_conventions(memory: MemoryFactory) -> None:
    made = memory(semconv="genai-dev")
    run(made)
    run(made, run_record(outcome=Outcome.CANCELLED, usage=None))
    found = made.metrics()
    names = {name for name in found if name.startswith("gen_ai.")}
    assert names == {
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "gen_ai.client.inference.usage.cache_write.input_tokens",
        "gen_ai.client.inference.usage.reasoning.output_tokens",
    }
    (counted,) = points(found["gen_ai.client.inference.usage.input_tokens"])
    assert counted.value == 100
    assert dict(counted.attributes) == {**REQUEST, "gen_ai.token.modality": "unknown"}
    # The run without usage is in the counters as 0 and not in the distribution.
    (distribution,) = points(found["gen_ai.client.inference.operation.input_tokens"])
    assert (distribution.count, distribution.sum) == (1, 100)


def test_exemplars_link_to_the_request_span(memory: MemoryFactory) -> None:
    made = memory()
    run(made)
    context = made.span("chat gpt-test").context
    assert context is not None
    found = made.metrics()
    for name in (
        "gen_ai.client.operation.duration",
        "tokenline.time_to_first_token",
        "tokenline.stage.queue.wait",
    ):
        (exemplar,) = points(found[name])[0].exemplars
        assert (exemplar.trace_id, exemplar.span_id) == (context.trace_id, context.span_id)


def test_metrics_without_tracing() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    telemetry = OTelTelemetry(meter_provider=provider)
    run = telemetry.start(run_info())
    assert run.task_context is None
    run.end(run_record())
    assert telemetry.flush(1.0)
    data = reader.get_metrics_data()
    assert data is not None
    names = {m.name for m in data.resource_metrics[0].scope_metrics[0].metrics}
    assert "gen_ai.client.operation.duration" in names
    provider.shutdown()


def test_switched_off(memory: MemoryFactory) -> None:
    made = memory(metrics=False)
    run(made)
    assert made.metrics() == {}
    quiet = memory(stage_metrics=False)
    run(quiet)
    found = quiet.metrics()
    assert "tokenline.streams.completed" in found
    assert not [name for name in found if name.startswith("tokenline.stage.")]


def test_two_telemetries_on_one_provider_add_up(
    memory: MemoryFactory, caplog: pytest.LogCaptureFixture
) -> None:
    made = memory()
    second = OTelTelemetry(made.tracer_provider, made.meter_provider)
    runs = [telemetry.start(run_info()) for telemetry in (made.telemetry, second)]
    active = made.metrics()["tokenline.streams.active"]
    assert values(active, "gen_ai.request.model") == {"gpt-test": 2}
    for each in runs:
        each.end(run_record())
    second.flush(1.0)
    assert values(made.metrics()["tokenline.streams.completed"], "tokenline.outcome") == {"ok": 2}
    assert "already" not in caplog.text


def test_counters_lose_nothing_between_threads(memory: MemoryFactory) -> None:
    """Each telemetry has an emitter of its own, but one provider has one set of counters."""
    made = memory()
    made.telemetry.start(run_info())
    instruments = made.telemetry._instruments
    assert instruments is not None
    total, times = instruments._items, 100_000

    def add_all() -> None:
        for _ in range(times):
            total.add(("x",))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        adding = [threading.Thread(target=add_all) for _ in range(2)]
        for thread in adding:
            thread.start()
        for thread in adding:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    items = made.metrics()["tokenline.stage.items"]
    assert values(items, "tokenline.stage.name")["x"] == 2 * times


def test_overflow_is_counted_and_exported() -> None:
    reader = InMemoryMetricReader()
    meter_provider = MeterProvider([reader], shutdown_on_exit=False)
    tracer_provider = TracerProvider(shutdown_on_exit=False)
    options = TelemetryOptions(queue_capacity=3)
    telemetry = OTelTelemetry(tracer_provider, meter_provider, options)

    async def burst() -> None:
        for _ in range(10):
            telemetry.start(run_info()).end(run_record())

    asyncio.run(burst())
    assert telemetry.dropped == 7
    data = reader.get_metrics_data()
    assert data is not None
    metrics = {m.name: m for m in data.resource_metrics[0].scope_metrics[0].metrics}
    lost = values(metrics["tokenline.telemetry.dropped"], "tokenline.signal")
    assert (lost["traces"], lost["metrics"]) == (7, 7)
    telemetry.shutdown(1.0)
    meter_provider.shutdown()
    tracer_provider.shutdown()


@pytest.mark.parametrize("semconv", list(SEMCONV))
def test_buckets_rise(semconv: Any) -> None:
    found = SEMCONV[semconv]
    for metric in (found.duration, found.first_chunk, found.token_usage, found.input_tokens):
        if metric is not None:
            assert all(low < high for low, high in pairwise(metric.buckets))
