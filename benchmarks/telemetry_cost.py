"""What telemetry costs: CPU per event and per request, off beside on, in one run.

    python -m benchmarks.telemetry_cost [--rounds 9] [--json out.json]

What is measured: CPU time of this process (`time.process_time_ns`, user and system, every thread,
the emitter's deferred work and the exporters' included) while the standard pipeline reads streams
of 500 events from the simulator, which runs in a process of its own. The modes take turns in
every round; ratios and differences are formed within a round, and the table shows their medians.

- off: `NoTelemetry`.
- request: request spans and metrics, no detail by stage.
- stages: the default: request span, a span for each stage, all metrics.
- exported: the same, and every span encoded as OTLP protobuf, as an exporter does before sending.

Shapes: `paced`, many streams at 100 events a second each, so that a read brings one event, as
tokens really arrive; `burst`, one stream after the other as fast as the server can, 32 events to
a write: the least CPU an event can cost, and so the highest ratio.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from rich.console import Console
from rich.table import Table

from tokenline.telemetry import NoTelemetry, OTelTelemetry, Telemetry, TelemetryOptions
from tokenline_stages import Connection, connect
from tokenline_stages.simulator import Plan, SimulatorProcess

EVENTS = 500
PAYLOAD: dict[str, Any] = {"model": "sim", "messages": [{"role": "user", "content": "hello"}]}


class NowhereExporter(SpanExporter):
    """Takes spans as a collector would, without the cost of a network."""

    def __init__(self, *, encode: bool) -> None:
        self._encode = encode

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._encode:
            encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def _on(options: TelemetryOptions, *, encode: bool = False) -> OTelTelemetry:
    traces = TracerProvider(shutdown_on_exit=False)
    traces.add_span_processor(BatchSpanProcessor(NowhereExporter(encode=encode)))
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    return OTelTelemetry(traces, meters, options)


MODES: dict[str, Callable[[], Telemetry]] = {
    "off": NoTelemetry,
    "request": lambda: _on(TelemetryOptions(stages="off", stage_metrics=False)),
    "stages": lambda: _on(TelemetryOptions()),
    "exported": lambda: _on(TelemetryOptions(), encode=True),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """How events arrive: `streams` requests, `at_once` of them side by side."""

    name: str
    plan: Plan
    streams: int
    at_once: int


SHAPES = (
    Shape("paced", Plan(ttft_s=0.02, inter_token_s=0.01, tokens=EVENTS), 30, 30),
    Shape(
        "burst",
        Plan(ttft_s=0.0, inter_token_s=0.0, tokens=EVENTS, events_per_write=32),
        60,
        1,
    ),
)


class Mode:
    """One way to run the pipeline."""

    def __init__(self, name: str, base_url: str) -> None:
        self.name = name
        self._telemetry = MODES[name]()
        self._connection: Connection = connect(
            "openai", api_key="x", base_url=base_url, telemetry=self._telemetry
        )

    async def read(self, headers: dict[str, str]) -> None:
        """Read one stream to its end."""
        async with self._connection.run(PAYLOAD, headers=headers) as run:
            async for _ in run:
                pass

    def settle(self) -> None:
        """Do the work that telemetry put off; it belongs to the streams that caused it."""
        if isinstance(self._telemetry, OTelTelemetry):
            self._telemetry.flush(10.0)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._connection.aclose()


async def measure(mode: Mode, shape: Shape) -> float:
    """CPU µs of one request of `shape` in `mode`."""
    headers = {"x-tokenline-plan": msgspec.json.encode(shape.plan).decode()}
    gc.collect()
    from_ns = time.process_time_ns()
    for _ in range(0, shape.streams, shape.at_once):
        await asyncio.gather(*(mode.read(headers) for _ in range(shape.at_once)))
    mode.settle()
    return (time.process_time_ns() - from_ns) / 1000 / shape.streams


async def run_rounds(base_url: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """`{shape: {mode: [µs per request of each round]}}`."""
    modes = [Mode(name, base_url) for name in MODES]
    found: dict[str, dict[str, list[float]]] = {
        shape.name: {mode.name: [] for mode in modes} for shape in SHAPES
    }
    for shape in SHAPES:
        for mode in modes:
            await measure(mode, shape)
        for number in range(rounds):
            first = number % len(modes)
            for mode in modes[first:] + modes[:first]:
                found[shape.name][mode.name].append(await measure(mode, shape))
    for mode in modes:
        await mode.aclose()
    return found


def ratios(rows: dict[str, list[float]], mode: str) -> list[float]:
    """Cost of `mode` over that of `off`, round by round."""
    return [on / off for on, off in zip(rows[mode], rows["off"], strict=True)]


def differences(rows: dict[str, list[float]], mode: str) -> list[float]:
    """Cost of `mode` less that of `off`, µs, round by round."""
    return [on - off for on, off in zip(rows[mode], rows["off"], strict=True)]


def show(found: dict[str, dict[str, list[float]]]) -> Table:
    """Medians."""
    table = Table(title=f"CPU of telemetry, streams of {EVENTS} events", title_justify="left")
    for heading in ("shape", "mode", "µs/event", "µs/request", "added µs/request", "x off"):
        table.add_column(heading, justify="left" if heading in ("shape", "mode") else "right")
    for shape, rows in found.items():
        for mode, costs in rows.items():
            cost = statistics.median(costs)
            added = statistics.median(differences(rows, mode))
            ratio = statistics.median(ratios(rows, mode))
            table.add_row(
                shape,
                mode,
                f"{cost / EVENTS:.2f}",
                f"{cost:.0f}",
                f"{added:.0f}",
                f"{ratio:.3f}",
            )
    return table


@click.command()
@click.option("--rounds", default=9, show_default=True)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write all figures here.")
def main(rounds: int, path: Path | None) -> None:
    """Measure the CPU that telemetry adds to a stream."""
    with SimulatorProcess() as simulator:
        found = asyncio.run(run_rounds(simulator.openai_base_url, rounds))
    Console().print(show(found))
    if path is not None:
        path.write_text(json.dumps({"events": EVENTS, "cpu_us_per_request": found}))


if __name__ == "__main__":
    main()
