"""How soon the provider hears that a run was left: `python -m benchmarks.cancellation`.

From the moment of leaving to the closed connection in the simulator's ledger (its server shares
the client's event loop, so both their work is in it), and to the line `cancel task` in the log of
llama.cpp's own server (which notices at its next token; the log is looked at every 0.5 ms).
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import click
from tests.end_to_end.leaving import WAYS, llama_delay_ms, simulator_delay_ms
from tests.end_to_end.llamacpp import LlamaServer
from tests.end_to_end.test_cancellation import STATES, runs
from tests.end_to_end.tiny_models import random_model

from tokenline.telemetry import NoTelemetry
from tokenline_stages import Connection, connect
from tokenline_stages.simulator import Simulator

Measure = Callable[[], Awaitable[float]]


def to(base_url: str, direct: bool = True) -> Connection:
    return connect("openai", api_key="x", base_url=base_url, direct=direct, telemetry=NoTelemetry())


async def row(title: str, rounds: int, measures: Sequence[Measure]) -> str:
    """One line of the table: a cell for every way of leaving."""
    cells = []
    for measure in measures:
        await measure()  # imports and first-time set-up
        delays_ms = [await measure() for _ in range(rounds)]
        cells.append(f"{median(delays_ms):.2f} ({max(delays_ms):.2f})")
    return "| " + " | ".join([title, *cells]) + " |"


async def simulated(rounds: int, direct: bool) -> list[str]:
    """Every way in every state of the simulator."""
    lines = []
    for state, (plan, texts) in STATES.items():
        async with Simulator(plan) as simulator, to(simulator.openai_base_url, direct) as line:
            measures = [
                partial(simulator_delay_ms, way, runs(line), simulator, texts)
                for way in WAYS.values()
            ]
            title = f"simulator, {'direct' if direct else 'SDK'}, {state}"
            lines.append(await row(title, rounds, measures))
    return lines


async def llama(rounds: int, server: LlamaServer) -> str:
    """Every way against llama.cpp's server."""
    async with to(f"{server.url}/v1") as line:
        make = runs(line, max_tokens=3000, ignore_eos=True)
        measures = [partial(llama_delay_ms, way, make, server) for way in WAYS.values()]
        return await row("llama.cpp, direct, streaming", rounds, measures)


async def measure_all(rounds: int, folder: Path) -> list[str]:
    """All lines."""
    lines = [*await simulated(rounds, True), *await simulated(rounds, False)]
    model = folder / "tiny.gguf"
    random_model(model)
    server = LlamaServer(model, folder / "log.txt", jinja=False)
    try:
        return [*lines, await llama(rounds, server)]
    finally:
        server.close()


@click.command()
@click.option("--rounds", default=30, show_default=True)
def main(rounds: int) -> None:
    """Measure every way of leaving in every state."""
    logging.getLogger("tokenline").setLevel(logging.CRITICAL)  # a dropped run is warned of
    with tempfile.TemporaryDirectory() as folder:
        lines = asyncio.run(measure_all(rounds, Path(folder)))
    click.echo(f"ms, median and (max) of {rounds}\n")
    click.echo(f"| server, client, state | {' | '.join(WAYS)} |")
    click.echo("| --- " * (1 + len(WAYS)) + "|")
    click.echo("\n".join(lines))


if __name__ == "__main__":
    main()
