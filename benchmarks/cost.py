"""CPU per event: the full pipeline beside the floor and the openai SDK, in one run.

    python -m benchmarks.cost [--rounds 5] [--json out.json]

What is measured: CPU time of this process (`time.process_time_ns`, user and system) while a
client reads streams from the simulator, which runs in a process of its own, divided by the
content events read. Two shapes:

- batch: one stream of many events, 32 to a write, as fast as the server can; several events
  arrive in one read. Request cost included (it is small beside 2,000 events).
- paced: many streams at 50 events a second each, so that each read brings one event: how tokens
  really arrive.

Clients take turns within each round; the table shows medians over rounds, and the ratio to the
floor's median.
"""

from __future__ import annotations

import asyncio
import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.clients import Client, FloorClient, OpenAISdkClient, PipelineClient
from tokenline_stages.simulator import Plan, SimulatorProcess

PAYLOAD: dict[str, Any] = {"model": "sim", "messages": [{"role": "user", "content": "hello"}]}


@dataclass(frozen=True, slots=True)
class Shape:
    """How events arrive."""

    name: str
    plan: Plan
    streams: int


def shapes(batch_events: int, paced_streams: int, paced_events: int) -> list[Shape]:
    """The two ways events arrive; see the module's docstring."""
    return [
        Shape(
            "batch",
            Plan(ttft_s=0.0, inter_token_s=0.0, tokens=batch_events, events_per_write=32),
            1,
        ),
        Shape("paced", Plan(ttft_s=0.05, inter_token_s=0.02, tokens=paced_events), paced_streams),
    ]


async def measure(client: Client, shape: Shape) -> float:
    """CPU µs per event of reading `shape.streams` streams at once."""
    plan = msgspec.json.encode(shape.plan).decode()
    gc.collect()
    from_ns = time.process_time_ns()
    counts = await asyncio.gather(*(client.read(PAYLOAD, plan) for _ in range(shape.streams)))
    took_ns = time.process_time_ns() - from_ns
    if set(counts) != {shape.plan.tokens}:
        raise RuntimeError(f"{client.name} saw {counts} events instead of {shape.plan.tokens}")
    return took_ns / 1000 / sum(counts)


async def run_rounds(
    clients: Sequence[Client], rounds: int, of: Sequence[Shape]
) -> dict[str, dict[str, list[float]]]:
    """`{shape: {client: [µs per event of each round]}}`; clients take turns."""
    found: dict[str, dict[str, list[float]]] = {s.name: {c.name: [] for c in clients} for s in of}
    for shape in of:
        for client in clients:  # warm up: imports, connections, caches
            await measure(client, shape)
        for _ in range(rounds):
            for client in clients:
                found[shape.name][client.name].append(await measure(client, shape))
    for client in clients:
        await client.aclose()
    return found


def show(found: dict[str, dict[str, list[float]]]) -> Table:
    """Medians and ratios to the floor."""
    table = Table(title="CPU per event, median (least) µs", title_justify="left")
    table.add_column("client")
    for shape in found:
        table.add_column(shape, justify="right")
        table.add_column("x floor", justify="right")
    floors = {name: statistics.median(next(iter(rows.values()))) for name, rows in found.items()}
    for client in next(iter(found.values())):
        cells = []
        for name, rows in found.items():
            median = statistics.median(rows[client])
            cells += [f"{median:.1f} ({min(rows[client]):.1f})", f"{median / floors[name]:.2f}"]
        table.add_row(client, *cells)
    return table


def environment() -> dict[str, str]:
    """Versions that the figures depend on."""
    names = ("openai", "anthropic", "aiohttp", "httpx2", "msgspec", "pydantic", "opentelemetry-sdk")
    found = {name: version(name) for name in names}
    return {"python": sys.version.split()[0], "platform": platform.platform(), **found}


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option("--batch-events", default=2000, show_default=True)
@click.option("--paced-streams", default=40, show_default=True)
@click.option("--paced-events", default=100, show_default=True)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write all figures here.")
def main(
    rounds: int, batch_events: int, paced_streams: int, paced_events: int, path: Path | None
) -> None:
    """Measure CPU per event of the floor, tokenline and the openai SDK."""
    with SimulatorProcess() as simulator:
        base = simulator.openai_base_url
        of = shapes(batch_events, paced_streams, paced_events)
        clients: list[Client] = [
            FloorClient(base),
            PipelineClient(base),
            PipelineClient(base, spans=False),
            PipelineClient(base, direct=False),
            OpenAISdkClient(base),
        ]
        found = asyncio.run(run_rounds(clients, rounds, of))
    Console().print(show(found))
    if path is not None:
        path.write_text(json.dumps({"environment": environment(), "cpu_us_per_event": found}))


if __name__ == "__main__":
    main()
