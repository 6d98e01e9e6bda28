"""CPU per event and per request: the full pipeline beside the floor and the openai SDK, in one run.

    python -m benchmarks.cost [--rounds 5] [--json out.json]

`benchmarks.measures` says what is measured. Two shapes, `batch` and `paced`, each read off streams
of two lengths, so that an event's cost has nothing of the request's in it; and requests one after
the other, for the time to the first token and the cost of a request. Clients take turns within
each round; the table shows medians over rounds and ratios to the floor's.

All clients share this process. `make bench-peers` gives each a process and an environment.
"""

from __future__ import annotations

import asyncio
import json
import platform
import statistics
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.clients.contract import Client
from benchmarks.clients.floor import Floor, FloorAwaited
from benchmarks.clients.openai_sdk import OpenAISdk
from benchmarks.clients.tokenline import Tokenline, with_sdk_request, without_telemetry
from benchmarks.measures import Shape, batch, cpu_ns, first_token_ns, paced, quantile, read_all
from tokenline_stages.simulator import SimulatorProcess

MAKERS = {
    "floor": Floor,
    "floor, a task wake-up a read": FloorAwaited,
    "tokenline": Tokenline,
    "tokenline, no telemetry": without_telemetry,
    "tokenline, SDK's request": with_sdk_request,
    "openai SDK": OpenAISdk,
}
"""What is compared; the floor first."""

Found = dict[str, dict[str, list[float]]]
"""`{measure: {client: [figure of each round]}}`."""

MEASURES = ("batch µs/event", "paced µs/event", "request CPU ms", "first token ms", "p99 ms")


async def measure_shape(shape: Shape, clients: Mapping[str, Client], found: Found) -> None:
    """One round: short and long streams of each client."""
    for name, client in clients.items():
        event_us, _ = shape.cost_us(
            await cpu_ns(client, shape.short), await cpu_ns(client, shape.long)
        )
        found[f"{shape.name} µs/event"][name].append(event_us)


async def measure_requests(requests: int, clients: Mapping[str, Client], found: Found) -> None:
    """One round: requests of each client, one after the other."""
    for name, client in clients.items():
        took_ns, request_ns = await first_token_ns(client, requests)
        found["request CPU ms"][name].append(request_ns / 1e6)
        found["first token ms"][name].append(statistics.median(took_ns) / 1e6)
        found["p99 ms"][name].append(quantile(took_ns, 0.99) / 1e6)


async def run_rounds(
    url: str, names: list[str], rounds: int, shapes: list[Shape], requests: int
) -> Found:
    """All rounds of all measures; clients take turns."""
    clients: dict[str, Client] = {name: MAKERS[name](url) for name in names}
    found: Found = {measure: {name: [] for name in names} for measure in MEASURES}
    for shape in shapes:
        for client in clients.values():  # warm up: imports, connections, caches
            await read_all(client, shape.short)
        for _ in range(rounds):
            await measure_shape(shape, clients, found)
    for _ in range(rounds):
        await measure_requests(requests, clients, found)
    for client in clients.values():
        await client.aclose()
    return found


def show(found: Found) -> Table:
    """Medians, and ratios to the floor's."""
    table = Table(title="medians (x floor)", title_justify="left")
    table.add_column("client")
    for measure in MEASURES:
        table.add_column(measure, justify="right")
    for client in found[MEASURES[0]]:
        cells = []
        for measure in MEASURES:
            floor, own = (statistics.median(found[measure][name]) for name in ("floor", client))
            cells.append(f"{own:.2f} ({own / floor:.2f})")
        table.add_row(client, *cells)
    return table


def environment() -> dict[str, str]:
    """Versions that the figures depend on."""
    names = ("openai", "anthropic", "aiohttp", "httpx2", "msgspec", "pydantic", "opentelemetry-sdk")
    found = {name: version(name) for name in names}
    return {"python": sys.version.split()[0], "platform": platform.platform(), **found}


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option("--batch-events", default=4200, show_default=True)
@click.option("--paced-streams", default=40, show_default=True)
@click.option("--paced-events", default=110, show_default=True)
@click.option("--requests", default=50, show_default=True)
@click.option("--only", "names", multiple=True, type=click.Choice(list(MAKERS)))
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write all figures here.")
def main(
    rounds: int,
    batch_events: int,
    paced_streams: int,
    paced_events: int,
    requests: int,
    names: tuple[str, ...],
    path: Path | None,
) -> None:
    """Measure what the floor, tokenline and the openai SDK cost."""
    chosen = ["floor", *(name for name in names or MAKERS if name != "floor")]
    shapes = [batch(long=batch_events), paced(long=paced_events, streams=paced_streams)]
    with SimulatorProcess() as simulator:
        found = asyncio.run(run_rounds(simulator.url, chosen, rounds, shapes, requests))
    Console().print(show(found))
    if path is not None:
        path.write_text(json.dumps({"environment": environment(), "rounds": found}))


if __name__ == "__main__":
    main()
