"""tokenline bench beside AIPerf and GuideLLM on the same servers: do they agree, what do they cost?

    python -m benchmarks.cross_check [--folder PATH] [--rounds 3] [--cost 1]

Installs the two tools into virtual environments of their own in FOLDER, by uv (GuideLLM needs
torch: some 5 GB, 1 GB where torch is there for the CPU only). Servers: GuideLLM's mock server with
constant times, and llama.cpp's own server with a tiny random model. The tools take turns, one at
a time; shown is the least over rounds of each tool's median: whatever else the machine is doing
only adds to it.

Agreement: within 3 ms or 2 %. Where definitions differ, the same one is taken from all three: one
mean time per token a request after the first (our TPOT; AIPerf's and GuideLLM's inter-token
latency), end to end up to the last token (GuideLLM: the end of the response).

llama.cpp is asked one long request at a time: it shares its processors with the tools, and what a
tool uses of them makes the server slower.

`--cost` adds, at 1, 10, 50 and 100 streams against tokenline's simulator: how much a tool's TTFT
is above the server's own account, and CPU time per content event (start-up, taken from a run of
two requests, apart).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import click
import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.ground_truth import read_sent
from benchmarks.load_tools import AIPerf, Figures, GuideLLM, Job, LoadTool, TokenlineBench
from tokenline_stages.simulator import Plan, SimulatorProcess

NEAR_MS, NEAR = 3.0, 0.02
TIMES = (("TTFT", "ttft_ms"), ("time per token", "itl_ms"), ("end to end", "e2e_ms"))
STREAMS = (1, 10, 50, 100)
COST_PLAN = Plan(ttft_s=0.1, inter_token_s=0.05, tokens=40)


@contextmanager
def llamacpp_server(folder: Path) -> Iterator[str]:
    """llama.cpp's server with a tiny random model."""
    from tests.end_to_end.llamacpp import LlamaServer
    from tests.end_to_end.tiny_models import random_model

    model = folder / "tiny.gguf"
    random_model(model)
    server = LlamaServer(model, folder / "llamacpp.log", jinja=False)
    try:
        yield server.url
    finally:
        server.close()


def take_turns(tools: list[LoadTool], job: dict[str, Any], rounds: int) -> dict[str, list[Figures]]:
    """Every tool once a round, one at a time."""
    found: dict[str, list[Figures]] = {tool.name: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            with tempfile.TemporaryDirectory() as folder:
                found[tool.name].append(tool.run(Job(**job, folder=Path(folder))))
    return found


def least(figures: list[Figures], name: str) -> float:
    """The least over rounds."""
    values: list[float] = [getattr(each, name) for each in figures]
    return min(values)


def agrees(ours: float, theirs: float) -> bool:
    """Within 3 ms or 2 %."""
    return abs(ours - theirs) <= max(NEAR_MS, NEAR * theirs)


def agreement_table(server: str, found: dict[str, list[Figures]]) -> Table:
    """Each time by each tool, and whether ours agrees."""
    table = Table(title=f"{server} (ms, medians, least of all rounds)", title_justify="left")
    table.add_column("what")
    for name in found:
        table.add_column(name, justify="right")
    table.add_column("ours agrees")
    ours, *others = found.values()
    for title, field in TIMES:
        values = [least(figures, field) for figures in found.values()]
        near = [agrees(values[0], least(figures, field)) for figures in others]
        verdict = "yes" if all(near) else "no"
        table.add_row(title, *(f"{value:.2f}" for value in values), verdict)
    oks = [str(sum(each.ok for each in figures)) for figures in (ours, *others)]
    table.add_row("requests that ended well", *oks, "")
    return table


def cost_rows(tools: list[LoadTool], rounds: int) -> list[dict[str, Any]]:
    """TTFT above the server's account and CPU per event, for each tool and number of streams."""
    rows = []
    with SimulatorProcess(COST_PLAN) as simulator:
        base = {"url": simulator.url, "model": "m", "prompt_tokens": 32, "tokens": COST_PLAN.tokens}
        for tool in tools:
            start = take_turns([tool], {**base, "concurrency": 1, "requests": 2, "warmup": 1}, 1)
            start_s = start[tool.name][0].cpu_s
            for streams in STREAMS:
                requests = max(12, 3 * streams)
                job = {**base, "concurrency": streams, "requests": requests, "warmup": 1}
                for _ in range(rounds):
                    urlopen(Request(f"{simulator.url}/ledger", method="DELETE")).close()
                    (figures,) = take_turns([tool], job, 1)[tool.name]
                    true_ms = statistics.median(read_sent(simulator.url)) / 1e6
                    events = (requests - 2) * COST_PLAN.tokens
                    rows.append(
                        {
                            "tool": tool.name,
                            "streams": streams,
                            "added_ttft_ms": figures.ttft_ms - true_ms,
                            "cpu_us_per_event": (figures.cpu_s - start_s) * 1e6 / events,
                            "start_cpu_s": start_s,
                        }
                    )
    return rows


def cost_table(rows: list[dict[str, Any]]) -> Table:
    """The least of all rounds."""
    table = Table(title="cost of the tool itself", title_justify="left")
    for heading in ("tool", "streams", "TTFT added (ms)", "CPU per event (us)", "start CPU (s)"):
        table.add_column(heading, justify="left" if heading == "tool" else "right")
    for tool in dict.fromkeys(row["tool"] for row in rows):
        for streams in STREAMS:
            mine = [row for row in rows if (row["tool"], row["streams"]) == (tool, streams)]
            lowest = {
                name: min(row[name] for row in mine)
                for name in ("added_ttft_ms", "cpu_us_per_event", "start_cpu_s")
            }
            table.add_row(
                tool,
                str(streams),
                f"{lowest['added_ttft_ms']:.2f}",
                f"{lowest['cpu_us_per_event']:.1f}",
                f"{lowest['start_cpu_s']:.1f}",
            )
    return table


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".load-tools"))
@click.option("--rounds", default=3, show_default=True)
@click.option("--requests", default=20, show_default=True)
@click.option("--cost", "cost_rounds", default=0, help="Rounds of measuring the tools' own cost.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write all figures here.")
def main(folder: Path, rounds: int, requests: int, cost_rounds: int, path: Path | None) -> None:
    """Run tokenline bench, AIPerf and GuideLLM against the same servers and compare."""
    folder = folder.resolve()
    folder.mkdir(exist_ok=True)
    guidellm = GuideLLM(folder)
    tools: list[LoadTool] = [TokenlineBench(), AIPerf(folder), guidellm]
    console = Console()
    for tool in tools:
        console.print(f"{tool.name}: making ready")
        tool.install()
    job = {"concurrency": 2, "requests": requests, "warmup": 2, "prompt_tokens": 32, "tokens": 32}
    found: dict[str, Any] = {}
    with guidellm.mock_server(200, 20, 32, folder) as url:
        found["mock"] = take_turns(tools, {**job, "url": url, "model": "mock"}, rounds)
    console.print(agreement_table("mock server, TTFT 200 ms, 20 ms a token", found["mock"]))
    alone = {
        "concurrency": 1,
        "requests": requests,
        "warmup": 1,
        "prompt_tokens": 32,
        "tokens": 512,
    }
    with llamacpp_server(folder) as url:
        found["llama.cpp"] = take_turns(tools, {**alone, "url": url, "model": "tiny"}, rounds)
    console.print(agreement_table("llama.cpp, tiny random model", found["llama.cpp"]))
    if cost_rounds:
        found["cost"] = cost_rows(tools, cost_rounds)
        console.print(cost_table(found["cost"]))
    if path is not None:
        path.write_bytes(msgspec.json.encode(found, enc_hook=asdict))
    wrong = [
        f"{title} against {name} on {server}"
        for server in ("mock", "llama.cpp")
        for name, figures in list(found[server].items())[1:]
        for title, field in TIMES
        if not agrees(least(found[server]["tokenline bench"], field), least(figures, field))
    ]
    console.print("all agree" if not wrong else "apart: " + ", ".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
