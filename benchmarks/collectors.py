"""What a bad collector does to streams: nothing, and how long closing telemetry then takes.

    python -m benchmarks.collectors [--rounds 12] [--streams 50] [--json out.json]

Streams of 100 events, 50 a second each, from the simulator, started over a second. Latency is
from the server's write of an event to its reader's hands. Telemetry is the default (`configure`,
every stage a span), but exports all the time: spans every 0.2 s, metrics every 0.5 s. The modes
take turns in every round; ratios are formed within a round. Shown is their median with a 95 %
interval by order statistics; "none seen" means that it holds 1: no difference.

- off: no telemetry.
- off again: once more, for what the machine's noise makes of a ratio. The others are compared
  with both.
- healthy: a collector that answers at once.
- slow: one that takes 2 s to answer.
- closed: nobody listens on its port.
- black hole: connections are accepted, nothing is ever answered.

At the end every telemetry is shut down with a deadline of 1 s.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import socket
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from tokenline.events import TextDelta
from tokenline.telemetry import NoTelemetry, configure
from tokenline_bench.statistics.order import interval_ranks
from tokenline_stages import Connection, connect
from tokenline_stages.simulator import Plan, SimulatorProcess

EVENTS = 100
PLAN = Plan(ttft_s=0.05, inter_token_s=0.02, tokens=EVENTS)
PAYLOAD: dict[str, Any] = {"model": "sim", "messages": [{"role": "user", "content": "hello"}]}
SPREAD_S = 1.0
"""Over which time streams start: those of different users do not end together."""
SLOW_S = 2.0
DEADLINE_S = 1.0
ALWAYS_EXPORTING = {
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "OTEL_METRIC_EXPORT_INTERVAL": "500",
}


def serve(delay_s: float) -> None:
    """Be a collector that answers after `delay_s`; says its port first."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            time.sleep(delay_s)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def collector(delay_s: float) -> Iterator[str]:
    """A collector in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.collectors", "--serve", str(delay_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None:
                raise RuntimeError("no pipe")
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


@contextmanager
def black_hole(*, listens: bool) -> Iterator[str]:
    """A port where connections are accepted by the kernel alone, or where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if listens:
            bound.listen(64)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


class Mode:
    """One collector.

    Attributes:
        name: row heading.
        rounds: latencies of each round, ms.
        shutdown_s: how long closing took; None without telemetry.
    """

    def __init__(self, name: str, endpoint: str | None, base_url: str) -> None:
        self.name = name
        self.rounds: list[list[float]] = []
        self.shutdown_s: float | None = None
        self._own = None if endpoint is None else configure(endpoint=endpoint)
        self._connection: Connection = connect(
            "openai", api_key="x", base_url=base_url, telemetry=self._own or NoTelemetry()
        )

    async def read(self, after_s: float) -> tuple[str, list[int]]:
        """Read one stream; its request id and when its reader had each event."""
        await asyncio.sleep(after_s)
        request_id = uuid.uuid4().hex
        plan = msgspec.json.encode(PLAN).decode()
        headers = {"x-tokenline-plan": plan, "x-request-id": request_id}
        async with self._connection.run(PAYLOAD, headers=headers) as run:
            stamps = [perf_counter_ns() async for event in run if type(event) is TextDelta]
        return request_id, stamps

    async def measure(self, simulator: SimulatorProcess, streams: int) -> list[float]:
        """Latency of each event of `streams` streams side by side, ms."""
        found: list[float] = []
        gc.collect()
        reading = (self.read(SPREAD_S * number / streams) for number in range(streams))
        for request_id, stamps in await asyncio.gather(*reading):
            sent = simulator.read_ledger(request_id)["token_ns"]
            found += [(got - put) / 1e6 for got, put in zip(stamps, sent, strict=True)]
        return found

    async def stop(self) -> None:
        """Close everything, with a deadline."""
        await self._connection.aclose()
        if self._own is not None:
            before = time.monotonic()
            self._own.shutdown(DEADLINE_S)
            self.shutdown_s = time.monotonic() - before


async def run_rounds(
    modes: Sequence[Mode], simulator: SimulatorProcess, rounds: int, streams: int
) -> None:
    """Measure all, in turns; one round to warm up."""
    for mode in modes:
        await mode.measure(simulator, streams)
    for number in range(rounds):
        first = number % len(modes)
        for mode in [*modes[first:], *modes[:first]]:
            mode.rounds.append(await mode.measure(simulator, streams))
    for mode in modes:
        await mode.stop()


def quantile(values: Sequence[float], q: float) -> float:
    """The value below which a share `q` lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times a quantile of one mode that of another is, over all rounds.

    Attributes:
        median: of the rounds' ratios.
        low: lower bound of it, 95 %; None with too few rounds.
        high: upper bound.
    """

    median: float
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        """Whether there is a difference."""
        if self.low is None or self.high is None:
            return "too few rounds"
        if self.low <= 1 <= self.high:
            return "none seen"
        return "more" if self.low > 1 else "less"

    def __str__(self) -> str:
        low, high = (" " if bound is None else f"{bound:.2f}" for bound in (self.low, self.high))
        return f"{self.median:.2f} ({low} .. {high}) {self.verdict}"


def ratio(mode: Mode, others: Sequence[Mode], q: float) -> Ratio:
    """A quantile of `mode` over that of others (their geometric mean), formed round by round."""
    rounds = zip(mode.rounds, *(other.rounds for other in others), strict=True)
    found = sorted(
        quantile(own, q) / statistics.geometric_mean(quantile(values, q) for values in rest)
        for own, *rest in rounds
    )
    low, high = interval_ranks(len(found), 0.5, 0.95)
    bounds = (None if at is None else found[at - 1] for at in (low, high))
    return Ratio(statistics.median(found), *bounds)


def show(modes: Sequence[Mode]) -> Table:
    """Medians of the rounds; `off` and `off again` are compared with each other."""
    off, again, healthy = modes[:3]
    table = Table(title="from the server's write to the reader", title_justify="left")
    headings = ("collector", "p50 ms", "x off", "p99 ms", "x off", "x healthy", "shutdown s")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "collector" else "right")
    for mode in modes:
        without = [off] if mode is again else [off, again]
        cells = []
        for q in (0.5, 0.99):
            cells.append(f"{statistics.median(quantile(values, q) for values in mode.rounds):.3f}")
            cells.append("" if mode is off else str(ratio(mode, without, q)))
        bad = mode not in (off, again, healthy)
        cells.append(str(ratio(mode, [healthy], 0.99)) if bad else "")
        cells.append("" if mode.shutdown_s is None else f"{mode.shutdown_s:.2f}")
        table.add_row(mode.name, *cells)
    return table


@click.command()
@click.option("--rounds", default=12, show_default=True)
@click.option("--streams", default=50, show_default=True, help="Streams side by side.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write all figures here.")
@click.option("--serve", "delay_s", type=float, hidden=True)
def main(rounds: int, streams: int, path: Path | None, delay_s: float | None) -> None:
    """Measure what bad collectors do to streams."""
    if delay_s is not None:
        serve(delay_s)
        return
    os.environ.update(ALWAYS_EXPORTING)
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        simulator = stack.enter_context(SimulatorProcess())
        endpoints: dict[str, str | None] = {
            "off": None,
            "off again": None,
            "healthy": stack.enter_context(collector(0.0)),
            "slow": stack.enter_context(collector(SLOW_S)),
            "closed": stack.enter_context(black_hole(listens=False)),
            "black hole": stack.enter_context(black_hole(listens=True)),
        }
        base_url = simulator.openai_base_url
        modes = [Mode(name, endpoint, base_url) for name, endpoint in endpoints.items()]
        asyncio.run(run_rounds(modes, simulator, rounds, streams))
        Console(width=150).print(show(modes))
    if path is not None:
        path.write_text(
            json.dumps(
                [{"mode": m.name, "ms": m.rounds, "shutdown_s": m.shutdown_s} for m in modes]
            )
        )


if __name__ == "__main__":
    main()
