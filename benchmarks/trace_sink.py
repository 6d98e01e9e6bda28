"""Stream latency with trace sinks on and off, side by side in one run.

    python -m benchmarks.trace_sink [--rounds 7] [--postgresql URL] [--json out.json]

Streams run at a steady pace against the simulator, which runs in a process of its own; as soon as
one has ended the next begins, so that records are made and written while others stream. The
client's own clock is read at every event:

- first token: from `connection.run(...)` to the first content event in the caller's hands;
- gap: between content events in the caller's hands. The simulator sends one every 20 ms: what is
  above that is delay on the way, most of it on the client's event loop.

All sinks take turns within each round. Shown is the median over the rounds of each round's
quantile, its ratio to `off`, and the CPU time of this process for each run, records included.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tokenline.events import TextDelta
from tokenline.telemetry.hook import NoTelemetry
from tokenline_stages import connect
from tokenline_stages.connection import Connection
from tokenline_stages.simulator import Plan, SimulatorProcess
from tokenline_stages.traces import TraceStore, traces

PLAN = Plan(ttft_s=0.05, inter_token_s=0.02, tokens=20)
PAYLOAD: dict[str, Any] = {
    "model": "sim",
    "messages": [
        {"role": "system", "content": "You answer in short sentences. " * 20},
        *({"role": "user", "content": "What is a pipeline made of? " * 10} for _ in range(8)),
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": f"tool_{i}",
                "description": "Looks something up. " * 5,
                "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
            },
        }
        for i in range(8)
    ],
}


@dataclass
class Round:
    """What was measured with one sink in one round; times in ms."""

    first_token: list[float] = field(default_factory=list)
    gap: list[float] = field(default_factory=list)
    cpu_per_run: float = 0.0
    traces: int = 0
    lost: int = 0

    def figures(self) -> dict[str, float]:
        """The figures of the round."""
        return {
            "first token p50": quantile(self.first_token, 0.5),
            "first token p99": quantile(self.first_token, 0.99),
            "gap p50": quantile(self.gap, 0.5),
            "gap p99": quantile(self.gap, 0.99),
            "CPU per run": self.cpu_per_run,
        }


def open_store(name: str, folder: Path, postgresql: str | None) -> TraceStore | None:
    """The store of a sink by name."""
    match name:
        case "jsonl":
            return traces(folder / "traces.jsonl")
        case "sqlite":
            return traces(folder / "traces.db")
        case "postgresql" if postgresql is not None:
            return traces(postgresql)
    return None


async def stream(connection: Connection, found: Round, until_s: float) -> int:
    """One stream after the other until the time is up; gives how many."""
    runs = 0
    while time.perf_counter() < until_s:
        last_ns = time.perf_counter_ns()
        first = True
        async with connection.run(PAYLOAD) as run:
            async for event in run:
                if type(event) is not TextDelta:
                    continue
                now_ns = time.perf_counter_ns()
                (found.first_token if first else found.gap).append((now_ns - last_ns) / 1e6)
                last_ns, first = now_ns, False
        runs += 1
    return runs


async def measure(base_url: str, store: TraceStore | None, streams: int, seconds: float) -> Round:
    """One round with one sink."""
    found = Round()
    async with connect(
        "openai", api_key="x", base_url=base_url, telemetry=NoTelemetry(), traces=store
    ) as connection:
        await stream(connection, Round(), time.perf_counter() + 0.2)  # warm up
        gc.collect()
        from_ns = time.process_time_ns()
        until_s = time.perf_counter() + seconds
        # Spread over one stream's length, so that they do not all end at once.
        runs = await asyncio.gather(
            *(late(i * 0.43 / streams, stream(connection, found, until_s)) for i in range(streams))
        )
        if store is not None:
            await store.aflush(30)
        found.cpu_per_run = (time.process_time_ns() - from_ns) / 1e6 / sum(runs)
    if store is not None:
        await store.aclose(30)
        found.traces = sum(sink.written for sink in store.stats.sinks)
        found.lost = store.stats.taken - found.traces
    return found


async def late(delay_s: float, work: Any) -> int:
    """Wait, then work."""
    await asyncio.sleep(delay_s)
    done: int = await work
    return done


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which a share of all lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def medians(rounds: Sequence[Round]) -> dict[str, float]:
    """Median of every figure over all rounds: one bad moment of the machine spoils one round."""
    figures = [each.figures() for each in rounds]
    return {name: statistics.median(each[name] for each in figures) for name in figures[0]}


def show(found: dict[str, list[Round]]) -> Table:
    """Figures in ms and their ratios to `off`."""
    table = Table(title="ms, median of rounds (ratio to off)", title_justify="left")
    table.add_column("sink")
    off = medians(found["off"])
    for name in (*off, "runs", "traces", "lost"):
        table.add_column(name, justify="right")
    for sink, rounds in found.items():
        figures = medians(rounds)
        cells = [f"{value:.2f} ({value / off[name]:.2f})" for name, value in figures.items()]
        counts = [sum(len(each.first_token) for each in rounds)]
        counts += [sum(each.traces for each in rounds), sum(each.lost for each in rounds)]
        table.add_row(sink, *cells, *map(str, counts))
    return table


@click.command()
@click.option("--rounds", default=7, show_default=True)
@click.option("--seconds", default=2.0, show_default=True, help="Of each sink in each round.")
@click.option("--streams", default=40, show_default=True, help="At once.")
@click.option("--postgresql", default=None, help="URL of a database to measure too.")
@click.option("--json", "json_path", default=None, help="Write the figures there.")
def main(
    rounds: int, seconds: float, streams: int, postgresql: str | None, json_path: str | None
) -> None:
    """Measure and print a table."""
    names = ["off", "jsonl", "sqlite"] + (["postgresql"] if postgresql else [])
    found: dict[str, list[Round]] = {name: [] for name in names}
    with SimulatorProcess(PLAN) as simulator, tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name in names:
                store = open_store(name, Path(folder), postgresql)
                work = measure(simulator.openai_base_url, store, streams, seconds)
                found[name].append(asyncio.run(work))
    Console().print(show(found))
    if json_path is not None:
        result = {name: medians(one) for name, one in found.items()}
        Path(json_path).write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
