"""A key in headers, payload and the provider's own words shows up nowhere: the whole stack."""

import asyncio
import logging
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tokenline.errors import StreamError
from tokenline.redaction import MARK
from tokenline.telemetry import OTelTelemetry
from tokenline_stages import connect
from tokenline_stages.simulator import Plan, Simulator
from tokenline_stages.simulator.faults import ErrorEvent, HttpError
from tokenline_stages.traces import JsonlSink, MemorySink, SqlSink, TraceStore

API_KEY = "swordfish-gateway-7"
HEADER_KEY = "tuna-tenant-key-8"
PAYLOAD_KEY = "salmon-tool-key-9"
SHAPED_KEY = "sk-proj-0123456789abcdefghijkl"
SECRETS = (API_KEY, HEADER_KEY, PAYLOAD_KEY, SHAPED_KEY)
ECHO = f"key {API_KEY} tenant {HEADER_KEY} tool {PAYLOAD_KEY} or {SHAPED_KEY} is not valid"

PAYLOAD: dict[str, Any] = {
    "model": "sim",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": f"hello, my key is {SHAPED_KEY}"}],
    "metadata": {"api_key": PAYLOAD_KEY, "note": f"see {PAYLOAD_KEY}"},
}

PLANS = {
    "answer": Plan(ttft_s=0.0, inter_token_s=0.0, text=f"You sent {PAYLOAD_KEY} and {SHAPED_KEY}."),
    "refusal": Plan(faults=(HttpError(status=401, message=ECHO, error_type="invalid_api_key"),)),
    "plain refusal": Plan(faults=(HttpError(status=500, message=ECHO, body="text"),)),
    "error inside": Plan(
        ttft_s=0.0,
        inter_token_s=0.0,
        tokens=8,
        faults=(ErrorEvent(after_tokens=3, message=ECHO),),
    ),
}


@dataclass
class Seen:
    """Every text that left the run, by where."""

    records: list[str] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def all(self, log: str) -> dict[str, str]:
        """Joined."""
        return {
            "records": " ".join(self.records),
            "spans": " ".join(self.spans),
            "errors": " ".join(self.errors),
            "log": log,
        }


async def stream(provider: str, plan: Plan, direct: bool, folder: Path) -> Seen:
    """One run through the whole stack, all that it leaves noted."""
    seen = Seen()
    memory, spans = MemorySink(), InMemorySpanExporter()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    store = TraceStore(memory, JsonlSink(folder / "t.jsonl"), SqlSink(folder / "t.db"))
    async with Simulator(plan) as simulator:
        base_url = simulator.openai_base_url if provider == "openai" else simulator.url
        async with connect(
            provider,
            api_key=API_KEY,
            base_url=base_url,
            max_retries=0,
            direct=direct,
            telemetry=OTelTelemetry(tracing),
            traces=store,
        ) as connection:
            headers = {"X-Api-Key-Tenant": HEADER_KEY, "X-Auth-Token": HEADER_KEY}
            async with connection.run(PAYLOAD, headers=headers) as run:
                try:
                    seen.errors.append(repr(await run.result()))
                    seen.errors.clear()  # the answer itself is the caller's
                except StreamError as error:
                    text = "".join(traceback.format_exception(error))
                    seen.errors += [text, repr(error), repr(vars(error)), repr(error.partial)]
    assert await store.aclose(10)
    assert store.stats.sinks[0].written == 1
    seen.records += [repr(record) for record in memory.records]
    seen.records += [path.read_bytes().decode("latin-1") for path in sorted(folder.iterdir())]
    seen.spans += [span.to_json() for span in spans.get_finished_spans()]
    return seen


@pytest.mark.parametrize("direct", [False, True], ids=["sdk", "direct"])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("plan", list(PLANS))
def test_keys_show_up_nowhere(
    plan: str,
    provider: str,
    direct: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO), caplog.at_level(logging.DEBUG, "tokenline"):
        seen = asyncio.run(stream(provider, PLANS[plan], direct, tmp_path))
    places = seen.all(caplog.text)
    leaks = [f"{secret} in {place}" for place, text in places.items() for secret in SECRETS
             if secret in text]  # fmt: skip
    assert leaks == []
    assert MARK in places["records"]
    assert '"sim"' in places["records"]
    if plan != "answer":
        assert MARK in places["errors"]
        assert MARK in places["spans"]


def test_what_is_no_secret_is_still_there(tmp_path: Path) -> None:
    seen = asyncio.run(stream("openai", PLANS["error inside"], False, tmp_path))
    places = seen.all("")
    assert "is not valid" in places["errors"]
    assert "hello, my key is" in places["records"]
    assert "is not valid" in places["records"]
