"""The whole pipeline against a real OTLP/HTTP socket: decoded protobuf, names, parents, times."""

from typing import Any

import pytest

from tests.pipeline.telemetry.conftest import Collector
from tests.pipeline.telemetry.conftest import collector as collector
from tokenline.telemetry import configure
from tokenline_stages import connect
from tokenline_stages.simulator import SimulatorProcess

pytestmark = [pytest.mark.anyio, pytest.mark.server]

STAGES = ["source", "parser", "normalizer", "fan-out", "accumulator", "consumer"]
FLAVOURS = [
    "tokenline.time_to_headers",
    "gen_ai.response.time_to_first_chunk",
    "tokenline.time_to_first_token",
    "tokenline.time_to_first_answer",
    "tokenline.time_to_first_delivery",
]
SLACK_NS = 2_000_000
"""The source closes the connection just after the request span ends."""


def values(attributes: Any) -> dict[str, Any]:
    """Attributes of a protobuf span as a dict."""
    found = {}
    for pair in attributes:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        if kind == "array_value":
            value = [item.string_value for item in value.values]
        found[pair.key] = value
    return found


async def test_request_and_stage_spans_arrive_over_http(
    collector: Collector, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "wire-test")
    telemetry = configure()
    payload = {"model": "sim-1", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with (
        connect(
            "anthropic", api_key="x", base_url=simulator.url, telemetry=telemetry
        ) as connection,
        connection.run(payload) as run,
    ):
        events = [event async for event in run]
    assert telemetry.shutdown(5.0)

    resources = [r for request in collector.traces for r in request.resource_spans]
    assert all(values(r.resource.attributes)["service.name"] == "wire-test" for r in resources)
    spans = [span for r in resources for scope in r.scope_spans for span in scope.spans]
    (root,) = [span for span in spans if not span.parent_span_id]
    stages = {span.name: span for span in spans if span.parent_span_id}

    assert root.name == "chat sim-1"
    assert root.kind == root.SPAN_KIND_CLIENT
    about = values(root.attributes)
    assert about["gen_ai.operation.name"] == "chat"
    assert about["gen_ai.provider.name"] == "anthropic"
    assert about["gen_ai.request.model"] == "sim-1"
    assert about["gen_ai.usage.output_tokens"] > 0
    assert about["tokenline.outcome"] == "ok"
    flavours = [about[name] for name in FLAVOURS]
    assert flavours == sorted(flavours)
    assert 0 < flavours[0] < flavours[-1] < 10

    assert sorted(stages) == sorted(f"stage {name}" for name in STAGES)
    for span in stages.values():
        assert span.parent_span_id == root.span_id
        assert span.trace_id == root.trace_id
        assert span.kind == span.SPAN_KIND_INTERNAL
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        if span.name != "stage consumer":  # it may read on when the response is complete
            assert span.end_time_unix_nano <= root.end_time_unix_nano + SLACK_NS
        of = values(span.attributes)
        assert not any(key.startswith("gen_ai.") for key in of)
        assert of["tokenline.stage.time.processing"] > 0
        assert of["tokenline.stage.time.queue_wait"] >= 0
        assert of["tokenline.stage.time.blocked"] >= 0
        assert (
            of["tokenline.stage.queue.high_water_mark"] >= 0 if "source" not in span.name else True
        )
        inside_s = sum(of[f"tokenline.stage.time.{kind}"] for kind in ("processing", "idle"))
        assert inside_s <= (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9 + 1e-6
    assert values(stages["stage consumer"].attributes)["tokenline.stage.items.out"] == len(events)

    duration_s = (root.end_time_unix_nano - root.start_time_unix_nano) / 1e9
    inside = [values(s.attributes) for n, s in stages.items() if n != "stage consumer"]
    work_s = sum(of["tokenline.stage.time.processing"] for of in inside)
    assert work_s < duration_s
