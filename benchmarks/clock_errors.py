"""How right the times are: what tokenline measured beside what the server knows it sent, and when.

    python -m benchmarks.clock_errors [--requests 200] [--streams 200]
    python -m benchmarks.clock_errors --guidellm http://127.0.0.1:8012/v1 --ttft-ms 200 --itl-ms 20
    python -m benchmarks.clock_errors --llamacpp http://127.0.0.1:8080/v1

The simulator stamps every write right before it hands the bytes to its socket, on the clock that
this process reads too (CLOCK_MONOTONIC). The error of a stamp is ours minus the server's: the way
through the kernel and the event loop to the code that takes the time, never negative. Tables show
errors in milliseconds.

- stamps: headers, first chunk, first token, first answer, first delivery, every content event.
- request: how long the request was under way, from the moment that all times count from until
  the server had its headers.
- gaps: between content events, ours minus the server's; positive or negative.

Another server without such stamps (guidellm's mock, `guidellm mock-server`) is measured by its
settings: the time to first token and between tokens that it was told to take. What the server
itself adds shows on a bare socket, which is timed in turns with tokenline.

llama.cpp's server reports its own `timings` at the end of a stream: `prompt_ms` until its first
token (without HTTP and tokenizing), `predicted_ms` from there to its last.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec
from rich.console import Console
from rich.table import Table

from tokenline.events import CONTENT_EVENTS
from tokenline.record import RunRecord
from tokenline.stage import RawChunk, StageSpec, StepContext
from tokenline.telemetry import NoTelemetry
from tokenline_stages import Connection, connect
from tokenline_stages.simulator import Plan, SimulatorProcess

PLAN = Plan(headers_s=0.02, ttft_s=0.05, inter_token_s=0.01, reasoning_tokens=10, tokens=20)
PACED = Plan(headers_s=0.1, ttft_s=0.5, inter_token_s=0.02, reasoning_tokens=10, tokens=60)
STAMPS = ("headers", "first chunk", "first token", "first answer", "first delivery")
PROVIDERS = ("openai", "anthropic")
_MS = 1e6
_TIMINGS = re.compile(rb'"timings": ?(\{[^{}]*\})')
_CONTENT = re.compile(rb'"content": ?"[^"]')


@dataclass(slots=True)
class Observed:
    """One run: its record and the receive time of every content event."""

    record: RunRecord
    content_ns: list[int]


@dataclass(slots=True)
class Errors:
    """Ours minus the server's, ms, by what was measured; of one request or of many."""

    rows: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, ours_ns: int, truth_ns: int) -> None:
        """One more."""
        self.rows.setdefault(name, []).append((ours_ns - truth_ns) / _MS)

    def merge(self, other: Errors) -> None:
        """Take over what another holds."""
        for name, values in other.rows.items():
            self.rows.setdefault(name, []).extend(values)


async def observe(connection: Connection, payload: Mapping[str, Any], **options: Any) -> Observed:
    """Read one stream to its end."""
    async with connection.run(payload, **options) as run:
        content_ns = [event.recv_ns async for event in run if type(event) in CONTENT_EVENTS]
    if run.record is None:
        raise RuntimeError("the run has no record")
    return Observed(run.record, content_ns)


def errors_of(observed: Observed, ledger: Mapping[str, Any], plan: Plan) -> Errors:
    """Compare one run with the simulator's entry for it."""
    found = Errors()
    timings, token_ns = observed.record.timings, ledger["token_ns"]
    truths = (
        (timings.headers_ns, ledger["headers_ns"]),
        (timings.first_chunk_ns, ledger["sent_ns"][0]),
        (timings.first_token_ns, token_ns[0]),
        (timings.first_answer_ns, token_ns[plan.reasoning_tokens]),
        (timings.first_delivery_ns, token_ns[0]),
    )
    for name, (ours, truth) in zip(STAMPS, truths, strict=True):
        if ours is None:
            raise RuntimeError(f"{name} was not measured")
        found.add(name, ours, truth)
    found.add("request", ledger["received_ns"], timings.request_ns or 0)
    for ours, truth in zip(observed.content_ns, token_ns, strict=True):
        found.add("every event", ours, truth)
    for (ours, next_ours), (truth, next_truth) in zip(
        pairwise(observed.content_ns), pairwise(token_ns), strict=True
    ):
        found.add("gap", next_ours - ours, next_truth - truth)
    return found


def payload_for(model: str = "sim") -> dict[str, Any]:
    """A small request that every chat API takes."""
    messages = [{"role": "user", "content": "hello"}]
    return {"model": model, "max_tokens": 4096, "messages": messages}


def connect_to(simulator: SimulatorProcess, provider: str, **options: Any) -> Connection:
    """A connection to the simulator."""
    base = simulator.url if provider == "anthropic" else simulator.openai_base_url
    return connect(provider, api_key="x", base_url=base, telemetry=NoTelemetry(), **options)


async def compare(
    simulator: SimulatorProcess, provider: str, plan: Plan, requests: int, at_once: int = 1
) -> Errors:
    """Errors of many requests, `at_once` of them side by side, after as many to warm up."""
    plan_header = {"x-tokenline-plan": msgspec.json.encode(plan).decode()}

    async def one(connection: Connection) -> tuple[Observed, str]:
        request_id = uuid.uuid4().hex
        headers = {**plan_header, "x-request-id": request_id}
        return await observe(connection, payload_for(), headers=headers), request_id

    total = Errors()
    async with connect_to(simulator, provider) as connection:
        await asyncio.gather(*(one(connection) for _ in range(at_once)))
        for _ in range(0, requests, at_once):
            round_ = await asyncio.gather(*(one(connection) for _ in range(at_once)))
            for observed, request_id in round_:
                entry = await asyncio.to_thread(simulator.read_ledger, request_id)
                total.merge(errors_of(observed, entry, plan))
    return total


async def compare_by_settings(
    base_url: str, model: str, ttft_ms: float, itl_ms: float, requests: int
) -> Errors:
    """Errors against a server that was told its times."""
    total = Errors()
    payload = {**payload_for(model), "max_tokens": 32}
    async with connect(
        "openai", api_key="x", base_url=base_url, telemetry=NoTelemetry()
    ) as connection:
        await observe(connection, payload)
        for _ in range(requests):
            observed = await observe(connection, payload)
            timings = observed.record.timings
            ttft_ns = (timings.first_token_ns or 0) - (timings.request_ns or 0)
            bare_ns = await time_on_bare_socket(base_url, payload)
            total.add("time to first token", ttft_ns, round(ttft_ms * _MS))
            total.add("the same on a bare socket", bare_ns, round(ttft_ms * _MS))
            for earlier, later in pairwise(observed.content_ns):
                total.add("gap", later - earlier, round(itl_ms * _MS))
    return total


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
    async with connect(
        "openai", api_key="x", base_url=base_url, telemetry=NoTelemetry()
    ) as connection:
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
    return round(milliseconds * _MS)


async def time_on_bare_socket(base_url: str, payload: Mapping[str, Any]) -> int:
    """From sending a request to the bytes with its first content, ns; no HTTP client at all."""
    address = urlsplit(base_url)
    body = json.dumps({**payload, "stream": True}).encode()
    head = (
        f"POST {address.path}/chat/completions HTTP/1.1\r\nhost: {address.netloc}\r\n"
        "content-type: application/json\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        from_ns = time.perf_counter_ns()
        writer.write(head.encode() + body)
        seen = b""
        while not _CONTENT.search(seen):
            data = await reader.read(65_536)
            if not data:
                raise RuntimeError("the server ended without content")
            seen += data
        return time.perf_counter_ns() - from_ns
    finally:
        writer.close()
        await writer.wait_closed()


def quantile(values: Sequence[float], q: float) -> float:
    """The value below which a share `q` lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def show(title: str, errors: Errors) -> Table:
    """Errors in ms."""
    table = Table(title=f"{title}: ours minus the server's, ms", title_justify="left")
    for heading in ("what", "n", "least", "median", "p99", "most"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for name, values in errors.rows.items():
        figures = (min(values), statistics.median(values), quantile(values, 0.99), max(values))
        table.add_row(name, str(len(values)), *(f"{value:.3f}" for value in figures))
    return table


def measure_simulator(requests: int, streams: int) -> dict[str, Errors]:
    """One stream after the other for each provider, then many side by side."""
    found: dict[str, Errors] = {}
    with SimulatorProcess() as simulator:
        for provider in PROVIDERS:
            errors = asyncio.run(compare(simulator, provider, PLAN, requests))
            found[f"{provider}, 1 stream"] = errors
        for count in (min(50, streams), streams):
            errors = asyncio.run(compare(simulator, "openai", PACED, count, at_once=count))
            found[f"openai, {count} streams at 50 events/s each"] = errors
    return found


@click.command()
@click.option("--requests", default=200, show_default=True)
@click.option("--streams", default=200, show_default=True, help="Streams side by side, at most.")
@click.option("--guidellm", "guidellm_url", help="Base URL of guidellm's mock server.")
@click.option("--llamacpp", "llamacpp_url", help="Base URL of llama.cpp's server.")
@click.option("--model", default="mock", show_default=True, help="Its model.")
@click.option("--ttft-ms", default=200.0, show_default=True, help="What it was told.")
@click.option("--itl-ms", default=20.0, show_default=True, help="What it was told.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write all errors here.")
def main(
    requests: int,
    streams: int,
    guidellm_url: str | None,
    llamacpp_url: str | None,
    model: str,
    ttft_ms: float,
    itl_ms: float,
    path: Path | None,
) -> None:
    """Measure how far the measured times are from the true ones."""
    if llamacpp_url is not None:
        found = {"llama.cpp": asyncio.run(compare_to_timings(llamacpp_url, requests))}
    elif guidellm_url is None:
        found = measure_simulator(requests, streams)
    else:
        errors = compare_by_settings(guidellm_url, model, ttft_ms, itl_ms, requests)
        found = {f"guidellm, {ttft_ms:g} / {itl_ms:g} ms": asyncio.run(errors)}
    for title, errors_found in found.items():
        Console().print(show(title, errors_found))
    if path is not None:
        path.write_text(json.dumps({title: errors.rows for title, errors in found.items()}))


if __name__ == "__main__":
    main()
