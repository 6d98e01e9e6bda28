"""How right the times are: what tokenline measured beside what the server knows it sent, and when.

    python -m benchmarks.clock_errors [--requests 200] [--streams 200]
    python -m benchmarks.clock_errors --guidellm http://127.0.0.1:8012/v1 --ttft-ms 200 --itl-ms 20
    python -m benchmarks.clock_errors --llamacpp http://127.0.0.1:8080/v1

The simulator stamps every write right before it hands the bytes to its socket, on the clock that
this process reads too (CLOCK_MONOTONIC). The error of a stamp is ours minus the server's: the way
through the kernel and the event loop to the code that takes the time, never negative. Tables show
errors in milliseconds.

- stamps: headers, first chunk, first token, first answer, first delivery, every content event.
- request: how long the request was under way, from the moment that all times count from until
  the server had its headers.
- gaps: between content events, ours minus the server's; positive or negative.

For streams side by side it is shown what the waits of the latest events were made of
(`benchmarks.loop_turns`). Servers without such stamps are in `benchmarks.server_clocks`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.clock_table import STAMPS, Errors, Observed, observe, payload_for, show
from benchmarks.loop_turns import LoopWatch, show_causes
from benchmarks.server_clocks import compare_behind_relay, compare_to_timings
from tokenline.telemetry import NoTelemetry
from tokenline_stages import Connection, connect
from tokenline_stages.simulator import Plan, SimulatorProcess

PLAN = Plan(headers_s=0.02, ttft_s=0.05, inter_token_s=0.01, reasoning_tokens=10, tokens=20)
PACED = Plan(headers_s=0.1, ttft_s=0.5, inter_token_s=0.02, reasoning_tokens=10, tokens=60)
PROVIDERS = ("openai", "anthropic")


def errors_of(observed: Observed, ledger: Mapping[str, Any], plan: Plan) -> Errors:
    """Compare one run with the simulator's entry for it."""
    found = Errors()
    token_ns = ledger["token_ns"]
    first_ns = token_ns[0]
    truths = (
        ledger["headers_ns"],
        ledger["sent_ns"][0],
        first_ns,
        token_ns[plan.reasoning_tokens],
        first_ns,
    )
    found.add_stamps(observed.record, dict(zip(STAMPS, truths, strict=True)))
    found.add("request", ledger["received_ns"], observed.record.timings.request_ns or 0)
    found.add_events(observed.content_ns, token_ns)
    return found


def connect_to(simulator: SimulatorProcess, provider: str, **options: Any) -> Connection:
    """A connection to the simulator."""
    base = simulator.url if provider == "anthropic" else simulator.openai_base_url
    return connect(provider, api_key="x", base_url=base, telemetry=NoTelemetry(), **options)


async def compare(
    simulator: SimulatorProcess,
    provider: str,
    plan: Plan,
    requests: int,
    at_once: int = 1,
    watch: LoopWatch | None = None,
) -> Errors:
    """Errors of many requests, `at_once` of them side by side, after as many to warm up.

    Args:
        simulator: the server.
        provider: whose wire format.
        plan: what it answers.
        requests: how many are measured.
        at_once: how many at a time.
        watch: notes what the event loop does meanwhile.
    """
    plan_header = {"x-tokenline-plan": msgspec.json.encode(plan).decode()}

    async def one(connection: Connection) -> tuple[Observed, str]:
        request_id = uuid.uuid4().hex
        headers = {**plan_header, "x-request-id": request_id}
        return await observe(connection.run(payload_for(), headers=headers)), request_id

    total = Errors()
    async with connect_to(simulator, provider) as connection:
        await asyncio.gather(*(one(connection) for _ in range(at_once)))
        for _ in range(0, requests, at_once):
            with nullcontext() if watch is None else watch.watch():
                round_ = await asyncio.gather(*(one(connection) for _ in range(at_once)))
            for observed, request_id in round_:
                entry = await asyncio.to_thread(simulator.read_ledger, request_id)
                total.merge(errors_of(observed, entry, plan))
    return total


def measure_simulator(
    requests: int, streams: int, rounds: int
) -> tuple[dict[str, Errors], list[Table]]:
    """One stream after the other for each provider, then many side by side.

    The latter once as programs run, and once without garbage collection: what that changes is its.
    """
    found: dict[str, Errors] = {}
    causes: list[Table] = []
    with SimulatorProcess() as simulator:
        for provider in PROVIDERS:
            errors = asyncio.run(compare(simulator, provider, PLAN, requests))
            found[f"{provider}, 1 stream"] = errors
        for collecting in (True, False):
            watch = LoopWatch()
            work = compare(simulator, "openai", PACED, rounds * streams, streams, watch)
            gc.collect()
            (gc.enable if collecting else gc.disable)()
            errors = asyncio.run(work)
            gc.enable()
            title = f"{streams} streams at 50 events/s each"
            title += "" if collecting else ", no garbage collection"
            found[title] = errors
            causes.append(show_causes(title, watch, errors.events))
    return found, causes


@click.command()
@click.option("--requests", default=200, show_default=True)
@click.option("--streams", default=200, show_default=True, help="Streams side by side.")
@click.option("--rounds", default=3, show_default=True, help="How often all of these.")
@click.option("--guidellm", "guidellm_url", help="Base URL of guidellm's mock server.")
@click.option("--llamacpp", "llamacpp_url", help="Base URL of llama.cpp's server.")
@click.option("--model", default="mock", show_default=True, help="Its model.")
@click.option("--ttft-ms", default=200.0, show_default=True, help="What it was told.")
@click.option("--itl-ms", default=20.0, show_default=True, help="What it was told.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write all errors here.")
def main(
    requests: int,
    streams: int,
    rounds: int,
    guidellm_url: str | None,
    llamacpp_url: str | None,
    model: str,
    ttft_ms: float,
    itl_ms: float,
    path: Path | None,
) -> None:
    """Measure how far the measured times are from the true ones."""
    causes: list[Table] = []
    if llamacpp_url is not None:
        found = {"llama.cpp": asyncio.run(compare_to_timings(llamacpp_url, requests))}
    elif guidellm_url is None:
        found, causes = measure_simulator(requests, streams, rounds)
    else:
        errors = compare_behind_relay(guidellm_url, model, ttft_ms, itl_ms, requests)
        found = {f"guidellm, {ttft_ms:g} / {itl_ms:g} ms": asyncio.run(errors)}
    for title, errors_found in found.items():
        Console().print(show(title, errors_found))
    for table in causes:
        Console(width=120).print(table)
    if path is not None:
        path.write_text(json.dumps({title: errors.rows for title, errors in found.items()}))


if __name__ == "__main__":
    main()
