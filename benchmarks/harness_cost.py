"""What a load generator itself costs: tokenline bench beside AIPerf and GuideLLM.

    python -m benchmarks.harness_cost [--folder PATH] [--rounds 1] [--tool "tokenline bench"]
        [--streams 10]

At 1, 10, 50 and 100 streams against tokenline's simulator (100 ms to the first token, then one
every 50 ms), which knows when it sent what. The simulator has one core, the tool another.

- TTFT added: the tool's median TTFT less the median of the server's own account, from the arrival
  of a request to the sending of its first token.
- CPU per event: two runs of different length with the same number of streams; the CPU time by
  which they differ over the content events by which they differ. What a tool needs to start is in
  neither; what it needs while it waits for tokens is.
- CPU to start: what the shorter run took beyond its events.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import click
import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.cross_check import PROMPTS, run_tool
from benchmarks.ground_truth import read_sent
from benchmarks.load_tools import (
    AIPerf,
    Figures,
    GuideLLM,
    LoadTool,
    TokenlineBench,
    simulator_apart,
)
from tokenline_stages.simulator import Plan

PLAN = Plan(ttft_s=0.1, inter_token_s=0.05, tokens=40)
REQUESTS = {1: (2, 12), 10: (10, 210), 50: (50, 250), 100: (100, 500)}
"""Streams to the requests of the shorter and the longer run."""
WARMUP = 1
SHOWN = ("added_ttft_ms", "cpu_us_per_event", "start_cpu_s")


def measure_cost(tool: LoadTool, streams: int, url: str) -> dict[str, Any]:
    """Both runs of a tool at one number of streams."""
    few, many = REQUESTS[streams]
    short, _ = run_once(tool, streams, few, url)
    long, sent_ms = run_once(tool, streams, many, url)
    us_per_event = (long.cpu_s - short.cpu_s) * 1e6 / ((many - few) * PLAN.tokens)
    return {
        "tool": tool.name,
        "streams": streams,
        "added_ttft_ms": long.ttft_ms - sent_ms,
        "cpu_us_per_event": us_per_event,
        "start_cpu_s": short.cpu_s - (few + WARMUP) * PLAN.tokens * us_per_event / 1e6,
        "ok": long.ok,
    }


def run_once(tool: LoadTool, streams: int, requests: int, url: str) -> tuple[Figures, float]:
    """One run; gives the tool's figures and the server's own median TTFT in ms."""
    urlopen(Request(f"{url}/ledger", method="DELETE")).close()
    job = {
        "url": url,
        "model": "m",
        "prompts": PROMPTS,
        "tokens": PLAN.tokens,
        "concurrency": streams,
        "requests": requests,
        "warmup": WARMUP,
    }
    figures = run_tool(tool, job)
    return figures, statistics.median(read_sent(url)) / 1e6


def cost_table(rows: list[dict[str, Any]]) -> Table:
    """The least of all rounds."""
    table = Table(title="cost of the load generator itself", title_justify="left")
    headings = ("tool", "streams", "TTFT added (ms)", "CPU per event (us)", "CPU to start (s)")
    for heading in headings:
        first = heading == "tool"
        table.add_column(heading, justify="left" if first else "right", no_wrap=first)
    for tool in dict.fromkeys(row["tool"] for row in rows):
        for streams in dict.fromkeys(row["streams"] for row in rows):
            mine = [row for row in rows if (row["tool"], row["streams"]) == (tool, streams)]
            added, event, start = (min(row[name] for row in mine) for name in SHOWN)
            table.add_row(tool, str(streams), f"{added:.2f}", f"{event:.0f}", f"{start:.1f}")
        table.add_section()
    return table


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".load-tools"))
@click.option("--rounds", default=1, show_default=True)
@click.option("--tool", "names", multiple=True, help="Only this one; may be given again.")
@click.option(
    "--streams",
    "levels",
    type=click.Choice([str(streams) for streams in REQUESTS]),
    multiple=True,
    default=tuple(str(streams) for streams in REQUESTS),
    help="Only this number; may be given again.",
)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write all figures here.")
def main(
    folder: Path, rounds: int, names: tuple[str, ...], levels: tuple[str, ...], path: Path | None
) -> None:
    """Measure TTFT added and CPU per event of each load generator."""
    folder = folder.resolve()
    folder.mkdir(exist_ok=True)
    tools: list[LoadTool] = [TokenlineBench(), AIPerf(folder), GuideLLM(folder)]
    tools = [tool for tool in tools if not names or tool.name in names]
    console = Console()
    for tool in tools:
        tool.install()
    with simulator_apart(PLAN) as simulator:
        rows = []
        for streams in [*map(int, levels)] * rounds:
            for tool in tools:
                rows.append(measure_cost(tool, streams, simulator.url))
                console.print(rows[-1])
                if path is not None:
                    path.write_bytes(msgspec.json.encode(rows))
    console.print(cost_table(rows))


if __name__ == "__main__":
    main()
