"""tokenline bench beside AIPerf and GuideLLM on the same servers: do they agree?

    python -m benchmarks.cross_check [--folder PATH] [--rounds 2] [--server mock --server llama.cpp]

Installs the two tools into virtual environments of their own in FOLDER, by uv (GuideLLM needs
torch: some 5 GB, 1 GB where torch is there for the CPU only). The server has one core, the tools
take turns on another, and all send the same prompts equally often.

- GuideLLM's mock server with constant times: medians side by side, the least over rounds of each;
  whatever else the machine is doing only adds to it.
- llama.cpp's own server with a random model of some 140 MB that is made here, slow enough (some
  6 ms a token) that no tool is in its way. How fast it is depends on what else the machine does;
  its log says how long it took for each request, so that each tool is held against the server's
  own account of the same requests: means, as the mean of differences is the difference of means.

Agreement: within 3 ms or 2 %. Where definitions differ, the same one is taken from all three: one
mean time per token a request after the first (our TPOT; AIPerf's and GuideLLM's inter-token
latency). The last table has what each tool reports under its own names.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
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
TIMES = {"ttft": "TTFT", "itl": "time per token", "e2e": "end to end"}
PROMPTS = tuple(f"Tell me of river number {number} and its towns." for number in range(10, 20))
MOCK = {"concurrency": 2, "warmup": 2, "prompts": PROMPTS, "tokens": 32, "model": "mock"}
LLAMACPP = {
    "concurrency": 1,
    "warmup": 1,
    "prompts": PROMPTS,
    "tokens": 64,
    "model": "random",
    "body": {"temperature": 0, "cache_prompt": False},
}
_PROMPT_TIME = re.compile(r"prompt eval time = +([0-9.]+) ms")
_TOKEN_TIME = re.compile(r"\| +eval time = +([0-9.]+) ms / +([0-9]+) tokens")

Account = Callable[[int], dict[str, float]]
"""What the server says of its latest requests: means, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of a tool, and what the server says of the same requests, where it says something."""

    figures: Figures
    server: dict[str, float] = field(default_factory=dict)

    def value(self, name: str) -> float:
        """What is compared: the tool's median, or its mean above the server's."""
        if self.server:
            return float(self.figures.means[name]) - self.server[name]
        return float(getattr(self.figures, f"{name}_ms"))


@contextmanager
def llamacpp_server(folder: Path) -> Iterator[tuple[str, Account]]:
    """llama.cpp's server with a random model, on the servers' core."""
    from tests.end_to_end.llamacpp import LlamaServer
    from tests.end_to_end.tiny_models import random_model

    model = folder / "random.gguf"
    random_model(model, width=1024, layers=8)
    with on_core(SERVERS_CORE):
        server = LlamaServer(model, folder / "llamacpp.log", jinja=False, threads=1)
    try:
        yield server.url, lambda requests: read_account(server.log(), requests)
    finally:
        server.close()


@contextmanager
def mock_server(guidellm: GuideLLM, folder: Path) -> Iterator[tuple[str, None]]:
    """GuideLLM's mock server; it gives no account."""
    with guidellm.mock_server(200, 20, 32, folder) as url:
        yield url, None


def read_account(log: str, requests: int) -> dict[str, float]:
    """Means of the latest requests in llama.cpp's log."""
    first = [float(found) for found in _PROMPT_TIME.findall(log)][-requests:]
    rest = [(float(took), int(tokens)) for took, tokens in _TOKEN_TIME.findall(log)][-requests:]
    return {
        "ttft": mean(first),
        "itl": mean(took / (tokens - 1) for took, tokens in rest),
        "e2e": mean(first) + mean(took for took, _ in rest),
    }


def run_tool(tool: LoadTool, job: dict[str, Any]) -> Figures:
    """One run in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return tool.run(Job(**job, folder=Path(folder)))


def take_turns(
    tools: list[LoadTool], job: dict[str, Any], rounds: int, account: Account | None
) -> dict[str, list[Turn]]:
    """Every tool once a round, one at a time."""
    found: dict[str, list[Turn]] = {tool.name: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            figures = run_tool(tool, job)
            found[tool.name].append(Turn(figures, account(job["requests"]) if account else {}))
    return found


def best(turns: list[Turn], name: str) -> Turn:
    """The round in which least was added."""
    return min(turns, key=lambda turn: turn.value(name))


def agrees(name: str, ours: list[Turn], theirs: list[Turn]) -> bool:
    """Within 3 ms or 2 %."""
    difference = best(ours, name).value(name) - best(theirs, name).value(name)
    whole = float(best(theirs, name).figures.means[name])
    return abs(difference) <= max(NEAR_MS, NEAR * whole)


def agreement_table(server: str, found: dict[str, list[Turn]]) -> Table:
    """Each time by each tool, and whether ours agrees."""
    table = Table(title=f"{server} (ms, the best of all rounds)", title_justify="left")
    table.add_column("what", no_wrap=True)
    for name in found:
        table.add_column(name, justify="right")
    table.add_column("ours agrees")
    ours, *others = found.values()
    for name, title in TIMES.items():
        turns = [best(each, name) for each in found.values()]
        verdict = "yes" if all(agrees(name, ours, theirs) for theirs in others) else "no"
        if turns[0].server:
            table.add_row(f"{title}, mean", *(f"{t.figures.means[name]:.2f}" for t in turns))
            table.add_row("  by the server's account", *(f"{t.server[name]:.2f}" for t in turns))
            table.add_row("  difference", *(f"{t.value(name):+.2f}" for t in turns), verdict)
        else:
            table.add_row(f"{title}, median", *(f"{t.value(name):.2f}" for t in turns), verdict)
    counts = [str(sum(turn.figures.ok for turn in turns)) for turns in found.values()]
    table.add_row("requests that ended well", *counts)
    return table


def names_table(server: str, found: dict[str, list[Turn]]) -> Table:
    """What each tool reports, by its own names."""
    table = Table(title=f"{server}: by the tools' own names (ms)", title_justify="left")
    for heading in ("tool", "name", "median"):
        table.add_column(heading, justify="right" if heading == "median" else "left")
    for tool, turns in found.items():
        for name, value in best(turns, "ttft").figures.also.items():
            table.add_row(tool, name, f"{value:.2f}")
        table.add_section()
    return table


def find_disagreements(server: str, found: dict[str, list[Turn]]) -> list[str]:
    """What is apart, in words."""
    ours, *_ = found.values()
    return [
        f"{title} against {tool} on {server}"
        for tool, turns in list(found.items())[1:]
        for name, title in TIMES.items()
        if not agrees(name, ours, turns)
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
    found: dict[str, dict[str, list[Turn]]] = {}
    wrong: list[str] = []
    for name in chosen:
        mock = name == "mock"
        server = mock_server(guidellm, folder) if mock else llamacpp_server(folder)
        with server as (url, account):
            job = {**(MOCK if mock else LLAMACPP), "requests": requests, "url": url}
            found[name] = take_turns(tools, job, rounds, account)
        console.print(agreement_table(name, found[name]), names_table(name, found[name]))
        wrong += find_disagreements(name, found[name])
    if path is not None:
        path.write_bytes(msgspec.json.encode(found, enc_hook=asdict))
    console.print("all agree" if not wrong else "apart: " + ", ".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
