"""Generates one process's part of the load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import copy_context

from msgspec.structs import replace

from tokenline.errors import ConfigError, StreamError
from tokenline.events import CONTENT_EVENTS
from tokenline.run import Run
from tokenline_bench.config import Bench, TimedTrace
from tokenline_bench.load.client import Client
from tokenline_bench.load.dealing import Dealing
from tokenline_bench.load.generator import Generator, Level, Share
from tokenline_bench.load.lag import LagWatch
from tokenline_bench.sample import Sample
from tokenline_bench.work.sources import open_work

from .connection_probe import probe
from .messages import EndpointSetup, LevelEnded, Prepared
from .trace_context import attach


class EndpointFailedError(StreamError):
    """An endpoint did not answer as it should when it was asked for the first time."""


class Worker:
    """One process's part of a benchmark.

    Args:
        bench: what to do.
        part: which part of the load.
        sink: takes every sample.

    Raises:
        ConfigError: a mistake in the endpoints or the work.
    """

    def __init__(self, bench: Bench, part: Share, sink: Callable[[Sample], None]) -> None:
        self._bench = bench
        self._clients = [Client(endpoint) for endpoint in bench.endpoints]
        self._work = open_work(bench.work, bench.seed)
        _check_times(bench, self._work.times_s() is not None)
        self._lag = LagWatch()
        dealing = Dealing(len(self._clients), bench.seed, bench.cancel_share, bench.cancel_after_s)
        self._generator = Generator(
            self._clients,
            self._work,
            dealing,
            sink,
            part=part,
            timeout_s=bench.timeout_s,
            grace_s=bench.grace_s,
        )

    async def prepare(self, first: bool) -> Prepared:
        """Make clients ready; the first worker also looks at the endpoints.

        Raises:
            ConfigError: no key, or no form of request for this API.
            EndpointFailedError: an endpoint fails its first request.
        """
        setups = [await self._prepare(client, first) for client in self._clients]
        own: tuple[int, ...] = ()
        if first and self._bench.calibrate:
            from .calibration import measure_own_share  # a simulator is needed for nothing else

            own = await measure_own_share()
        return Prepared(endpoints=tuple(setups), own_ns=own, work_size=self._work.size)

    async def run_level(self, level: Level, traceparent: str | None = None) -> LevelEnded:
        """Run a level to its end."""
        cpu_ns, wall_ns = time.process_time_ns(), time.perf_counter_ns()
        context = copy_context()
        if traceparent is not None:
            context.run(attach, traceparent)
        self._lag.start()
        running = asyncio.create_task(self._generator.run(level), context=context)
        try:
            await running
        finally:
            self._lag.stop()
            if not running.done():
                running.cancel()
        stamps, lags = self._lag.take()
        return LevelEnded(
            cpu_ns=time.process_time_ns() - cpu_ns,
            wall_ns=time.perf_counter_ns() - wall_ns,
            lag_stamps_ns=stamps.tolist(),
            lags_ns=lags.tolist(),
        )

    async def stop(self) -> None:
        """End the level that runs, now."""
        await self._generator.stop()

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.aclose()

    async def _prepare(self, client: Client, first: bool) -> EndpointSetup:
        turn = self._work.conversation(0).turns[0]
        client.payload(turn)
        started_ns = time.perf_counter_ns()
        await client.prepare()
        client_ns = time.perf_counter_ns() - started_ns
        address = client.address
        setup = EndpointSetup(
            endpoint=client.name,
            address=f"{address.host}:{address.port}" if address else None,
            client_ns=client_ns,
        )
        if not first:
            return setup
        if address is not None:
            setup = await probe(address, setup)
        return await self._ask(client, setup) if self._bench.check else setup

    async def _ask(self, client: Client, setup: EndpointSetup) -> EndpointSetup:
        """One request up to its first token, to find mistakes before the load begins.

        It asks the last of a file's prompts, which the load comes to last.
        """
        last = (self._work.size or 1) - 1
        run = client.run(self._work.conversation(last).turns[0])
        try:
            async with asyncio.timeout(self._bench.timeout_s), run:
                await _read_first_token(run)
        except StreamError as error:
            raise EndpointFailedError(f"endpoint {client.name}: {error}") from error
        except TimeoutError as error:
            raise EndpointFailedError(
                f"endpoint {client.name}: no token in {self._bench.timeout_s:g} s"
            ) from error
        timings = run.timings
        if timings.first_token_ns is None or timings.request_ns is None:
            raise EndpointFailedError(
                f"endpoint {client.name}: the answer had no tokens; check the model and the limit"
                " of output tokens"
            )
        return replace(setup, cold_ttft_ns=timings.first_token_ns - timings.request_ns)


async def _read_first_token(run: Run) -> None:
    async for event in run:
        if type(event) in CONTENT_EVENTS:
            return


def _check_times(bench: Bench, timed: bool) -> None:
    loads = bench.load if isinstance(bench.load, tuple) else (bench.load.template,)
    if any(isinstance(load, TimedTrace) for load in loads) and not timed:
        raise ConfigError("a timed trace needs a file with times (Mooncake form); give one")
