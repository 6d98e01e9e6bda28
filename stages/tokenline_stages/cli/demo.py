"""`tokenline demo`: the whole pipeline on a simulated provider, no key and no network needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass

import click
import msgspec
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from tokenline.record import RunRecord
from tokenline.telemetry import OTelTelemetry, default_telemetry
from tokenline_stages.connection import Connection, connect
from tokenline_stages.simulator import Plan, Simulator

from .chat import payload_for, show_events
from .report import ms, show_run


@dataclass(frozen=True, slots=True)
class Scene:
    """One request of the demo."""

    title: str
    provider: str
    plan: Plan


SCENES = (
    Scene("OpenAI, plain text", "openai", Plan(ttft_s=0.25, inter_token_s=0.02, tokens=30)),
    Scene(
        "Anthropic, reasoning first",
        "anthropic",
        Plan(ttft_s=0.20, inter_token_s=0.02, tokens=20, reasoning_tokens=15),
    ),
    Scene(
        "OpenAI, a tool call, everything at once",
        "openai",
        Plan(ttft_s=0.15, inter_token_s=0.0, tokens=40, tool_calls=1),
    ),
    Scene(
        "Anthropic, slow and uneven",
        "anthropic",
        Plan(ttft_s=0.35, inter_token_s=0.03, jitter_s=0.02, tokens=15),
    ),
)


async def _play(scene: Scene, connection: Connection, console: Console) -> RunRecord:
    console.rule(scene.title, align="left")
    payload = payload_for(scene.provider, "simulated", "Say something.", 256)
    headers = {"x-tokenline-plan": msgspec.json.encode(scene.plan).decode()}
    async with connection.run(payload, headers=headers) as run:
        await show_events(run, console)
    assert run.record is not None
    console.print()
    show_run(console, run.record)
    return run.record


def _comparison(records: list[tuple[Scene, RunRecord]]) -> Table:
    table = Table(
        title="all requests (ms; first of each, from issuing the request)", title_justify="left"
    )
    table.box = SIMPLE_HEAD
    table.add_column("request")
    for heading in ("headers", "token", "answer", "delivery", "end", "ours"):
        table.add_column(heading, justify="right")
    for scene, record in records:
        timings = record.timings
        start = timings.request_ns or timings.started_ns
        stamps = (
            timings.headers_ns,
            timings.first_token_ns,
            timings.first_answer_ns,
            timings.first_delivery_ns,
            timings.ended_ns,
        )
        cells = [ms(stamp - start if stamp is not None else None, 1) for stamp in stamps]
        own = timings.ended_ns - start - record.stages[0].idle_ns
        table.add_row(scene.title, *cells, ms(own, 2))
    return table


def _spans_in_memory() -> tuple[OTelTelemetry, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return OTelTelemetry(provider, NoOpMeterProvider()), exporter


def _span_tree(spans: Sequence[ReadableSpan]) -> Tree:
    """The last request's spans, as a back-end would show them."""
    root = [span for span in spans if span.parent is None][-1]
    tree = Tree(f"{root.name}  {_milliseconds(root)} ms  {root.kind.name}")
    for span in spans:
        if span.parent is not None and root.context and span.parent == root.context:
            work_s = (span.attributes or {}).get("tokenline.stage.time.processing", 0.0)
            tree.add(f"{span.name}  {_milliseconds(span)} ms, of it processing {work_s:.6f} s")
    return tree


def _milliseconds(span: ReadableSpan) -> str:
    return ms((span.end_time or 0) - (span.start_time or 0))


def _reach_loopback_directly() -> None:
    """The simulator is on this machine: a proxy of the environment is not for it."""
    for name in ("NO_PROXY", "no_proxy"):
        known = os.environ.get(name)
        os.environ[name] = f"{known},127.0.0.1" if known else "127.0.0.1"


async def _demo(console: Console) -> None:
    _reach_loopback_directly()
    spans, exporter = _spans_in_memory()
    exporting = any(name.startswith("OTEL_EXPORTER_OTLP") for name in os.environ)
    telemetry = default_telemetry() if exporting else spans
    async with Simulator(Plan()) as simulator:
        bases = {"openai": simulator.openai_base_url, "anthropic": simulator.anthropic_base_url}
        connections = {
            name: connect(name, api_key="demo", base_url=base, telemetry=telemetry)
            for name, base in bases.items()
        }
        for name, connection in connections.items():
            await _warm_up(name, connection)
        records = [
            (scene, await _play(scene, connections[scene.provider], console)) for scene in SCENES
        ]
        for connection in connections.values():
            await connection.aclose()
    console.rule("comparison", align="left")
    console.print(_comparison(records))
    if telemetry is spans:
        spans.flush(1.0)
        console.rule("OpenTelemetry spans of the last request", align="left")
        console.print(_span_tree(exporter.get_finished_spans()))


async def _warm_up(name: str, connection: Connection) -> None:
    """The first request of a process pays for imports, TLS context and connection."""
    plan = Plan(ttft_s=0.0, inter_token_s=0.0, tokens=1)
    headers = {"x-tokenline-plan": msgspec.json.encode(plan).decode()}
    async with connection.run(payload_for(name, "simulated", "hi", 1), headers=headers) as run:
        await run.result()


@click.command()
@click.option("--width", default=None, type=int, help="Columns of the output.")
def command(width: int | None) -> None:
    """Stream from a simulated provider and show the TTFT breakdown of every request."""
    asyncio.run(_demo(Console(width=width)))
