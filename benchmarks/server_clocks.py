"""Clocks beside servers that do not stamp what they send: guidellm's mock, llama.cpp.

*guidellm's mock server* was told its time to first token and between tokens, and is late itself,
by its timers. So a relay stands before it (`benchmarks.relay`) that stamps every piece right before
it is handed on: that is the truth for us. A bare socket asks the same through the same relay, in
turns with tokenline: what that is late by is the way through the kernel and asyncio, whoever asks.

*llama.cpp's* server reports its own `timings` at the end of a stream: `prompt_ms` until its first
token (without HTTP and tokenizing), `predicted_ms` from there to its last.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from benchmarks.clock_table import MS_NS, STAMPS, Errors, observe, payload_for
from benchmarks.relay import Exchange, Relay
from tokenline.record import RunRecord
from tokenline.stage import RawChunk, StageSpec, StepContext
from tokenline.telemetry import NoTelemetry
from tokenline_stages import Connection, connect

_TIMINGS = re.compile(rb'"timings": ?(\{[^{}]*\})')
_CONTENT = re.compile(rb'"content": ?"[^"]')
_TOKENS = 32


async def compare_behind_relay(
    base_url: str, model: str, ttft_ms: float, itl_ms: float, requests: int
) -> Errors:
    """Errors beside what passed the relay, and how late server and bare socket were."""
    total = Errors()
    payload = {**payload_for(model), "max_tokens": _TOKENS}
    with Relay(base_url) as relay:
        async with _connect(relay.base_url) as connection:
            for number in range(requests + 1):
                found = await _ask(connection, relay, payload)
                _add_server(found, ttft_ms, itl_ms)
                found[0].merge(await _ask_bare(relay, payload))
                if number:  # the first is to warm up
                    total.merge(found[0])
    return total


def _connect(base_url: str) -> Connection:
    return connect("openai", api_key="x", base_url=base_url, telemetry=NoTelemetry())


async def _ask(
    connection: Connection, relay: Relay, payload: Mapping[str, Any]
) -> tuple[Errors, Exchange]:
    observed = await observe(connection.run(payload))
    passed = await asyncio.to_thread(relay.exchange)
    errors = Errors()
    token_ns = passed.token_ns[0]
    truths = (passed.sent_ns[0], passed.chunk_ns, token_ns, token_ns, token_ns)
    errors.add_stamps(observed.record, dict(zip(STAMPS, truths, strict=True)))
    errors.add("request", passed.received_ns, observed.record.timings.request_ns or 0)
    errors.add_events(observed.content_ns, passed.token_ns)
    return errors, passed


def _add_server(found: tuple[Errors, Exchange], ttft_ms: float, itl_ms: float) -> None:
    """How far the server was from what it was told, seen by the relay."""
    errors, passed = found
    took_ns = passed.token_ns[0] - passed.received_ns
    errors.add("server: first token - told", took_ns, round(ttft_ms * MS_NS))
    for earlier, later in zip(passed.token_ns, passed.token_ns[1:], strict=False):
        errors.add("server: gap - told", later - earlier, round(itl_ms * MS_NS))


async def _ask_bare(relay: Relay, payload: Mapping[str, Any]) -> Errors:
    request_ns, first_ns = await time_on_bare_socket(relay.base_url, payload)
    passed = await asyncio.to_thread(relay.exchange)
    errors = Errors()
    errors.add("bare socket: first token", first_ns, passed.token_ns[0])
    errors.add("bare socket: request", passed.received_ns, request_ns)
    return errors


async def time_on_bare_socket(base_url: str, payload: Mapping[str, Any]) -> tuple[int, int]:
    """When a request was sent and the bytes with its first content came, ns; no HTTP client."""
    address = urlsplit(base_url)
    body = json.dumps({**payload, "stream": True}).encode()
    head = (
        f"POST {address.path}/chat/completions HTTP/1.1\r\nhost: {address.netloc}\r\n"
        "content-type: application/json\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        request_ns = time.perf_counter_ns()
        writer.write(head.encode() + body)
        seen, first_ns = b"", 0
        while data := await reader.read(65_536):
            seen += data
            if not first_ns and _CONTENT.search(seen):
                first_ns = time.perf_counter_ns()
        if not first_ns:
            raise RuntimeError("the server ended without content")
        return request_ns, first_ns
    finally:
        writer.close()
        await writer.wait_closed()


class TimingsWatch:
    """A step before the parser that keeps the stream's end, where llama.cpp's timings are."""

    def __init__(self) -> None:
        self.end = b""

    def feed(self, items: Sequence[RawChunk], recv_ns: int, out: list[RawChunk]) -> None:
        for item in items:
            self.end = (self.end + item.data)[-8192:]
        out.extend(items)

    def finish(self, recv_ns: int, out: list[RawChunk]) -> None:
        return

    def timings(self) -> dict[str, float]:
        """What the server reported."""
        found = _TIMINGS.search(self.end)
        if found is None:
            raise RuntimeError("the server reported no timings; is it llama.cpp's?")
        timings: dict[str, float] = json.loads(found[1])
        return timings


async def compare_to_timings(base_url: str, requests: int, tokens: int = 100) -> Errors:
    """Errors against what llama.cpp's server says of itself; the prompt is new each time."""
    total = Errors()
    watches: list[TimingsWatch] = []

    def open_watch(context: StepContext) -> TimingsWatch:
        watches.append(TimingsWatch())
        return watches[-1]

    stage = StageSpec("timings", RawChunk, RawChunk, open_watch)
    async with _connect(base_url) as connection:
        pipeline = connection.pipeline().edit().insert_before("parser", stage).build()
        for number in range(requests + 1):
            message = {"role": "user", "content": f"{uuid.uuid4()} hello"}
            payload = {"model": "m", "messages": [message], "max_tokens": tokens, "temperature": 0}
            async with pipeline.run(payload) as run:
                await run.result()
            if number and run.record is not None:
                _add_timings(total, run.record, watches[-1].timings())
    return total


def _add_timings(total: Errors, record: RunRecord, theirs: Mapping[str, float]) -> None:
    timings = record.timings
    request_ns, first_ns, last_ns = (
        timings.request_ns,
        timings.first_token_ns,
        timings.last_token_ns,
    )
    if request_ns is None or first_ns is None or last_ns is None:
        raise RuntimeError("the run gave no content")
    total.add("time to first token - prompt_ms", first_ns - request_ns, _ns(theirs["prompt_ms"]))
    total.add("first to last token - predicted_ms", last_ns - first_ns, _ns(theirs["predicted_ms"]))


def _ns(milliseconds: float) -> int:
    return int(milliseconds * MS_NS)
