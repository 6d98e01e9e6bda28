"""A mixed load on the simulator: models, faults, slow readers, a blocked loop; for the checks.

    python -m dashboards.load --seconds 90 --metrics-port 9464
    python -m dashboards.load --seconds 10 --otlp http://127.0.0.1:6006 --protocol http/protobuf
    python -m dashboards.load --seconds 20 --traces traces.db

With a metrics port it serves Prometheus' text form; with OTLP it exports spans, content included;
with a trace store it keeps a record of every request.
"""

import asyncio
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import click
import msgspec

from tokenline.errors import TokenlineError
from tokenline.options import Capacity, Overflow
from tokenline.pipeline import Pipeline
from tokenline.telemetry import (
    NoTelemetry,
    OTelTelemetry,
    Telemetry,
    TelemetryOptions,
    configure,
)
from tokenline_stages import Connection, connect, reader
from tokenline_stages.simulator import Bimodal, LogNormal, Plan, SimulatorProcess
from tokenline_stages.simulator.faults import Cut, Delay, HttpError

SLOW_READ_S = 0.02
LOOP_BLOCK_S = 0.06
THOUGHT = (
    "The question is about streams. A stream has a source, and what comes from it is read piece"
    " by piece while it is still being made. I should say why that matters to whoever waits."
)
ANSWER = (
    "A stream gives you the first word while the last one is still unknown. What people feel is"
    " the time to that first word, then how evenly the others follow."
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """One kind of requests, `at_once` of them at any time."""

    provider: str
    model: str
    plan: Plan
    at_once: int = 1
    leave_after: int | None = None
    slow_reader: bool = False


TRAFFIC = (
    Traffic(
        "openai",
        "quick-model",
        Plan(headers_s=0.05, ttft_s=LogNormal(median_s=0.25, sigma=0.5), inter_token_s=0.012),
        at_once=5,
    ),
    Traffic(
        "openai",
        "large-model",
        Plan(
            headers_s=0.2,
            ttft_s=Bimodal(fast_s=0.8, slow_s=2.4, slow_share=0.2),
            inter_token_s=0.03,
            tokens=60,
        ),
        at_once=4,
    ),
    Traffic(
        "anthropic",
        "thinking-model",
        Plan(ttft_s=LogNormal(median_s=0.4, sigma=0.3), reasoning_text=THOUGHT, text=ANSWER),
        at_once=4,
    ),
    Traffic(
        "anthropic",
        "thinking-model",
        Plan(ttft_s=0.3, tokens=40, faults=(Delay(after_tokens=10, delay_s=3.0),)),
    ),
    Traffic("openai", "large-model", Plan(faults=(HttpError(status=429),), ttft_s=0.5)),
    Traffic("openai", "quick-model", Plan(ttft_s=0.3, faults=(Cut(after_tokens=12),))),
    Traffic("openai", "quick-model", Plan(ttft_s=0.3, tokens=80), leave_after=10),
    Traffic(
        "openai",
        "quick-model",
        Plan(ttft_s=0.2, inter_token_s=0.001, tokens=200),
        slow_reader=True,
    ),
)


class Load:
    """Sends all traffic to one simulator."""

    def __init__(
        self,
        simulator: SimulatorProcess,
        telemetry: Telemetry,
        seconds: float,
        traces: str | None = None,
    ) -> None:
        self._until = time.monotonic() + seconds
        self._random = Random(1)
        self._connections = {
            name: connect(
                name,
                api_key="x",
                base_url=base,
                telemetry=telemetry,
                traces=traces,
                max_retries=0,
            )
            for name, base in (
                ("openai", simulator.openai_base_url),
                ("anthropic", simulator.url),
            )
        }

    async def run(self) -> None:
        """Send until the time is up, and the loop is blocked now and then."""
        kinds = [kind for kind in TRAFFIC for _ in range(kind.at_once)]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._block_loop())
            for kind in kinds:
                group.create_task(self._repeat(kind))
        for connection in self._connections.values():
            await connection.aclose()

    async def _block_loop(self) -> None:
        while time.monotonic() < self._until:
            await asyncio.sleep(self._random.uniform(1.0, 4.0))
            time.sleep(LOOP_BLOCK_S)  # noqa: ASYNC251 - the very thing to be shown

    async def _repeat(self, kind: Traffic) -> None:
        await asyncio.sleep(self._random.random())
        connection = self._connections[kind.provider]
        read = self._read_slowly if kind.slow_reader else self._read
        while time.monotonic() < self._until:
            with suppress(TokenlineError):
                await read(connection, kind)
            await asyncio.sleep(self._random.uniform(0.05, 0.5))

    async def _read(self, connection: Connection, kind: Traffic) -> None:
        async with connection.run(_payload(kind), headers=_headers(kind)) as run:
            events = 0
            async for _ in run:
                events += 1
                if events == kind.leave_after:
                    break

    async def _read_slowly(self, connection: Connection, kind: Traffic) -> None:
        pipeline = _with_small_queues(connection.pipeline(_payload(kind)))
        async with pipeline.run(_payload(kind), headers=_headers(kind)) as run:
            async for _ in run:
                await asyncio.sleep(SLOW_READ_S)


def _with_small_queues(pipeline: Pipeline) -> Pipeline:
    """A consumer that makes the others wait, and a log that nobody reads and that drops."""
    log = reader("log", Capacity(max_items=16, overflow=Overflow.DROP_OLDEST))
    return pipeline.edit().capacity("consumer", Capacity(max_items=8)).branch(log).build()


def _payload(kind: Traffic) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Tell me about streams."}]
    return {"model": kind.model, "max_tokens": 4096, "messages": messages}


def _headers(kind: Traffic) -> dict[str, str]:
    return {"x-tokenline-plan": msgspec.json.encode(kind.plan).decode()}


def to_prometheus(port: int) -> OTelTelemetry:
    """Telemetry whose metrics Prometheus can scrape; spans go nowhere."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from prometheus_client import start_http_server

    start_http_server(port, addr="127.0.0.1")
    meters = MeterProvider([PrometheusMetricReader()])
    return OTelTelemetry(TracerProvider(), meters)


def to_collector(endpoint: str, protocol: str) -> OTelTelemetry:
    """Telemetry that exports by OTLP, content included."""
    return configure(
        service_name="tokenline-load",
        endpoint=endpoint,
        protocol="grpc" if protocol == "grpc" else "http/protobuf",
        options=TelemetryOptions(content="span"),
    )


@click.command()
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--metrics-port", type=int, help="Serve metrics here, for Prometheus.")
@click.option("--otlp", help="Endpoint for spans.")
@click.option(
    "--protocol",
    default="http/protobuf",
    show_default=True,
    type=click.Choice(["http/protobuf", "grpc"]),
)
@click.option("--traces", help="Trace store that gets a record of every request.")
def main(
    seconds: float, metrics_port: int | None, otlp: str | None, protocol: str, traces: str | None
) -> None:
    """Put a mixed load on a simulator."""
    telemetry: OTelTelemetry | None = None
    if metrics_port is not None:
        telemetry = to_prometheus(metrics_port)
    elif otlp is not None:
        telemetry = to_collector(otlp, protocol)
    elif traces is None:
        sys.exit("give --metrics-port, --otlp or --traces")
    with SimulatorProcess() as simulator:
        asyncio.run(Load(simulator, telemetry or NoTelemetry(), seconds, traces).run())
    if telemetry is not None:
        telemetry.shutdown(10.0)


if __name__ == "__main__":
    main()
