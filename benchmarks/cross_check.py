"""tokenline bench beside AIPerf and GuideLLM on the same servers: do they agree?

    python -m benchmarks.cross_check [--folder PATH] [--rounds 2] [--server mock --server llama.cpp]

Installs the two tools into virtual environments of their own in FOLDER, by uv (GuideLLM needs
torch: some 5 GB, 1 GB where torch is there for the CPU only). Servers: GuideLLM's mock server with
constant times, and llama.cpp's own server with a random model of some 140 MB that is made here,
slow enough (some 6 ms a token) that no tool is in its way. The server has one core, the tools take
turns on another, and all send the same prompts. Shown is the least over rounds of each tool's
median: whatever else the machine is doing only adds to it.

Agreement: within 3 ms or 2 %. Where definitions differ, the same one is taken from all three: one
mean time per token a request after the first (our TPOT; AIPerf's and GuideLLM's inter-token
latency). The second table has what each tool reports under its own names.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.load_tools import (
    SERVERS_CORE,
    AIPerf,
    Figures,
    GuideLLM,
    Job,
    LoadTool,
    TokenlineBench,
    on_core,
)

NEAR_MS, NEAR = 3.0, 0.02
TIMES = (("TTFT", "ttft_ms"), ("time per token", "itl_ms"), ("end to end", "e2e_ms"))
PROMPTS = tuple(f"Tell me of river number {number} and its towns." for number in range(10, 42))
MOCK = {"concurrency": 2, "warmup": 2, "prompts": PROMPTS, "tokens": 32, "model": "mock"}
LLAMACPP = {
    "concurrency": 1,
    "warmup": 1,
    "prompts": PROMPTS,
    "tokens": 64,
    "model": "random",
    "body": {"temperature": 0, "cache_prompt": False},
}


@contextmanager
def llamacpp_server(folder: Path) -> Iterator[str]:
    """llama.cpp's server with a random model, on the servers' core."""
    from tests.end_to_end.llamacpp import LlamaServer
    from tests.end_to_end.tiny_models import random_model

    model = folder / "random.gguf"
    random_model(model, width=1024, layers=8)
    with on_core(SERVERS_CORE):
        server = LlamaServer(model, folder / "llamacpp.log", jinja=False, threads=1)
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
    others = list(found.values())[1:]
    for title, field in TIMES:
        values = [least(figures, field) for figures in found.values()]
        near = [agrees(values[0], least(figures, field)) for figures in others]
        verdict = "yes" if all(near) else "no"
        table.add_row(title, *(f"{value:.2f}" for value in values), verdict)
    counts = [str(sum(each.ok for each in figures)) for figures in found.values()]
    table.add_row("requests that ended well", *counts, "")
    return table


def names_table(server: str, found: dict[str, list[Figures]]) -> Table:
    """What each tool reports, by its own names."""
    table = Table(title=f"{server}: by the tools' own names (ms)", title_justify="left")
    for heading in ("tool", "name", "median"):
        table.add_column(heading, justify="right" if heading == "median" else "left")
    for tool, figures in found.items():
        for name in figures[0].also:
            value = min(each.also[name] for each in figures if name in each.also)
            table.add_row(tool, name, f"{value:.2f}")
        table.add_section()
    return table


def find_disagreements(server: str, found: dict[str, list[Figures]]) -> list[str]:
    """What is apart, in words."""
    ours, *_ = found.values()
    return [
        f"{title} against {name} on {server}"
        for name, figures in list(found.items())[1:]
        for title, field in TIMES
        if not agrees(least(ours, field), least(figures, field))
    ]


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".load-tools"))
@click.option("--rounds", default=2, show_default=True)
@click.option("--requests", default=20, show_default=True)
@click.option(
    "--server",
    "chosen",
    type=click.Choice(["mock", "llama.cpp"]),
    multiple=True,
    default=("mock", "llama.cpp"),
    show_default=True,
)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write all figures here.")
def main(
    folder: Path, rounds: int, requests: int, chosen: tuple[str, ...], path: Path | None
) -> None:
    """Run tokenline bench, AIPerf and GuideLLM against the same servers and compare."""
    folder = folder.resolve()
    folder.mkdir(exist_ok=True)
    guidellm = GuideLLM(folder)
    tools: list[LoadTool] = [TokenlineBench(), AIPerf(folder), guidellm]
    console = Console()
    for tool in tools:
        console.print(f"{tool.name}: making ready")
        tool.install()
    servers: dict[str, tuple[Callable[[], AbstractContextManager[str]], dict[str, Any]]] = {
        "mock": (lambda: guidellm.mock_server(200, 20, 32, folder), MOCK),
        "llama.cpp": (lambda: llamacpp_server(folder), LLAMACPP),
    }
    found: dict[str, dict[str, list[Figures]]] = {}
    wrong: list[str] = []
    for name in chosen:
        server, job = servers[name]
        with server() as url:
            found[name] = take_turns(tools, {**job, "requests": requests, "url": url}, rounds)
        console.print(agreement_table(name, found[name]), names_table(name, found[name]))
        wrong += find_disagreements(name, found[name])
    if path is not None:
        path.write_bytes(msgspec.json.encode(found, enc_hook=asdict))
    console.print("all agree" if not wrong else "apart: " + ", ".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
